"""Image, title and burnt-in text fused, to tell the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from vector_universe.data import Example
from vector_universe.evaluation.label_ranking import label_ranking
from vector_universe.losses import KernelKL, LabelSets, LossOutput
from vector_universe.losses.feature_maps import LinearKernel
from vector_universe.losses.ring import Ring
from vector_universe.models import DualEncoder
from vector_universe.training.cached_gradients import Encoding
from vector_universe.training.config import TrainConfig
from vector_universe.training.sides import ImageSide, TextSide
from vector_universe.training.tasks.labels import label_sets
from vector_universe.training.tasks.pairs import Pairs
from vector_universe.training.tasks.task import Batch


class Fused(Pairs):
    """Image, title and burnt-in text become one vector; its kernel scores over the labels' texts become the labels."""

    figure = "mAP of labels"

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

    def loss(self, encoded: dict[str, Tensor], batch: Batch) -> LossOutput:
        labels = self.labels.take(batch.rows).to(encoded["images"].device)
        fused_BD = self.fused(encoded, batch.rows, self.modality_dropout if self.training else 0.0)
        labelled = (labels.counts_per_row() > 0).sum().float()
        everywhere = labelled.clone()
        if self.group is not None:
            torch.distributed.all_reduce(everywhere, group=self.group)
        if labelled:
            parts = self.objective(fused_BD, encoded["labels"], labels).parts
        else:  # a share without labels pulls at nothing, but takes part
            nothing = 0.0 * (fused_BD.sum() + encoded["labels"].sum())
            parts = {"cross_entropy": nothing, "negative_entropy": nothing}
        share = labelled / everywhere.clamp(min=1)
        return LossOutput.of(**{name: Ring(self.group).total(part * share) for name, part in parts.items()})

    @torch.no_grad()
    def validate(self, rows: Sequence[int], batch_size: int) -> dict[str, Any] | None:
        """How the kernel ranks the labels of these rows, from image, title and burnt-in text together."""
        if not rows:
            return None
        encoded = {"images": self.images.plain(rows)}
        device = encoded["images"].device
        sides = {"texts": self.texts} | ({"ocr": self.ocr} if self.ocr is not None else {})
        for name, side in sides.items():
            encoded[name] = torch.from_numpy(self.model.embed_texts(side.first(rows))).to(device)
        vocabulary_LD = torch.from_numpy(self.model.embed_texts(self.vocabulary)).to(device)
        fused_BD, labels = self.fused(encoded, rows), self.labels.take(rows).to(device)
        figures = label_ranking(self.objective.kernel(fused_BD, vocabulary_LD).cpu().numpy(), labels.to("cpu"))
        if figures is None:
            return None
        return figures.as_dict() | {"loss": self.objective(fused_BD, vocabulary_LD, labels).total.item()}

    def standing(self, figures: dict[str, Any]) -> list[float]:
        return [figures["average_precision"], -figures["loss"]]

    def said(self, figures: dict[str, Any]) -> str:
        return f"validation mAP of labels {figures['average_precision']:.3f}"

    def fused(self, encoded: dict[str, Tensor], rows: Sequence[int], dropout: float = 0.0) -> Tensor:
        """X (B, D): what there is of each row, with inputs hidden at random."""
        assert self.model.fusion is not None
        device = encoded["images"].device
        present = {"image": torch.ones(len(rows), dtype=torch.bool), "title": self.titled[list(rows)]}
        given = {"image": encoded["images"], "title": encoded["texts"]}
        if "ocr" in encoded:
            present["ocr"], given["ocr"] = self.read[list(rows)], encoded["ocr"]
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


def build_fused(model: DualEncoder, images: ImageSide, texts: TextSide, examples: Sequence[Example],
                config: TrainConfig, group: ProcessGroup | None) -> Fused:
    """The task, and a head for the model that has none.

    Raises:
        UserError: the training pictures have no labels.
    """
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
