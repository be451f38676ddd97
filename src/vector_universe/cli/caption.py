"""`vu caption`: what a captioner says of pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vector_universe.cli.data import Options, read_data
from vector_universe.cli.say import say
from vector_universe.data.options import LoadOptions
from vector_universe.errors import UserError
from vector_universe.printable import printable_json, printable_lines

if TYPE_CHECKING:
    from vector_universe.data import Example
    from vector_universe.models.predictors import Caption as Said

_LINES = 4  # of a caption under a picture


@dataclass(frozen=True)
class Caption:
    """Say what pictures show, by a model of the recipe captioner: of files, or of held-out pictures of a data set."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """What `vu train --recipe captioner` wrote."""
    pictures: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PICTURE")] = ()
    """Pictures to caption."""
    data: Annotated[str | None, tyro.conf.arg(metavar="SRC")] = None
    """Take pictures of this data instead, and show their own texts beside."""
    split: Literal["train", "validation", "test"] = "test"
    """Which of its pictures; a model knows the texts of its training split by heart."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """How many, evenly spread over the split."""
    beams: int = 4
    """How many beginnings of a caption are followed at a time; 1 is the fastest."""
    out: Path | None = None
    """Draw pictures and captions into this PNG file."""
    json: bool = False
    """Print a list of {picture, caption, token_probability, log_probability, texts}."""
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        examples = self._examples()
        from vector_universe.data.images import ImageError
        from vector_universe.models.load import load_captioner
        from vector_universe.models.predictors.caption_images import caption_images
        from vector_universe.progress import counter, stages
        model = load_captioner(self.model)
        with stages() as progress:
            found = caption_images(model, [example.image for example in examples], self.beams,
                                   counter(progress, "captioning", len(examples)))
        said = [(example, caption) for example, caption in zip(examples, found, strict=True)
                if not isinstance(caption, ImageError)]
        for example, reason in zip(examples, found, strict=True):
            if isinstance(reason, ImageError):
                say(f"{example.id} cannot be read ({reason})")
        if not said:
            raise UserError("none of the pictures can be read")
        if self.json:
            listed = [{"picture": example.id, "caption": caption.text, "token_probability": caption.token_probability,
                       "log_probability": caption.log_probability, "texts": example.texts} for example, caption in said]
            print(printable_json(json.dumps(listed, ensure_ascii=False, indent=2)))
        else:
            _print(said)
        if self.out:
            self._draw(said, self.out)

    def _examples(self) -> Sequence[Example]:
        from vector_universe.data import Example
        from vector_universe.data.evenly import evenly
        if bool(self.pictures) == (self.data is not None):
            raise UserError("give pictures to caption, or --data with a source of them"
                            + (", not both" if self.pictures else ""))
        if self.out and self.out.suffix.lower() != ".png":
            raise UserError(f"{self.out} is no PNG: give --out a name that ends in .png")
        if self.data is None:
            return [Example(str(path), path, [], []) for path in self.pictures]
        if self.n < 1:
            raise UserError(f"n is {self.n}: it must be at least 1")
        dataset = read_data(self.data, self.load).split(self.split)
        if not len(dataset):
            raise UserError(f"{self.data} has no {self.split} pictures: choose another --split")
        return evenly(dataset, self.n)

    def _draw(self, said: Sequence[tuple[Example, Said]], path: Path) -> None:
        from vector_universe.data.images import decode_image
        from vector_universe.index.picture import Tile, draw_grid
        draw_grid([Tile(decode_image(example.image), caption.text,
                        (f"p a token {caption.token_probability:.2f}",
                         *(f"own text: {text}" for text in example.texts[:1])))
                   for example, caption in said], f"What {self.model} says", path, _LINES)
        say(f"the picture is in {path}")


def _print(said: Sequence[tuple[Example, Said]]) -> None:
    """A table of pictures with their captions, and their own texts where they have some."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
    with_texts = any(example.texts for example, _ in said)
    table = Table("picture", "caption", "p a token", *["own text"] * with_texts)
    for example, caption in said:
        cells = (example.id, caption.text, f"{caption.token_probability:.2f}", *[example.title] * with_texts)
        table.add_row(*(escape(printable_lines(cell)) for cell in cells))
    Console().print(table)
