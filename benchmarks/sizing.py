"""What a collection of a given size takes: `python -m benchmarks.sizing [--quick] [--cpu-hour-price P] …`.

First the rates of this machine, each of it in a process of its own:

    embed     `Embedder.rows`, the step of every engine, on one core: JPEGs of 320 to 640 px (1/f noise, as photographs
              have) with titles of ten words and a CLIP ViT-B/32 with random weights (speed does not depend on them)
    table     rows with vectors of 512 half floats for image and text: merged 2,048 at a time, as one process does, and
              appended in one commit, as `--engine daft` and `ray` do; what is left on disk
    finish    map, topics and indices of that table; the approximate index of one column by itself
    driver    the process that starts a large job: looking through the data set, and what it keeps in memory

Then the arithmetic for 1 million, 100 million and 5 billion pictures. Money is counted only at prices that are given,
GPUs only at a rate that is given: none was measured here. Memory is read off Linux.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import report
from benchmarks.search_data import WIDTH, images, texts, world
from vector_universe.data.duplicates import look_at
from vector_universe.data.example import Example
from vector_universe.index.ingest.embed import Embedder, image_digest, reduced, thumbnail
from vector_universe.index.scale.parts import PART_ROWS, Part
from vector_universe.index.table.item_table import TABLE, ItemTable
from vector_universe.index.table.place import Place
from vector_universe.index.table.rows import Item, schema_of, to_table

if TYPE_CHECKING:
    import pyarrow as pa

    from vector_universe import DualEncoder

SIZES = {"1m": 10**6, "100m": 10**8, "5b": 5 * 10**9}
CORES = (16, 1000, 10_000)
PARTITIONS = 256  # of the index of half a million items and more
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Rates:
    """What was measured, for each item unless the name says otherwise."""

    embed_per_core_second: float
    read_per_core_second: float
    driver_seconds: float
    table_bytes: float
    index_bytes: float
    index_seconds: float
    driver_bytes: float
    finish_bytes: float


@dataclass(frozen=True)
class Given:
    """What the reader knows of the machines to be: prices by the hour and the month, rates."""

    cpu_hour_price: float | None
    gpu_hour_price: float | None
    gpu_images_per_second: float | None
    storage_price: float | None
    bandwidth: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="48 pictures, 10,000 rows, one turn")
    parser.add_argument("--cpu-hour-price", type=float, help="of one core like those here")
    parser.add_argument("--gpu-hour-price", type=float, help="of one GPU")
    parser.add_argument("--gpu-images-per-second", type=float, help="of one GPU, measured elsewhere")
    parser.add_argument("--storage-price", type=float, help="of one GB (10^9 bytes) for a month")
    parser.add_argument("--bandwidth", type=float, help="to the bucket, in megabits a second")
    options = parser.parse_args()
    pictures, rows, turns = (48, 10_000, 1) if options.quick else (128, 60_000, 3)
    rates = measure(pictures, rows, turns)
    given = Given(**{name: value for name, value in vars(options).items() if name != "quick"})
    for name, count in SIZES.items():
        for metric, value, note in needs(count, rates, given):
            report(f"sizing_{name}", metric, value, note)


def measure(pictures: int, rows: int, turns: int) -> Rates:
    """Report the rates of this machine."""
    from vector_universe.models.precision import use_bf16

    with tempfile.TemporaryDirectory(prefix="vector-universe-sizing-") as scratch:
        folder = Path(scratch)
        save_clip(folder / "clip")
        write_pictures(folder / "pictures", pictures)
        embed = alone(embedding, folder, turns)
        table = alone(table_rates, folder, rows)
        done = alone(finishing, folder)
        half = alone(finishing_half, folder)
        driver = alone(driving, 4 * rows)
    done["memory_bytes_per_item"] = (done["memory_bytes"] - half) / (rows - rows // 2)
    arithmetic = "bf16" if use_bf16() else "fp32"
    note = f"one core, {arithmetic}, {pictures} JPEGs of {embed.pop('jpeg_kb'):.0f} KB, median of {turns}"
    for case, found, what in (("embed", embed, note), ("table", table, f"{rows:,} rows"),
                              ("finish", done, f"{rows:,} rows, {os.cpu_count()} cores"),
                              ("driver", driver, f"{4 * rows:,} items")):
        for metric, value in found.items():
            report(case, metric, value, what)
    return Rates(embed["images_per_core_second"], embed["read_per_core_second"], 1 / driver["looked_through_per_second"]
                 + 1 / table["appended_per_second"], table["bytes_per_item"], done["index_bytes_per_item"],
                 done["index_seconds_per_million"] / 1e6, driver["memory_bytes_per_item"],
                 done["memory_bytes_per_item"])


def needs(count: int, rates: Rates, given: Given) -> Iterator[tuple[str, float, str]]:
    """What `count` pictures take: metric, value, and how it is counted."""
    core_hours = count / rates.embed_per_core_second / 3600
    yield "embed_core_hours", core_hours, f"{count:,} / {rates.embed_per_core_second:.2f} / 3600"
    if given.cpu_hour_price is not None:
        yield "embed_cpu_money", core_hours * given.cpu_hour_price, f"at {given.cpu_hour_price} a core and hour"
    for cores in CORES:
        yield f"embed_hours_on_{cores}_cores", core_hours / cores, ""
    if given.gpu_images_per_second is not None:
        gpu_hours = count / given.gpu_images_per_second / 3600
        yield "embed_gpu_hours", gpu_hours, f"{count:,} / {given.gpu_images_per_second:g} / 3600, a rate not measured"
        yield "cores_to_read_for_a_gpu", given.gpu_images_per_second / rates.read_per_core_second, "or it waits"
        if given.gpu_hour_price is not None:
            yield "embed_gpu_money", gpu_hours * given.gpu_hour_price, f"at {given.gpu_hour_price} a GPU and hour"
    yield "driver_hours", count * rates.driver_seconds / 3600, "one process, besides; looking through, and the commit"
    yield "driver_memory_gb", count * rates.driver_bytes / 1e9, ""
    yield "finish_memory_gb", count * rates.finish_bytes / 1e9, "map and topics of one universe, in one process"
    table_gb, index_gb = count * rates.table_bytes / 1e9, count * rates.index_bytes / 1e9
    yield "table_gb", table_gb, "while it is joined, and for a day after, up to twice as much"
    yield "index_gb", index_gb, "of images; as much again for titles"
    yield "index_hours", count * rates.index_seconds / 3600, "the same, on the cores here"
    if given.storage_price is not None:
        yield "storage_money_a_month", (table_gb + 2 * index_gb) * given.storage_price, \
            f"at {given.storage_price} a GB and month"
    if given.bandwidth is not None:
        yield "upload_hours", table_gb * 8000 / given.bandwidth / 3600, f"the table at {given.bandwidth:g} Mbit/s"


# ---- data ----

def save_clip(folder: Path) -> None:
    """CLIP ViT-B/32 with random weights; its vocabulary is letters, so that a word of one letter is a token."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[],
                              model_max_length=77)
    torch.manual_seed(0)
    text_config = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    CLIPModel(CLIPConfig(text_config=text_config)).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_pictures(folder: Path, count: int) -> None:
    """JPEGs whose amplitudes fall with the frequency, as those of photographs do; long side 320 to 640 px."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(count):
        width = int(draw.integers(320, 641))
        height = width * 3 // 4
        frequency_HW = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) + 1 / width
        waves_3HW = np.fft.rfft2(draw.standard_normal((3, height, width))) / frequency_HW**1.5
        grey_and_tints_3HW = np.fft.irfft2(waves_3HW, (height, width)) * np.array([1, 0.3, 0.3])[:, None, None]
        pixels_HW3 = (grey_and_tints_3HW + grey_and_tints_3HW[0]).transpose(1, 2, 0)
        pixels_HW3 = 128 + 50 * pixels_HW3 / pixels_HW3.std()
        Image.fromarray(pixels_HW3.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05}.jpg", quality=85)


def title(number: int) -> str:
    """Ten words of one letter."""
    return " ".join(np.random.default_rng(number).choice(list(LETTERS), 10))


def row_pieces(schema: pa.Schema, folder: Path, rows: int) -> Iterator[pa.Table]:
    """Rows of the table, a part at a time."""
    of = world()
    draw = np.random.default_rng(0)
    sizes = [len(thumbnail(Image.open(path))) for path in sorted((folder / "pictures").iterdir())[:64]]
    for start in range(0, rows, PART_ROWS):
        count = min(PART_ROWS, rows - start)
        items = [Item(f"folder/picture-{number:09}.jpg", "source", title(number), [title(number)],
                      [LETTERS[number % 26]], "train", "", draw.bytes(16), draw.bytes(16),
                      int(draw.integers(2**63)),
                      draw.bytes(sizes[number % len(sizes)]), {})  # repeated ones Lance would compress
                 for number in range(start, start + count)]
        vectors: dict[Any, NDArray[np.float16] | None] = {
            "image": images(of, start, count).astype(np.float16), "text": texts(of, start, count).astype(np.float16)}
        yield to_table(schema, items, vectors)


# ---- what runs in processes of its own ----

def alone(function: Callable, *inputs: Any) -> Any:
    """The result of a call in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(function, inputs)


def embedding(folder: Path, turns: int) -> dict[str, float]:
    """Pictures a second on one core, and what of its time goes into reading them."""
    import torch

    from vector_universe import DualEncoder

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    model = DualEncoder.from_pretrained(folder / "clip")
    embedder = Embedder(model, schema_of(WIDTH, {}), "source", "image")
    files = sorted((folder / "pictures").iterdir())
    examples = [Example(file.name, str(file), [title(number)], []) for number, file in enumerate(files)]
    list(embedder.rows(examples[:8]))
    # the core's own time: what else runs on it does not count
    whole = median(seconds(lambda: list(embedder.rows(examples)), time.process_time) for _ in range(turns))
    reading = median(seconds(lambda: [read(model, file) for file in files], time.process_time) for _ in range(turns))
    return {"images_per_core_second": len(files) / whole, "read_per_core_second": len(files) / reading,
            "share_of_reading": reading / whole,
            "jpeg_kb": sum(file.stat().st_size for file in files) / len(files) / 1000}


def read(model: DualEncoder, file: Path) -> None:
    """What is done with a picture before the model sees it."""
    encoded = file.read_bytes()
    picture = model.framing.decode(encoded)
    look_at(reduced(picture))
    thumbnail(picture)
    image_digest(encoded)


def table_rates(folder: Path, rows: int) -> dict[str, float]:
    """Rows a second by merges and by one commit, and bytes of an item; the merged table stays in `folder`."""
    from lance.fragment import write_fragments

    from vector_universe.index.scale.append import append
    from vector_universe.index.table.full_text import create_text_index

    schema = schema_of(WIDTH, {})
    merged, beside = (ItemTable.create(Place(folder / name), schema) for name in ("merged", "beside"))
    merging = writing = 0.0
    parts = []
    for piece in row_pieces(schema, folder, rows):
        merging += seconds(partial(merged.merge, piece))
        started = time.perf_counter()
        fragments = write_fragments(piece, f"{beside.place}/{TABLE}.lance", mode="append", schema=schema)
        writing += time.perf_counter() - started
        parts.append(Part(tuple(piece["id"].to_pylist()), ("0" * 32,) * len(piece), (), len(piece),
                          tuple(json.loads(json.dumps(fragment.to_json())) for fragment in fragments)))
    appending = seconds(lambda: append(beside.place, parts))
    merged.refresh()
    before = size_of(folder / "merged")
    create_text_index(merged.lance)
    with warnings.catch_warnings():  # Lance says that readers of old versions lose them
        warnings.simplefilter("ignore")
        merged.lance.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
    return {"merged_per_second": rows / merging, "written_by_workers_per_second": rows / writing,
            "appended_per_second": rows / appending, "bytes_per_item": size_of(folder / "merged") / rows,
            "bytes_per_item_before_joining": before / rows,
            "thumbnail_bytes": float(np.mean([len(found.as_py()) for found in piece["thumbnail"]]))}


def finishing(folder: Path) -> dict[str, float]:
    """Index of one column; then all that follows the embedding, with its peak of memory."""
    from vector_universe.index.search import approximate

    table = ItemTable.open(Place(folder / "merged"))
    rows, before = table.count(), size_of(folder / "merged")
    with patch.object(approximate, "partitions_of", lambda table: PARTITIONS):
        building = seconds(lambda: approximate.build_vector_index(table.lance, "image"))
    after = size_of(folder / "merged")
    whole = seconds(lambda: finish_anew(table))
    return {"index_seconds_per_million": building / rows * 1e6, "index_bytes_per_item": (after - before) / rows,
            "seconds": whole, "memory_bytes": memory("VmHWM")}


def finishing_half(folder: Path) -> float:
    """The peak of memory with half of the rows, so that what no row needs can be told apart."""
    table = ItemTable.open(Place(folder / "merged"))
    ids = sorted(table.scan(["id"])["id"].to_pylist())
    table.lance.delete(f"id >= '{ids[len(ids) // 2]}'")
    finish_anew(table)
    return memory("VmHWM")


def finish_anew(table: ItemTable) -> None:
    from vector_universe.index.ingest.finish import finish

    model: Any = None  # only needed where there are labels to predict
    finish(table, "image", model, redraw=True, changed=False, progress=lambda *_: None)


def driving(rows: int) -> dict[str, float]:
    """Looking through a data set of new items, and memory for it and for the commit."""
    import datasets

    from vector_universe.data import ImageTextDataset
    from vector_universe.data.rows import arrow_schema, to_row
    from vector_universe.index.ingest.update import _plan
    from vector_universe.index.scale.engine import _ids

    with tempfile.TemporaryDirectory() as scratch:
        given = datasets.Dataset.from_generator(
            lambda: (to_row(Example(f"folder/picture-{number:09}.jpg", "p.jpg", [LETTERS], ["a"]))
                     for number in range(rows)),
            features=datasets.Features.from_arrow_schema(arrow_schema()), cache_dir=scratch)
        dataset = ImageTextDataset(given, name="source", source="source")
        table = ItemTable.create(Place(Path(scratch) / "universe"), schema_of(WIDTH, {}))
        model: Any = None  # nothing is embedded
        embedder = Embedder(model, table.schema, "source", "image")
        _plan(table, embedder, dataset.select(range(1000)), lambda *_: None)  # what is imported is not to be counted
        begun = memory("VmRSS")
        started = time.perf_counter()
        plan = _plan(table, embedder, dataset, lambda *_: None)
        looking = time.perf_counter() - started
        # what embed_at_scale holds at its commit: the notes of all parts, and the places of their ids
        parts = []
        for start in range(0, rows, PART_ROWS):
            ids = _ids(dataset, plan.new[start:start + PART_ROWS], "")
            note = Part(tuple(ids), tuple(f"{place:032x}" for place in range(len(ids))), (), len(ids), ())
            parts.append(Part.from_json(note.to_json()))
        order = {id: place for place, id in enumerate(_ids(dataset, plan.new, ""))}
        used = memory("VmRSS") - begun
        assert len(order) == sum(len(part.ids) for part in parts) == rows
    return {"looked_through_per_second": rows / looking, "memory_bytes_per_item": used / rows}


def seconds(step: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    step()
    return clock() - started


def memory(what: str) -> int:
    """Bytes of resident memory of this process: "VmRSS" now, "VmHWM" at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(what)).split()[1])


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
