"""A pretrained model's own preparation of pictures, read from the numbers in its processor's JSON."""

from __future__ import annotations

from typing import Any

from PIL import Image

from vector_universe.data.framing import Framing
from vector_universe.data.resize import RESAMPLING
from vector_universe.errors import UserError

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Like CLIP, the rest of the field resizes the shortest edge and crops; SigLIP stretches.
CONVNEXT_PROCESSORS = ("ConvNextImageProcessor", "ConvNextFeatureExtractor", "ConvNextImageProcessorFast")
CONVNEXT_CROP_SHARE, CONVNEXT_STRETCHED_FROM = 224 / 256, 384


def framing_from_processor(settings: dict[str, Any]) -> Framing:
    """The framing that a `preprocessor_config.json` of transformers describes.

    Raises:
        UserError: it asks for pictures that are no squares.
    """
    size, shortest_edge = _side(settings.get("size", 224), settings)
    if settings.get("image_processor_type", settings.get("feature_extractor_type")) in CONVNEXT_PROCESSORS:
        share = settings.get("crop_pct") or CONVNEXT_CROP_SHARE
        fit = "stretch" if size >= CONVNEXT_STRETCHED_FROM else "crop"
        shortest_edge = None if fit == "stretch" else int(size / share)
    elif settings.get("do_center_crop"):
        fit, shortest_edge = "crop", size if shortest_edge is None else shortest_edge
        size, _ = _side(settings.get("crop_size", size), settings)
    else:
        fit, shortest_edge = ("crop", size) if shortest_edge is not None else ("stretch", None)
    filters = {int(filter): name for name, filter in RESAMPLING.items()}
    normalised = settings.get("do_normalize", True)
    return Framing(size, "stretch" if fit == "stretch" else "crop", shortest_edge,
                   filters[int(settings.get("resample", Image.Resampling.BICUBIC))],
                   tuple(settings.get("image_mean", IMAGENET_MEAN)) if normalised else (0.0, 0.0, 0.0),
                   tuple(settings.get("image_std", IMAGENET_STD)) if normalised else (1.0, 1.0, 1.0))


def framing_by_kind(model_type: str, size: int | None) -> Framing:
    """The framing that models of this kind were trained with, where no processor says it."""
    size = size or 224
    if model_type.startswith("siglip"):
        return Framing(size, "stretch", None, "bicubic", (0.5,) * 3, (0.5,) * 3)
    if "clip" in model_type:
        return Framing(size, "crop", size, "bicubic", CLIP_MEAN, CLIP_STD)
    return Framing(size, "crop", round(size / CONVNEXT_CROP_SHARE), "bicubic", IMAGENET_MEAN, IMAGENET_STD)


def _side(size: int | dict[str, int], settings: dict[str, Any]) -> tuple[int, int | None]:
    """The side of a square, and the same number again where it is that of the shortest edge alone."""
    if isinstance(size, int):
        return size, None if settings.get("default_to_square") else size
    if "shortest_edge" in size:
        return size["shortest_edge"], size["shortest_edge"]
    if size.get("height") != size.get("width") or "height" not in size:
        raise UserError(f"pictures of size {size} are not supported: the model must see squares")
    return size["height"], None
