"""`vu data`: look at data before learning from it, bring it into one format, and balance it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.options import LoadOptions

if TYPE_CHECKING:
    from vector_universe.data import ImageTextDataset

Source = Annotated[str, tyro.conf.arg(metavar="SRC")]
Options = tyro.conf.OmitArgPrefixes[LoadOptions]


def read_data(source: str, options: LoadOptions) -> ImageTextDataset:
    """`load_dataset` with a bar while it reads."""
    from vector_universe.data import load_dataset
    from vector_universe.progress import stages
    with stages() as progress:
        return load_dataset(source, options, lambda done, total: progress("reading the data", done, total))


@dataclass(frozen=True)
class Check:
    """Look for what spoils a training run: broken images, duplicates across splits, damaged texts. One HTML report."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """The data, as for `vu train`."""
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Import:
    """Write data of any source as Parquet or WebDataset shards, which every verb reads."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Any data that is read: a folder, a table, shards, a Hugging Face data set, 'emoji'; see docs/data.md."""
    out: Path
    """Folder to write; an interrupted import goes on behind its last whole shard."""
    format: Literal["parquet", "webdataset"] = "parquet"
    """'webdataset' (tar shards) is read in place, without a copy in the cache, however large."""
    shard_mb: int = 256
    """Megabytes of a shard."""
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        from vector_universe.data.importing import import_data
        from vector_universe.progress import stages
        with stages() as progress:
            imported = import_data(self.data, self.out, self.load, format=self.format, shard_mb=self.shard_mb,
                                   report=lambda done, total: progress("importing", done, total))
        print(imported.summary(), file=sys.stderr)


@dataclass(frozen=True)
class Curate:
    """Balance pairs of images and texts: at most so many for each query, exactly, and the same on every machine."""

    shards: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SHARD")]
    """Parquet, JSONL or CSV files with a column of texts, folders of them, or patterns in quotes."""
    out: Path
    """Folder to write; an interrupted curation continues."""
    config: tyro.conf.OmitArgPrefixes[CurationConfig] = field(default_factory=CurationConfig)

    def run(self) -> None:
        from vector_universe.data.curation.run import curate
        print(curate(self.shards, self.out, self.config).summary(), file=sys.stderr)
        print(f"the pairs are in {self.out / 'kept'}; what became of each query: {self.out / 'report.html'}",
              file=sys.stderr)


@dataclass(frozen=True)
class Data:
    """Check, import and balance data."""

    verb: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Check, tyro.conf.subcommand("check")] | Annotated[Import, tyro.conf.subcommand("import")]
        | Annotated[Curate, tyro.conf.subcommand("curate")]]

    def run(self) -> None:
        self.verb.run()
