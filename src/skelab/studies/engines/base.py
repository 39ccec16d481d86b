"""What an engine of studies does, and a command of a job as a process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol, runtime_checkable

from skelab.studies.job import Job, Outcome

THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What tells numerical libraries how many threads to use."""

_PATIENCE: Final = 20.0  # seconds that a command has to end by itself


@runtime_checkable
class Engine(Protocol):
    """Carries out the jobs of a study."""

    def carry_out(
        self,
        jobs: Iterable[Job],
        *,
        on_end: Callable[[Job, Outcome], None],
        should_stop: Callable[[Job], bool],
    ) -> None:
        """Carry out all jobs; one that fails leaves the others alone.

        Args:
            jobs: The jobs; the next one is asked for when there is room for it.
            on_end: Told how each job ended.
            should_stop: Asked now and then whether a job that runs is to be stopped.
        """


def start_command(
    job: Job, words: tuple[str, ...], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start one command of a job; what it says is appended to the log of the job.

    It has a session of its own, so that Ctrl-C reaches it through the study alone, and ends with
    the process that calls this.

    Raises:
        OSError: The log cannot be written.
    """
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        log.write(f"== skelab {' '.join(words)}\n".encode())
        log.flush()
        return subprocess.Popen(  # noqa: S603 - a command of ours
            [sys.executable, "-P", "-m", "skelab.studies.child", str(os.getpid()), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
            start_new_session=True,
        )


def stop_command(process: "subprocess.Popen[bytes]", patience: float = _PATIENCE) -> None:
    """End a command as Ctrl-C does; where that does not help, kill it and its children."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
