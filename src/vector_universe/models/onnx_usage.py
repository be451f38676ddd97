"""How to use an exported pair of ONNX files without torch: the example of their model card."""

from __future__ import annotations

from vector_universe.data.framing import Framing
from vector_universe.models.configuration import DualEncoderConfig


def onnx_usage(config: DualEncoderConfig) -> str:
    """Python that embeds two texts and a picture, with the model's own numbers; run it in the exported folder."""
    padding = '"max_length"' if config.pad_texts_to_max else "True"
    return f"""import numpy as np, onnxruntime
from PIL import Image, ImageOps
from transformers import AutoTokenizer  # needs no torch

tokens = AutoTokenizer.from_pretrained(".")(["a red circle", "blue"], padding={padding}, truncation=True,
    max_length={config.max_text_tokens}, return_attention_mask=True, return_tensors="np")
texts = onnxruntime.InferenceSession("text.onnx").run(
    None, {{name: tokens[name].astype(np.int64) for name in ("input_ids", "attention_mask")}})[0]
picture = Image.open("picture.jpg").convert("RGB")
{_frame(config.framing)}
pixels = (np.asarray(picture, np.float32) / 255 - {_row(config.image_mean)}) / {_row(config.image_std)}
images = onnxruntime.InferenceSession("image.onnx").run(
    None, {{"pixel_values": pixels.transpose(2, 0, 1)[None].astype(np.float32)}})[0]
print(images @ texts.T)  # cosines (1, 2)"""


def _frame(framing: Framing) -> str:
    """Pillow's words for the preparation of a picture; see `Framing`."""
    square = f"({framing.size}, {framing.size})"
    resampling = f"Image.Resampling.{framing.resampling.upper()}"
    if framing.fit == "stretch":
        return f"picture = picture.resize({square}, {resampling})"
    if framing.fit == "crop":
        edge = framing.shortest_edge or framing.size
        return (f"picture = ImageOps.scale(picture, {edge} / min(picture.size), {resampling})\n"
                f"left, top = (picture.width - {framing.size}) // 2, (picture.height - {framing.size}) // 2\n"
                f"picture = picture.crop((left, top, left + {framing.size}, top + {framing.size}))")
    return (f"resampling = Image.Resampling.BOX if max(picture.size) > {2 * framing.size} else "
            "Image.Resampling.BILINEAR\n"
            f'picture = ImageOps.pad(picture, {square}, resampling, "white")')


def _row(numbers: list[float]) -> str:
    return f"np.array({[float(number) for number in numbers]})"
