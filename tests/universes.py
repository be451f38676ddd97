"""A quick model and small data sets, to make universes of in tests."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vector_universe.data import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.framing import Framing

WIDTH = 48


class FakeModel:
    """Images by the colours of a 4×4 grid, texts by a hash; quick, and exact about broken images."""

    fusion = calibration = None
    framing = Framing(64, "stretch")
    logit_scale = torch.tensor(2.0)

    def __init__(self, name="one"):
        self.name = name

    def embed_images(self, images, batch_size=256):
        return self.embed_pixels(np.stack([self.framing.pixels(image) for image in images]))

    def embed_pixels(self, pixels, batch_size=256):
        grids = [np.asarray(Image.fromarray(picture).resize((4, 4)), np.float32).ravel() / 255 - 0.4
                 for picture in pixels]
        return unit(np.stack(grids) + np.linspace(0, 0.1, WIDTH, dtype=np.float32))

    def embed_texts(self, texts, batch_size=1024):
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
        return unit(np.stack([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds]))

    def fingerprint(self):
        return hashlib.sha256(self.name.encode()).hexdigest()

    def save_pretrained(self, folder):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "fake.json").write_text(json.dumps({"name": self.name}))


def data_set(examples, name="Test set", attribution="drawn here"):
    return ImageTextDataset.from_examples(examples, name=name, source="memory", attribution=attribution)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def stored(vectors):
    """Unit rows as a universe keeps them: rounded to half precision."""
    return unit(vectors.astype(np.float16).astype(np.float32))


def png(seed, size=(24, 16), mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels, mode).save(encoded, "PNG")
    return encoded.getvalue()


def examples_of(count=40):
    return [Example(f"item-{number}", png(number), [f"picture {number}"], ["even" if number % 2 == 0 else "odd"])
            for number in range(count)]
