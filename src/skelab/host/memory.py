"""How much memory this process takes, as the system says it."""

import re
from pathlib import Path
from typing import Final

import psutil

_STATUS: Final = Path("/proc/self/status")
_FORGET_PEAK: Final = Path("/proc/self/clear_refs")


def start_to_watch_memory() -> int | None:
    """Bytes of RAM that this process takes now; its peak so far is forgotten.

    None where the system does not keep a peak (all but Linux).
    """
    try:
        _FORGET_PEAK.write_text("5")
    except OSError:
        return None
    return int(psutil.Process().memory_info().rss)


def memory_growth(before: int | None) -> int | None:
    """Bytes by which the peak of this process exceeds what it took when the watch began.

    Args:
        before: What :func:`start_to_watch_memory` gave.
    """
    peak = _peak_memory()
    return None if before is None or peak is None else max(peak - before, 0)


def _peak_memory() -> int | None:
    if not _STATUS.is_file():
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else None
