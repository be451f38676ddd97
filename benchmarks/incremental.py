"""A day in the life of a universe: `python -m benchmarks.incremental [--quick] [--data FOLDER]`.

3,000 posters are indexed by a full-size CLIP ViT-B/32 with random weights (time does not depend on them). Then 150
thumbnails join them, 10 posters get another picture and 10 go, and the same command runs again: only 160 pictures may
go through the model. Needs movie-posters-3000, youtube-thumbnails-150 and CLIP's vocabulary in the data folder.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.embedding import save_clip
from benchmarks.report import report
from vector_universe import DualEncoder, load_dataset
from vector_universe.index.build import Given, IndexOptions, bring_up_to_date
from vector_universe.index.ingest.update import Change

CASE = "incremental_day"
CHANGED = REMOVED = 10
COLUMNS = ("file_name", "title", "labels")


def main() -> None:
    """Index, change the folder, index again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="600 posters and 20 thumbnails")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    posters, thumbnails = arguments.data / "movie-posters-3000", arguments.data / "youtube-thumbnails-150"
    vocabulary = arguments.data / "clip-facts" / "bpe_simple_vocab_16e6.txt.gz"
    for needed in (posters / "metadata.csv", thumbnails / "metadata.csv", vocabulary):
        if not needed.is_file():
            sys.exit(f"{needed} is not there: give its folder's folder by --data")
    poster_count, thumbnail_count = (600, 20) if arguments.quick else (3000, 150)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "posters"
        (folder / "images").mkdir(parents=True)
        rows = copied(posters, folder, poster_count)
        write(folder, rows)
        save_clip(f"{scratch}/model", vocabulary)
        model = DualEncoder.from_pretrained(f"{scratch}/model").eval()
        warm_up(model)
        first, whole = indexed(model, folder, Path(scratch) / "universe")

        rows = rows[REMOVED:] + copied(thumbnails, folder, thumbnail_count)
        for row in rows[:CHANGED]:
            repaint(folder / "images" / row["file_name"])
        write(folder, rows)
        second, day = indexed(model, folder, Path(scratch) / "universe")
        third, nothing = indexed(model, folder, Path(scratch) / "universe")
    print(f"{first.describe()}\n{second.describe()}\n{third.describe()}", file=sys.stderr)
    due = thumbnail_count + CHANGED
    assert (second.new, second.changed, second.removed, second.embedded) == (thumbnail_count, CHANGED, REMOVED, due)
    assert third.embedded == 0
    note = f"{first.new:,} posters, then {thumbnail_count} new, {CHANGED} changed, {REMOVED} gone"
    report(CASE, "embedded", second.embedded, note)
    report(CASE, "first_seconds", whole, note)
    report(CASE, "day_seconds", day, note)
    report(CASE, "nothing_new_seconds", nothing, note)
    report(CASE, "share_of_first", day / whole, note)


def copied(source: Path, folder: Path, count: int) -> list[dict[str, str]]:
    """The first rows of a data set, whose pictures are copied over."""
    with (source / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:count]
    for row in rows:
        shutil.copyfile(source / "images" / row["file_name"], folder / "images" / row["file_name"])
    return rows


def write(folder: Path, rows: list[dict[str, str]]) -> None:
    """Write metadata.csv, of the columns that both data sets have."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)


def repaint(path: Path) -> None:
    """Another picture of the same name: its mirror image."""
    with Image.open(path) as picture:
        mirrored = picture.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(path, "JPEG", quality=90)


def warm_up(model: DualEncoder) -> None:
    """Load what is loaded at first use, so that neither run pays for it."""
    import lancedb  # noqa: F401
    import numpy as np

    from vector_universe.index.map.projection import project
    project(np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32))
    model.embed_images([Image.new("RGB", (224, 224))])
    model.embed_texts(["a picture"])


def indexed(model: DualEncoder, folder: Path, out: Path) -> tuple[Change, float]:
    """What `vu index` did, and the seconds it took, from reading the folder on."""
    began = time.perf_counter()
    change = bring_up_to_date(model, Given(load_dataset(folder)), out, IndexOptions())
    return change, time.perf_counter() - began


if __name__ == "__main__":
    main()
