"""Runs a study: its remaining runs, then its table and page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from skelab.errors import StudyError, TrainingError
from skelab.files.strict_yaml import read_yaml_text
from skelab.studies.engines.base import Engine
from skelab.studies.folder import StudyFolder
from skelab.studies.grid import StudyRun, list_runs
from skelab.studies.job import (
    DONE,
    FAILED,
    STOPPED,
    Job,
    Outcome,
    is_scored,
    is_trained,
    note_outcome,
)
from skelab.studies.plan import StudyPlan, load_plan

ASK_ABOVE: Final = 100
"""Plans with more runs need a confirmation."""

LARGEST: Final = 100_000
"""Maximum number of runs of a plan."""


@dataclass(frozen=True)
class Study:
    """A plan and its output folder.

    Attributes:
        plan: The plan.
        source: Its file.
        folder: The folder of its runs.
        runs: All runs; empty for a search, whose trials are drawn one by one.
    """

    plan: StudyPlan
    source: Path
    folder: StudyFolder
    runs: tuple[StudyRun, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that each run is scored on; validation only if fusion weights are fitted."""
        fitted = any(fusion.weights == "fitted" for fusion in self.plan.fuse.values())
        return ("validation", "test") if fitted else ("test",)

    def is_done(self, run: StudyRun) -> bool:
        """Whether a run is trained and scored; False if its records are damaged."""
        folder = self.folder.run(run.name)
        try:
            return is_trained(folder) and all(is_scored(folder, part) for part in self.parts)
        except TrainingError:
            return False


@dataclass
class Progress:
    """The progress of a study and its callbacks.

    Attributes:
        total: Number of jobs.
        on_message: Called when a job ends.
        on_progress: Called with the finished jobs and their total.
        failed: The jobs that failed, with their reasons.
        ended: Jobs that have ended.
    """

    total: int
    on_message: Callable[[str], None]
    on_progress: Callable[[int, int], None] | None = None
    failed: dict[str, str] = field(default_factory=dict)
    ended: int = 0

    def on_end(self, job: Job, outcome: Outcome) -> None:
        """Record and report the outcome of a job."""
        note_outcome(job, outcome)
        self.ended += 1
        if outcome.state == FAILED:
            self.failed[job.name] = outcome.reason
        told = {DONE: "done", FAILED: f"failed: {outcome.reason}", STOPPED: "stopped early"}
        self.on_message(f"{self.ended} of {self.total} {job.name}: {told[outcome.state]}")
        if self.on_progress:
            self.on_progress(self.ended, self.total)


def open_study(plan_file: Path, out: Path) -> Study:
    """Read a plan, and check that the folder belongs to its study.

    Raises:
        StudyError: The plan cannot be carried out, two runs have one name, or the folder belongs
            to something else.
    """
    plan = load_plan(plan_file)
    folder = StudyFolder(out)
    folder.check(plan)
    if plan.num_runs > LARGEST:
        raise StudyError(f"{plan_file}: stands for {plan.num_runs:,} runs; expected fewer")
    runs = () if plan.search else list_runs(plan, plan_file.parent)
    return Study(plan, plan_file, folder, runs)


def check_size(plan: StudyPlan, where: Path, *, agreed: bool) -> None:
    """Refuse a plan of very many runs without a confirmation.

    Raises:
        StudyError: There is no confirmation.
    """
    if plan.num_runs > ASK_ABOVE and not agreed:
        raise StudyError(
            f"{where}: stands for {plan.num_runs:,} runs, more than {ASK_ABOVE}; --yes carries"
            " them out"
        )


def carry_out(
    study: Study,
    engine: Engine,
    *,
    data: Path | None = None,
    on_message: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Run the remaining runs of a study; a failure does not stop the others.

    A stopped or killed study is resumed.

    Args:
        study: The study.
        engine: The engine that runs the jobs.
        data: The folder that the plan's paths are relative to; None for the plan's own.
        on_message: Called with progress messages.
        on_progress: Called with the number of finished runs.

    Returns:
        The runs that failed, with their reasons.

    Raises:
        StudyError: Another process carries the study out, data are missing or have changed, or a
            run of the folder was begun with other settings.
        OutputError: The folder cannot be written.
    """
    tell = on_message or _tell_nobody
    with study.folder.hold():
        jobs = prepare(study, study.runs, data=data, parts=study.parts, on_message=tell)
        missing = [job for job, run in zip(jobs, study.runs, strict=True) if not study.is_done(run)]
        done = len(jobs) - len(missing)
        tell(f"{study.plan.name}: {done:,} of {len(jobs):,} runs are done already")
        progress = Progress(len(missing), tell, on_progress)
        engine.carry_out(missing, on_end=progress.on_end, should_stop=_never)
    return progress.failed


def prepare(
    study: Study,
    runs: Sequence[StudyRun],
    *,
    data: Path | None,
    parts: tuple[str, ...],
    on_message: Callable[[str], None],
) -> list[Job]:
    """The runs of a study as jobs, after a check of its clips and of started runs.

    Raises:
        StudyError: Data are missing or have changed, or a run was begun with other settings.
        OutputError: The folder cannot be written.
    """
    plan, folder = study.plan, study.folder
    text = read_yaml_text(study.source, f"{study.source}: the plan", StudyError)
    stores = folder.prepare_data(plan, data or study.source.parent, on_message=on_message)
    folder.write_record(plan, text, stores)
    jobs = folder.jobs(runs, stores, study.source.parent, parts)
    folder.check_begun(jobs)
    return jobs


def _tell_nobody(_: str) -> None:
    """Ignore a message."""


def _never(_: Job) -> bool:
    return False
