"""The process that created a file, and whether it is still running."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """The holder of a lock.

    Attributes:
        pid: Number of the process.
        host: Name of the machine.
        started: Start time of the process in clock ticks since boot; 0
            if unknown.
        since: When the lock was taken, for people.
    """

    pid: int
    host: str
    started: int = 0
    since: str = ""

    @classmethod
    def this_process(cls) -> "Owner":
        """This process, now."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(os.getpid(), socket.gethostname(), start_of(os.getpid()), since)

    def is_here(self) -> bool:
        """Whether the process is one of this machine."""
        return self.host == socket.gethostname()

    def is_alive(self) -> bool:
        """Whether the process is running; assumed for other machines."""
        return not self.is_here() or is_alive(self.pid, self.started)

    def __str__(self) -> str:
        since = f", since {self.since}" if self.since else ""
        return f"process {self.pid} on {self.host}{since}"


def is_alive(pid: int, started: int) -> bool:
    """Whether a process of this machine with this start time is running."""
    now = start_of(pid)
    if now or started == 0 or Path("/proc/self/stat").exists():
        return now == started if started else now != 0
    try:  # without /proc the start time is unknown
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def start_of(pid: int) -> int:
    """The start time of a process in clock ticks since boot; 0 without one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0
