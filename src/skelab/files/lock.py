"""A lock file that names its owner and is never held by a dead process.

The kernel decides who holds the lock: it releases the lock of a process that has ended, for any
reason, and on any machine that shares the folder. The text in the file is for people, and for
file systems without locks: there a lock counts as stale if its process no longer exists on
this machine, or if the pid has been reused, which the start time shows.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from skelab.errors import SkelabError
from skelab.files.atomic import write_error
from skelab.files.owner import Owner

_HELD: Final[set[tuple[int, int]]] = set()
"""Device and inode of the locks of this process: the kernel lets a process lock a file twice."""

_TRIES: Final = 100


@contextlib.contextmanager
def hold_lock(path: Path, what: str, error: type[SkelabError]) -> Iterator[None]:
    """Hold a lock during the block; a stale lock is taken over.

    Of the processes of one distributed job, only one holds its lock.

    Args:
        path: The lock file; its folder is created. The file is removed at the end.
        what: The locked object, for the message.
        error: The error type if another process holds it.

    Raises:
        SkelabError: As ``error``: another process holds the lock; the message names it.
        OutputError: The folder cannot be written.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _take(path, what, error)
    except OSError as fault:
        raise write_error(path, fault) from fault
    place = _place(handle)
    _HELD.add(place)
    try:
        yield
    finally:
        _HELD.discard(place)
        with contextlib.suppress(OSError):
            path.unlink()  # while it is still locked, so that waiting processes see it removed
        os.close(handle)
        with contextlib.suppress(OSError):
            for folder in made:  # remove created folders that are still empty
                folder.rmdir()


def lock_beside(path: Path) -> Path:
    """The lock file of a file that is being written."""
    return path.with_name(f".{path.name[:100]}.lock")


def _take(path: Path, what: str, error: type[SkelabError]) -> int:
    """Open and lock the lock file; the locked inode is the one under the name."""
    for _ in range(_TRIES):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            locked = None if _place(handle) in _HELD else _lock(handle)
            owner = _owner(os.pread(handle, 1000, 0))
            stands = _is_under(path, handle)
            free = locked is not None and (owner is None or not _still_holds(owner, locked))
            if stands and free:
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps(asdict(Owner.this_process())).encode() + b"\n", 0)
                return handle
        except BaseException:
            os.close(handle)
            raise
        _let_go(handle)
        if stands:
            raise error(
                f"{what}: {owner or 'another process'} is at work there; wait for it, or end it."
                f" If it has ended, remove {path}"
            )
    raise error(f"{what}: {path} changes hands all the time; try again")


def _let_go(handle: int) -> None:
    """Close a lock file, unless that would make the kernel drop this process's own lock."""
    if _place(handle) in _HELD:
        _KEPT_OPEN.append(handle)
    else:
        os.close(handle)


_KEPT_OPEN: Final[list[int]] = []


def _lock(handle: int) -> bool | None:
    """Lock an open file.

    Returns:
        True if it is now locked, None if another process has locked it, and False on a file
        system without locks.
    """
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return None
    except OSError:
        return False
    return True


def _still_holds(owner: Owner, locked: bool) -> bool:
    """Whether the owner named in the file still holds the lock on a file system without locks.

    If the kernel supports locks, a lock that it granted belongs to no process of another
    machine.
    """
    if owner.pid == os.getpid() and owner.is_here():
        return False
    return owner.is_alive() if owner.is_here() or not locked else False


def _owner(text: bytes) -> Owner | None:
    try:
        found = json.loads(text)
        return Owner(int(found["pid"]), str(found["host"]), int(found["started"]), found["since"])
    except (ValueError, TypeError, KeyError):
        return None


def _place(handle: int) -> tuple[int, int]:
    found = os.fstat(handle)
    return found.st_dev, found.st_ino


def _is_under(path: Path, handle: int) -> bool:
    """Whether the open file is still the one under the name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == _place(handle)
