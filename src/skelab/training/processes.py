"""The process group of a run, started by `accelerate launch` or `torchrun`, or just this process.

Every process loads its own clips of a batch. Gradients and counts are all-reduced once per step;
nothing else is exchanged, except the scores of clips at the end of an epoch.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from accelerate import PartialState
from jaxtyping import Int64, Shaped
from numpy import ndarray
from torch import Tensor, distributed, nn

from skelab.errors import TrainingError

Item = TypeVar("Item")


class Processes:
    """The process group: rank, world size, collectives. With one process they do nothing."""

    def __init__(self) -> None:
        state = PartialState(cpu=not torch.cuda.is_available())
        self.number: int = state.process_index
        """Rank of this process."""
        self.count: int = state.num_processes
        """World size."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.number == 0

    def own(self, rows: Int64[ndarray, " N"]) -> Int64[ndarray, " own"]:
        """The rows of this process; the shares are contiguous."""
        part: Int64[ndarray, " own"] = np.array_split(rows, self.count)[self.number]
        return part

    def add_up(self, tensors: Sequence[Shaped[Tensor, " ..."]]) -> None:
        """All-reduce: replace each tensor by its sum over all processes, in one collective.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1).to(tensors[0].dtype) for tensor in tensors])
        with _ends_named():
            distributed.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def share_buffers(self, model: nn.Module) -> None:
        """Broadcast the buffers of the first process, which are checkpointed and validated.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.count == 1:
            return
        with _ends_named():
            for buffer in model.buffers():
                distributed.broadcast(buffer, src=0)

    def gather(self, item: Item) -> list[Item]:
        """All-gather: the item of each process, by rank.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.count == 1:
            return [item]
        items = [item] * self.count
        with _ends_named():
            distributed.all_gather_object(items, item)
        return items

    def wait(self) -> None:
        """Barrier: wait for all processes.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.count > 1:
            with _ends_named():
                distributed.barrier()

    @contextlib.contextmanager
    def first_before_others(self) -> Iterator[None]:
        """A context that the first process of each machine enters before the others."""
        with PartialState(cpu=not torch.cuda.is_available()).local_main_process_first():
            yield

    def from_first(self, item: Item) -> Item:
        """Broadcast the item of the first process.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.count == 1:
            return item
        items = [item]
        with _ends_named():
            distributed.broadcast_object_list(items, src=0)
        return items[0]


@contextlib.contextmanager
def _ends_named() -> Iterator[None]:
    """Report a failed collective: it means that another process has ended."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "another process of this run has ended, see what it said; --resume goes on with the run"
            f" ({' '.join(str(error).split())[:120]})"
        ) from error
