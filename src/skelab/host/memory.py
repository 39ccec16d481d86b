"""Memory of this process, as reported by the system."""

import re
from pathlib import Path
from typing import Final

import psutil

_STATUS: Final = Path("/proc/self/status")
_FORGET_PEAK: Final = Path("/proc/self/clear_refs")


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
