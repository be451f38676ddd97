"""One of several processes that share a batch: `python -m tests.losses.shard RANK SIZE FOLDER`.

Reads the whole batch from FOLDER/batch.pt, computes the losses of its own share, and writes their values and the
gradients of its own rows to FOLDER/RANK.pt.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch.distributed import destroy_process_group, group, init_process_group

from vector_universe.losses import AlignmentAnisotropy, InfoNCE, LabelSets, Sigmoid

VOCABULARY = 6


def losses(batch: dict, process_group: object, mine: slice) -> dict:
    """The loss of every case on a slice of the batch, as (value, gradients)."""
    def share(*names: str) -> list[torch.Tensor]:
        return [batch[name][mine].clone().requires_grad_() for name in names]

    def scalar(value: float) -> torch.Tensor:
        return torch.tensor(value, dtype=batch["images"].dtype, requires_grad=True)

    labels = LabelSets.from_lists(batch["labels"][mine], VOCABULARY)
    groups = batch["groups"][mine]
    plain = {"tile": 5, "process_group": process_group}
    answers = {}

    def answer(name: str, loss: object, inputs: list[torch.Tensor]) -> None:
        output = loss(*inputs)
        answers[name] = output.total.detach(), torch.autograd.grad(output.total, inputs)

    answer("info_nce", InfoNCE(**plain), [*share("images", "texts"), scalar(2.6)])
    answer("info_nce_opposite", InfoNCE(**plain), [*share("images", "opposites"), scalar(4.605)])
    answer("info_nce_options", lambda i, t, s, more_i, more_t: InfoNCE(soft_share=0.3, **plain)(
        i, t, s, groups, groups, labels, false_negatives_K2=batch["false_negatives"], extra_images_KD=more_i,
        extra_texts_KD=more_t), [*share("images", "texts"), scalar(2.6), *share("more_images", "more_texts")])
    answer("info_nce_weights", lambda i, t, s, more_i: InfoNCE(**plain)(
        i, t, s, groups, groups, extra_images_KD=more_i, image_weights_N=batch["weights"][mine],
        text_weights_M=batch["weights"].flip(0)[mine]), [*share("images", "texts"), scalar(2.6),
                                                         *share("more_images")])
    answer("sigmoid", Sigmoid(**plain), [*share("images", "texts"), scalar(2.3), scalar(-5.0)])
    answer("sigmoid_groups", lambda *given: Sigmoid(**plain)(*given, groups, groups),
           [*share("images", "texts"), scalar(2.3), scalar(-5.0)])
    for form in ("mean", "log_sum_exp", "spectral"):
        answer(form, AlignmentAnisotropy(form, **plain), share("images", "texts", "more_images", "more_texts"))
    return answers


def main() -> None:
    """Join the others and answer."""
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    batch = torch.load(folder / "batch.pt", weights_only=True)
    init_process_group("gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=size,
                       timeout=timedelta(seconds=90))
    own = len(batch["images"]) // size
    answers = losses(batch, group.WORLD, slice(rank * own, (rank + 1) * own))
    uneven = ""
    try:
        InfoNCE(process_group=group.WORLD)(batch["images"][:1 + rank], batch["texts"][:1 + rank], torch.tensor(1.0))
    except ValueError as error:
        uneven = str(error)
    torch.save({"answers": answers, "uneven": uneven}, folder / f"{rank}.pt")
    destroy_process_group()
    os._exit(0)  # what still refers to the group may abort while Python ends, with every answer saved


if __name__ == "__main__":
    main()
