"""Atomic writing: a file appears complete under its name, or not at all."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from skelab.errors import OutputError
from skelab.files.owner import Owner, is_alive

_SUFFIX: Final = ".part"
_MARK: Final = re.compile(r"(?P<host>[0-9a-f]{8})-(\d+)-(\d+)\.")

_UMASK_ASKED = threading.Lock()
"""Held while the umask is read, which requires changing it."""


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place if the block succeeds.

    The data is on disk before the rename, so that a crash leaves the old file or the new one,
    never a part. If the block raises, the temporary file is removed and ``path`` is untouched.
    Temporary files left by killed processes of this machine are removed first.

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
        if durable:
            _sweep(path)
        prefix = f"{_stem(path)}{_mark()}"
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=path.parent)
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
    """Yield a temporary folder beside ``path`` for its parts; it is removed at the end.

    Raises:
        OutputError: The folder of ``path`` cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        prefix = f"{_stem(path)}{_mark()}"
        folder = tempfile.TemporaryDirectory(prefix=prefix, suffix=_SUFFIX, dir=path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    with folder as name:
        yield Path(name)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; rename it to ``path`` if the block succeeds.

    Where there is no such folder, or an empty one, all files appear in it at once. Into a folder
    with files they are moved one by one, each whole.

    Raises:
        OutputError: The folder cannot be written, or the disk is full.
    """
    with folder_beside(path) as folder:
        try:
            yield folder
            for file in sorted(folder.iterdir()):
                _flush(file)
            folder.chmod(0o777 & ~_umask())
            try:
                folder.rename(path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                for file in sorted(folder.iterdir()):
                    file.replace(path / file.name)
                _flush(path)
            _flush(path.parent)
        except OSError as error:
            raise write_error(path, error) from error


def _stem(path: Path) -> str:
    """The prefix of a file's temporary names, shortened so that they stay within 255 bytes."""
    return f".{path.name.encode()[:100].decode(errors='ignore')}."


def _mark(owner: Owner | None = None) -> str:
    """The part of a temporary name that identifies its process."""
    owner = owner or Owner.this_process()
    host = hashlib.blake2b(owner.host.encode(), digest_size=4).hexdigest()
    return f"{host}-{owner.pid}-{owner.started}."


def _sweep(path: Path) -> None:
    """Remove temporary files of ``path`` whose process, one of this machine, has ended."""
    here = _mark().partition("-")[0]
    stem = _stem(path)
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if not (entry.name.startswith(stem) and entry.name.endswith(_SUFFIX)):
                continue
            found = _MARK.match(entry.name[len(stem) :])
            if found and found["host"] == here and not is_alive(int(found[2]), int(found[3])):
                _remove(Path(entry.path))


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_error(path: Path, error: OSError) -> OutputError:
    """The error for a failed write of ``path``: the system's reason and a remedy."""
    if error.errno == errno.ENAMETOOLONG:
        return OutputError(f"{str(path)[:80]}...: cannot be written: the name is too long")
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
