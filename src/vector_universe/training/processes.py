"""The processes that train one model together, and what they tell each other; one alone is the usual case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
import torch.distributed
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.distributed import ProcessGroup

BUCKET = 64_000_000  # elements that are summed in one message: 256 MB
T = TypeVar("T")


class Processes:
    """All processes of a run, as `accelerate launch` or `torchrun` started them.

    Every process holds the whole model and its share of each batch. Losses are of the whole batch, and their gradients
    those of the own share, so parameters' gradients are *summed* once a step: no wrapper, no averaging.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.size, self.rank = accelerator.num_processes, accelerator.process_index
        self.main, self.device = accelerator.is_main_process, accelerator.device

    @property
    def group(self) -> ProcessGroup | None:
        """For objectives; None for one process."""
        return torch.distributed.group.WORLD if self.size > 1 else None

    def share(self, rows: int) -> slice:
        """The own part of a batch of so many rows, a multiple of `size`."""
        each = rows // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes."""
        if self.size == 1:
            return
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in learning:  # a process whose share does not touch a parameter still takes part
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets([parameter.grad for parameter in learning if parameter.grad is not None]):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            torch.distributed.all_reduce(flat)
            for gradient, summed in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
                gradient.copy_(summed.view_as(gradient))

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process: all then act in the same step."""
        if self.size == 1:
            return flag
        seen = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(seen, torch.distributed.ReduceOp.MAX)
        return bool(seen)

    def gather(self, rows_BD: Tensor) -> Tensor:
        """The rows of all processes in order, without gradient."""
        if self.size == 1:
            return rows_BD.detach()
        parts = [torch.empty_like(rows_BD) for _ in range(self.size)]
        torch.distributed.all_gather(parts, rows_BD.detach().contiguous())
        return torch.cat(parts)

    def of_main(self, value: T) -> T:
        """The main process's value, in all of them."""
        return broadcast_object_list([value])[0] if self.size > 1 else value

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            torch.distributed.barrier()


def take_leave() -> None:
    """Take leave of the other processes, if there are any, as the last thing of a program.

    A process that exits while it still belongs to a group may crash at its very end, all its work done, and whoever
    started it takes the run for failed.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _buckets(gradients: list[Tensor]) -> Iterable[list[Tensor]]:
    """Gradients of one type together, `BUCKET` elements at a time."""
    bucket: list[Tensor] = []
    for gradient in sorted(gradients, key=lambda gradient: str(gradient.dtype)):
        if bucket and (gradient.dtype != bucket[0].dtype or sum(g.numel() for g in bucket) + gradient.numel() > BUCKET):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket
