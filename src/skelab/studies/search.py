"""A search for settings with Optuna: trials of one recipe, evaluated on the validation part only.

The trials are runs of the study; none is ever scored on the test part. The drawn settings are kept
in a journal beside them, so that a killed search resumes its trials.
"""

import json
import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Final

from skelab.errors import RecipeError, StudyError, TrainingError
from skelab.files.atomic import atomic_write
from skelab.recipes import Recipe, load_recipe
from skelab.studies.engines.base import Engine
from skelab.studies.grid import list_runs
from skelab.studies.job import DONE, FAILED, STOPPED, Job, Outcome, note_outcome
from skelab.studies.plan import Range, Search, recipe_path
from skelab.studies.study import Study, prepare
from skelab.tasks import get_task
from skelab.tasks.task import Choice
from skelab.training.records import read_history
from skelab.training.trackers import flatten_settings

JOURNAL: Final = "search.journal"
"""Optuna's journal: the drawn settings and their outcomes."""

FOUND: Final = "search.json"
"""The trials as JSON."""


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Attributes:
        number: Its number, from 0.
        state: ``complete``, ``pruned``, ``fail`` or ``running``.
        value: Its best validation metric, mean over its runs; None where it has none.
        settings: The drawn values, by recipe key.
    """

    number: int
    state: str
    value: float | None
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        name: Name of the study.
        metric: The validation metric of the trials.
        trials: All trials, by number.
        best: Number of the best; None before any is complete.
    """

    name: str
    metric: str
    trials: tuple[Trial, ...]
    best: int | None

    @property
    def verdict(self) -> str:
        """The best trial in one line."""
        if self.best is None:
            return "no trial is complete, so that there is no best"
        trial = self.trials[self.best]
        told = ", ".join(f"{key}={_yaml(value)}" for key, value in trial.settings.items())
        line = f"best: trial {trial.number}, {self.metric} {trial.value:.4f} on validation: {told}"
        if self.best == 0 and len(self.trials) > 1:
            line += "; it is the first try, so the search found nothing better than it began with"
        return line

    def to_dict(self) -> dict[str, Any]:
        """The trials as a JSON object."""
        trials = [asdict(trial) for trial in self.trials]
        kept = {"study": self.name, "metric": self.metric, "part": "validation"}
        return {**kept, "best": self.best, "verdict": self.verdict, "trials": trials}

    def cells(self) -> tuple[list[str], list[tuple[str, ...]]]:
        """The trials as text: columns and rows."""
        keys = list(dict.fromkeys(key for trial in self.trials for key in trial.settings))
        rows = []
        for trial in self.trials:
            value = "\u2013" if trial.value is None else f"{trial.value:.4f}"
            drawn = [_yaml(trial.settings[key]) if key in trial.settings else "" for key in keys]
            rows.append((str(trial.number), trial.state, value, *drawn))
        return ["trial", "state", f"validation {self.metric}", *keys], rows


def carry_out_search(
    study: Study,
    engine: Engine,
    *,
    data: Path | None = None,
    on_message: Callable[[str], None],
    on_progress: Callable[[int, int], None] | None = None,
) -> SearchResult:
    """Run the remaining trials of a search.

    The first trial uses the recipe's own settings where they are inside the search space.

    Raises:
        StudyError: Optuna is not installed, the space has changed since the search began, or the
            study cannot be carried out.
        OutputError: The folder cannot be written.
    """
    check_optuna()
    with study.folder.hold():
        searcher = Searcher(study, data, on_message, on_progress)
        engine.carry_out(searcher.jobs(), on_end=searcher.on_end, should_stop=searcher.should_stop)
        found = search_result(study)
        with atomic_write(study.folder.path / FOUND) as temporary:
            temporary.write_text(json.dumps(found.to_dict(), indent=2) + "\n", encoding="utf-8")
    return found


def search_result(study: Study) -> SearchResult:
    """The results of a search so far, read from its journal.

    Raises:
        StudyError: Optuna is not installed, or no search has begun.
    """
    check_optuna()
    if not (study.folder.path / JOURNAL).is_file():
        raise StudyError(f"{study.folder.path}: there is no search yet; without --table it begins")
    choice = _choice(study)
    drawn = _open_journal(study, choice)
    trials = tuple(
        Trial(each.number, each.state.name.lower(), _finite(each.value), dict(each.params))
        for each in drawn.get_trials(deepcopy=False)
        if each.state.name != "WAITING"
    )
    best: int | None = None
    for trial in trials:
        known = None if best is None else trials[best].value
        if trial.state == "complete" and trial.value is not None:
            best = trial.number if choice.prefers(trial.value, known) else best
    return SearchResult(study.plan.name, choice.metric, trials, best)


def check_optuna() -> None:
    """Check that Optuna is installed.

    Raises:
        StudyError: The message names the command that installs it.
    """
    if find_spec("optuna") is None:
        raise StudyError(
            "a search: expected optuna, found it is not installed;"
            " pip install 'skeleton-action-lab[search]'"
        )


class Searcher:
    """Draws trials, turns them into jobs, and reports their results to Optuna.

    Args:
        study: The study.
        data: The folder that the plan's paths are relative to.
        on_message: Called with progress messages.
        on_progress: Called with the finished trials and their total.
    """

    def __init__(
        self,
        study: Study,
        data: Path | None,
        on_message: Callable[[str], None],
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        prepare(study, (), data=data, parts=(), on_message=on_message)
        self._study, self._data = study, data
        self._tell, self._show = on_message, on_progress
        self._search = _search_of(study)
        self._choice = _choice(study)
        self._drawn = _open_journal(study, self._choice)
        self._trials: dict[str, Any] = {}  # by the name of a job
        self._jobs: dict[int, list[Job]] = {}
        self._values: dict[int, list[float]] = {}
        if not self._drawn.get_trials(deepcopy=False):
            self._drawn.enqueue_trial(_own_settings(_recipe(study), self._search))

    def jobs(self) -> Iterator[Job]:
        """The jobs of the remaining trials: started ones first, then new ones."""
        import optuna

        states = optuna.trial.TrialState
        begun = self._drawn.get_trials(deepcopy=False, states=(states.RUNNING,))
        for frozen in begun:
            yield from self._jobs_of(optuna.trial.Trial(self._drawn, frozen._trial_id))
        for _ in count():
            drawn = [
                trial
                for trial in self._drawn.get_trials(deepcopy=False)
                if trial.state is not states.WAITING
            ]
            if len(drawn) >= self._search.trials:
                return
            yield from self._jobs_of(self._drawn.ask())

    def _jobs_of(self, trial: Any) -> list[Job]:
        """The runs of a trial: one for each split and seed of the plan."""
        overrides = tuple(
            f"{key}={_yaml(value)}" for key, value in _draw(trial, self._search).items()
        )
        plan, source = self._study.plan, self._study.source
        named = plan.model_copy(update={"settings": {f"trial-{trial.number}": overrides}})
        try:
            runs = list_runs(named, source.parent)
        except RecipeError as error:
            self._drawn.tell(trial, state=_state("FAIL"))
            self._tell(f"trial {trial.number} failed: {error}")
            return []
        jobs = prepare(self._study, runs, data=self._data, parts=(), on_message=lambda _: None)
        self._trials |= {job.name: trial for job in jobs}
        self._jobs[trial.number], self._values[trial.number] = list(jobs), []
        return jobs

    def on_end(self, job: Job, outcome: Outcome) -> None:
        """Report a trial to Optuna once all its runs have ended."""
        note_outcome(job, outcome)
        trial = self._trials[job.name]
        left = self._jobs[trial.number]
        left.remove(job)
        value = _best(job, self._choice) if outcome.state == DONE else None
        if outcome.state == DONE and value is None:
            outcome = Outcome(job.name, FAILED, "no epoch has a finite validation metric")
        if outcome.state == STOPPED:
            self._end(trial, "PRUNED", "pruned")
        elif value is None:
            self._end(trial, "FAIL", f"failed: {outcome.reason}")
        else:
            values = self._values[trial.number]
            values.append(value)
            if not left:
                mean = statistics.fmean(values)
                self._end(trial, "COMPLETE", f"{self._choice.metric} {mean:.4f}", mean)

    def _end(self, trial: Any, state: str, told: str, value: float | None = None) -> None:
        """Report the end of a trial to Optuna, unless a failed run of it has ended it."""
        with suppress(ValueError, RuntimeError):
            self._drawn.tell(trial, value, state=_state(state))
        self._tell(f"trial {trial.number}: {told}")
        if self._show:
            self._show(trial.number + 1, self._search.trials)

    def should_stop(self, job: Job) -> bool:
        """Whether a running trial is worse than the median of the others at the same epoch.

        Trials of several runs are never stopped, since no single run represents the trial.
        """
        trial = self._trials[job.name]
        if not self._search.prune or len(self._jobs[trial.number]) != 1:
            return False
        if self._values[trial.number]:
            return False
        with suppress(TrainingError):
            for record in read_history(job.folder):
                value = record.get(f"validation_{self._choice.metric}")
                if value is not None and math.isfinite(value):
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")  # about an epoch that was reported before
                        trial.report(float(value), int(record["epoch"]))
        return bool(trial.should_prune())


def _search_of(study: Study) -> Search:
    if study.plan.search is None:
        raise StudyError(f"{study.source}: expected a plan with a search, found none")
    return study.plan.search


def _recipe(study: Study) -> Recipe:
    return load_recipe(recipe_path(study.plan.recipes[0], study.source.parent))


def _choice(study: Study) -> Choice:
    """The metric by which the recipe's task chooses the epoch; trials use the same."""
    task = _recipe(study).task
    return get_task(task.name, task.options).choice


def _open_journal(study: Study, choice: Choice) -> Any:
    """Open the search in the journal of a study, or create it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    search = _search_of(study)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study.folder.path.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(study.folder.path / JOURNAL)))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    return optuna.create_study(
        storage=storage,
        study_name=study.plan.name,
        load_if_exists=True,
        direction="maximize" if choice.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=search.seed),
        pruner=pruner if search.prune else optuna.pruners.NopPruner(),
    )


def _draw(trial: Any, search: Search) -> dict[str, Any]:
    """The value drawn for each key; a resumed trial keeps its values.

    Raises:
        StudyError: The space has changed since the search was started.
    """
    drawn: dict[str, Any] = {}
    try:
        for key, space in search.space.items():
            if not isinstance(space, Range):
                drawn[key] = trial.suggest_categorical(key, list(space))
            elif space.whole:
                low, high = int(space.low), int(space.high)
                drawn[key] = trial.suggest_int(key, low, high, log=space.log)
            else:
                drawn[key] = trial.suggest_float(key, space.low, space.high, log=space.log)
    except ValueError as error:
        raise StudyError(
            f"search: the space has changed since the search began: {error}; give the changed"
            " search an --out of its own"
        ) from None
    return drawn


def _own_settings(recipe: Recipe, search: Search) -> dict[str, Any]:
    """The recipe's own values of the searched keys, where they are inside the space."""
    values = flatten_settings(recipe.model_dump(mode="json"))
    own: dict[str, Any] = {}
    for key, space in search.space.items():
        value = values.get(key)
        if isinstance(space, Range):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and space.low <= float(value) <= space.high:  # type: ignore[arg-type]
                own[key] = value
        elif value in space:
            own[key] = value
    return own


def _best(job: Job, choice: Choice) -> float | None:
    """The best validation metric of a run; None where no epoch has one."""
    best: float | None = None
    for record in read_history(job.folder):
        value = record.get(f"validation_{choice.metric}")
        if value is not None and math.isfinite(value) and choice.prefers(float(value), best):
            best = float(value)
    return best


def _state(name: str) -> Any:
    import optuna

    return optuna.trial.TrialState[name]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _yaml(value: Any) -> str:
    """A value in the syntax of the command line."""
    return json.dumps(value) if isinstance(value, bool | str) else repr(value)
