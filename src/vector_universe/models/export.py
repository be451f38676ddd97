"""A trained model in the formats that other libraries read, with a card that says what it is."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from vector_universe.data.framing import Framing
from vector_universe.data.resize import RESAMPLING
from vector_universe.errors import UserError
from vector_universe.models.dual_encoder import DualEncoder
from vector_universe.models.load import load_run_model
from vector_universe.models.model_card import fusion_left_behind, model_card
from vector_universe.models.onnx_export import Parity, require_onnx, write_onnx
from vector_universe.models.whole import WholeModel, is_siglip

Format = Literal["transformers", "sentence-transformers", "onnx"]


@dataclass(frozen=True)
class Exported:
    """What there is to say of an export.

    Attributes:
        parity: how close the ONNX files come to the model; None for other formats.
        left_behind: what of the model the format has no place for; None if nothing.
    """

    parity: Parity | None
    left_behind: str | None


def export(source: str | Path, out: str | Path, format: Format = "transformers") -> Exported:
    """Write a model as a folder that other libraries load, with the same vectors.

    The folder has the weights, tokenizer, preprocessor_config.json and a model card, README.md.
    "transformers": config.json and safetensors for `CLIPModel.from_pretrained` or `AutoModel.from_pretrained`.
    "sentence-transformers": these, and `SentenceTransformer(out)`, whose vectors are normalised.
    "onnx": image.onnx and text.onnx, of any model; see `write_onnx`.
    A fusion head stays behind, and the card says so. Post-processing goes with "onnx" alone.

    Args:
        source: a run folder, or any folder or hub name that `DualEncoder.from_pretrained` takes.
        out: a folder that does not exist yet, or is empty.
        format: who is to read it.

    Returns:
        what there is to say of it.

    Raises:
        UserError: `out` is not empty, there is no model, it is made of two joined towers or has post-processing (but
            for "onnx"), or the extra `onnx` is missing. Nothing is left at `out` then.
    """
    out = Path(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} is not empty: give --out a new folder")
    if format == "onnx":
        require_onnx()
    model = load_run_model(source)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    parity = None
    try:
        if format == "onnx":
            _write_inputs(model, partial)
            parity = write_onnx(model, partial)
        elif model.post_processing is not None:  # means differ by side, and no class of these formats knows sides
            raise UserError(f"the model in {source} ends in {model.post_processing.describe()}, for which {format} has "
                            "no place, and without it vectors would be others: export it with --format onnx, or load "
                            "it, set_post_processing(None), and save_pretrained")
        elif isinstance(model.towers, WholeModel):
            _write_whole(model, model.towers, partial, format)
        else:
            raise UserError(f"the model in {source} is made of two towers, for which {format} has no class: export it "
                            "with --format onnx, or train from a CLIP or SigLIP (--model)")
        (partial / "README.md").write_text(model_card(model, Path(source), format, parity), encoding="utf-8")
    except BaseException:  # a Ctrl-C too leaves nothing behind
        shutil.rmtree(partial)
        raise
    if out.is_dir():
        out.rmdir()
    os.replace(partial, out)
    return Exported(parity, fusion_left_behind(model))


def _write_whole(model: DualEncoder, towers: WholeModel, folder: Path, format: Format) -> None:
    kind = towers.model.config
    tokenizer = _tokenizer(model)
    towers.model.save_pretrained(folder)
    if is_siglip(kind):
        tokenizer.model_input_names = ["input_ids"]  # it reads texts without a mask
    tokenizer.save_pretrained(folder)
    _write_json(folder / "preprocessor_config.json", processor_settings(model.framing, is_siglip(kind)))
    if format == "sentence-transformers":
        _write_sentence_transformers(folder, kind)


def _write_inputs(model: DualEncoder, folder: Path) -> None:
    """What prepares texts and pictures for the ONNX files."""
    tokenizer = _tokenizer(model)
    if not model.config.pad_texts_to_max:
        tokenizer.padding_side = "right"  # as we pad; the last token is found by counting the mask
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    tokenizer.save_pretrained(folder)
    framing = model.framing
    _write_json(folder / "preprocessor_config.json", padding_settings(framing) if framing.fit == "pad"
                else processor_settings(framing, isinstance(model.towers, WholeModel)
                                        and is_siglip(model.towers.model.config)))


def _tokenizer(model: DualEncoder) -> PreTrainedTokenizerBase:
    tokenizer = model.tokenizer
    assert tokenizer is not None, "every model that is loaded has one"
    tokenizer.model_max_length = model.config.max_text_tokens  # others cut texts where we do
    return tokenizer


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


def padding_settings(framing: Framing) -> dict[str, Any]:
    """The numbers of a preparation that lays pictures on a white square, which no processor of transformers does.

    It names no processor, so that none reads it as something else.
    """
    square = {"height": framing.size, "width": framing.size}
    return {"do_convert_rgb": True, "do_resize": True, "size": {"longest_edge": framing.size},
            "resample": int(RESAMPLING["bilinear"]), "do_pad": True, "pad_size": square, "pad_value": 255,
            "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
            "image_mean": list(framing.mean), "image_std": list(framing.std)}


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
