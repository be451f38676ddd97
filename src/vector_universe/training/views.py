"""Views: what the model sees of a picture and of a text in one step of training.

Every random choice of a view is a function of the seed, the row of its example and the number of the view alone: not
of the batch, the process or the epoch. So a view can be made again, bit for bit: for cached gradients, in a resumed
run, in another process.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from vector_universe.data.framing import Framing

ZOOM = (0.8, 1.1)  # gentle: share of the picture's side that is seen
SHIFT = 0.1  # gentle: in half sides
COLOUR = 0.15  # gentle: largest relative change of brightness and of contrast
AREA, ASPECT = (0.35, 1.0), (3 / 4, 4 / 3)  # resized_crop: share of the frame, width : height
SQUARE_AREA = (0.8, 1.0)  # square_crop of a frame that is no larger than the model's input
BLUR_SIGMA = (0.1, 2.0)  # pixels of a picture with a side of 224
GREY = (77 / 256, 150 / 256, 29 / 256)  # luma, so that 256 times the grey of a byte pixel is a whole number

# One number in [0, 1) each for an example, used or not: switching one choice on leaves the others as they were.
CHOICES = ("zoom", "shift right", "shift down", "gentle contrast", "gentle brightness", "area", "aspect", "left", "top",
           "flip", "brightness", "contrast", "saturation", "blur", "sigma")


@dataclass(frozen=True)
class ImageViews:
    """How pictures are shown in training.

    Attributes:
        kind: "none": the square that the model's framing shows;
            "gentle": that square zoomed, shifted and recoloured a little, the edge's colour filling what is new: for
            pictures with letters, or whose edges matter;
            "square_crop": a random square (S, S) of the frame (CLIP). A frame that is already (S, S), as all are
            with a framing that pads or stretches, has no other: of it a square of 80 to 100 % of its area is shown;
            "resized_crop": 35 to 100 % of the frame's area, 3/4 to 4/3 as wide as high, resized to (S, S).
        flip: mirror every other view.
        colour: largest relative change of brightness, contrast and saturation.
        blur: blur every other view, by a Gaussian of sigma 0.1 to 2 pixels at a side of 224.
    """

    kind: Literal["none", "gentle", "square_crop", "resized_crop"] = "gentle"
    flip: bool = False
    colour: float = 0.0
    blur: bool = False

    def __call__(self, frames: Sequence[np.ndarray], rows: Sequence[int], view: int, seed: int, framing: Framing,
                 device: torch.device | str = "cpu") -> Tensor:
        """View number `view` of each picture, ready for the model: float (B, 3, S, S) on `device`.

        Args:
            frames: B frames uint8 (H, W, 3) as `FrameStore` gives them for `framing`.
            rows: the row of each example.
            view: the number of the view (see `number_of_view`).
            seed: of the run.
            framing: the model's own: its size S, mean and standard deviation.
            device: where to compute; crops, flips and blurs are made before, on the CPU.
        """
        chosen = _choices(rows, view, seed)
        squares = np.stack([self._square({name: float(numbers[place]) for name, numbers in chosen.items()}, frame,
                                         framing.size) for place, frame in enumerate(frames)])
        bytes_BCHW = torch.from_numpy(squares).to(device).permute(0, 3, 1, 2).contiguous().float()
        if self.colour:
            _recolour(bytes_BCHW, chosen, self.colour)
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (framing.mean, framing.std))
        pixels_BCHW = bytes_BCHW.mul_(1 / (255 * std)).sub_(mean / std)  # bit for bit as `normalise` does it
        return _gentle(pixels_BCHW, chosen) if self.kind == "gentle" else pixels_BCHW

    def _square(self, chosen: dict[str, float], frame: np.ndarray, size: int) -> np.ndarray:
        """The part of one frame that is seen, uint8 (S, S, 3)."""
        height, width = frame.shape[:2]
        if self.kind == "resized_crop":
            square = _resized_crop(frame, chosen, size, AREA, ASPECT)
        elif self.kind == "square_crop" and height == width == size:
            square = _resized_crop(frame, chosen, size, SQUARE_AREA, (1, 1))
        else:
            down, across = (chosen["top"], chosen["left"]) if self.kind == "square_crop" else (None, None)
            top, left = _start(height - size, down), _start(width - size, across)
            square = frame[top:top + size, left:left + size]
        if self.flip and chosen["flip"] < 0.5:
            square = square[:, ::-1]
        if self.blur and chosen["blur"] < 0.5:
            blurred = ImageFilter.GaussianBlur(_between(*BLUR_SIGMA, chosen["sigma"]) * size / 224)
            square = np.asarray(Image.fromarray(np.ascontiguousarray(square)).filter(blurred))
        return square


def text_view(texts: Sequence[str], row: int, view: int, seed: int, word_dropout: float) -> tuple[str, str]:
    """The caption that a view shows, and what the model reads of it: each word is left out with `word_dropout`.

    Views 0, 1, 2… go through all captions in random order, then again in another order: every caption is seen once
    before any is seen again.

    Args:
        texts: the captions of one example, at least one.
        row, view, seed: as for `ImageViews`.
        word_dropout: a probability; at least one word is kept.
    """
    turn, place = divmod(view, len(texts))
    lots = _random(seed, row, turn, "captions")
    order = sorted(range(len(texts)), key=lambda _: lots.random())
    caption = texts[order[place]]
    read = drop_words(caption, word_dropout, _random(seed, row, view, "words")) if word_dropout else caption
    return caption, read


def number_of_view(epoch: int, copy: int, copies: int, views: int | None) -> int:
    """The number of the view that is copy `copy` of `copies` in an epoch.

    Args:
        epoch, copy: from 0.
        copies: how many views of an example one step compares.
        views: None for new views in every epoch; V to come back to the first ones after V epochs, so that towers
            which do not learn need to embed them once.
    """
    return (epoch if views is None else epoch % views) * copies + copy


def drop_words(text: str, probability: float, choices: random.Random) -> str:
    """Leave out each word with `probability`; a text keeps at least one word."""
    words = text.split()
    kept = [word for word in words if choices.random() >= probability]
    return " ".join(kept) if kept else text


def _random(seed: int, row: int, view: int, purpose: str) -> random.Random:
    """Random numbers of their own; a text as the seed is hashed whole, so that neighbours have nothing in common."""
    return random.Random(f"{seed} {row} {view} {purpose}")


def _choices(rows: Sequence[int], view: int, seed: int) -> dict[str, np.ndarray]:
    """The random numbers (B,) behind each choice."""
    numbers = [[own.random() for _ in CHOICES] for own in (_random(seed, int(row), view, "image") for row in rows)]
    return dict(zip(CHOICES, np.array(numbers).reshape(-1, len(CHOICES)).T, strict=True))


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _start(room: int, share: float | None) -> int:
    """Where a part starts that has `room` to be moved: in the middle, or at one of room + 1 places."""
    return room // 2 if share is None else int(share * (room + 1))


def _resized_crop(frame: np.ndarray, chosen: dict[str, float], size: int, area: tuple[float, float],
                  aspect: tuple[float, float]) -> np.ndarray:
    """A part of a frame, resized to (S, S, 3); a part that is too wide or high for the frame is cut to fit."""
    height, width = frame.shape[:2]
    area_pixels = _between(*area, chosen["area"]) * height * width
    ratio = math.exp(_between(math.log(aspect[0]), math.log(aspect[1]), chosen["aspect"]))
    wide = max(1, min(width, round(math.sqrt(area_pixels * ratio))))
    high = max(1, min(height, round(math.sqrt(area_pixels / ratio))))
    top, left = _start(height - high, chosen["top"]), _start(width - wide, chosen["left"])
    part = torch.from_numpy(frame[top:top + high, left:left + wide].copy()).permute(2, 0, 1)[None]
    resized = F.interpolate(part, (size, size), mode="bicubic", antialias=True)  # on bytes: a third of Pillow's time
    return resized[0].permute(1, 2, 0).numpy()


def _gentle(pixels_BCHW: Tensor, chosen: dict[str, np.ndarray]) -> Tensor:
    """Zoom, shift and recolour each picture a little; the edge's colour fills what is new."""
    size, device = pixels_BCHW.shape[-1], pixels_BCHW.device

    def draw(name: str, low: float, high: float) -> Tensor:
        return torch.from_numpy(low + (high - low) * chosen[name]).float().to(device)[:, None, None]

    places_S = (2 * torch.arange(size, device=device) + 1) / size - 1
    zoom_B11 = draw("zoom", *ZOOM)
    across = (zoom_B11 * places_S + draw("shift right", -SHIFT, SHIFT)).expand(-1, size, -1)
    down = (zoom_B11 * places_S[:, None] + draw("shift down", -SHIFT, SHIFT)).expand(-1, -1, size)
    moved = F.grid_sample(pixels_BCHW, torch.stack([across, down], -1), padding_mode="border", align_corners=False)
    contrast, brightness = draw("gentle contrast", 1 - COLOUR, 1 + COLOUR), draw("gentle brightness", -COLOUR, COLOUR)
    return moved.mul_(contrast[:, None]).add_(brightness[:, None])


def _recolour(bytes_BCHW: Tensor, chosen: dict[str, np.ndarray], colour: float) -> None:
    """Change in place brightness, contrast about the mean grey and saturation, each by a factor of 1 ± `colour`.

    With factors b, c, s, a pixel x of grey g in a picture of mean grey m becomes b·(s·c·x + (1 - s)·c·g + (1 - c)·m).
    """
    brightness, contrast, saturation = (
        torch.from_numpy(1 - colour + 2 * colour * chosen[name]).float().to(bytes_BCHW.device)[:, None, None, None]
        for name in ("brightness", "contrast", "saturation"))
    red, green, blue = bytes_BCHW.split(1, dim=1)
    grey_B1HW = GREY[0] * red + GREY[1] * green + GREY[2] * blue
    whole_numbers = (256 * grey_B1HW).long()  # so that the sum is exact, in whatever order a device adds
    mean_B111 = whole_numbers.sum((1, 2, 3), keepdim=True).float() / (256 * grey_B1HW[0].numel())
    shared_B1HW = grey_B1HW.mul_(brightness * (1 - saturation) * contrast).add_(brightness * (1 - contrast) * mean_B111)
    bytes_BCHW.mul_(brightness * saturation * contrast).add_(shared_B1HW).clamp_(0, 255)
