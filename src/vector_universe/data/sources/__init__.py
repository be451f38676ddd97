"""Every source that people have, each as one stream of examples; `open_source` finds out which one is meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vector_universe.data.example import Example
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import Remark, SkippedRow
from vector_universe.data.sources.choose import open_source
from vector_universe.data.sources.source import Item, Report, Source, unreported

__all__ = ["Item", "Report", "Source", "open_source", "stream_examples"]

_USUAL = LoadOptions()


def stream_examples(source: str | Path, options: LoadOptions = _USUAL,
                    report: Report = unreported) -> Iterator[Example | SkippedRow]:
    """Read a source of any kind one example at a time: nothing is kept, in memory or on disk. Remarks are left out.

    Args:
        source: as for `load_dataset`.
        options: columns and safety; `group` and `group_duplicates`, which need all of the data, are not followed.
        report: called with (done, total) as reading goes on.

    Raises:
        UserError: the source cannot be used, or holds not one example.
    """
    return (item for item in open_source(source, options).items(report) if not isinstance(item, Remark))
