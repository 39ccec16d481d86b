"""How much memory this process takes, as the system says it."""

import re
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_FORGET_PEAK: Final = Path("/proc/self/clear_refs")


def start_to_watch_memory() -> int | None:
    """Bytes that this process takes now; what it took at most before is forgotten.

    None where the system does not say.
    """
    try:
        _FORGET_PEAK.write_text("5")
    except OSError:
        return None
    return own_memory("VmRSS")


def memory_growth(before: int | None) -> int | None:
    """By how many bytes this process has grown at most since it was watched.

    Args:
        before: What :func:`start_to_watch_memory` gave.
    """
    most = own_memory("VmHWM")
    return None if before is None or most is None else max(most - before, 0)


def own_memory(what: str) -> int | None:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` at most, ``VmSize`` of its address space.

    None where the system does not say.
    """
    if not _STATUS.is_file():
        return None
    found = re.search(rf"^{what}:\s+(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else None
