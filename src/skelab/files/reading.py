"""Bounded reading of whole files; pipes and devices are refused."""

import os
import stat
from pathlib import Path
from typing import Final

LARGEST: Final = 1 << 32
"""Default maximum size of a file that is read whole, bytes."""

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def read_whole(path: Path, *, largest: int = LARGEST) -> bytes:
    """The content of a regular file.

    The file is opened non-blocking, so that a named pipe cannot hang, and only a
    regular file is read.

    Args:
        path: The file; links are followed.
        largest: Bytes that it may have at most.

    Raises:
        OSError: It cannot be opened or read, is no regular file, or is larger; ``strerror`` says
            which.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(None, f"expected a file, found {_called(found.st_mode)}")
        if found.st_size > largest:
            raise OSError(None, f"expected at most {largest:,} bytes, found {found.st_size:,}")
        content = file.read(found.st_size + 1)
    if len(content) > found.st_size:
        raise OSError(None, f"expected {found.st_size:,} bytes, found a file that is growing")
    return content


def read_start(path: Path, count: int) -> bytes:
    """The first bytes of a regular file; empty if there is none."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            return file.read(count) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except (OSError, ValueError):  # a name with a zero byte is a ValueError
        return b""


def special_kind(path: Path) -> str | None:
    """The kind of a special file: a pipe, a device, a socket.

    None for files, for folders, and where there is nothing.

    Raises:
        OSError: The system cannot tell, for example because the name is too long.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else _called(mode)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def _called(mode: int) -> str:
    return next((name for fits, name in _KINDS if fits(mode)), "something else")
