"""What `benchmarks.serving` serves and asks: a universe of synthetic vectors under a full-size CLIP, and requests."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.embedding import save_clip
from benchmarks.search_data import WIDTH, images, world
from vector_universe import DualEncoder
from vector_universe.index.ingest.embed import thumbnail
from vector_universe.index.table import generation as generations
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.notes import SourceNote, write_source
from vector_universe.index.table.place import Place
from vector_universe.index.table.rows import Item, schema_of, to_table

_CHUNK = 10_000
_LABELS = 40
_BOUNDARY = "part-of-a-benchmark"
_MARK = b"@@@@@@@@"  # in a text, or behind the end of a JPEG, where no decoder looks
_WORDS = ("red", "small", "wooden", "old", "bright", "quiet", "fast", "round", "car", "house", "river", "cat", "bridge",
          "face", "mountain", "table", "night", "morning", "winter", "market", "street", "garden", "with", "without")


def write_universe(out: Path, vocabulary: Path, count: int) -> None:
    """A universe of `count` items: vectors of `benchmarks.search_data`, ViT-B/32 of random weights, no pictures."""
    save_clip(str(out.parent / "clip"), vocabulary)
    model = DualEncoder.from_pretrained(out.parent / "clip").eval()
    root = Place(out)
    generations.claim(root)
    generation = generations.begin(root, model, "image", WIDTH, None)
    place, schema, of = root / generation.name, schema_of(WIDTH, {}), world()
    table = ItemTable.create(place, schema)
    small = thumbnail(Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)))
    for start in range(0, count, _CHUNK):
        numbers = range(start, min(start + _CHUNK, count))
        draw = np.random.default_rng(start)
        items = [Item(f"item-{number}", "made", f"item {number} made for a benchmark", [f"item {number}"],
                      [f"label {number % _LABELS}"], "train", "", draw.bytes(16), draw.bytes(16), number, small, {})
                 for number in numbers]
        rows = to_table(schema, items, {"image": images(of, start + 1, len(items)).astype(np.float16)})
        places = {name: pa.array(draw.uniform(-1, 1, len(items)), pa.float32()) for name in ("x", "y")}
        for name, values in (places | {"topic": pa.array([0] * len(items), pa.int32())}).items():
            rows = rows.set_column(rows.schema.get_field_index(name), schema.field(name), values)
        table.lance.add(rows)
    table.optimize()
    write_source(place, SourceNote("made", "nowhere", {}, "", "", ()))
    generations.switch(root, generation.name)


@dataclass(frozen=True)
class Asked:
    """One request to /api/search; `new` makes it one that nobody has asked before."""

    kind: str
    content_type: str
    body: bytes

    def new(self, number: int) -> bytes:
        """The body of the `number`-th request that is made of this one."""
        return self.body.replace(_MARK, f"{number:0{len(_MARK)}d}".encode())


def requests(count: int, seed: int) -> list[Asked]:
    """Texts and 640 × 480 JPEGs in turn, of 32 pictures."""
    draw = np.random.default_rng(seed)
    pictures = [_jpeg(number) for number in range(32)]
    found = []
    for number in range(count):
        if number % 2:
            words = " ".join(draw.choice(_WORDS, 6))
            query = {"like": [{"text": f"{words} {seed} {_MARK.decode()}"}]}
            found.append(Asked("text", "application/json", json.dumps(query).encode()))
        else:
            form = (f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="query"\r\n\r\n'
                    f'{json.dumps({"like": [{"upload": 0}]})}\r\n--{_BOUNDARY}\r\nContent-Disposition: form-data; '
                    'name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n').encode()
            picture = pictures[int(draw.integers(len(pictures)))] + _MARK + str(seed).encode()
            body = form + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()
            found.append(Asked("image", f"multipart/form-data; boundary={_BOUNDARY}", body))
    return found


def _jpeg(seed: int) -> bytes:
    """Smooth random colours with some grain, about 60 KB, as a photograph of this size."""
    draw = np.random.default_rng(seed)
    smooth = Image.fromarray(draw.integers(0, 256, (12, 16, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    grain = draw.normal(0, 8, (480, 640, 1))
    encoded = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=85)
    return encoded.getvalue()
