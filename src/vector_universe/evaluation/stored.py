"""The figures of a run, kept in its folder: what was measured, on which data, and under which circumstances."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import torch

from vector_universe.data import ImageTextDataset
from vector_universe.evaluation.run import Evaluation
from vector_universe.folders import folder_kind, replace_text
from vector_universe.models import DualEncoder
from vector_universe.models.card_figures import EVALUATION
from vector_universe.models.precision import use_bf16


def store_evaluation(folder: Path, model: DualEncoder, dataset: ImageTextDataset,
                     evaluation: Evaluation) -> Path | None:
    """Write evaluation.json into a run folder, in place of an earlier one; the model card shows its figures.

    Args:
        folder: where the model came from; only a run folder is written to.
        model: what was measured.
        dataset: on what.
        evaluation: the figures.

    Returns:
        the file; None if `folder` is no run.

    Raises:
        OSError: the folder cannot be written.
    """
    if folder_kind(folder) != "run":
        return None
    bf16 = model.dtype == torch.float32 and use_bf16("auto", model.device)
    content = {"source": dataset.source, "summary": dataset.summary(), "fingerprint": dataset.fingerprint,
               "model_fingerprint": model.fingerprint(),
               "settings": {"precision": "bf16" if bf16 else str(model.dtype).removeprefix("torch."),
                            "device": model.device.type, "version": version("vector-universe")},
               "figures": evaluation.as_dict()}
    path = folder / EVALUATION
    replace_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path
