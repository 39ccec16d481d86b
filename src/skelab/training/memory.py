"""Recovery from running out of memory."""

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
"""Messages of torch, oneDNN and the C++ runtime for a failed allocation, in lower case."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory has run out, on a GPU or on the CPU."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in said for sign in _SIGNS)


def free_memory() -> None:
    """Free the memory of a failed step: reference cycles, and the cache of the GPU allocator."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Reserve:
    """Address space reserved for recovering from out-of-memory; no memory is used.

    Where the address space is limited, memory freed after a failed step stays mapped for tensors,
    and kernels for smaller micro-batches could no longer be compiled: they need their own pages.
    """

    SIZE: Final = 64 << 20
    """Size, bytes; the kernels of a network take a few MiB per micro-batch size."""

    def __init__(self) -> None:
        self._pages: mmap.mmap | None = None
        with suppress(OSError):  # nothing can be reserved then
            self._pages = mmap.mmap(-1, self.SIZE)

    def release(self) -> None:
        """Release the reservation; further calls do nothing."""
        if self._pages is not None:
            self._pages.close()
            self._pages = None


class BufferGuard:
    """Saves the buffers of a model: a forward pass updates batch-norm statistics."""

    def __init__(self, model: nn.Module) -> None:
        self._buffers = dict(model.named_buffers())
        self._saved: Mapping[str, Tensor] = {
            name: buffer.clone() for name, buffer in self._buffers.items()
        }

    def undo(self) -> None:
        """Restore the buffers."""
        with torch.no_grad():
            for name, saved in self._saved.items():
                self._buffers[name].copy_(saved)
