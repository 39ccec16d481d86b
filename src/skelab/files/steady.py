"""A file that is read in pieces over a long time while others may change it.

Each piece is read on its own and checked to be complete. A mapping would be as fast, but the kernel
kills a process that accesses a page beyond the end of a truncated file.
"""

import os
import weakref
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

_AT_ONCE: Final = 1 << 30


class SteadyFile:
    """An open file with random access; replacing the path does not affect it.

    Attributes:
        path: The path that was opened.
        size: Its size when it was opened, bytes.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.handle)
        self._stamp = self.stamp()
        self.size = self._stamp[0]

    def read_at(self, start: int, count: int) -> bytes:
        """Read exactly this many bytes at an offset.

        Raises:
            ShorterFileError: The file has fewer.
            OSError: It cannot be read.
        """
        if start < 0 or count < 0:
            raise ShorterFileError(self.path)
        data = os.pread(self.handle, count, start)
        while len(data) < count:
            more = os.pread(self.handle, min(count - len(data), _AT_ONCE), start + len(data))
            if not more:
                raise ShorterFileError(self.path)
            data += more
        return data

    def read_into(self, target: Shaped[ndarray, "..."], start: int) -> None:
        """Fill a contiguous array from the file.

        Raises:
            ShorterFileError: The file has fewer bytes.
            OSError: It cannot be read.
        """
        view: Any = memoryview(target.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        done = 0
        while done < len(view):
            count = os.preadv(self.handle, [view[done : done + _AT_ONCE]], start + done)
            if not count:
                raise ShorterFileError(self.path)
            done += count

    def stamp(self) -> tuple[int, int]:
        """Size and modification time, which change when the file is written."""
        found = os.fstat(self.handle)
        return found.st_size, found.st_mtime_ns

    def has_changed(self) -> bool:
        """Whether the file was modified since the last call."""
        before, self._stamp = self._stamp, self.stamp()
        return self._stamp != before


class ShorterFileError(Exception):
    """A file has fewer bytes than it had; the message says so in one line."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: the file has become shorter while it was read")
