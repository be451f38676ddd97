"""Find the model in what the user names: a run, a universe's copy, or a folder saved by `save_pretrained`."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError

from vector_universe.errors import UserError
from vector_universe.models.configuration import DualEncoderConfig
from vector_universe.models.dual_encoder import DualEncoder


def load_run_model(path: str | Path) -> DualEncoder:
    """Load the `DualEncoder` of a run folder, or of a folder that `save_pretrained` wrote.

    Raises:
        UserError: there is no model, its training has not finished, or its files do not fit each other.
    """
    path = Path(path)
    folder = path / "model" if (path / "model" / "config.json").is_file() else path
    try:
        found = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        found = {}
    if not isinstance(found, dict) or found.get("model_type") != DualEncoderConfig.model_type:
        raise UserError(f"{path} holds no trained model: give the folder that `vu train --out` wrote, once it finished")
    try:
        return DualEncoder.from_pretrained(folder).eval()
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the model in {folder} cannot be loaded ({reason}): train it again") from error
