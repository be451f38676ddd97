"""Both towers of a model as ONNX files, checked against the model itself."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from vector_universe.errors import UserError
from vector_universe.models.dual_encoder import DualEncoder

EXTRA = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
SINGLE_FILE_BYTES = 1_900_000_000  # protobuf ends at 2 GiB; the graph itself takes some of it
NOISY_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")


@dataclass(frozen=True)
class Parity:
    """The largest difference between a number of ONNX Runtime and of torch, over vectors of length 1."""

    image: float
    text: float

    def __str__(self) -> str:
        return (f"ONNX Runtime gives the vectors of torch: largest difference {self.image:.1e} (images), "
                f"{self.text:.1e} (texts)")


def require_onnx() -> None:
    """Check that the extra `onnx` is installed.

    Raises:
        UserError: it is not.
    """
    missing = [package for package in EXTRA if find_spec(package) is None]
    if missing:
        raise UserError(f"export to ONNX needs {', '.join(missing)}: pip install 'vector-universe[onnx]'")


@torch.no_grad()
def write_onnx(model: DualEncoder, folder: Path) -> Parity:
    """Write image.onnx and text.onnx, run both, and compare them with the model.

    image.onnx: pixel_values (B, 3, S, S) float32 → embeddings (B, D). text.onnx: input_ids and attention_mask (B, L)
    int64 → embeddings (B, D). Embeddings are unit rows, B is free, and so is L up to `max_text_tokens`, unless the
    model pads all texts to that length (SigLIP). Weights of more than 2 GB lie beside, in files named *.onnx.data.

    Args:
        model: in evaluation mode, on the CPU; attention of its transformers models is set to "eager".
        folder: exists.

    Raises:
        UserError: the extra `onnx` is missing, a tower cannot be written, or what was written gives other vectors.
    """
    require_onnx()
    images = [torch.randn(rows, 3, model.config.image_size, model.config.image_size,
                          generator=torch.Generator().manual_seed(rows)) for rows in (2, 1, 5)]
    texts = [model.tokenize(texts) for texts in (
        ["a red circle", "blue, and a longer text"], ["one"],
        ["", "two words", "word " * model.config.max_text_tokens])]
    expected_images = [model.encode_images(pixels) for pixels in images]
    expected_texts = [model.encode_texts(*tokens) for tokens in texts]
    for part in model.towers.modules():
        if isinstance(part, PreTrainedModel):
            part.set_attn_implementation("eager")  # the exporter fails on T5's fused attention, which has a bias
    batch = {0: "batch"}
    free = batch if model.config.pad_texts_to_max else batch | {1: "length"}
    _write(_ImageSide(model), {"pixel_values": images[0]}, [batch], folder / "image.onnx")
    _write(_TextSide(model), dict(zip(("input_ids", "attention_mask"), texts[0], strict=True)), [free, free],
           folder / "text.onnx")
    parity = Parity(_difference(folder / "image.onnx", [(pixels,) for pixels in images], expected_images),
                    _difference(folder / "text.onnx", texts, expected_texts))
    if not (parity.image <= TOLERANCE and parity.text <= TOLERANCE):  # so that NaN is refused too
        raise UserError(f"the ONNX files give other vectors than the model, by {parity.image:.1e} (images) and "
                        f"{parity.text:.1e} (texts), more than {TOLERANCE}: this kind of model cannot be exported to "
                        "ONNX; load it by DualEncoder.from_pretrained")
    return parity


class _ImageSide(nn.Module):
    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model.encode_images(pixel_values)


class _TextSide(nn.Module):
    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model.encode_texts(input_ids, attention_mask)


def _write(side: nn.Module, inputs: dict[str, Tensor], free: list[dict[int, str]], path: Path) -> None:
    size = sum(weight.nbytes for weight in side.parameters())
    try:
        with _quiet():
            torch.onnx.export(side.eval(), tuple(inputs.values()), path, input_names=list(inputs),
                              output_names=["embeddings"], dynamic_shapes=tuple(free), dynamo=True, verbose=False,
                              external_data=size > SINGLE_FILE_BYTES)
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(f"torch cannot write {path.name} of this kind of model ({reason}): train from another tower, "
                        "or load it by DualEncoder.from_pretrained") from error


def _difference(path: Path, inputs: Sequence[tuple[Tensor, ...]], expected: list[Tensor]) -> float:
    """The largest difference to the expected rows, over batches of several sizes and lengths."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [found.name for found in session.get_inputs()]
        outputs = [session.run(None, {name: part.numpy() for name, part in zip(names, batch, strict=True)})[0]
                   for batch in inputs]
    except Exception as error:  # ONNX Runtime's errors share no class of their own
        raise UserError(f"ONNX Runtime cannot run {path.name} of this kind of model: "
                        f"{str(error).strip().splitlines()[0]}") from error
    differences = [(torch.from_numpy(rows) - right).abs().max() for rows, right in zip(outputs, expected, strict=True)]
    return torch.stack(differences).max().item()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes on its own progress (torchvision is not here…) off the user's screen."""
    loggers = [logging.getLogger(name) for name in NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
