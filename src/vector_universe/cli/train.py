"""`vu train`: a model, or a generator, by the settings of a recipe."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from vector_universe.cli.dashes import unguarded
from vector_universe.cli.data import Options, Source, flags, read_data
from vector_universe.cli.say import say
from vector_universe.data.options import LoadOptions
from vector_universe.training.config import TrainConfig, read_config
from vector_universe.training.recipes import recipe


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
        from vector_universe.training import train, train_generator
        from vector_universe.training.overfit import overfit_one_batch
        from vector_universe.training.processes import take_leave
        self.config.check()
        dataset = read_data(self.data, self.load)
        if self.ocr:
            with stages() as progress:
                dataset = read_ocr(dataset, advance=counter(progress, "reading burnt-in text", len(dataset)))
        if self.overfit_one_batch:
            say(overfit_one_batch(dataset, self.config, self.out))
            return
        if self.config.objective == "gan":
            train_generator(dataset, self.config, self.out)
            say(f"the generator is in {self.out / 'generator'}; next: vu generate {self.out} \"a text\" --out "
                "sheet.png")
            return
        train(dataset, self.config, self.out)
        take_leave()
        following = f"vu evaluate {self.out} --data {self.data}{flags(self.load)}"
        say(f"the model is in {self.out / 'model'}; next: {following}")


def train_from(arguments: list[str]) -> type[Train]:
    """`Train` with the defaults of the recipe, or of the earlier run, that the command line, as `guarded`, names.

    Raises:
        UserError: there is no such recipe or run, or the recipe needs a model.
    """
    named = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--recipe", "--settings", "--model"):
        named.add_argument(name, type=unguarded)
    found, _ = named.parse_known_args(arguments)
    start = read_config(found.settings) if found.settings else recipe(found.recipe, found.model)

    @dataclass(frozen=True)
    class TrainFrom(Train):
        config: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=lambda: start)

    TrainFrom.__doc__ = Train.__doc__
    return TrainFrom
