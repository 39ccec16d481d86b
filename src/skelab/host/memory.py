"""Memory of this process, as reported by the system."""

import contextlib
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

_STATUS: Final = Path("/proc/self/status")
_FORGET_PEAK: Final = Path("/proc/self/clear_refs")


def physical_memory() -> int:
    """Memory of this machine, bytes."""
    return int(psutil.virtual_memory().total)


@contextlib.contextmanager
def growth_within_memory() -> Iterator[None]:
    """Let this process grow by the memory of the machine, and no further, in a block.

    A file from a stranger may ask for any amount; the system would grant it and end this process,
    or another one, when it is used. Within the block that much is refused as it is asked for.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = psutil.Process().memory_info().vms + physical_memory()
    limits = [limit for limit in (bound, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def reset_peak_memory() -> int | None:
    """Reset the peak memory of this process; returns its current memory, bytes.

    None where the system has no resettable peak (all but Linux).
    """
    try:
        _FORGET_PEAK.write_text("5")
    except OSError:
        return None
    return int(psutil.Process().memory_info().rss)


def memory_growth(before: int | None) -> int | None:
    """Growth of the peak memory since it was reset, bytes.

    Args:
        before: The result of :func:`reset_peak_memory`.
    """
    peak = _peak_memory()
    return None if before is None or peak is None else max(peak - before, 0)


def _peak_memory() -> int | None:
    if not _STATUS.is_file():
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else None
