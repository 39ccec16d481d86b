"""A run of a study as a job: its remaining commands and its outcome.

A job runs skelab commands, each in a process of its own. The next command is derived
from the run folder each time, so that a job can be stopped at any point and resumed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from skelab.data.opened import open_clips
from skelab.errors import OutputError, StudyError
from skelab.files.atomic import atomic_write
from skelab.inference.places import CHECKPOINTS, CHOSEN, RECIPE
from skelab.runs.progress import unfinished

DONE: Final = "done"
FAILED: Final = "failed"
STOPPED: Final = "stopped"

_LONGEST_REASON: Final = 300


@dataclass(frozen=True)
class Job:
    """A run with everything that a remote process needs to carry it out.

    Attributes:
        name: Name of the run.
        recipe: Name of the recipe, or its file.
        overrides: What is set in it, ``KEY=VALUE``.
        store: The clips.
        digest: Digest of the clips when the study was started.
        folder: The run folder.
        log: Log file of the commands.
        parts: Parts of the split to score once it is trained.
    """

    name: str
    recipe: str
    overrides: tuple[str, ...]
    store: Path
    digest: str
    folder: Path
    log: Path
    parts: tuple[str, ...] = ("test",)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        name: Name of the run.
        state: ``done``, ``failed`` or ``stopped`` (a search has pruned it).
        reason: Why it failed, in one line.
    """

    name: str
    state: str
    reason: str = ""


def next_command(job: Job) -> tuple[str, ...] | None:
    """The arguments of the next command of a job; None if it is done.

    Raises:
        StudyError: The store has changed since the study began.
        SkelabError: The store or the records of the run cannot be read.
    """
    if not is_trained(job.folder):
        check_store(job)
        words = ["train", job.recipe, "--data", str(job.store), "--out", str(job.folder)]
        for override in job.overrides:
            words += ["--set", override]
        return (*words, *(["--resume"] if (job.folder / RECIPE).is_file() else []))
    for part in job.parts:
        if not is_scored(job.folder, part):
            check_store(job)
            words = ["evaluate", str(job.folder), "--data", str(job.store), "--part", part]
            return tuple(words)
    return None


def is_trained(run: Path) -> bool:
    """Whether a run has finished and chosen its network.

    Raises:
        TrainingError: The records of the run are damaged.
    """
    begun = (run / RECIPE).is_file() and (run / CHECKPOINTS / CHOSEN).is_file()
    return begun and not unfinished(run)


def is_scored(run: Path, part: str) -> bool:
    """Whether the chosen network of a run has scores of a part."""
    scores = run / f"scores-{part}.npz"
    if not scores.is_file():
        return False
    return scores.stat().st_mtime_ns >= (run / CHECKPOINTS / CHOSEN).stat().st_mtime_ns


def check_store(job: Job) -> None:
    """Refuse clips that differ from those of the start of the study.

    Raises:
        StudyError: The digest is another.
        SkelabError: The store cannot be read.
    """
    found = open_clips(job.store).info.digest
    if found != job.digest:
        raise StudyError(
            f"{job.store}: the clips have changed since the study began: expected digest"
            f" {job.digest[:12]}, found {found[:12]}; put the store back, or start anew with"
            " another --out"
        )


def failure_of(job: Job, status: int) -> Outcome:
    """A job whose command has failed, with its last line of output.

    Args:
        job: The job.
        status: Exit status; minus the number of the signal that ended it.
    """
    if status < 0:
        killed = " (it was killed, perhaps for lack of memory)" if status == -9 else ""
        return Outcome(job.name, FAILED, f"ended by signal {-status}{killed}, see {job.log}")
    said = _last_line(job.log).removeprefix("skelab: ")
    return Outcome(job.name, FAILED, said or f"exit status {status}, see {job.log}")


def note_outcome(job: Job, outcome: Outcome) -> None:
    """Save the reason of a failure beside the log; remove it once the job is done.

    A full disk is ignored: the outcome is then kept in memory only.
    """
    path = _failure_file(job.log)
    try:
        if outcome.state == FAILED:
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
    except (OutputError, OSError):
        return


def noted_failure(log: Path) -> str:
    """Why the last attempt of a job failed; empty if it did not."""
    try:
        found = json.loads(_failure_file(log).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(found.get("reason", "")) if isinstance(found, Mapping) else ""


def _failure_file(log: Path) -> Path:
    return log.with_suffix(".failed.json")


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:_LONGEST_REASON] if said else ""
