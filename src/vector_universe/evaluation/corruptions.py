"""Corruptions of prepared pictures at five strengths, after the idea of ImageNet-C (Hendrycks & Dietterich 2019).

The strengths are our own, for the square that the model sees (theirs are for 224 x 224 pixels); lengths are shares of
its side, so that a model of small pictures meets the same damage.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from vector_universe.data import Example

STRENGTHS = (1, 2, 3, 4, 5)

Corrupt = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def gaussian_noise(pixels: np.ndarray, deviation: float, generator: np.random.Generator) -> np.ndarray:
    """Adds noise of this standard deviation (of 1 for white): a dark room."""
    return _pixels(pixels + 255 * deviation * generator.standard_normal(pixels.shape, np.float32))


def shot_noise(pixels: np.ndarray, photons: float, generator: np.random.Generator) -> np.ndarray:
    """Counts so many photons for white: the grain of few of them."""
    return _pixels(generator.poisson(pixels / 255 * photons) / photons * 255)


def impulse_noise(pixels: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Makes this share of the values black or white: broken bits."""
    drawn = generator.random(pixels.shape, np.float32)
    return np.where(drawn < share / 2, 0, np.where(drawn < share, 255, pixels)).astype(np.uint8)


def gaussian_blur(pixels: np.ndarray, radius: float, generator: np.random.Generator) -> np.ndarray:
    """Blurs with a Gaussian of this share of the side: out of focus."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius * len(pixels))))


def motion_blur(pixels: np.ndarray, length: float, generator: np.random.Generator) -> np.ndarray:
    """Averages along a line of this share of the side, at an angle that is drawn; edges are held."""
    angle, reach = generator.uniform(0, np.pi), length * len(pixels) / 2
    margin, side = int(np.ceil(reach)) + 1, len(pixels)
    wide = np.pad(pixels.astype(np.float32), ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    blurred = np.zeros(pixels.shape, np.float32)
    for (row, column), weight in _line(angle, reach, margin).items():
        blurred += np.float32(weight) * wide[row:row + side, column:column + side]
    return _pixels(blurred)


def brightness(pixels: np.ndarray, more: float, generator: np.random.Generator) -> np.ndarray:
    """Adds this share of white: overexposed."""
    return _pixels(pixels + np.float32(255 * more))


def contrast(pixels: np.ndarray, left: float, generator: np.random.Generator) -> np.ndarray:
    """Leaves this share of the distance from the mean of each channel: fog."""
    mean = pixels.mean(axis=(0, 1), keepdims=True, dtype=np.float32)
    return _pixels(mean + left * (pixels - mean))


def saturation(pixels: np.ndarray, left: float, generator: np.random.Generator) -> np.ndarray:
    """Leaves this share of the distance from grey (ITU-R BT.601): faded."""
    grey = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    return _pixels(grey + left * (pixels - grey))


def pixelate(pixels: np.ndarray, left: float, generator: np.random.Generator) -> np.ndarray:
    """Leaves this share of the side, in squares: blown up."""
    side = len(pixels)
    small = Image.fromarray(pixels).resize((max(1, round(side * left)),) * 2, Image.Resampling.BOX)
    return np.asarray(small.resize((side, side), Image.Resampling.NEAREST))


def jpeg(pixels: np.ndarray, quality: float, generator: np.random.Generator) -> np.ndarray:
    """Compresses at this quality of Pillow's: sent on too often."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=int(quality))
    return np.asarray(Image.open(encoded).convert("RGB"))


CORRUPTIONS: dict[str, tuple[Corrupt, tuple[float, ...]]] = {
    "gaussian noise": (gaussian_noise, (0.06, 0.10, 0.16, 0.24, 0.36)),
    "shot noise": (shot_noise, (80, 35, 15, 7, 3)),
    "impulse noise": (impulse_noise, (0.02, 0.05, 0.10, 0.18, 0.28)),
    "gaussian blur": (gaussian_blur, (0.006, 0.012, 0.02, 0.03, 0.045)),
    "motion blur": (motion_blur, (0.03, 0.06, 0.09, 0.13, 0.18)),
    "brightness": (brightness, (0.10, 0.20, 0.30, 0.40, 0.50)),
    "contrast": (contrast, (0.60, 0.45, 0.30, 0.18, 0.08)),
    "saturation": (saturation, (0.70, 0.45, 0.25, 0.10, 0.0)),
    "pixelate": (pixelate, (0.55, 0.42, 0.32, 0.24, 0.16)),
    "jpeg": (jpeg, (25, 16, 10, 6, 3)),
}
"""Each with what it is given at strengths 1 to 5."""


def corrupt(pixels: np.ndarray, example: Example, name: str, strength: int, seed: int = 0) -> np.ndarray:
    """A corrupted copy of a prepared picture; the same for the same seed, id, corruption and strength.

    Args:
        pixels: uint8 (S, S, 3).
        example: whose id draws the noise.
        name: a key of `CORRUPTIONS`.
        strength: 1 to 5.
        seed: of the noise.

    Raises:
        ValueError: there is no such corruption or strength.
    """
    if name not in CORRUPTIONS or strength not in STRENGTHS:
        raise ValueError(f"there is no corruption {name!r} of strength {strength}: choose from "
                         f"{', '.join(CORRUPTIONS)}, 1 to {len(STRENGTHS)}")
    function, settings = CORRUPTIONS[name]
    digest = hashlib.sha256(repr((seed, example.id, name, strength)).encode("utf-8", "replace")).digest()
    return function(pixels, settings[strength - 1], np.random.default_rng(int.from_bytes(digest[:8], "big")))


def _line(angle: float, reach: float, margin: int) -> dict[tuple[int, int], float]:
    """Weights of the pixels that a line through (margin, margin) touches, shared between neighbours; they add to 1."""
    points = np.linspace(-reach, reach, 8 * margin + 1)
    weights: dict[tuple[int, int], float] = {}
    for down, across in zip(margin + points * np.sin(angle), margin + points * np.cos(angle), strict=True):
        row, column = int(down), int(across)
        for place in ((row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)):
            weight = (1 - abs(down - place[0])) * (1 - abs(across - place[1])) / len(points)
            if weight > 0:
                weights[place] = weights.get(place, 0.0) + weight
    return weights


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
