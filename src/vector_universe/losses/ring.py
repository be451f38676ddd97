"""Processes in a ring: each keeps its own share of the batch, and the others' shares come by one after the other."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor
from torch.distributed import ProcessGroup


class Ring:
    """The processes that share one batch; without a group, this process alone.

    Args:
        group: for example `torch.distributed.group.WORLD`; None for one process.
    """

    def __init__(self, group: ProcessGroup | None = None) -> None:
        self.group = group
        self.size = torch.distributed.get_world_size(group) if group is not None else 1
        self.rank = torch.distributed.get_rank(group) if group is not None else 0

    def owners(self) -> list[int]:
        """Whose share is here before each turn: first one's own, then that of the process before, and so on."""
        return [(self.rank - turn) % self.size for turn in range(self.size)]

    def pairs(self, pairs_K2: Tensor | None, rows: int, columns: int, owner: int) -> Tensor | None:
        """Those of the (row, column) pairs, counted over all processes, that lie between our rows and the owner's
        columns, counted within them."""
        if pairs_K2 is None or self.size == 1:
            return pairs_K2
        here_K2 = pairs_K2 - torch.tensor([self.rank * rows, owner * columns], device=pairs_K2.device)
        inside_K = ((here_K2 >= 0) & (here_K2 < torch.tensor([rows, columns], device=pairs_K2.device))).all(1)
        return here_K2[inside_K]

    def check_equal(self, name: str, value: int, device: torch.device) -> None:
        """Refuse a batch that is not split evenly: its messages would not fit.

        Raises:
            ValueError: the processes hold different values.
        """
        if self.size > 1:
            seen = torch.tensor([value, -value], device=device)
            torch.distributed.all_reduce(seen, torch.distributed.ReduceOp.MAX, self.group)
            if seen[0] != -seen[1]:
                raise ValueError(f"{name} must be the same in every process: it is between {-int(seen[1])} and "
                                 f"{int(seen[0])}")

    def turn(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Hand tensors to the next process and take those of the one before; after `size` turns they are home."""
        if self.group is None:
            return tensors
        after = torch.distributed.get_global_rank(self.group, (self.rank + 1) % self.size)
        before = torch.distributed.get_global_rank(self.group, (self.rank - 1) % self.size)
        tensors = tuple(tensor.contiguous() for tensor in tensors)
        received = tuple(torch.empty_like(tensor) for tensor in tensors)
        messages = [torch.distributed.P2POp(operation, tensor, peer, self.group) for mine, theirs in
                    zip(tensors, received, strict=True)
                    for operation, tensor, peer in ((torch.distributed.isend, mine, after),
                                                    (torch.distributed.irecv, theirs, before))]
        for message in torch.distributed.batch_isend_irecv(messages):
            message.wait()
        return received

    def sum(self, value: Tensor) -> Tensor:
        """The sum over the processes; its gradient is summed over them as well."""
        return _Sum.apply(value, self.group) if self.size > 1 else value

    def minimum(self, value: Tensor) -> Tensor:
        """The smallest over the processes, without gradient."""
        if self.size > 1:
            value = value.detach().clone()
            torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MIN, self.group)
        return value

    def gather(self, values: Tensor) -> Tensor:
        """The values of all processes in the order of their ranks, without gradient."""
        if self.size == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.size)]
        torch.distributed.all_gather(parts, values.detach().contiguous(), self.group)
        return torch.cat(parts)

    def total(self, mine: Tensor) -> Tensor:
        """The sum over the processes as a value, with the gradient of this process's own summand alone."""
        return mine + (self.sum(mine.detach()) - mine.detach()) if self.size > 1 else mine


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, group):
        ctx.group = group
        value = value.clone()
        torch.distributed.all_reduce(value, group=group)
        return value

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.clone()
        torch.distributed.all_reduce(gradient, group=ctx.group)
        return gradient, None
