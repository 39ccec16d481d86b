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
"""Environment variables that set the number of threads of numerical libraries."""

_PATIENCE: Final = 20.0  # seconds before a command is killed


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
        """Run all jobs; a failure does not stop the others.

        Args:
            jobs: The jobs; the next one is asked for when there is room for it.
            on_end: Called with the outcome of each job.
            should_stop: Polled for whether to stop a running job.
        """


def start_command(
    job: Job, words: tuple[str, ...], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start one command of a job; its output is appended to the job's log.

    It runs in a session of its own, so that Ctrl-C reaches it only through the study, and ends with
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
    """Interrupt a command as Ctrl-C does; if it does not end, kill it and its children."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
