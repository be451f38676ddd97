"""`vu`: one verb after the other, from a folder of pictures to a universe. Parses, calls one function, prints."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Protocol

import tyro

from vector_universe.cli_data import Data, Options, Source, flags, read_data
from vector_universe.cli_index import Index, Label, Search
from vector_universe.cli_serve import Serve, Share
from vector_universe.data.options import LoadOptions
from vector_universe.errors import UserError
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.training.config import TrainConfig, read_config
from vector_universe.training.recipes import recipe


class Verb(Protocol):
    """What every verb is: settings that can be run."""

    def run(self) -> None: ...


@dataclass(frozen=True)
class Demo:
    """Train on 1,900 emoji, measure, index, and open the page: all in a few minutes, offline."""

    out: Path = Path("demo")
    """Folder for demo/run, demo/universe and demo/metrics.json."""
    serve: bool = True
    """Open the page at the end."""
    port: int = 8765
    """Port of the page on 127.0.0.1."""

    def run(self) -> None:
        from vector_universe.demo import demo
        demo(self.out)
        if self.serve:
            Serve(str(self.out / "universe"), port=self.port).run()


@dataclass(frozen=True)
class Train:
    """Train an embedding model on images with titles or labels."""

    data: Source
    """Folder with images/ and metadata.csv; or a table, shards, images by class, a Hugging Face data set, what `vu data
    import` wrote, or 'emoji'."""
    out: Path
    """Run folder to write; an interrupted run continues."""
    settings: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """A run, or its config.json, whose settings are the defaults below, instead of a recipe's."""
    ocr: bool = False
    """Read the text burnt into the images first, for the objective fusion; needs the extra 'ocr'."""
    overfit_one_batch: bool = False
    """Only see whether the model can learn one batch by heart: if not, something is wrong before any long run."""
    config: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=TrainConfig)
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        from vector_universe.data import read_ocr
        from vector_universe.progress import counter, stages
        from vector_universe.training import train
        from vector_universe.training.overfit import overfit_one_batch
        self.config.check()
        dataset = read_data(self.data, self.load)
        if self.ocr:
            with stages() as progress:
                dataset = read_ocr(dataset, advance=counter(progress, "reading burnt-in text", len(dataset)))
        if self.overfit_one_batch:
            print(overfit_one_batch(dataset, self.config, self.out), file=sys.stderr)
            return
        train(dataset, self.config, self.out)
        following = f"vu evaluate {self.out} --data {self.data}{flags(self.load)}"
        print(f"the model is in {self.out / 'model'}; next: {following}", file=sys.stderr)


def _train_from(arguments: list[str]) -> type[Train]:
    """`Train` with the defaults of the recipe, or of the earlier run, that the command line names.

    Raises:
        UserError: there is no such recipe or run, or the recipe needs a model.
    """
    named = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--recipe", "--settings", "--model"):
        named.add_argument(name)
    found, _ = named.parse_known_args(arguments)
    start = read_config(found.settings) if found.settings else recipe(found.recipe, found.model)

    @dataclass(frozen=True)
    class TrainFrom(Train):
        config: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=lambda: start)

    TrainFrom.__doc__ = Train.__doc__
    return TrainFrom


@dataclass(frozen=True)
class Evaluate:
    """Measure models: retrieval, zero-shot, probes, geometry, leaks, each with its interval, in one report."""

    models: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """What `vu train` wrote, or pretrained CLIPs or SigLIPs: folders or hub names. Several are put side by side, and
    compared with the first."""
    data: Source
    """Data to measure on; what training has not seen is its test split."""
    out: Path | None = None
    """Folder for evaluation.html and evaluation.json; unset: the run of a single model, else evaluation-NAMES."""
    json: bool = False
    """Print evaluation.json instead of a table."""
    config: tyro.conf.OmitArgPrefixes[EvaluateConfig] = field(default_factory=EvaluateConfig)
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        from vector_universe.evaluation import evaluate_folders
        from vector_universe.evaluation.rendering.console import print_report
        from vector_universe.progress import stages
        self.config.check()
        dataset = read_data(self.data, self.load)
        with stages() as progress:
            found = evaluate_folders(self.models, dataset, self.config, self.out, progress)
        if self.json:
            print(json.dumps(found.report.as_dict(), indent=1, ensure_ascii=False, allow_nan=False))
        else:
            print_report(found.report)
        for line in (*found.kept, f"report: {found.page}"):
            print(line, file=sys.stderr)


@dataclass(frozen=True)
class Export:
    """Write a trained model in the format of another library, with a model card."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """What `vu train` wrote, or a pretrained CLIP or SigLIP: a folder or a hub name."""
    out: Path
    """New folder to write."""
    format: Literal["transformers", "sentence-transformers", "onnx"] = "transformers"
    """Who is to read it; the folder for sentence-transformers is read by transformers too. 'onnx' writes both towers of
    any model for ONNX Runtime and compares them with it; needs the extra 'onnx'."""

    def run(self) -> None:
        from vector_universe.models.export import export
        exported = export(self.model, self.out, self.format)
        for note in (exported.parity, exported.left_behind):
            if note:
                print(note, file=sys.stderr)
        print(f"the model and its card are in {self.out}", file=sys.stderr)


VERBS: dict[str, Callable[..., Verb]] = {
    "demo": Demo, "train": Train, "evaluate": Evaluate, "index": Index, "search": Search, "label": Label,
    "serve": Serve, "share": Share, "export": Export, "data": Data,
}


def main(arguments: list[str] | None = None) -> None:
    """Run `vu` with `arguments` (default: the command line). Errors of the user end with one line and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        verbs = VERBS | ({"train": _train_from(arguments)} if arguments[:1] == ["train"] else {})
        verb = tyro.extras.subcommand_cli_from_dict(
            verbs, prog="vu", args=arguments,
            description="From a folder of pictures to a model of your own and a universe to search and see.")
        _quieten()
        verb.run()
    except (UserError, FloatingPointError) as error:
        print(f"vu: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        print(f"vu: {error.strerror or error}{place}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nvu: stopped; what was finished is kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)


def _quieten() -> None:
    """Keep the progress bars and hub notices of libraries out of our output."""
    import os
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.formatwarning = lambda message, *_: f"vu: {message}\n"


if __name__ == "__main__":
    main()
