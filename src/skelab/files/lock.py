"""One owner at a time: a lock file that names its owner and never outlives him.

The kernel decides who holds a lock: it releases the lock of a process that has ended, whatever
ended it, and on any machine that shares the folder. The text in the file is for people, and for
file systems that have no locks: there a lock counts as left behind if its process is gone from
this machine, or if another process has its number by now, which its start time tells.
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
"""Device and inode of what this process holds: the kernel refuses a process nothing of its own."""

_TRIES: Final = 100


@contextlib.contextmanager
def hold_lock(path: Path, what: str, error: type[SkelabError]) -> Iterator[None]:
    """Hold a lock for the length of the block; a lock that was left behind is taken over.

    Of several processes that share a job only one holds its lock.

    Args:
        path: The lock file; its folder is made. It is removed at the end.
        what: What is locked, and what is being done with it, for the message.
        error: What to raise where another holds it.

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
            path.unlink()  # while it is still locked: who waits for this file finds it gone
        os.close(handle)
        with contextlib.suppress(OSError):
            for folder in made:  # where nothing came of it, nothing stays
                folder.rmdir()


def lock_beside(path: Path) -> Path:
    """The lock file of a file that is being made."""
    return path.with_name(f".{path.name[:100]}.lock")


def _take(path: Path, what: str, error: type[SkelabError]) -> int:
    """Open the lock file and lock it; the file that is locked is the one under the name."""
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
    """Close a lock file; where this process itself holds the lock, the kernel would drop it."""
    if _place(handle) in _HELD:
        _KEPT_OPEN.append(handle)
    else:
        os.close(handle)


_KEPT_OPEN: Final[list[int]] = []


def _lock(handle: int) -> bool | None:
    """Lock an open file.

    Returns:
        True where it is locked now, None where another process has locked it, and False on a file
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
    """Whether the owner in the file holds the lock, though the kernel does not know him to.

    Where the kernel knows of locks, one that it gave to us belongs to no process of another
    machine any more.
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
    """Whether the open file is the one under the name, and not one that was removed since."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == _place(handle)
