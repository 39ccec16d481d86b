"""The processes that share a run: started by `accelerate launch` or `torchrun`, or just this one.

Every process reads its own clips of a batch. Once a step they add up their gradients and what they
counted; nothing else is exchanged, except the scores of clips at the end of an epoch.
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
    """Who shares the run, and what they tell each other; alone, everything is already said."""

    def __init__(self) -> None:
        state = PartialState(cpu=not torch.cuda.is_available())
        self.number: int = state.process_index
        """Number of this process, from 0."""
        self.count: int = state.num_processes
        """How many there are."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.number == 0

    def own(self, rows: Int64[ndarray, " N"]) -> Int64[ndarray, " own"]:
        """The part of some rows that this process takes; the parts lie one after the other."""
        part: Int64[ndarray, " own"] = np.array_split(rows, self.count)[self.number]
        return part

    def add_up(self, tensors: Sequence[Shaped[Tensor, " ..."]]) -> None:
        """Replace each tensor by its sum over all processes, in one exchange.

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
        """Give every process the buffers of the first, as they are checkpointed and validated.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.count == 1:
            return
        with _ends_named():
            for buffer in model.buffers():
                distributed.broadcast(buffer, src=0)

    def gather(self, item: Item) -> list[Item]:
        """What each process has, by its number; every process gets all.

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
        """Go on when all processes have come here.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.count > 1:
            with _ends_named():
                distributed.barrier()

    @contextlib.contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Let the first process of each machine do something, and then the others."""
        with PartialState(cpu=not torch.cuda.is_available()).local_main_process_first():
            yield

    def from_first(self, item: Item) -> Item:
        """What the first process has; every process gets it.

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
    """Word the failure of an exchange: it means that a process is no longer there."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "another process of this run has ended, see what it said; --resume goes on with the run"
            f" ({' '.join(str(error).split())[:120]})"
        ) from error
