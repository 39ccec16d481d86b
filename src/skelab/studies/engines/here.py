"""The local engine: runs several commands at once, sharing cores and GPUs."""

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from skelab.errors import SkelabError
from skelab.host.machine import count_cores
from skelab.host.probe import list_gpus, read_container
from skelab.studies.engines.base import THREADS, start_command, stop_command
from skelab.studies.job import (
    DONE,
    FAILED,
    STOPPED,
    Job,
    Outcome,
    failure_of,
    next_command,
)

_PAUSE: Final = 0.1  # seconds between polls of the commands
_ASKED: Final = 1.0  # seconds between polls of ``should_stop``


@dataclass(frozen=True)
class Shares:
    """How this machine is shared.

    Attributes:
        jobs: Jobs at a time.
        threads: Threads of each.
        gpus: Names of the GPUs, as ``CUDA_VISIBLE_DEVICES`` has them; jobs take them in turn.
    """

    jobs: int
    threads: int
    gpus: tuple[str, ...] = ()

    def environment(self, place: int) -> dict[str, str]:
        """The environment variables of the job at a place."""
        told = dict.fromkeys(THREADS, str(self.threads))
        if self.gpus:
            told["CUDA_VISIBLE_DEVICES"] = self.gpus[place % len(self.gpus)]
        return told

    @property
    def title(self) -> str:
        """A short description of the shares."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''} each"
        gpus = f", GPUs {', '.join(self.gpus)} in turn" if self.gpus else ""
        return f"{self.jobs} at a time, {threads}{gpus}"


def share_machine(
    jobs: int | None, *, cores: int | None = None, gpus: Sequence[str] | None = None
) -> Shares:
    """Share this machine between jobs.

    The default is one job per GPU, or one per core without a GPU, since small
    networks gain little from a second thread.

    Args:
        jobs: Jobs at a time; None leaves it to the machine.
        cores: Cores to share; None takes those that this process may use.
        gpus: The GPUs; None takes those that the driver reports.
    """
    cores = usable_cores() if cores is None else cores
    gpus = visible_gpus() if gpus is None else gpus
    jobs = jobs or len(gpus) or cores
    threads = max(1, cores // jobs)
    asked = os.environ.get(THREADS[0], "")
    if asked.isdigit() and int(asked) > 0:
        threads = min(threads, int(asked))
    return Shares(jobs, threads, tuple(gpus))


def usable_cores() -> int:
    """Cores that this process may use, within the quota of its container."""
    quota = read_container().cpus
    cores = count_cores()
    return cores if quota is None else max(1, min(cores, round(quota)))


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that a job can be given, by what ``CUDA_VISIBLE_DEVICES`` calls them."""
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is not None:
        return tuple(name.strip() for name in asked.split(",") if name.strip() not in ("", "-1"))
    return tuple(str(number) for number in range(len(list_gpus())))


@dataclass
class _Running:
    """A running job."""

    job: Job
    words: tuple[str, ...]
    process: "subprocess.Popen[bytes]"
    asked: float


class Here:
    """Runs jobs as processes of this machine.

    Args:
        shares: How it is shared.
    """

    def __init__(self, shares: Shares) -> None:
        self._shares = shares

    def carry_out(
        self,
        jobs: Iterable[Job],
        *,
        on_end: Callable[[Job, Outcome], None],
        should_stop: Callable[[Job], bool],
    ) -> None:
        """Run all jobs; a failure does not stop the others.

        An interruption stops the running commands; they can be resumed later.
        """
        waiting = iter(jobs)
        running: dict[int, _Running] = {}
        try:
            more = True
            while more or running:
                more = more and self._fill(waiting, running, on_end)
                for place in list(running):
                    outcome = self._look_after(place, running, should_stop)
                    if outcome is not None:
                        on_end(running.pop(place).job, outcome)
                if running:
                    time.sleep(_PAUSE)
        finally:
            for each in running.values():
                stop_command(each.process)

    def _fill(
        self,
        waiting: Iterator[Job],
        running: dict[int, _Running],
        on_end: Callable[[Job, Outcome], None],
    ) -> bool:
        """Start jobs while there is room; False when none is left."""
        while len(running) < self._shares.jobs:
            job = next(waiting, None)
            if job is None:
                return False
            place = next(each for each in range(self._shares.jobs) if each not in running)
            begun = self._start(job, place, before=None)
            if isinstance(begun, Outcome):
                on_end(job, begun)
            else:
                running[place] = begun
        return True

    def _look_after(
        self, place: int, running: dict[int, _Running], should_stop: Callable[[Job], bool]
    ) -> Outcome | None:
        """Poll the job at a place; returns its outcome if it has ended."""
        each = running[place]
        status = each.process.poll()
        if status is None:
            if time.monotonic() - each.asked < _ASKED:
                return None
            each.asked = time.monotonic()
            if not should_stop(each.job):
                return None
            stop_command(each.process)
            return Outcome(each.job.name, STOPPED)
        if status != 0:
            return failure_of(each.job, status)
        following = self._start(each.job, place, before=each.words)
        if isinstance(following, Outcome):
            return following
        running[place] = following
        return None

    def _start(self, job: Job, place: int, *, before: tuple[str, ...] | None) -> _Running | Outcome:
        """Start the next command of a job, or return the outcome of the job."""
        try:
            words = next_command(job)
            if words is None:
                return Outcome(job.name, DONE)
            if words == before:
                return Outcome(job.name, FAILED, f"`skelab {words[0]}` ended and left no result")
            process = start_command(job, words, self._shares.environment(place))
        except (SkelabError, OSError) as error:
            return Outcome(job.name, FAILED, str(error))
        return _Running(job, words, process, time.monotonic())
