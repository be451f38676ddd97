"""`vu export`: a model in the format of another library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vector_universe.cli.say import say


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
                say(str(note))
        say(f"the model and its card are in {self.out}")
