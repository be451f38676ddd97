"""A trained model in the formats that other libraries read, with a card that says what it is."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from transformers import PretrainedConfig

from vector_universe.data.framing import RESAMPLING, Framing
from vector_universe.errors import UserError
from vector_universe.models.load import load_run_model
from vector_universe.models.model_card import model_card
from vector_universe.models.whole import WholeModel, is_siglip

Format = Literal["transformers", "sentence-transformers"]


def export(source: str | Path, out: str | Path, format: Format = "transformers") -> None:
    """Write a model based on a CLIP or SigLIP as a folder that other libraries load, with the same vectors.

    The folder has weights (safetensors), config.json, tokenizer, preprocessor_config.json and a model card, README.md.
    "transformers": `CLIPModel.from_pretrained` or `AutoModel.from_pretrained`. "sentence-transformers": these, and
    `SentenceTransformer(out)`, whose vectors are normalised.

    Args:
        source: a run folder, or any folder or hub name that `DualEncoder.from_pretrained` takes.
        out: a folder that does not exist yet, or is empty.
        format: who is to read it.

    Raises:
        UserError: `out` is not empty, there is no model, or it is made of two joined towers.
    """
    out = Path(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} is not empty: give --out a new folder")
    model = load_run_model(source)
    if not isinstance(model.towers, WholeModel):
        raise UserError(f"the model in {source} is made of two towers, for which {format} has no class: load it by "
                        "DualEncoder.from_pretrained, or train from a CLIP or SigLIP (--model)")
    tokenizer, kind = model.tokenizer, model.towers.model.config
    assert tokenizer is not None, "every model that is loaded has one"
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.towers.model.save_pretrained(partial)
    tokenizer.model_max_length = model.config.max_text_tokens  # others cut texts where we do
    if is_siglip(kind):
        tokenizer.model_input_names = ["input_ids"]  # it reads texts without a mask
    tokenizer.save_pretrained(partial)
    _write_json(partial / "preprocessor_config.json", processor_settings(model.framing, is_siglip(kind)))
    if format == "sentence-transformers":
        _write_sentence_transformers(partial, kind)
    (partial / "README.md").write_text(model_card(model, Path(source), format), encoding="utf-8")
    if out.is_dir():
        out.rmdir()
    os.replace(partial, out)


def processor_settings(framing: Framing, siglip: bool) -> dict[str, Any]:
    """A preparation of pictures as transformers writes it in preprocessor_config.json: of CLIP's kind, or SigLIP's.

    Raises:
        UserError: it pads pictures to a square, which their processors cannot.
    """
    square = {"height": framing.size, "width": framing.size}
    if framing.fit == "pad":
        raise UserError("the model pads pictures to a square, which no CLIP processor of transformers does")
    settings = {"do_convert_rgb": True, "do_resize": True, "resample": int(RESAMPLING[framing.resampling]),
                "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
                "image_mean": list(framing.mean), "image_std": list(framing.std),
                "image_processor_type": "SiglipImageProcessor" if siglip else "CLIPImageProcessor"}
    if framing.fit == "stretch":
        return settings | {"size": square, "do_center_crop": False}
    return settings | {"size": {"shortest_edge": framing.shortest_edge or framing.size}, "crop_size": square,
                       "do_center_crop": True}


def _write_sentence_transformers(folder: Path, config: PretrainedConfig) -> None:
    """CLIPModel is read by every version of sentence-transformers; other kinds by Transformer, from version 5.4 on."""
    kind = "CLIPModel" if config.model_type == "clip" else "Transformer"
    _write_json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": f"sentence_transformers.models.{kind}"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}])
    (folder / "1_Normalize").mkdir()
    _write_json(folder / "1_Normalize" / "config.json", {})  # git, and so the hub, keeps no empty folder
    if kind == "Transformer":
        features = {side: {"method": f"get_{side}_features", "method_output_name": "pooler_output"}
                    for side in ("text", "image")}
        as_trained = {"padding": "max_length", "return_attention_mask": False}
        _write_json(folder / "sentence_bert_config.json", {
            "modality_config": features, "module_output_name": "sentence_embedding",
            "processing_kwargs": {"text": as_trained} if is_siglip(config) else {}})


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
