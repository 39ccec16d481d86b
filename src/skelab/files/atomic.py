"""Files that appear whole under their name, or not at all."""

import contextlib
import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from skelab.errors import OutputError

_UMASK_ASKED = threading.Lock()
"""Held while the umask is asked for, which can only be done by changing it."""


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; when the block ends well, rename it into place.

    The data is on disk before the rename, so that a crash leaves the old file or the new one,
    never a part. If the block raises, the temporary file is removed and ``path`` is untouched.

    Args:
        path: The file to write.
        durable: Wait until the data is on disk. Without it, a machine that loses its power may
            keep the name and not the data; a program that is killed leaves nothing but whole
            files either way.

    Raises:
        OutputError: The folder cannot be written, or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        if durable:
            _flush(temporary)
        temporary.replace(path)
        if durable:
            _flush(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``, for the parts of it; gone at the end.

    Raises:
        OutputError: The folder of ``path`` cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    with folder as name:
        yield Path(name)


def write_error(path: Path, error: OSError) -> OutputError:
    """Word a failed write of ``path``: what the system said and what mends it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{path}: the disk is full ({error.strerror}); free space or choose another place."
            " What was there before is untouched"
        )
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    with _UMASK_ASKED:
        current = os.umask(0)
        os.umask(current)
    return current
