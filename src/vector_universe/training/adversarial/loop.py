"""Training a generator by itself: a contrastive model embeds the texts and stays as it is."""

from __future__ import annotations

import shutil
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open

from vector_universe.data import ImageTextDataset
from vector_universe.data.evenly import evenly
from vector_universe.errors import UserError
from vector_universe.models import DualEncoder, load_run_model
from vector_universe.models.gan import Generator, GeneratorConfig
from vector_universe.training.adversarial.judge import judge_generator, match_of
from vector_universe.training.adversarial.page import write_page
from vector_universe.training.adversarial.pairs import Pairs, read_pairs
from vector_universe.training.adversarial.readme import write_readme
from vector_universe.training.adversarial.sheets import NEVER_SEEN, SHOWN, SHOWN_HELD_OUT, write_samples
from vector_universe.training.adversarial.trainer import AdversarialConfig, AdversarialTrainer
from vector_universe.training.batches import random_order
from vector_universe.training.checkpoint import write_tensors
from vector_universe.training.config import TrainConfig
from vector_universe.training.history import flat_figures
from vector_universe.training.interrupt import Interruption
from vector_universe.training.preparation import build_accelerator
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.run_folder import RunFolder, put_model
from vector_universe.training.trackers import open_tracker

IMAGES_SEEN = 150_000  # what `epochs=None` aims at: 20 minutes of two cores at 32 pixels
MIN_EPOCHS, MAX_EPOCHS = 4, 400
WARMUP = 0.6  # share of the steps in which nothing but the texts' own pictures are learned
LOOKS = 12  # times that figures are taken in a run
JUDGED = 1000  # pictures that they are taken of
CHECKPOINT_SECONDS = 60.0


def train_generator(dataset: ImageTextDataset, config: TrainConfig, out: str | Path, quiet: bool = False) -> Generator:
    """Train a text-conditional generator on the train split, by hinge losses and differentiable augmentation.

    The texts are embedded by the model `config.model`, of which nothing learns. A run that was interrupted continues
    after its last checkpoint, with the same result bit for bit; a run that has finished is loaded. The folder `out`
    ends up with the generator, a copy of the model, a sheet of samples for each epoch, figures, and a README.md.

    Args:
        dataset: examples; those whose image cannot be decoded are left out and listed in `skipped.csv`.
        config: `recipe("gan", model)`, with changes; objective "gan".
        out: the run folder, new or begun with the same settings and data.
        quiet: print nothing.

    Returns:
        the moving average of the generator, in evaluation mode.

    Raises:
        UserError: impossible settings, too few pairs, too small pictures, too few different texts, or `out` holds
            something else.
        FloatingPointError: a loss became NaN or infinite; the last checkpoint is kept.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the step was finished and saved.
    """
    config.check()
    if config.objective != "gan":
        raise UserError(f"the objective is {config.objective}: a generator is trained by the recipe gan")
    run, progress = RunFolder(Path(out)), TrainingProgress(quiet)
    accelerator = build_accelerator()
    if accelerator.num_processes > 1:
        raise UserError(f"a generator is trained in one process, and there are {accelerator.num_processes}: start vu "
                        "without a launcher")
    model = load_run_model(str(config.model))
    run.begin(config, dataset)
    write_readme(run, dataset)
    if run.finished:
        progress.say(f"{run.path} is trained already: nothing to do")
        if not run.curves.is_file():  # a kill came between the model and its page
            write_page(run.path)
        return load_generator(run.path)
    model = model.to(accelerator.device).eval().requires_grad_(False)
    pairs = read_pairs(dataset, model, config, run, progress)
    try:
        loop = _Loop(pairs, model, config, run, progress)
        loop.run_all()
        _publish(loop.trainer.average, model, run)
        progress.say(f"samples are in {run.path / 'samples'}, how it went in {write_page(run.path)}")
        return loop.trainer.average
    finally:
        pairs.store.close()
        shutil.rmtree(run.cache, ignore_errors=True)


def load_generator(run_path: Path) -> Generator:
    """The generator of a run, in evaluation mode.

    Raises:
        UserError: there is none.
    """
    run = RunFolder(run_path)
    if not (run.generator / "config.json").is_file():
        unfinished = run.checkpoint.is_file() and not run.finished
        raise UserError(f"{run_path} has no generator: " + (
            "its training has not finished; the same vu train command goes on with it" if unfinished else
            "give a run of vu train --recipe gan"))
    return Generator.from_pretrained(run.generator).eval()


class _Loop:
    """The steps of one run."""

    def __init__(self, pairs: Pairs, model: DualEncoder, config: TrainConfig, run: RunFolder,
                 progress: TrainingProgress) -> None:
        self.pairs, self.model, self.config, self.run, self.progress = pairs, model, config, run, progress
        count = len(pairs.training)
        self.batch_size = config.batch_size_for(count)
        self.steps_per_epoch = count // self.batch_size
        self.epochs = config.epochs or min(MAX_EPOCHS, max(MIN_EPOCHS, round(IMAGES_SEEN / count)))
        self.trainer = AdversarialTrainer(
            GeneratorConfig(config.generated_size, model.config.embedding_width),
            settings_of(config, pairs, self.epochs * self.steps_per_epoch), model.device)
        self.match = match_of(model) if self.trainer.settings.match else None
        self.steps, self.saved_at = 0, time.perf_counter()
        self.shown = evenly(pairs.training, SHOWN) + evenly(pairs.validation, SHOWN_HELD_OUT)
        self.judged = evenly(pairs.training, JUDGED)
        self.base = model.fingerprint()

    def run_all(self) -> None:
        """From where the run stands to its end."""
        config, total = self.config, self.epochs * self.steps_per_epoch
        if self.run.checkpoint.is_file():
            self._load()
            self.progress.say(f"continuing after step {self.steps} of {total}")
        self.run.drop_metrics_from(self.steps)
        sizes = [sum(weight.numel() for weight in part.parameters()) / 1e6
                 for part in (self.trainer.generator, self.trainer.discriminator)]
        self.progress.say(
            f"generator {sizes[0]:.1f}M and discriminator {sizes[1]:.1f}M parameters, {config.generated_size} pixels, "
            f"on {self.model.device}, {torch.get_num_threads()} threads; {len(self.pairs.training)} pairs, "
            f"{self.epochs} epochs of {self.steps_per_epoch} steps, batch {self.batch_size}")
        if not self.pairs.own_pictures:
            self.progress.say("many pictures share a text: what is drawn is held to the discriminator alone, not to "
                              "one picture of a text")
        bar = self.progress.bar
        task = bar.add_task("training", total=total, completed=self.steps, note="")
        self.tracker = open_tracker(config.tracker, self.run.path, asdict(config))
        try:
            with Interruption() as interruption, self.progress:
                for epoch in range(self.steps // self.steps_per_epoch, self.epochs):
                    order = random_order(len(self.pairs.training), zlib.crc32(f"{config.seed} {epoch} order".encode()))
                    for number in range(self.steps - epoch * self.steps_per_epoch, self.steps_per_epoch):
                        start = number * self.batch_size
                        note = self._step(epoch, order[start:start + self.batch_size].tolist())
                        bar.update(task, completed=self.steps, note=note)
                        ended = number + 1 == self.steps_per_epoch
                        if ended:
                            self._look(epoch)
                        if ended or interruption.asked or time.perf_counter() - self.saved_at > CHECKPOINT_SECONDS:
                            self._save()
                        if interruption.asked:
                            raise KeyboardInterrupt
        finally:
            self.tracker.close()

    def _step(self, epoch: int, places: Sequence[int]) -> str:
        started = time.perf_counter()
        rows = [self.pairs.training[place] for place in places]
        try:
            record = self.trainer.step(self.pairs.pixels(rows, epoch), self.pairs.texts(rows, epoch), self.steps,
                                       self.match)
        except FloatingPointError as error:
            raise FloatingPointError(f"{error} at step {self.steps}: lower --learning-rate; {self.run.path} keeps the "
                                     "state of its last checkpoint") from None
        speed = len(rows) / (time.perf_counter() - started)
        self._log({"epoch": epoch + 1, "step": self.steps} | record | {"pairs_per_second": speed})
        self.steps += 1
        said = f"discriminator {record['discriminator']:.2f}" if "discriminator" in record else "warm-up"
        return f"{said}  {speed:.0f} pairs/s"

    def _look(self, epoch: int) -> None:
        """A sheet each epoch, and every few epochs figures."""
        path = self.run.path / "samples" / f"epoch-{epoch + 1:03d}.png"
        examples = [self.pairs.examples[row] for row in self.shown]
        write_samples(path, self.trainer.average, self.pairs.first_texts(self.shown),
                      [example.prompts[0] for example in examples], self.pairs.bytes(self.shown),
                      ["" if example.split == "train" else NEVER_SEEN for example in examples])
        if (epoch + 1) % max(1, self.epochs // LOOKS) and epoch + 1 < self.epochs:
            return
        figures = self.figures()
        self._log({"epoch": epoch + 1, "step": self.steps - 1, "samples": figures})
        self.progress.say(
            f"epoch {epoch + 1}/{self.epochs}: text match {figures['own']:.3f} (shuffled {figures['shuffled']:.3f}, "
            f"real pictures {figures['real_own']:.3f})" + (
                f", coverage {figures['coverage']:.2f} (real {figures['real_coverage']:.2f})" if "coverage" in figures
                else ""))

    def figures(self) -> dict[str, float]:
        """What the model finds in pictures of training texts; see `judge`."""
        texts_ND = self.pairs.first_texts(self.judged)
        return judge_generator(self.trainer.average, texts_ND, self.pairs.bytes(self.judged), self.model,
                               texts_ND.numpy())

    def _log(self, record: dict) -> None:
        self.run.log(record)
        self.tracker.log(flat_figures(record), record["step"])

    def _save(self) -> None:
        write_tensors(self.run.checkpoint, self.trainer.state(), {"steps": str(self.steps), "base": self.base})
        self.saved_at = time.perf_counter()

    def _load(self) -> None:
        with safe_open(self.run.checkpoint, "pt") as stored:
            notes = stored.metadata()
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a dict
        if notes["base"] != self.base:
            raise UserError(f"the model that {self.run.path} began with has changed since: put the former one back, or "
                            "give --out a new folder")
        self.trainer.load(state)
        self.steps = int(notes["steps"])


def settings_of(config: TrainConfig, pairs: Pairs, steps: int) -> AdversarialConfig:
    """The trainer's settings, by those of the run and by the data."""
    plain = AdversarialConfig(seed=config.seed)
    rate = config.learning_rate or plain.generator_rate
    return AdversarialConfig(
        generator_rate=rate, discriminator_rate=rate, ema=config.ema or plain.ema,
        reconstruction=plain.reconstruction if pairs.own_pictures else 0.0,
        warmup_steps=round(WARMUP * steps) if pairs.own_pictures else 0, seed=config.seed)


def _publish(generator: Generator, model: DualEncoder, run: RunFolder) -> None:
    """Put generator and model in place by a rename each; the model's says that the run has finished."""
    put_model(generator, run.generator)
    put_model(model, run.model)
