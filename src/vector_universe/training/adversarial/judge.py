"""What a contrastive model finds in generated pictures: a match to learn from, and figures."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vector_universe.evaluation.generated import density_and_coverage, frechet_distance, mean_distance, text_match
from vector_universe.models import DualEncoder
from vector_universe.models.gan import Generator
from vector_universe.training.adversarial.trainer import Match

LEAST_FOR_COVERAGE = 20  # pictures; fewer have no neighbourhoods to speak of
SPREAD_SEEDS = 4  # pictures of one text whose distances are taken
SPREAD_TEXTS = 32


def model_pixels(pixels_B3SS: Tensor, model: DualEncoder) -> Tensor:
    """Pictures in [-1, 1] as the model takes them, at its size and by its mean and deviation; differentiable."""
    size = model.config.image_size
    if pixels_B3SS.shape[-1] != size:
        pixels_B3SS = F.interpolate(pixels_B3SS, (size, size), mode="bilinear", antialias=True)
    mean_311, std_311 = (torch.tensor(values, device=pixels_B3SS.device).view(3, 1, 1)
                         for values in (model.config.image_mean, model.config.image_std))
    return ((pixels_B3SS + 1) / 2 - mean_311) / std_311


def match_of(model: DualEncoder) -> Match:
    """Cosines (B,) that the model finds between pictures in [-1, 1] and texts; nothing of the model learns by them."""
    def match(pixels_B3SS: Tensor, texts_BD: Tensor) -> Tensor:
        return (model.encode_images(model_pixels(pixels_B3SS, model)) * texts_BD).sum(1)

    return match


@torch.inference_mode()
def embed_generated(model: DualEncoder, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Unit rows float32 (N, D) of pictures uint8 (N, S, S, 3) of any side S."""
    rows = []
    for start in range(0, len(pixels), batch_size):
        bytes_BSS3 = torch.from_numpy(pixels[start:start + batch_size]).to(model.device)
        rows.append(model.encode_images(model_pixels(bytes_BSS3.permute(0, 3, 1, 2) / 127.5 - 1, model)).cpu().numpy())
    return np.concatenate(rows)


def judge_generator(generator: Generator, texts_ND: Tensor, real: np.ndarray, model: DualEncoder,
                    seen_texts_ND: np.ndarray) -> dict[str, float]:
    """Draw a picture of each text, and several of some, and `judge` them.

    Args:
        generator: draws.
        texts_ND: unit rows, the texts as it reads them.
        real: uint8 (N, S, S, 3), the texts' own pictures.
        model: judges.
        seen_texts_ND: unit rows, the texts as the judge reads them.
    """
    few_TD = texts_ND[:: max(1, len(texts_ND) // SPREAD_TEXTS)]
    of_one_text = np.stack([generator.sample(few_TD, [seed] * len(few_TD)).cpu().numpy()
                            for seed in range(SPREAD_SEEDS)], 1)
    generated = generator.sample(texts_ND, range(len(texts_ND))).cpu().numpy()
    return judge(generated, real, seen_texts_ND, model, of_one_text)


def judge(generated: np.ndarray, real: np.ndarray, texts_ND: np.ndarray, model: DualEncoder,
          of_one_text: np.ndarray | None = None) -> dict[str, float]:
    """Figures of generated pictures, and of the real ones of the same texts for comparison.

    Args:
        generated, real: uint8 (N, S, S, 3); row i of both belongs to text i.
        texts_ND: unit rows.
        model: whose features count; not one that the generator was made to please.
        of_one_text: uint8 (T, K, S, S, 3), K pictures from different noise of each of T texts.

    Returns:
        by name: text match (`own`, `shuffled`, `right_order`, `recall_at_10`, `chance_at_10`; `real_own` and
        `real_recall_at_10` of the real pictures), `frechet_distance` between generated pictures of one half of the
        texts and real ones of the other (`real_frechet_distance`: both real), `density` and `coverage`, likewise
        between halves, and `spread`: distance between pictures of one text, over that of real pictures of different
        texts.
    """
    generated_ND, real_ND = embed_generated(model, generated), embed_generated(model, real)
    of_real = text_match(real_ND, texts_ND)
    figures = text_match(generated_ND, texts_ND).as_dict() | {
        "real_own": of_real.own, "real_recall_at_10": of_real.recall_at_10}
    half = len(real_ND) // 2
    if half >= LEAST_FOR_COVERAGE:
        for name, rows_ND in (("", generated_ND), ("real_", real_ND)):
            figures[f"{name}frechet_distance"] = frechet_distance(real_ND[:half], rows_ND[half:])
            figures[f"{name}density"], figures[f"{name}coverage"] = density_and_coverage(real_ND[:half],
                                                                                         rows_ND[half:])
    if of_one_text is not None:
        texts, seeds = of_one_text.shape[:2]
        rows_TKD = embed_generated(model, of_one_text.reshape(-1, *of_one_text.shape[2:])).reshape(texts, seeds, -1)
        within = float(np.mean([mean_distance(rows_KD) for rows_KD in rows_TKD]))
        figures["spread"] = within / mean_distance(real_ND)
    return figures
