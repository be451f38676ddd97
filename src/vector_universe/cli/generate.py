"""`vu generate`: pictures drawn from texts by a trained generator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vector_universe.cli.say import say
from vector_universe.errors import UserError


@dataclass(frozen=True)
class Generate:
    """Draw pictures from texts: a sheet with a row for each text. Equal text, seed and truncation, equal picture."""

    run_folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """What `vu train --recipe gan` wrote."""
    texts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")]
    """What to draw."""
    out: Path
    """PNG file to write."""
    n: int = 4
    """Pictures of each text."""
    truncation: float = 0.7
    """How much of the noise is used: below 1 more typical pictures that differ less, 0 the same from every seed."""
    seed: int = 0
    """Of the first picture; the next take the numbers after it."""

    def run(self) -> None:
        if not self.texts or any(not text.strip() for text in self.texts):
            raise UserError("there is nothing to draw: give one text or more, each in quotes")
        if not 1 <= self.n <= 64:
            raise UserError(f"n is {self.n}: between 1 and 64 pictures of a text fit on a sheet")
        if not 0 <= self.truncation <= 1:
            raise UserError(f"truncation is {self.truncation}: it must lie between 0 and 1")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed is {self.seed}: it must be a whole number from 0 up to 4 billion")
        if self.out.suffix.lower() != ".png":
            raise UserError(f"{self.out} is no PNG: give --out a name that ends in .png")
        if self.out.is_dir():
            raise UserError(f"{self.out} is a folder: give --out a file")
        from vector_universe.training.adversarial.generate import generate
        from vector_universe.training.adversarial.sheets import Row, write_sheet
        pictures = generate(self.run_folder, self.texts, self.n, self.truncation, self.seed)
        write_sheet(self.out, [Row(text, list(row)) for text, row in zip(self.texts, pictures, strict=True)])
        say(f"{len(self.texts)} × {self.n} pictures are in {self.out}")
