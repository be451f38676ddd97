"""The self-test of a run: a model that cannot learn one batch by heart will not learn a data set."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from vector_universe.data import ImageTextDataset
from vector_universe.errors import UserError
from vector_universe.training.cached_gradients import CachedGradients, preparing_thread
from vector_universe.training.config import TrainConfig
from vector_universe.training.optimisation import set_rates
from vector_universe.training.preparation import build_accelerator, set_up
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.run_folder import RunFolder

STEPS, WARMUP = 200, 20
BATCH = 16
ENOUGH = 0.95  # of the batch's texts find their image first


def overfit_one_batch(dataset: ImageTextDataset, config: TrainConfig, out: str | Path) -> str:
    """Train on the same views of the same few pairs until each text finds its image; nothing is kept.

    Args:
        dataset: its first training pictures make the batch.
        config: of the run that is to be tried; batch size, views, dropout and epochs do not count.
        out: named in messages only.

    Returns:
        what was reached, in how many steps.

    Raises:
        UserError: the batch was not learned in 200 steps, with what to look at; or a generator is to be trained.
    """
    if config.objective == "gan":
        raise UserError("a generator learns no batch to the end: leave --overfit-one-batch out, and look at its sheets")
    same = replace(config, batch_size=None, micro_batch=None, image_views="none", word_dropout=0.0,
                   encoder_dropout=0.0, projection_dropout=0.0, decoder_dropout=0.0, lora_dropout=0.0,
                   modality_dropout=0.0, views=1, retain=None, wise_ft=None)
    train_rows = [i for i, split in enumerate(dataset.table["split"]) if split == "train"][:BATCH]
    with tempfile.TemporaryDirectory() as folder, preparing_thread() as threads:
        run = RunFolder(Path(folder))
        setup = set_up(dataset.select(train_rows), same, run, build_accelerator(), TrainingProgress())
        try:
            batch = setup.task.batch(0, setup.training)
            distinct = len(set(batch.captions)) / len(batch.captions)
            setup.task.train()
            for step in range(STEPS):
                encodings = setup.task.encodings(batch)
                gradients = CachedGradients(encodings, max(encoding.rows for encoding in encodings.values()),
                                            lambda *_: None, threads, setup.autocast)
                encoded = gradients.embed()
                loss = setup.task.loss(encoded, batch)
                found = setup.task.by_heart(encoded, batch)
                if found >= ENOUGH * distinct:
                    return (f"one batch of {len(batch.rows)} pairs was learned by heart in {step} steps: loss "
                            f"{loss.total.item():.3f}, {found:.0%} of its texts find their image first")
                set_rates(setup.optimizer, min(1.0, (step + 1) / WARMUP))
                setup.optimizer.zero_grad()
                gradients.backward(loss.total)
                torch.nn.utils.clip_grad_norm_(setup.parameters, config.gradient_clip)
                setup.optimizer.step()
        finally:
            setup.close()
    raise UserError(f"after {STEPS} steps on one batch of {len(batch.rows)} pairs only {found:.0%} of "
                    f"its texts find their image first (loss {loss.total.item():.3f}): try a higher --learning-rate, "
                    f"and look whether pictures and texts belong together before you train {out}")
