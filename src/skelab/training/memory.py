"""Running out of memory: how it is recognised, and what must be undone before a second try."""

import gc
import mmap
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import torch
from torch import Tensor, nn

_SIGNS: Final = (
    "out of memory",
    "can't allocate memory",
    "bad_alloc",
    "bad allocation",
    "could not create a memory",
    "could not create a primitive",
    "cannot allocate memory",
)
"""What torch, oneDNN and the C++ runtime say, in lower case, when an allocation fails."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory has run out, on a GPU or on the machine."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in said for sign in _SIGNS)


def free_memory() -> None:
    """Give back what a failed step held: cycles of Python, and the blocks that a GPU caches."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Reserve:
    """Addresses set aside, of which no memory is used, until memory runs out.

    Where the address space is limited, what is freed after a failed step stays mapped for tensors
    to come, and kernels for fewer clips could not be made any more: they need pages of their own.
    """

    SIZE: Final = 64 << 20
    """Bytes; the kernels of a network take a few MiB for each number of clips."""

    def __init__(self) -> None:
        self._pages: mmap.mmap | None = None
        with suppress(OSError):  # then there is nothing to set aside
            self._pages = mmap.mmap(-1, self.SIZE)

    def release(self) -> None:
        """Let others have them; a second time does nothing."""
        if self._pages is not None:
            self._pages.close()
            self._pages = None


class BufferGuard:
    """Remembers the buffers of a model: a forward pass moves the statistics of its batch norms."""

    def __init__(self, model: nn.Module) -> None:
        self._buffers = dict(model.named_buffers())
        self._saved: Mapping[str, Tensor] = {
            name: buffer.clone() for name, buffer in self._buffers.items()
        }

    def undo(self) -> None:
        """Put the buffers back to what they were."""
        with torch.no_grad():
            for name, saved in self._saved.items():
                self._buffers[name].copy_(saved)
