"""Find the model in what the user names: a run, a universe's copy, a saved folder, or a pretrained model."""

from __future__ import annotations

from pathlib import Path

from vector_universe.models.dual_encoder import DualEncoder


def load_run_model(path: str | Path) -> DualEncoder:
    """Load the `DualEncoder` of a run folder, of a folder that `save_pretrained` wrote, or a pretrained CLIP or SigLIP.

    Args:
        path: a folder, or a name on the Hugging Face hub such as "openai/clip-vit-base-patch32".

    Raises:
        UserError: there is no model, its training has not finished, or its files do not fit each other.
    """
    in_run = Path(path) / "model"
    return DualEncoder.from_pretrained(in_run if (in_run / "config.json").is_file() else path).eval()
