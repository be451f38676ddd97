"""`load_dataset`: the one door through which every source comes in."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.source import Report, unreported

DEFAULT = LoadOptions()


def load_dataset(source: str | Path, options: LoadOptions = DEFAULT, report: Report = unreported) -> ImageTextDataset:
    """Load a data set.

    Args:
        source: one of

            - a folder with a table (`metadata.csv`, `captions.txt`, `metadata.parquet`, …) and its images beside it or
              in `images/`; several rows of one image are its several texts;
            - a table by itself: `.csv`, `.tsv`, `.parquet`, `.jsonl`; Parquet may hold the images as bytes;
            - WebDataset shards: a `.tar`, a folder of them, or a pattern such as `shards/{000..012}.tar`;
            - a folder of CLIP_benchmark: such shards by split, with `classnames.txt`;
            - a data set of Hugging Face: a folder by `save_to_disk`, or `owner/name` on the Hub;
            - a folder of images by class (`cat/a.jpg`, `train/cat/a.jpg`);
            - what `vu data import` wrote;
            - "emoji" (Twemoji pictures) or "emoji-noto" (the same by Noto's artists, from the installed font).
        options: columns, splits and safety.
        report: called with (done, total) as reading goes on.

    Raises:
        UserError: the source cannot be used; the message says what to do.
    """
    from vector_universe.data.collect import collect
    from vector_universe.data.sources import open_source
    dataset = collect(open_source(source, options), str(source), options, report)
    if options.group is None and not options.group_duplicates:
        return dataset
    from vector_universe.data.splits import keep_together
    done = count(1)
    return keep_together(dataset, options, lambda _: report(next(done), len(dataset)))
