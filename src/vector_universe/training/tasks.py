"""What a batch is asked: which views of it are embedded, and which objective compares them.

A task is a module, since an objective may learn parameters of its own; those are summed, checkpointed and given to the
optimiser like the model's.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from vector_universe.data import Example
from vector_universe.errors import UserError
from vector_universe.evaluation.label_ranking import label_ranking
from vector_universe.evaluation.retrieval import retrieval
from vector_universe.losses import AlignmentAnisotropy, InfoNCE, KernelKL, LabelSets, LossOutput, Sigmoid
from vector_universe.losses.feature_maps import LinearKernel
from vector_universe.losses.ring import Ring
from vector_universe.losses.targets import inverse_document_frequency
from vector_universe.models import DualEncoder
from vector_universe.training.cached_gradients import Encoding
from vector_universe.training.config import TrainConfig
from vector_universe.training.false_negatives import LabelMask, text_numbers
from vector_universe.training.sides import ImageSide, TextSide
from vector_universe.training.views import number_of_view

SIGLIP_SCALE, SIGLIP_BIAS = math.log(10), -10.0  # where the paper's sigmoid objective starts


@dataclass(frozen=True)
class Batch:
    """The rows of the data that this process has of one step's batch, and the whole captions that it reads of.

    `first` is where they begin in the batch over all processes.
    """

    epoch: int
    rows: Sequence[int]
    captions: Sequence[str]
    first: int = 0


class Task(nn.Module):
    """Turns a batch into encodings and their embeddings into a loss."""

    copies = 1  # views of each example in a step
    figure = "recall_at_10"  # of validation, by which the best epoch is known

    def __init__(self, model: DualEncoder, images: ImageSide, texts: TextSide) -> None:
        super().__init__()
        self.__dict__["model"] = model  # not a part of this module: its parameters are counted once
        self.images, self.texts = images, texts

    model: DualEncoder

    def batch(self, epoch: int, rows: Sequence[int], first: int = 0) -> Batch:
        """A batch of these rows in the views of this epoch."""
        return Batch(epoch, rows, self.texts.chosen(rows, self._view(self.texts, epoch, 0)), first)

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        """What must be embedded, by name; "images" and "texts" are among them, row i of both a pair."""
        raise NotImplementedError

    def loss(self, embeddings: dict[str, Tensor], batch: Batch) -> LossOutput:
        """The loss of the whole batch, over all processes."""
        raise NotImplementedError

    def validation_loss(self, images_BD: Tensor, texts_BD: Tensor, batch: Batch) -> LossOutput:
        """The loss of pairs as they are, in this process alone."""
        raise NotImplementedError

    @torch.no_grad()
    def validate(self, rows: Sequence[int], batch_size: int) -> dict[str, Any] | None:
        """Text → image retrieval by one text an image, and the loss in batches of like size; None without rows."""
        if not rows:
            return None
        captions = self.texts.first(rows)
        images_ND, texts_ND = self.images.plain(rows), torch.from_numpy(self.model.embed_texts(captions))
        places: dict[str, list[int]] = defaultdict(list)
        for place, caption in enumerate(captions):
            places[caption].append(place)
        figures = retrieval(texts_ND.numpy(), images_ND.cpu().numpy(), [places[caption] for caption in captions])
        assert figures is not None
        if len(rows) == 1:  # which no objective compares with anything
            return figures.as_dict()
        size = min(batch_size, len(rows))
        losses = [self.validation_loss(images_ND[part], texts_ND[part].to(images_ND.device),
                                       Batch(0, rows[part], captions[part]))
                  for part in (slice(start, start + size) for start in range(0, len(rows) - size + 1, size))]
        parts = {name: sum(loss.parts[name].item() for loss in losses) / len(losses) for name in losses[0].parts}
        return figures.as_dict() | {"loss": sum(parts.values()), "loss_parts": parts, "chance_loss": math.log(size)}

    def encoding(self, side: ImageSide | TextSide, batch: Batch, number: int = 0) -> Encoding:
        """One side of one view of a batch."""
        view = self._view(side, batch.epoch, number)
        return Encoding(len(batch.rows), lambda part: side.prepare(batch.rows[part], view), side.embed, side.learns,
                        batch.first)

    def _view(self, side: ImageSide | TextSide, epoch: int, number: int) -> int:
        return number_of_view(epoch, number, self.copies, side.views)


class Contrastive(Task):
    """Images against texts, by InfoNCE or the sigmoid; texts of equal number are positives of each other.

    Args:
        numbers: of every text of the examples (`text_numbers`); the same in every process.
        labels: of the examples, for soft targets.
        mask: finds the pairs that InfoNCE leaves out.
    """

    def __init__(self, model: DualEncoder, images: ImageSide, texts: TextSide, objective: InfoNCE | Sigmoid,
                 numbers: dict[str, int], labels: LabelSets | None = None, mask: LabelMask | None = None) -> None:
        super().__init__(model, images, texts)
        self.objective: Any = objective
        self.numbers, self.labels, self.mask = numbers, labels, mask
        self.logit_bias: nn.Parameter | None = None
        if isinstance(objective, Sigmoid) and model.logit_bias is None:
            self.logit_bias = nn.Parameter(torch.tensor(SIGLIP_BIAS))

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        return {"images": self.encoding(self.images, batch), "texts": self.encoding(self.texts, batch)}

    def loss(self, embeddings: dict[str, Tensor], batch: Batch) -> LossOutput:
        return self._loss(self.objective, embeddings["images"], embeddings["texts"], batch)

    def validation_loss(self, images_BD: Tensor, texts_BD: Tensor, batch: Batch) -> LossOutput:
        return self._loss(_alone(self.objective), images_BD, texts_BD, batch)

    def _loss(self, objective: InfoNCE | Sigmoid, images_BD: Tensor, texts_BD: Tensor, batch: Batch) -> LossOutput:
        groups_B = torch.tensor([self.numbers[caption] for caption in batch.captions], device=images_BD.device)
        scale = self.model.logit_scale
        if isinstance(objective, Sigmoid):
            bias = self.model.logit_bias if self.logit_bias is None else self.logit_bias
            return objective(images_BD, texts_BD, scale, bias, groups_B, groups_B)
        labels = None if self.labels is None else self.labels.take(batch.rows).to(images_BD.device)
        left_out = None if self.mask is None else self.mask.pairs(batch.rows, groups_B, Ring(objective.process_group))
        return objective(images_BD, texts_BD, scale, groups_B, groups_B, labels, false_negatives_K2=left_out)


class TwoViews(Task):
    """Two views of image and text by alignment + anisotropy."""

    copies = 2

    def __init__(self, model: DualEncoder, images: ImageSide, texts: TextSide, objective: AlignmentAnisotropy) -> None:
        super().__init__(model, images, texts)
        self.objective = objective

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        return {"images": self.encoding(self.images, batch), "texts": self.encoding(self.texts, batch),
                "other_images": self.encoding(self.images, batch, 1),
                "other_texts": self.encoding(self.texts, batch, 1)}

    def loss(self, embeddings: dict[str, Tensor], batch: Batch) -> LossOutput:
        return self.objective(embeddings["images"], embeddings["texts"], embeddings["other_images"],
                              embeddings["other_texts"])

    def validation_loss(self, images_BD: Tensor, texts_BD: Tensor, batch: Batch) -> LossOutput:
        return _alone(self.objective)(images_BD, texts_BD, images_BD, texts_BD)


class Fused(Task):
    """Image, title and burnt-in text become one vector; its kernel scores over the labels' texts become the labels."""

    figure = "average_precision"

    def __init__(self, model: DualEncoder, images: ImageSide, texts: TextSide, ocr: TextSide | None,
                 objective: KernelKL, labels: LabelSets, vocabulary: Sequence[str], modality_dropout: float,
                 titled: Sequence[bool], read: Sequence[bool], group: ProcessGroup | None) -> None:
        super().__init__(model, images, texts)
        self.objective: Any = objective
        self.labels, self.vocabulary = labels, vocabulary
        self.ocr, self.modality_dropout, self.group = ocr, modality_dropout, group
        self.titled, self.read = torch.tensor(titled), torch.tensor(read)

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        names = {"images": self.encoding(self.images, batch), "texts": self.encoding(self.texts, batch)}
        if self.ocr is not None:
            names["ocr"] = self.encoding(self.ocr, batch)
        return names | {"labels": Encoding(len(self.vocabulary), self._label_tokens, self._embed_labels,
                                           self.texts.learns)}

    def loss(self, embeddings: dict[str, Tensor], batch: Batch) -> LossOutput:
        labels = self.labels.take(batch.rows).to(embeddings["images"].device)
        fused_BD = self.fused(embeddings, batch.rows, self.modality_dropout if self.training else 0.0)
        labelled = (labels.counts_per_row() > 0).sum().float()
        everywhere = labelled.clone()
        if self.group is not None:
            torch.distributed.all_reduce(everywhere, group=self.group)
        if labelled:
            parts = self.objective(fused_BD, embeddings["labels"], labels).parts
        else:  # a share without labels pulls at nothing, but takes part
            nothing = 0.0 * (fused_BD.sum() + embeddings["labels"].sum())
            parts = {"cross_entropy": nothing, "negative_entropy": nothing}
        share = labelled / everywhere.clamp(min=1)
        return LossOutput.of(**{name: Ring(self.group).total(part * share) for name, part in parts.items()})

    @torch.no_grad()
    def validate(self, rows: Sequence[int], batch_size: int) -> dict[str, Any] | None:
        """How the kernel ranks the labels of these rows, from image, title and burnt-in text together."""
        if not rows:
            return None
        embeddings = {"images": self.images.plain(rows)}
        device = embeddings["images"].device
        sides = {"texts": self.texts} | ({"ocr": self.ocr} if self.ocr is not None else {})
        for name, side in sides.items():
            embeddings[name] = torch.from_numpy(self.model.embed_texts(side.first(rows))).to(device)
        vocabulary_LD = torch.from_numpy(self.model.embed_texts(self.vocabulary)).to(device)
        fused_BD, labels = self.fused(embeddings, rows), self.labels.take(rows).to(device)
        figures = label_ranking(self.objective.kernel(fused_BD, vocabulary_LD).cpu().numpy(), labels.to("cpu"))
        if figures is None:
            return None
        return figures.as_dict() | {"loss": self.objective(fused_BD, vocabulary_LD, labels).total.item()}

    def fused(self, embeddings: dict[str, Tensor], rows: Sequence[int], dropout: float = 0.0) -> Tensor:
        """X (B, D): what there is of each row, with inputs hidden at random."""
        assert self.model.fusion is not None
        device = embeddings["images"].device
        present = {"image": torch.ones(len(rows), dtype=torch.bool), "title": self.titled[list(rows)]}
        given = {"image": embeddings["images"], "title": embeddings["texts"]}
        if "ocr" in embeddings:
            present["ocr"], given["ocr"] = self.read[list(rows)], embeddings["ocr"]
        present_BM = torch.stack(list(present.values()), dim=1)
        if dropout:
            ring = Ring(self.group)  # drawn for the whole batch: a row's numbers depend on no process
            drawn_BM = torch.rand(len(rows) * ring.size, len(present))[ring.rank * len(rows):][:len(rows)]
            kept_BM = present_BM & (drawn_BM >= dropout)
            present_BM = torch.where(kept_BM.any(1, keepdim=True), kept_BM, present_BM)
        masks = {f"{name}_present_B": present_BM[:, m].to(device) for m, name in enumerate(present)}
        return self.model.fusion(**{f"{name}_BD": rows_BD for name, rows_BD in given.items()}, **masks)

    def _label_tokens(self, part: slice) -> tuple[Tensor, ...]:
        return self.model.tokenize(self.vocabulary[part])

    def _embed_labels(self, tokens: tuple[Tensor, ...]) -> Tensor:
        return self.model.encode_texts(*(tensor.to(self.model.device) for tensor in tokens))


def build_task(model: DualEncoder, images: ImageSide, texts: TextSide, examples: Sequence[Example],
               same_image: Sequence[int], config: TrainConfig, group: ProcessGroup | None) -> Task:
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
        return _fused(model, images, texts, examples, config, group)
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
    if not config.soft_labels:
        return Contrastive(model, images, texts, InfoNCE(process_group=group), numbers, mask=mask)
    labels, _ = label_sets(examples, "soft_labels")
    return Contrastive(model, images, texts, InfoNCE(
        config.soft_labels, inverse_document_frequency(labels), process_group=group), numbers, labels, mask)


def label_sets(examples: Sequence[Example], what: str) -> tuple[LabelSets, list[str]]:
    """The labels of the examples, and their names in order.

    Raises:
        UserError: there are none at all.
    """
    names = sorted({label for example in examples for label in example.labels})
    if not names:
        raise UserError(f"{what} needs labels, and no training picture has any: add a column labels to metadata.csv")
    place = {name: number for number, name in enumerate(names)}
    return LabelSets.from_lists([[place[label] for label in example.labels] for example in examples], len(names)), names


def _alone(objective: Any) -> Any:
    """The same objective, with the same parameters, over this process's rows only."""
    alone = copy.copy(objective)
    alone.process_group = None
    return alone


def _fused(model: DualEncoder, images: ImageSide, texts: TextSide, examples: Sequence[Example], config: TrainConfig,
           group: ProcessGroup | None) -> Fused:
    labels, names = label_sets(examples, "the objective fusion")
    if model.fusion is None:
        model.add_fusion(config.fusion)
    width = model.config.embedding_width
    objective = KernelKL(LinearKernel(width, width), label_frequencies_L=labels.counts_per_label() + 1.0,
                         logit_adjustment=True)
    titled, read = [bool(example.texts) for example in examples], [bool(example.ocr) for example in examples]
    ocr = TextSide(model, [[example.ocr] for example in examples], texts.word_dropout, config.seed) if any(
        read) else None
    titles = TextSide(model, [example.texts or [""] for example in examples], texts.word_dropout, config.seed,
                      texts.views, texts.read_back)
    return Fused(model, images, titles, ocr, objective, labels, names, config.modality_dropout, titled, read, group)
