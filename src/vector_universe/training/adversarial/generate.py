"""Pictures from texts, by what a run has trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vector_universe.errors import UserError
from vector_universe.folders import check_folder
from vector_universe.models import load_run_model
from vector_universe.training.adversarial.loop import load_generator


def generate(run_path: str | Path, texts: Sequence[str], count: int = 4, truncation: float = 0.7, seed: int = 0,
             ) -> np.ndarray:
    """Draw `count` pictures of each text: uint8 (T, count, S, S, 3), RGB.

    Args:
        run_path: a run with `generator/` and `model/`.
        texts: what to draw.
        count: pictures of each text, by seeds `seed`, `seed` + 1, …
        truncation: share of the noise that is used, 0 to 1; see `Generator.sample`.
        seed: of the first picture.

    Raises:
        UserError: the folder is no run, has no generator, or its model is another than the generator learned with.
    """
    path = Path(run_path)
    check_folder(path, "run")
    generator = load_generator(path)
    model = load_run_model(path)
    if model.config.embedding_width != generator.config.text_width:
        raise UserError(f"{path}: the model embeds in {model.config.embedding_width} dimensions, and the generator "
                        f"reads {generator.config.text_width}: they do not belong together")
    # One at a time: sums in a batch of another size may round otherwise, and equal texts and seeds draw equal pictures.
    texts_TD = torch.from_numpy(np.concatenate([model.embed_texts([text]) for text in texts]))
    pictures = [generator.sample(row_D[None], [seed + place], truncation)[0].cpu().numpy()
                for row_D in texts_TD for place in range(count)]
    return np.stack(pictures).reshape(len(texts), count, *pictures[0].shape)
