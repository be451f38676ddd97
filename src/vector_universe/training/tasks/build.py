"""From settings to a task."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch.distributed import ProcessGroup

from vector_universe.data import Example
from vector_universe.errors import UserError
from vector_universe.losses import AlignmentAnisotropy, InfoNCE, Sigmoid
from vector_universe.losses.targets import inverse_document_frequency
from vector_universe.models import DualEncoder
from vector_universe.models.gan import GeneratorConfig
from vector_universe.training.adversarial.companion import STARTS, Companion, adversarial_steps
from vector_universe.training.adversarial.pairs import have_own_pictures
from vector_universe.training.adversarial.trainer import AdversarialConfig, AdversarialTrainer
from vector_universe.training.config import TrainConfig
from vector_universe.training.false_negatives import LabelMask, text_numbers
from vector_universe.training.sides import ImageSide, TextSide
from vector_universe.training.tasks.contrastive import Contrastive
from vector_universe.training.tasks.fused import build_fused
from vector_universe.training.tasks.joint import Joint
from vector_universe.training.tasks.labels import label_sets
from vector_universe.training.tasks.pairs import Pairs
from vector_universe.training.tasks.two_views import TwoViews

MOST_CHANNELS = 256  # of a generator, at 4 x 4; at 32 pixels half of them do
SIGLIP_SCALE = math.log(10)  # where the paper's sigmoid objective starts


def build_pairs(model: DualEncoder, images: ImageSide, texts: TextSide, examples: Sequence[Example],
                same_image: Sequence[int], config: TrainConfig, group: ProcessGroup | None) -> Pairs:
    """The task that the settings ask for; `same_image` is equal for examples whose images are copies.

    Raises:
        UserError: the objective needs labels, and the training pictures have none.
    """
    objective = config.objective
    if objective == "auto":
        objective = "info_nce" if model.logit_bias is None else "sigmoid"
    if objective == "alignment":
        return TwoViews(model, images, texts, AlignmentAnisotropy(
            config.anisotropy, config.positive_weight, config.temperature, process_group=group))
    if objective == "fusion":
        return build_fused(model, images, texts, examples, config, group)
    if config.generated_share is not None and (objective == "sigmoid" or group is not None):
        why = "the model is trained by the sigmoid: give --objective info_nce" if objective == "sigmoid" else (
            "several processes share the batch: start a single one")
        raise UserError(f"generated_share is {config.generated_share}, but {why}, or leave it out")
    numbers = text_numbers(texts.texts, same_image)
    if objective == "sigmoid":
        if config.leave_out != "none":
            raise UserError(f"leave_out is {config.leave_out}, but the model is trained by the sigmoid, which compares "
                            "all pairs: give --objective info_nce, or leave it out")
        if model.logit_bias is None:
            model.logit_scale.data.fill_(SIGLIP_SCALE)
        return Contrastive(model, images, texts, Sigmoid(process_group=group), numbers)
    model.set_fusion(None)  # it was learned on towers that are about to move
    mask = None
    if config.leave_out != "none":
        label_sets(examples, "leave_out")
        mask = LabelMask([example.labels for example in examples], config.leave_out)
    if config.soft_labels:
        labels, _ = label_sets(examples, "soft_labels")
        task = Contrastive(model, images, texts, InfoNCE(
            config.soft_labels, inverse_document_frequency(labels), process_group=group), numbers, labels, mask)
    else:
        task = Contrastive(model, images, texts, InfoNCE(process_group=group), numbers, mask=mask)
    return task if config.generated_share is None else Joint(task, _companion(task, examples, config), examples)


def _companion(task: Contrastive, examples: Sequence[Example], config: TrainConfig) -> Companion:
    """A new generator beside the model; held to a text's own picture where nearly every text has one."""
    training = [example for example in examples if example.split == "train"]
    settings = AdversarialConfig(seed=config.seed, reconstruction=0.0)
    if have_own_pictures(training):
        batch = config.batch_size_for(len(training))
        steps = config.epochs_for(len(training)) * (len(training) // batch) * adversarial_steps(batch)
        settings = AdversarialConfig(seed=config.seed, warmup_steps=round(STARTS * steps))
    shape = GeneratorConfig(config.generated_size, task.model.config.embedding_width,
                            channels=min(MOST_CHANNELS, 4 * config.generated_size))
    trainer = AdversarialTrainer(shape, settings, task.model.device)
    return Companion(task.model, task.images, trainer, config.generated_share or 0.0, config.generated_weight,
                     config.seed)
