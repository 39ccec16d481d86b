"""The cluster engine: runs as SLURM array jobs, submitted with submitit.

A job that is preempted or reaches its time limit is requeued and resumes from its newest
checkpoint. The outcome of a job is read from its run folder: SLURM's accounting need not
be enabled; SLURM only lists the jobs that it still has. A killed study thus finds the jobs
that it had submitted.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from skelab.errors import SkelabError, StudyError
from skelab.files.atomic import atomic_write
from skelab.studies.engines.base import THREADS, start_command
from skelab.studies.job import (
    DONE,
    FAILED,
    STOPPED,
    Job,
    Outcome,
    failure_of,
    next_command,
    note_outcome,
    noted_failure,
)
from skelab.studies.plan import Slurm

_PAUSE: Final = 0.2  # seconds between polls of a command
_LOOK: Final = 2.0  # seconds between polls of the queue
_SECONDS: Final = 60  # time limit of a SLURM command


class RunOnNode:
    """A job on a node of the cluster; submitit pickles it, calls it there, and queues it again.

    Args:
        job: The job.
        threads: Threads that it may use.
    """

    def __init__(self, job: Job, threads: int) -> None:
        self._job = job
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_process": None}

    def __call__(self) -> str:
        """Run the remaining commands of the job; returns its state."""
        outcome = self._carry_out()
        note_outcome(self._job, outcome)
        return outcome.state

    def checkpoint(self) -> object:
        """Stop the command after its newest checkpoint, and resume in a new job.

        submitit calls this in a signal handler, which must not wait for locks.
        """
        import submitit

        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return submitit.helpers.DelayedSubmission(self)

    def _carry_out(self) -> Outcome:
        job, before = self._job, None
        environment = dict.fromkeys(THREADS, str(self._threads))
        while True:
            try:
                words = next_command(job)
                if words is None:
                    return Outcome(job.name, DONE)
                if words == before:
                    reason = f"`skelab {words[0]}` ended and left no result"
                    return Outcome(job.name, FAILED, reason)
                self._process = start_command(job, words, environment)
            except (SkelabError, OSError) as error:
                return Outcome(job.name, FAILED, str(error))
            while (status := self._process.poll()) is None:
                time.sleep(_PAUSE)
            if status != 0:
                return failure_of(job, status)
            before = words


class Cluster:
    """Runs jobs on a cluster.

    Args:
        folder: Where submitit keeps its files; all nodes must see it.
        settings: Resources of each run.
        at_once: Jobs at a time; None leaves it to SLURM.
        cluster: ``slurm``, or ``local`` for submitit's own processes on this machine.

    Raises:
        StudyError: submitit or SLURM is not installed.
    """

    def __init__(
        self, folder: Path, settings: Slurm, *, at_once: int | None, cluster: str = "slurm"
    ) -> None:
        check_submitit()
        import submitit

        if cluster == "slurm" and submitit.SlurmExecutor.affinity() < 0:
            raise StudyError(
                "--engine slurm: expected SLURM on this machine, found no program sbatch; run the"
                " study on a login node of the cluster, or with --engine here"
            )
        self._folder = folder.absolute()
        self._settings = settings
        self._at_once = at_once
        self._cluster = cluster

    def carry_out(
        self,
        jobs: Iterable[Job],
        *,
        on_end: Callable[[Job, Outcome], None],
        should_stop: Callable[[Job], bool],
    ) -> None:
        """Run all jobs; a failure does not stop the others.

        The jobs are submitted as one array. An interruption cancels them; if
        the process is killed, they continue, and the next call finds them.
        """
        waiting = iter(jobs)
        room = None if isinstance(jobs, Sequence) else self._at_once or 1
        running: dict[str, tuple[Job, Any]] = {}
        try:
            while True:
                running.update(self._submit(list(_take(waiting, room, len(running)))))
                if not running:
                    return
                time.sleep(_LOOK)
                active = self._active([handle for _, handle in running.values()])
                for name, (job, handle) in list(running.items()):
                    if handle.job_id not in active:
                        del running[name]
                        on_end(job, _outcome(job))
                    elif should_stop(job):
                        del running[name]
                        self._cancel([handle])
                        on_end(job, Outcome(name, STOPPED))
        except BaseException:
            self._cancel([handle for _, handle in running.values()])
            raise

    def _submit(self, jobs: Sequence[Job]) -> dict[str, tuple[Job, Any]]:
        """Submit the jobs that are not on the cluster yet, and find those that are."""
        if not jobs:
            return {}
        found = {job.name: (job, self._submitted(job)) for job in jobs}
        active = self._active([handle for _, handle in found.values() if handle is not None])
        running = {
            name: (job, handle)
            for name, (job, handle) in found.items()
            if handle is not None and handle.job_id in active
        }
        fresh = [job for job in jobs if job.name not in running]
        if not fresh:
            return running
        executor = self._executor()
        with executor.batch():
            handles = [executor.submit(RunOnNode(job, self._settings.cpus)) for job in fresh]
        for job, handle in zip(fresh, handles, strict=True):
            with atomic_write(self._record(job)) as temporary:
                temporary.write_text(handle.job_id, encoding="utf-8")
            running[job.name] = (job, handle)
        return running

    def _executor(self) -> Any:
        """The submitit executor with the resources of each job."""
        import submitit

        asked = self._settings
        executor = submitit.AutoExecutor(self._folder, cluster=self._cluster)
        executor.update_parameters(name="skelab", timeout_min=asked.minutes)
        if self._cluster == "slurm":
            wanted: dict[str, Any] = {
                "cpus_per_task": asked.cpus,
                "mem_gb": asked.memory_gb,
                "gpus_per_node": asked.gpus or None,
                "slurm_partition": asked.partition,
                "slurm_array_parallelism": self._at_once,
                "slurm_additional_parameters": dict(asked.options) or None,
            }
            executor.update_parameters(
                **{name: value for name, value in wanted.items() if value is not None}
            )
        return executor

    def _submitted(self, job: Job) -> Any:
        """The SLURM job of a run that an earlier call submitted; None without one."""
        import submitit

        record = self._record(job)
        if self._cluster != "slurm" or not record.is_file():
            return None
        return submitit.SlurmJob(self._folder, record.read_text(encoding="utf-8").strip())

    def _record(self, job: Job) -> Path:
        return self._folder / f"{job.name}.id"

    def _active(self, handles: Sequence[Any]) -> set[str]:
        """The numbers of the jobs that are pending or running."""
        if self._cluster != "slurm":
            return {handle.job_id for handle in handles if not handle.done()}
        return _queued(handles)

    def _cancel(self, handles: Sequence[Any]) -> None:
        for handle in handles:
            with suppress(OSError, subprocess.SubprocessError):
                handle.cancel()


def check_submitit() -> None:
    """Check that submitit is installed.

    Raises:
        StudyError: The message names the command that installs it.
    """
    if find_spec("submitit") is None:
        raise StudyError(
            "--engine slurm: expected submitit, found it is not installed;"
            " pip install 'skeleton-action-lab[slurm]'"
        )


def _queued(handles: Sequence[Any]) -> set[str]:
    """The jobs in SLURM's queue; all of them while SLURM does not answer."""
    ids = [handle.job_id for handle in handles]
    if not ids:
        return set()
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={os.geteuid()}"]
    try:
        answer = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True, timeout=_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return set(ids)
    return set(answer.stdout.split()) & set(ids)


def _outcome(job: Job) -> Outcome:
    """The outcome of a job that has left the cluster, read from its files."""
    try:
        if next_command(job) is None:
            return Outcome(job.name, DONE)
    except SkelabError as error:
        return Outcome(job.name, FAILED, str(error))
    reason = noted_failure(job.log)
    return Outcome(job.name, FAILED, reason or "the cluster ended it without a word")


def _take(jobs: Iterator[Job], room: int | None, running: int) -> Iterator[Job]:
    """The jobs that there is room for."""
    while room is None or running < room:
        job = next(jobs, None)
        if job is None:
            return
        running += 1
        yield job
