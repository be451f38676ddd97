"""An adapter by itself: what was learned on top of a base, a few megabytes in a folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vector_universe.errors import UserError
from vector_universe.models.adaptation import Adaptation, adapt
from vector_universe.models.configuration import FUSION_SETTINGS
from vector_universe.models.dual_encoder import DualEncoder

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
FORMAT = "vector_universe_adapter"


def learned_state(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: parameters that learn, and buffers (statistics of batch norms), by name."""
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return {name: tensor for name, tensor in model.state_dict().items() if name in learning or name not in parameters}


def save_adapter(model: DualEncoder, folder: str | Path) -> None:
    """Save what an adapted model learned, without its base: LoRA's matrices, projections, temperature, whole blocks.

    A fusion head goes with it, whether it learned or not.

    Args:
        model: a model after `adapt`, before `merge`.
        folder: gets adapter_model.safetensors and adapter_config.json, with the name and fingerprint of the base.

    Raises:
        UserError: the model is not adapted, or merged already.
    """
    if model.adapted is None:
        raise UserError("the model is not adapted, or merged already: there is no adapter to save")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in _adapter_state(model).items()},
              folder / WEIGHTS)
    fusion = {} if model.config.fusion is None else {"fusion": model.config.fusion}
    (folder / CONFIG).write_text(json.dumps({"format": FORMAT} | asdict(model.adapted) | fusion, indent=2) + "\n")


def load_adapter(base: DualEncoder, folder: str | Path) -> DualEncoder:
    """Put a saved adapter onto its base, in place; then train on, embed, or `merge`.

    Raises:
        UserError: there is no adapter, its files are damaged, or it was made for another base.
    """
    folder = Path(folder)
    try:
        found = json.loads((folder / CONFIG).read_text())
        if found["format"] != FORMAT:
            raise KeyError
        settings = found["adaptation"]
        targets = settings["targets"]
        adaptation = Adaptation(**settings | {"targets": None if targets is None else tuple(targets)})
        name, fingerprint, fusion = found["base"], found["base_fingerprint"], found.get("fusion")
        if fusion is not None and set(fusion) != set(FUSION_SETTINGS):
            raise KeyError
        tensors = load_file(folder / WEIGHTS, device=str(base.device))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UserError(f"{folder} holds no adapter that can be read: give the adapter/ of a run") from error
    if base.adapted is None and base.tower_fingerprint() != fingerprint:
        raise UserError(f"the adapter in {folder} was made for another base ({name or 'unnamed'}, fingerprint "
                        f"{fingerprint}): this one has {base.tower_fingerprint()}")
    adapt(base, adaptation, name)
    if fusion is None:
        base.set_fusion(None)
    else:
        base.add_fusion(**fusion)
    wanted = _adapter_state(base)
    if {key: tensor.shape for key, tensor in wanted.items()} != {key: tensor.shape for key, tensor in tensors.items()}:
        raise UserError(f"the adapter in {folder} is damaged: its weights do not fit its config")
    base.load_state_dict(tensors, strict=False)
    return base


def _adapter_state(model: DualEncoder) -> dict[str, Tensor]:
    """What learned, and the fusion head: one of the base's own may have been replaced."""
    return learned_state(model) | {name: tensor for name, tensor in model.state_dict().items()
                                   if name.startswith("fusion.")}
