"""The end of a run: its weights chosen, weighed against the base's, and put in place."""

from __future__ import annotations

import json
import shutil
from functools import partial
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file

from vector_universe.data import ImageTextDataset, load_dataset
from vector_universe.folders import replace_text
from vector_universe.models import DualEncoder, load_run_model, merge, save_adapter
from vector_universe.models.predictors import Predictor
from vector_universe.training.config import TrainConfig
from vector_universe.training.curves import write_curves
from vector_universe.training.preparation import Setup
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.retention import blend, domain_figure, general_figure, sweep
from vector_universe.training.run_folder import RunFolder, put_model
from vector_universe.training.tasks.fused import Fused
from vector_universe.training.tasks.joint import Joint


def publish(setup: Setup, config: TrainConfig, run: RunFolder, dataset: ImageTextDataset,
            progress: TrainingProgress) -> DualEncoder | Predictor:
    """Put the adapter, if any, and the model in place, by a rename each: the model's says that the run has finished."""
    model, main = setup.model, setup.processes.main
    if config.keep == "best" and run.best.is_file():
        model.load_state_dict(load_file(run.best, device=str(model.device)), strict=False)
        with safe_open(run.best, "pt") as best:
            epoch = best.metadata()["epoch"]
        progress.say(f"the model has the weights after epoch {epoch}, the best by validation {setup.task.figure}")
    elif setup.average is not None:
        model.load_state_dict(setup.average.average, strict=False)
    model.eval()
    if isinstance(model, DualEncoder):
        _finish_adaptation(model, main, config, run, dataset, progress)
    if main:
        if isinstance(setup.task, Fused):
            setup.task.objective.save(run.kernel)
            replace_text(run.kernel / "labels.json", json.dumps(list(setup.task.vocabulary), ensure_ascii=False) + "\n")
        if isinstance(setup.task, Joint):
            put_model(setup.task.companion.trainer.average, run.generator)
        put_model(model, run.model)
        progress.say(f"curves are in {write_curves(run.path)}")  # last: nothing about them may hold the model back
    setup.processes.wait()
    return model


def _finish_adaptation(model: DualEncoder, main: bool, config: TrainConfig, run: RunFolder, dataset: ImageTextDataset,
                       progress: TrainingProgress) -> None:
    """Keep the adapter by itself, make it part of the model, and weigh the model against its base."""
    if main and model.adapted is not None:
        shutil.rmtree(run.adapter, ignore_errors=True)
        save_adapter(model, run.path / "adapter.partial")
        (run.path / "adapter.partial").rename(run.adapter)
    merge(model)
    if config.retain and main:
        _retention(model, config, run, dataset, progress)
    if config.wise_ft is not None:
        model.load_state_dict(blend(_base(config, model).state_dict(), model.state_dict(), config.wise_ft))


def _retention(model: DualEncoder, config: TrainConfig, run: RunFolder, dataset: ImageTextDataset,
               progress: TrainingProgress) -> None:
    """What was gained on this data and lost on the general set, for the model and for blends with its base."""
    general = load_dataset(str(config.retain))
    progress.say("weighing the gain against general skill: eleven blends of base and trained weights")
    found = sweep(_base(config, model), model, partial(domain_figure, dataset=dataset),
                  partial(general_figure, dataset=general))
    before, after = found.rows[0], found.rows[-1]
    replace_text(run.path / "retention.json", json.dumps(
        {"general_set": config.retain, "before": before.general, "after": after.general} | found.as_dict(),
        indent=2) + "\n")
    progress.say(f"recall@10 on validation {before.domain:.3f} → {after.domain:.3f}, on {general.name} "
                 f"{before.general:.3f} → {after.general:.3f}")
    progress.say(found.table())
    if config.wise_ft is None and found.recommended < 1:
        progress.say(f"to keep general skill, train again with --wise-ft {found.recommended:g}, or blend by hand: "
                     "vector_universe.training.retention.blend")


def _base(config: TrainConfig, model: DualEncoder) -> DualEncoder:
    base: Any = load_run_model(str(config.model))
    base.set_post_processing(None)  # training took it off
    return base.to(model.device)
