"""The folder of a study: its plan, its stores, its runs and what it found."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skelab.data.datasets import holds_recordings, open_source
from skelab.data.ingest import ingest
from skelab.data.opened import open_clips
from skelab.errors import RecipeError, StudyError, TrainingError
from skelab.files.atomic import atomic_write
from skelab.files.lock import hold_lock
from skelab.inference.places import RECIPE
from skelab.recipes import load_recipe
from skelab.studies.grid import StudyRun
from skelab.studies.job import Job
from skelab.studies.plan import PlanData, StudyPlan, recipe_path, slug

RECORD: Final = "study.json"
"""File with the name of the study and the digests of its clips."""

PLAN: Final = "plan.yaml"
"""The plan of the last call."""

LOCK: Final = ".lock"
"""Lock file that names the process running the study."""


@dataclass(frozen=True)
class Stored:
    """The clips of one data set of a study.

    Attributes:
        path: The store, or prepared clips of other code.
        digest: Digest of the clips.
    """

    path: Path
    digest: str


@dataclass(frozen=True)
class StudyFolder:
    """The files of a study.

    Attributes:
        path: The folder.
    """

    path: Path

    def run(self, name: str) -> Path:
        """The folder of a run."""
        return self.path / "runs" / name

    def log(self, name: str) -> Path:
        """The log of a run."""
        return self.path / "logs" / f"{name}.log"

    def hold(self) -> AbstractContextManager[None]:
        """Lock the folder, so that no other process runs a study in it.

        Raises:
            StudyError: Another process does.
            OutputError: The folder cannot be written.
        """
        return hold_lock(self.path / LOCK, f"{self.path}: the study", StudyError)

    def check(self, plan: StudyPlan) -> None:
        """Refuse the folder of another study, or one with other files.

        Raises:
            StudyError: The message names what was found.
        """
        if self.path.exists() and not self.path.is_dir():
            raise StudyError(f"{self.path}: expected a folder for the study, found a file")
        record = self.record()
        if record and record.get("study") != plan.name:
            raise StudyError(
                f"{self.path}: holds the study {record.get('study')!r}, not {plan.name!r}; give"
                " each study an --out of its own"
            )
        if (self.path / RECIPE).is_file():
            raise StudyError(f"{self.path}: is the folder of a run; choose another --out")

    def record(self) -> Mapping[str, Any]:
        """The record of the folder; empty for a new one.

        Raises:
            StudyError: The file is damaged.
        """
        file = self.path / RECORD
        if not file.is_file():
            return {}
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StudyError(f"{file}: the record of the study cannot be read: {error}") from None
        if not isinstance(found, Mapping):
            raise StudyError(f"{file}: expected the record of a study, found something else")
        return found

    def write_record(self, plan: StudyPlan, text: str, stores: Mapping[str, Stored]) -> None:
        """Record the plan and the digests of its clips.

        Raises:
            OutputError: The folder cannot be written.
        """
        known = self.record().get("digests", {})
        digests = {**known, **{name: stored.digest for name, stored in stores.items()}}
        content = json.dumps({"study": plan.name, "digests": digests}, indent=2) + "\n"
        for name, written in ((RECORD, content), (PLAN, text)):
            with atomic_write(self.path / name) as temporary:
                temporary.write_text(written, encoding="utf-8")

    def prepare_data(
        self,
        plan: StudyPlan,
        ground: Path,
        *,
        on_message: Callable[[str], None],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, Stored]:
        """The clips of all data of a plan; recordings are ingested into a store of the study.

        Args:
            plan: The plan.
            ground: The folder that its paths are relative to.
            on_message: Called with progress messages.
            on_progress: Called with the progress of an ingest.

        Raises:
            StudyError: Data are missing, or the clips differ from those of earlier runs.
            DataError: It cannot be read.
        """
        paths = {name: ground / data.path for name, data in plan.data.items()}
        for name, path in paths.items():
            if not path.exists():
                raise StudyError(
                    f"{path}: there is nothing under the path of data {name!r}; --data names the"
                    " folder from which the plan's paths are meant"
                )
        known = self.record().get("digests", {})
        stored = {}
        for name, path in paths.items():
            if holds_recordings(path):
                path = self._ingested(name, path, plan.data[name], on_message, on_progress)
            digest = open_clips(path).info.digest
            if known.get(name, digest) != digest:
                raise StudyError(
                    f"{path}: the clips of data {name!r} have changed between runs: expected digest"
                    f" {known[name][:12]}, found {digest[:12]}; put the store back, or start anew"
                    " with another --out"
                )
            stored[name] = Stored(path.absolute(), digest)
        return stored

    def _ingested(
        self,
        name: str,
        source: Path,
        data: PlanData,
        on_message: Callable[[str], None],
        on_progress: Callable[[int, int], None] | None,
    ) -> Path:
        store = self.path / "stores" / f"{slug(name)}.arrow"
        if not store.is_file():
            on_message(f"{source}: recordings; they are ingested into {store}")
            ingest(open_source(source), store, pipeline=data.pipeline, on_progress=on_progress)
        return store

    def jobs(
        self,
        runs: Sequence[StudyRun],
        stores: Mapping[str, Stored],
        plan_folder: Path,
        parts: tuple[str, ...],
    ) -> list[Job]:
        """The runs as jobs."""
        return [
            Job(
                name=run.name,
                recipe=recipe_path(run.recipe, plan_folder),
                overrides=run.overrides,
                store=stores[run.data].path,
                digest=stores[run.data].digest,
                folder=self.run(run.name),
                log=self.log(run.name),
                parts=parts,
            )
            for run in runs
        ]

    def check_begun(self, jobs: Sequence[Job]) -> None:
        """Refuse runs that were started under the same name with another recipe or other clips.

        Raises:
            StudyError: The message names the first of them.
        """
        begun = [job for job in jobs if (job.folder / RECIPE).is_file()]
        if begun:
            from skelab.runs.parts import use_given_split
            from skelab.runs.train import recipe_to_resume

            for job in begun:
                recipe = load_recipe(job.recipe, job.overrides)
                if not any(each.startswith("data.split=") for each in job.overrides):
                    recipe, _ = use_given_split(recipe, open_clips(job.store))
                try:
                    recipe_to_resume(recipe, job.folder)
                except (TrainingError, RecipeError):
                    raise StudyError(
                        f"{job.folder}: was begun with other settings than run {job.name} has now;"
                        " rename the setting or recipe that has changed, or choose another --out"
                    ) from None
                _check_clips(job)


def _check_clips(job: Job) -> None:
    """Refuse a run that was trained on other clips."""
    file = job.folder / "environment.json"
    try:
        trained_on = json.loads(file.read_text(encoding="utf-8"))["data"]["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # the record is cut off; nothing was trained yet
    if trained_on != job.digest:
        raise StudyError(
            f"{job.folder}: was trained on other clips than {job.store} has: expected digest"
            f" {job.digest[:12]}, found {str(trained_on)[:12]}; put the store back, or start anew"
            " with another --out"
        )
