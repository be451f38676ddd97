"""The card of an exported model: what it came from, what it was trained on, and how well it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vector_universe.models.card_figures import figures
from vector_universe.models.dual_encoder import DualEncoder
from vector_universe.models.onnx_export import Parity
from vector_universe.models.onnx_usage import onnx_usage
from vector_universe.models.source import read_json

_SETTINGS = ("adapt_image", "adapt_text", "last_k", "lora_rank", "lora_alpha", "lora_dropout", "epochs", "batch_size",
             "learning_rate", "weight_decay", "word_dropout", "seed")
_USE = {
    "transformers": """from transformers import AutoModel, AutoProcessor

model, processor = AutoModel.from_pretrained("FOLDER"), AutoProcessor.from_pretrained("FOLDER")""",
    "sentence-transformers": """from PIL import Image
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("FOLDER")
vectors = model.encode(["a red circle"]), model.encode([Image.open("picture.jpg")])""",
}


def model_card(model: DualEncoder, source: Path, format: str, parity: Parity | None = None) -> str:
    """Markdown with YAML front matter, as the Hugging Face hub reads it.

    Args:
        model: the model that is exported.
        source: the run folder that it is from; of any other folder the card says only what the model itself says.
        format: "transformers", "sentence-transformers" or "onnx".
        parity: how close the ONNX files come to the model.
    """
    run = (source / "vector_universe.json").is_file()
    settings, data = (_read(source / name) if run else {} for name in ("config.json", "data.json"))
    adapter = _read(source / "adapter" / "adapter_config.json")
    if adapter and settings:  # what "auto" came to
        settings |= {f"adapt_{side}": adapter["adaptation"][side] for side in ("image", "text")}
    base = adapter.get("base") or settings.get("model")
    license = _license(base) if base else None
    front = {"library_name": format, "pipeline_tag": "sentence-similarity" if format == "sentence-transformers"
             else "zero-shot-image-classification", "tags": ["vector-universe", "image-text-retrieval"]}
    if license:
        front["license"] = license
    if base and not Path(base).exists():
        front["base_model"] = base  # the hub looks it up: a folder of one machine means nothing there
    use = onnx_usage(model.config) if format == "onnx" else _USE[format]
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", "",
             f"# {source.resolve().name}", "",
             f"An embedding model for images and texts: vectors of {model.config.embedding_width} numbers, pictures of "
             f"{model.config.image_size} pixels, texts of up to {model.config.max_text_tokens} tokens. Cosines compare "
             "them.", "", "```python", use, "```"]
    if parity:
        lines += ["", f"Both files were run when they were written. {parity}, between numbers of unit vectors."]
    if model.post_processing is not None:
        lines += ["", f"Vectors have gone through {model.post_processing.describe()}, fitted on training data, as the "
                  "last step of both files: nothing is left to do."]
    if left_behind := fusion_left_behind(model):
        lines += ["", "## What is not here", "", left_behind]
    lines += ["", "## Base and licence", ""]
    if base:
        fingerprint = f" (fingerprint {adapter['base_fingerprint']})" if adapter else ""
        lines += [f"Adapted from `{Path(base).name if Path(base).exists() else base}`{fingerprint}. " + (
            f"Its licence: {license}." if license else "Its licence is not known here: look it up before you pass the "
            "model on, and add it above as `license`.")]
    else:
        lines += ["Nothing is known of its origin."]
    if data:
        lines += ["", "## Data", "", f"{data['summary']} (fingerprint {data['fingerprint']}). The licences of the "
                  "pictures are not recorded."]
    if settings:
        lines += ["", "## Settings", "", "| setting | value |", "|---|---|",
                  *(f"| {name} | {'by itself' if settings[name] is None else settings[name]} |"
                    for name in _SETTINGS if name in settings)]
    lines += ["", "## Figures", "", *figures(source)]
    return "\n".join(lines) + "\n"


def fusion_left_behind(model: DualEncoder) -> str | None:
    """What an export leaves out of a model with a fusion head, for people; None of one without."""
    if model.fusion is None:
        return None
    return (f"The model's fusion head ({model.fusion.config.kind}), which makes one vector of an image, its title and "
            "the text burnt into it, stays behind: no class of this format has one. Images and texts are embedded here "
            "as by the model itself; for fused vectors load the model with DualEncoder.from_pretrained.")


def _license(base: str) -> str | None:
    """What the card of the base says; None where it has none, or the base is not here any more."""
    try:
        if Path(base).exists():
            text = (Path(base) / "README.md").read_text(encoding="utf-8")
        else:
            from huggingface_hub import hf_hub_download
            text = Path(hf_hub_download(base, "README.md", local_files_only=True)).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    front = text.split("---")[1] if text.startswith("---") else ""
    found = [line.split(":", 1)[1].strip() for line in front.splitlines() if line.startswith("license:")]
    return found[0].strip("'\"") or None if found else None


def _read(path: Path) -> dict[str, Any]:
    return read_json(path.parent, path.name, {}) if path.is_file() else {}
