"""`vu data`: look at data before learning from it, bring it into one format, and balance it."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vector_universe.cli.say import say
from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.options import LoadOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vector_universe.data import ImageTextDataset
    from vector_universe.data.skipped import Remark

MOST_LINES = 8  # about whole files

Source = Annotated[str, tyro.conf.arg(metavar="SRC")]
Options = tyro.conf.OmitArgPrefixes[LoadOptions]


def read_data(source: str, options: LoadOptions) -> ImageTextDataset:
    """`load_dataset` with a bar while it reads."""
    from vector_universe.data import load_dataset
    from vector_universe.progress import stages
    with stages() as progress:
        dataset = load_dataset(source, options, lambda done, total: progress("reading the data", done, total))
    say_remarks(dataset.remarks)
    return dataset


def say_remarks(remarks: Sequence[Remark]) -> None:
    """Print what was read otherwise than it stands: how files were read one by one, rows by the first of each kind."""
    whole = [remark for remark in remarks if remark.row is None]
    rows: dict[str, list[Remark]] = {}
    for remark in remarks:
        if remark.row is not None:
            rows.setdefault(remark.kind, []).append(remark)
    lines = [f"{remark.file}: {remark.what}" if remark.file else remark.what for remark in whole[:MOST_LINES]
             if remark.kind != "not_read" or not remark.file.startswith(".")]
    for kind, found in rows.items():
        if kind != "values_differ":
            more = f" (the first of {len(found):,}; `vu data check` lists all)" if len(found) > 1 else ""
            lines.append(f"{found[0].file}, row {found[0].row:,}: {found[0].what}{more}")
    for line in lines:
        say(f"vu: {line}")


def flags(options: LoadOptions) -> str:
    """What must be said again in the next command, so that it reads the same data: " --group channel", or ""."""
    said = []
    for field_ in fields(options):
        value, name = getattr(options, field_.name), f"--{field_.name.replace('_', '-')}"
        if value != field_.default:
            said += [name] if value is True else [name, *([value] if isinstance(value, str) else value)]
    return "".join(f" {shlex.quote(word)}" for word in said)


@dataclass(frozen=True)
class Check:
    """Look for what spoils a training run: broken images, duplicates across splits, damaged texts. One HTML report.

    Exit code: 0 without an error or a warning, 1 with one (for CI), 2 when the data cannot be used at all.
    """

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """The data, as for `vu train`."""
    out: Path | None = None
    """Folder for report.html and report.json; unset: check-NAME, after the data's name."""
    batch_size: int = 128
    """Of training: how many false negatives a batch will hold depends on it."""
    max_tokens: int = 77
    """How many tokens of a text the model reads."""
    json: bool = False
    """Print report.json instead of a table."""
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        from vector_universe.data.doctor import check_data, folder_for, print_findings
        dataset = read_data(self.data, self.load)
        out = self.out or folder_for(dataset)
        report = check_data(dataset, out, self.batch_size, self.max_tokens, quiet=self.json)
        if self.json:
            print(json.dumps(report.to_json(), ensure_ascii=False, indent=1))
        else:
            print(f"{report.verdict}\n{report.summary}")
            print_findings(report.findings)
            print(f"report: {out / 'report.html'}")
        sys.exit(report.exit_code)


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
        say_remarks(imported.remarks)
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
