"""Everything that a run needs before its first step: data kept, model and task made, optimiser, schedule."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vector_universe.data import ImageTextDataset
from vector_universe.data.duplicates import duplicate_groups
from vector_universe.data.example import Example
from vector_universe.data.frame_store import FrameStore
from vector_universe.errors import UserError
from vector_universe.models import DualEncoder, adapt, load_run_model
from vector_universe.models.adaptation import SIDES, trainable_table
from vector_universe.models.cut import TowerCut
from vector_universe.models.dropout import encoder_dropout
from vector_universe.models.image_encoder import ImageEncoder
from vector_universe.models.precision import Precision, autocast
from vector_universe.models.predictors import Predictor
from vector_universe.models.towers import Side
from vector_universe.training.activation_cache import ActivationCache
from vector_universe.training.adversarial.pairs import check_pairs, check_sizes
from vector_universe.training.batches import order_apart, random_order, relatives
from vector_universe.training.config import TrainConfig
from vector_universe.training.false_negatives import families
from vector_universe.training.optimisation import WeightAverage, build_optimizer
from vector_universe.training.processes import Processes
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.run_folder import RunFolder
from vector_universe.training.sides import ImageSide, ReadBack, TextSide
from vector_universe.training.start import adaptation_of, new_model, new_predictor
from vector_universe.training.tasks.build import build_pairs
from vector_universe.training.tasks.predictive import Predictive
from vector_universe.training.tasks.task import Task
from vector_universe.training.views import ImageViews

GB = 1_000_000_000


@dataclass
class Setup:
    """A run that is ready to go.

    Attributes:
        training, validation: rows of the examples.
        families: of the training rows, where those of a family are kept apart.
        total_steps: of the whole run; `steps_per_epoch` of them an epoch.
    """

    accelerator: Accelerator
    processes: Processes
    model: DualEncoder | Predictor
    task: Task
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    examples: list[Example]
    training: list[int]
    validation: list[int]
    families: list[tuple[int, int]] | None
    batch_size: int
    steps_per_epoch: int
    epochs: int
    caches: list  # what keeps files while the run goes on
    cache_folder: Path
    precision: Precision

    def autocast(self) -> AbstractContextManager:
        """A context in which the model runs in the precision that the settings ask for."""
        return autocast(self.model, self.precision)

    @property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The model's and the objective's."""
        return [*self.model.parameters(), *self.task.parameters()]

    def order(self, seed: int) -> Tensor:
        """The places in `training` in the order of an epoch, batch after batch."""
        if self.families is None:
            return random_order(len(self.training), seed)
        return order_apart(self.families, self.batch_size, seed)

    def close(self) -> None:
        """Remove what the run kept on disk for itself."""
        for cache in self.caches:
            cache.close()
        if self.processes.main:
            shutil.rmtree(self.cache_folder, ignore_errors=True)


def set_up(dataset: ImageTextDataset, config: TrainConfig, run: RunFolder, accelerator: Accelerator,
           progress: TrainingProgress) -> Setup:
    """Decode, load or make the model, and say what is about to happen.

    Raises:
        UserError: too little data, a model that cannot be had, or an objective without the labels that it needs.
    """
    processes = Processes(accelerator)
    torch.manual_seed(config.seed)
    given = load_run_model(config.model) if config.model else None
    used = dataset.select([i for i, split in enumerate(dataset.table["split"]) if split != "test"])
    first_texts = [text for example in used.split("train") for text in example.prompts]
    model = given or (new_predictor if config.predicts else new_model)(config, first_texts)
    model.config.image_exact |= config.exact_decoding
    budget = int(config.cache_gb * GB) if config.cache else 0
    with progress.decoding(len(used)) as advance:
        store = FrameStore.build(list(used), model.framing, run.cache / f"frames-{processes.rank}", budget, advance)
    if processes.main:
        run.write_skipped([*dataset.skipped, *store.skipped])
    training = [row for row, example in enumerate(store.examples) if example.split == "train"]
    validation = [row for row, example in enumerate(store.examples) if example.split == "validation"]
    if len(training) < 2:
        raise UserError(f"only {len(training)} training images of {dataset.source} can be decoded: "
                        f"see {run.path / 'skipped.csv'}")
    if config.generated_share is not None:
        check_pairs([store.examples[row] for row in training], dataset.source)
        check_sizes([store.examples[row] for row in training], config.generated_size, progress)
        if config.generated_share:
            progress.say("generated pairs are an experiment: where they were measured, held-out recall@10 was the same "
                         "with and without them, at four times the time (docs/generator.md)")
    texts = [example.prompts for example in store.examples]
    training_texts = [text for row in training for text in texts[row]]
    if cut := model.count_cut(training_texts):
        progress.say(f"{cut} of {len(training_texts)} training texts are longer than the "
                     f"{model.config.max_text_tokens} tokens that the model reads: the rest of them is cut off")
    if given is not None:
        adapt(given, adaptation_of(config, given), base=str(config.model))
    model.to(accelerator.device).train()

    caches: list = [store]
    same_image = _same_image(store.examples, config, progress)
    task: Task
    if isinstance(model, Predictor):
        task = Predictive(model, store, image_views(config, model, False), texts, config.seed, config.views,
                          processes.group)
    else:
        images, texts_side = _sides(model, store, texts, training, config, budget - store.bytes, run.cache, processes,
                                    caches, progress)
        task = build_pairs(model, images, texts_side, store.examples, same_image, config, processes.group)
        if config.encoder_dropout:
            for one in (images, texts_side):
                if one.learns:  # elsewhere it would be noise alone
                    encoder_dropout(model, one.side, config.encoder_dropout)
    task.to(accelerator.device)
    if given is not None:
        progress.trainable(trainable_table(given))
    epochs, batch_size = config.epochs_for(len(training)), config.batch_size_for(len(training), processes.size)
    steps_per_epoch = len(training) // batch_size
    kin = _kin(store.examples, texts, same_image, training, batch_size, config, progress)
    average = WeightAverage(model, config.ema) if config.ema else None
    return Setup(accelerator, processes, model, task, build_optimizer(model, task, config), average, store.examples,
                 training, validation, kin, batch_size, steps_per_epoch, epochs, caches, run.cache, config.precision)


def _sides(model: DualEncoder, store: FrameStore, texts: list[list[str]], training: list[int], config: TrainConfig,
           budget: int, folder: Path, processes: Processes, caches: list, progress: TrainingProgress,
           ) -> tuple[ImageSide, TextSide]:
    """Pictures and texts on their way into a model; what is frozen of a given one is read back."""
    cuts: dict[Side, TowerCut | None] = {side: TowerCut.of(model, side) if config.model else None for side in SIDES}
    # New views each epoch, but one where a frozen part is read back: the example as it is.
    views = {side: config.views or (1 if cut is not None else None) for side, cut in cuts.items()}
    as_it_is = {side: cut is not None and config.views is None for side, cut in cuts.items()}
    read_back = {side: _read_back(side, cut, config, budget, folder, processes, caches) for side, cut in cuts.items()}
    images = ImageSide(model, store, image_views(config, model, as_it_is["image"]), config.seed, views["image"],
                       read_back["image"])
    texts_side = TextSide(model, texts, 0.0 if as_it_is["text"] else config.word_dropout, config.seed, views["text"],
                          read_back["text"])
    for one in (images, texts_side):
        _check_cut(one, training, progress)
    return images, texts_side


def _same_image(examples: list[Example], config: TrainConfig, progress: TrainingProgress) -> list[int]:
    """A number for each example, equal for those whose images count as one."""
    if config.duplicates == "off" or (config.predicts and config.batches == "random"):  # then nobody asks
        return list(range(len(examples)))
    groups = duplicate_groups([example.image for example in examples], near=config.duplicates == "near")
    if copies := len(groups) - len(set(groups)):
        progress.say(f"{copies} of {len(groups)} images are copies of others: their texts are right for each other")
    return groups


def _kin(examples: list[Example], texts: list[list[str]], same_image: list[int], training: list[int], batch_size: int,
         config: TrainConfig, progress: TrainingProgress) -> list[tuple[int, int]] | None:
    """The families of the training rows, where batches keep them apart."""
    if config.batches == "random":
        return None
    everyone = families(texts, [example.labels for example in examples], same_image)
    kin = [everyone[row] for row in training]
    random, apart = (relatives(order, kin, batch_size) for order in (random_order(len(kin), config.seed),
                                                                     order_apart(kin, batch_size, config.seed)))
    progress.say(f"batches are kept apart: {apart:.1f} pairs of copies, equal texts or equal labels in one of "
                 f"{batch_size}, where at random there are {random:.1f}")
    return kin


def build_accelerator() -> Accelerator:
    """The device and the processes of a run; its precision is the run's own, as one process may have many runs."""
    return Accelerator(cpu=not torch.accelerator.is_available())  # else it joins no processes without a GPU


def image_views(config: TrainConfig, model: ImageEncoder, as_it_is: bool) -> ImageViews:
    """How pictures vary: what is asked for, or what suits the model."""
    kind = config.image_views
    if kind == "auto":
        kind = "none" if as_it_is else "square_crop" if model.framing.fit == "crop" else "gentle"
    return ImageViews(kind, config.flip, config.colour, config.blur)


def _read_back(side: Side, cut: TowerCut | None, config: TrainConfig, budget: int, folder: Path,
               processes: Processes, caches: list) -> ReadBack | None:
    """A place to keep what the frozen part of a tower makes; None where nothing is frozen."""
    if cut is None or not config.cache:
        return None if cut is None else ReadBack(cut, None)
    cache = ActivationCache(folder / f"{side}-{processes.rank}", max(0, budget // 2))
    caches.append(cache)
    return ReadBack(cut, cache)


def _check_cut(side: ImageSide | TextSide, training: list[int], progress: TrainingProgress) -> None:
    """Say whether the frozen part is read back; where a tower's form does not allow it, do without."""
    if side.read_back is None:
        return
    inputs = (tensor.to(side.model.device) for tensor in side.inputs(training[:4], 0))
    if side.read_back.cut.check(*inputs):
        if side.read_back.cache is not None:
            progress.say(f"the frozen part of the {side.side} tower is computed once for each view and read back")
    else:
        progress.say(f"the {side.side} tower cannot be read back from its frozen part: it runs whole in every step")
        side.read_back = None


