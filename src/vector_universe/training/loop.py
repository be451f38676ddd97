"""The training loop, from a data set to a run folder with a model in it."""

from __future__ import annotations

import time
import zlib
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from vector_universe.data import ImageTextDataset, load_dataset
from vector_universe.errors import UserError
from vector_universe.evaluation.geometry import geometry, gradient_shares
from vector_universe.losses import LossOutput
from vector_universe.models import DualEncoder
from vector_universe.models.adaptation import check_adapter_gradients
from vector_universe.models.adapter_file import learned_state
from vector_universe.models.load import load_any_model
from vector_universe.models.predictors import Predictor
from vector_universe.training.cached_gradients import CachedGradients, preparing_thread
from vector_universe.training.checkpoint import Progress, load_checkpoint, save_checkpoint, write_tensors
from vector_universe.training.config import TrainConfig
from vector_universe.training.curves import write_curves
from vector_universe.training.history import flat_figures
from vector_universe.training.interrupt import Interruption
from vector_universe.training.measuring import Measuring
from vector_universe.training.micro_batch import fitting_micro_batch, free_memory
from vector_universe.training.monitor import SHARES_UP_TO, CollapseMonitor
from vector_universe.training.optimisation import Plateau, set_rates, share_of_peak
from vector_universe.training.preparation import Setup, build_accelerator, set_up
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.publish import publish
from vector_universe.training.run_folder import RunFolder
from vector_universe.training.tasks.task import Batch
from vector_universe.training.trackers import Tracker, open_tracker

CHECKPOINT_SECONDS = 60.0  # at least so long between two checkpoints within an epoch …
CHECKPOINT_SHARE = 0.05  # … and at most this share of the time goes into them


def train(dataset: ImageTextDataset, config: TrainConfig, out: str | Path, quiet: bool = False,
          progress: TrainingProgress | None = None) -> DualEncoder | Predictor:
    """Train a `DualEncoder`, new or pretrained, or a new `Predictor`, on the train split; validate each epoch.

    A run that was interrupted continues after its last checkpoint, with the same result bit for bit as if it had not
    been; a run that has finished is loaded. Everything about it is written to the folder `out` (see its README.md).

    Args:
        dataset: examples; those whose image cannot be decoded are left out and listed in `skipped.csv`.
        config: the settings; `recipes` has ready ones.
        out: the run folder, new or begun with the same settings and data.
        quiet: print nothing.
        progress: says how it goes; by itself on the console.

    Returns:
        the trained model, in evaluation mode.

    Raises:
        UserError: impossible settings, too little data, or `out` holds something else.
        FloatingPointError: the loss became NaN or infinite; the batch is kept in the folder.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the step was finished and saved.
    """
    config.check()
    if config.objective == "gan":
        raise UserError("the objective gan makes a generator, which vector_universe.training.train_generator trains")
    run = RunFolder(Path(out))
    images = len(dataset.split("train"))
    if images < 2:
        raise UserError(f"{dataset.source} has {images} training images: at least 2 are needed")
    accelerator = build_accelerator()
    config.batch_size_for(images, accelerator.num_processes)
    progress = progress or TrainingProgress(quiet or not accelerator.is_main_process)
    if config.retain:
        load_dataset(config.retain)  # before any work: whether it can be had
    if accelerator.is_main_process:
        run.begin(config, dataset)
    accelerator.wait_for_everyone()
    if run.finished:
        progress.say(f"{run.path} is trained already: nothing to do")
        if accelerator.is_main_process and not run.curves.is_file():  # a kill came between the model and its curves
            write_curves(run.path)
        return load_any_model(run.path)
    tracker = open_tracker(config.tracker if accelerator.is_main_process else "none", run.path, asdict(config))
    setup = set_up(dataset, config, run, accelerator, progress)
    try:
        loop = _Loop(setup, config, run, progress, dataset, tracker)
        loop.run_all()
        model = publish(setup, config, run, dataset, progress)
        if loop.monitor.open:
            progress.say(f"warning: trained, but with open warnings ({', '.join(loop.monitor.open)}): see "
                         f"{run.metrics}")
        return model
    finally:
        tracker.close()
        setup.close()


class _Loop:
    """The steps of one run."""

    def __init__(self, setup: Setup, config: TrainConfig, run: RunFolder, progress: TrainingProgress,
                 dataset: ImageTextDataset, tracker: Tracker) -> None:
        self.setup, self.config, self.run, self.progress, self.dataset = setup, config, run, progress, dataset
        self.tracker = tracker
        self.plateau, self.state = Plateau(config), Progress()
        self.saved_at, self.saving_took = time.perf_counter(), 0.0
        self.measuring = Measuring(dataset, setup.model.framing, setup.total_steps, config.zero_shot_points)

    def run_all(self) -> None:
        """From where the run stands to its end."""
        setup = self.setup
        if self.run.checkpoint.is_file():
            self.state = load_checkpoint(self.run.checkpoint, setup.model, setup.task, setup.optimizer, setup.average)
            self.plateau.load(self.state.plateau)
            self.progress.say(f"continuing after step {self.state.steps} of {setup.total_steps}")
        if setup.processes.main:
            self.run.drop_metrics_from(self.state.steps)
        self.monitor = CollapseMonitor.of_run(self.run.metrics)
        self.progress.start(setup, self.config, self.dataset, self.state.steps)
        with Interruption() as self.interruption, preparing_thread() as self.threads, self.progress:
            for epoch in range(self.state.steps // setup.steps_per_epoch, setup.epochs):
                if self._ended_early():
                    self.progress.say(f"stopped early after epoch {epoch}: validation was best "
                                      f"{self.state.bad_epochs} epochs ago")
                    break
                self._epoch(epoch)

    def _epoch(self, epoch: int) -> None:
        setup = self.setup
        setup.model.train()
        setup.task.train()
        order = setup.order(_seed(self.config, epoch))
        first = self.state.steps - epoch * setup.steps_per_epoch
        batch = self._batch(epoch, order, first)
        if not self.state.micro_batch:
            self._find_micro_batch(batch)
        gradients = self._gradients(self.state.steps, batch)
        for number in range(first, setup.steps_per_epoch):
            last = number + 1 == setup.steps_per_epoch
            following = None if last else self._batch(epoch, order, number + 1)
            ahead = self._step(epoch, batch, gradients, following)
            self.state.steps += 1
            if self.state.steps in self.measuring.steps:
                self._measure(epoch)
            if following is not None and ahead is not None:
                batch, gradients = following, ahead
                asked = setup.processes.any(self.interruption.asked)
                if asked or self._checkpoint_is_due():
                    self._save()
                if asked:
                    raise KeyboardInterrupt
        self._validate(epoch)
        self._save()
        if setup.processes.any(self.interruption.asked):
            raise KeyboardInterrupt

    def _step(self, epoch: int, batch: Batch, gradients: CachedGradients, following: Batch | None
              ) -> CachedGradients | None:
        """One step; returns the gradients of the following batch, whose data is being prepared."""
        setup, step, started = self.setup, self.state.steps, time.perf_counter()
        encoded = gradients.embed()
        torch.manual_seed(_seed(self.config, step, "loss"))
        loss = self._loss(encoded, batch, step)
        is_watched = step % self.config.monitor_every == 0 or step == setup.total_steps - 1
        watched = setup.task.watched(encoded) if is_watched else None
        shares = gradient_shares(loss.parts, [rows_BD for rows_BD in watched if rows_BD.requires_grad]) if (
            watched and setup.batch_size <= SHARES_UP_TO) else None  # before `backward`, which frees the graph
        share = share_of_peak(step, setup.total_steps, self.config) * self.plateau.factor
        rate = set_rates(setup.optimizer, share)
        setup.optimizer.zero_grad()
        ahead = self._gradients(step + 1, following) if following else None
        gradients.backward(loss.total)
        setup.processes.sum_gradients(setup.parameters)
        if step == 0 and isinstance(setup.model, DualEncoder):
            check_adapter_gradients(setup.model)
        torch.nn.utils.clip_grad_norm_(setup.parameters, self.config.gradient_clip)
        setup.optimizer.step()
        setup.task.after_step(encoded, batch)
        if setup.average is not None:
            setup.average.update(step)
        pair = [setup.processes.gather(rows_BD) for rows_BD in watched] if watched else None
        if setup.processes.main:
            seconds = time.perf_counter() - started
            self._note({"epoch": epoch + 1, "step": step, "loss": loss.total.item(), "learning_rate": rate,
                        "waiting": gradients.waiting / seconds, "pairs_per_second": setup.batch_size / seconds}
                       | setup.task.record() | {name: part.item() for name, part in loss.parts.items()}, pair, shares)
        return ahead

    def _note(self, record: dict, pair: list[Tensor] | None, shares: dict[str, float] | None) -> None:
        """Write down a step; where its embeddings are given, look at their geometry and say what is wrong with it."""
        figures = geometry(*pair) if pair else None
        if figures is not None:
            record |= {"geometry": figures.as_dict(), "gradient_shares": shares}
        self._log(record)
        self.progress.step(record)
        for verdict in self.monitor.check(record["step"], figures, shares) if figures is not None else ():
            self.run.log({"epoch": record["epoch"], "step": record["step"], "verdict": asdict(verdict)})
            self.progress.say(str(verdict))

    def _loss(self, encoded: dict[str, Tensor], batch: Batch, step: int) -> LossOutput:
        """The loss; where it is no number, the batch is kept for inspection.

        Raises:
            FloatingPointError: naming the step, the state that is kept, and what to try.
        """
        try:
            loss = self.setup.task.loss(encoded, batch)
            if not torch.isfinite(loss.total):
                raise FloatingPointError(f"the loss is {loss.total.item()}")
        except FloatingPointError as error:
            ids = [self.setup.examples[row].id for row in batch.rows]
            kept = self.run.keep_batch(step, ids, list(batch.captions), encoded)
            raise FloatingPointError(f"{error} at step {step}: lower --learning-rate; the batch is in {kept}, and "
                                     f"{self.run.path} keeps the state of its last checkpoint") from None
        return loss

    def _log(self, record: dict) -> None:
        self.run.log(record)
        self.tracker.log(flat_figures(record), record["step"])

    def _measure(self, epoch: int) -> None:
        """Ask the test split as the model stands, for `zero_shot_points`."""
        setup = self.setup
        if setup.processes.main:
            self.threads.submit(lambda: None).result()  # a tokenizer bears one thread at a time
            with setup.average.in_place() if setup.average is not None else nullcontext():
                figures = self.measuring.ask(setup.model)
            self._log({"epoch": epoch + 1, "step": self.state.steps - 1,
                       "images_seen": self.state.steps * setup.batch_size} | figures)

    def _validate(self, epoch: int) -> None:
        """Measure the validation split, keep the best weights, and let schedule and early stopping take notice."""
        setup, figures = self.setup, None
        setup.model.eval()
        setup.task.eval()
        if setup.processes.main:
            if setup.average is not None:
                with setup.average.in_place():
                    figures = setup.task.validate(setup.validation, setup.batch_size)
            else:
                figures = setup.task.validate(setup.validation, setup.batch_size)
            self._log({"epoch": epoch + 1, "step": self.state.steps - 1, "validation": figures})
            self.progress.epoch(epoch + 1, setup.task.said(figures) if figures else "")
            setup.task.after_epoch(epoch + 1, self.run.path)
        figures = setup.processes.of_main(figures)
        if figures is None:
            return
        self.plateau.note(figures.get("loss", 0.0))
        now = setup.task.standing(figures)
        better = now > self.state.best
        self.state.bad_epochs = 0 if better else self.state.bad_epochs + 1
        if better:
            self.state.best = now
            if self.config.keep == "best" and setup.processes.main:
                weights = setup.average.average if setup.average is not None else learned_state(setup.model)
                write_tensors(self.run.best, weights, {"epoch": str(epoch + 1)})

    def _ended_early(self) -> bool:
        return self.config.early_stopping is not None and self.state.bad_epochs >= self.config.early_stopping

    def _checkpoint_is_due(self) -> bool:
        pause = time.perf_counter() - self.saved_at
        return self.setup.processes.any(pause > max(CHECKPOINT_SECONDS, self.saving_took / CHECKPOINT_SHARE))

    def _save(self) -> None:
        started = time.perf_counter()
        self.state.plateau = self.plateau.state()
        if self.setup.processes.main:
            save_checkpoint(self.run.checkpoint, self.setup.model, self.setup.task, self.setup.optimizer,
                            self.setup.average, self.state)
        self.saved_at = time.perf_counter()
        self.saving_took = self.saved_at - started

    def _batch(self, epoch: int, order: Tensor, number: int) -> Batch:
        """This process's share of a batch."""
        setup, size = self.setup, self.setup.batch_size
        step = epoch * setup.steps_per_epoch + number
        mine = setup.processes.share(size)
        places = order[number * size:(number + 1) * size][mine].tolist()
        batch = setup.task.batch(epoch, [setup.training[place] for place in places], mine.start)
        return replace(batch, step=step, progress=step / setup.total_steps)

    def _gradients(self, step: int, batch: Batch) -> CachedGradients:
        def reseed(name: str, row: int) -> None:  # dropout: a function of seed, step and row, in any process
            torch.manual_seed(_seed(self.config, step, f"{name} {row}"))

        return CachedGradients(self.setup.task.encodings(batch), self.state.micro_batch, reseed, self.threads,
                               self.setup.autocast)

    def _find_micro_batch(self, batch: Batch) -> None:
        setup = self.setup
        fitting = self.config.micro_batch
        if fitting is None:
            with setup.autocast():
                fitting = fitting_micro_batch(setup.task.encodings(batch), list(setup.model.parameters()),
                                              free_memory(setup.accelerator.device))
        self.state.micro_batch = setup.processes.of_main(fitting)
        share = setup.batch_size // setup.processes.size
        if self.state.micro_batch < share:
            self.progress.say(f"{self.state.micro_batch} of {share} pairs are in memory at once: every other part of a "
                              "step is done twice, the result stays the same")


def _seed(config: TrainConfig, number: int, what: str = "order") -> int:
    return zlib.crc32(f"{config.seed} {number} {what}".encode())
