"""Find the model in what the user names: a run, a universe's copy, a saved folder, or a pretrained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vector_universe.errors import UserError
from vector_universe.models.dual_encoder import DualEncoder
from vector_universe.models.predictors import Predictor, PredictorConfig
from vector_universe.models.source import read_config


def load_run_model(path: str | Path) -> DualEncoder:
    """Load the `DualEncoder` of a run folder, of a folder that `save_pretrained` wrote, or a pretrained CLIP or SigLIP.

    Args:
        path: a folder, or a name on the Hugging Face hub such as "openai/clip-vit-base-patch32".

    Raises:
        UserError: there is no model, its training has not finished, its files do not fit each other, or it predicts
            words.
    """
    return embedding_texts(load_any_model(path), str(path))


def embedding_texts(model: DualEncoder | Predictor, name: str) -> DualEncoder:
    """The model, if it embeds texts.

    Raises:
        UserError: it predicts words.
    """
    if isinstance(model, Predictor):
        raise UserError(f"{name} predicts words ({model.config.predicts}); it embeds no texts: give a run of another "
                        "recipe, such as scratch")
    return model


def load_any_model(path: str | Path) -> DualEncoder | Predictor:
    """Load what `load_run_model` does, or a `Predictor`, by what the model's own config says.

    Raises:
        UserError: there is no model, its training has not finished, or its files do not fit each other.
    """
    in_run = Path(path) / "model"
    folder = in_run if (in_run / "config.json").is_file() else path
    hub: dict[str, Any] = {}  # remembers a hub that cannot be reached
    kind = Predictor if read_config(folder, hub)["model_type"] == PredictorConfig.model_type else DualEncoder
    return kind.from_pretrained(folder, **hub).eval()


def load_captioner(path: str | Path) -> Predictor:
    """Load a `Predictor` that says whole captions.

    Raises:
        UserError: there is no model, its files do not fit each other, or it is none that says captions.
    """
    model = load_any_model(path)
    if not isinstance(model, Predictor) or model.config.predicts != "captioner":
        says = f"predicts {model.config.predicts}" if isinstance(model, Predictor) else "embeds images and texts"
        raise UserError(f"{path} {says} and says no captions: give what `vu train --recipe captioner` wrote")
    return model
