"""Which process made something, and whether it still runs."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes:
        pid: Number of the process.
        host: Name of the machine.
        started: When the process began, in ticks of the machine's clock since it was started; 0
            where that is not known.
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
        """Whether the process still runs; one of another machine is taken to."""
        return not self.is_here() or is_alive(self.pid, self.started)

    def __str__(self) -> str:
        since = f", since {self.since}" if self.since else ""
        return f"process {self.pid} on {self.host}{since}"


def is_alive(pid: int, started: int) -> bool:
    """Whether a process of this machine still runs, and is the one that began then."""
    now = start_of(pid)
    if now or started == 0 or Path("/proc/self/stat").exists():
        return now == started if started else now != 0
    try:  # no /proc: nobody knows when it began
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def start_of(pid: int) -> int:
    """When a process began, in ticks since the machine was started; 0 where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0
