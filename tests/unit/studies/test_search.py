"""A search: its trials, what it is told, and what it says of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from study_kit import made_study, write_plan

from skelab.cli.main import run
from skelab.errors import StudyError
from skelab.recipes import load_recipe
from skelab.studies import search
from skelab.studies.job import DONE, FAILED, STOPPED, Job, Outcome
from skelab.studies.search import carry_out_search, search_result
from skelab.studies.study import Study, open_study

pytest.importorskip("optuna", reason="optuna is not installed: pip install '.[search]'")

PATIENCE = 400  # seconds; a busy machine is slow, and no test judges that
RATE = "training.learning_rate"
SPACE = {RATE: {"low": 0.01, "high": 0.5, "log": True}, "training.label_smoothing": [0.0, 0.1]}


class Answers:
    """An engine that trains nothing: a run reaches what a function says of its recipe."""

    def __init__(self, accuracy: Callable[[float], list[float]], stop: int | None = None) -> None:
        self.accuracy = accuracy
        self.stop = stop
        self.jobs: list[Job] = []

    def carry_out(
        self,
        jobs: Iterable[Job],
        *,
        on_end: Callable[[Job, Outcome], None],
        should_stop: Callable[[Job], bool],
    ) -> None:
        """Write the records of each run, epoch by epoch."""
        for job in jobs:
            if len(self.jobs) == self.stop:
                raise KeyboardInterrupt
            self.jobs.append(job)
            on_end(job, self._carry_out(job, should_stop))

    def _carry_out(self, job: Job, should_stop: Callable[[Job], bool]) -> Outcome:
        recipe = load_recipe(job.recipe, job.overrides)
        job.folder.mkdir(parents=True, exist_ok=True)
        values = self.accuracy(recipe.training.learning_rate)
        if not values:
            return Outcome(job.name, FAILED, "it diverged")
        lines = ""
        for epoch, value in enumerate(values):
            lines += json.dumps({"epoch": epoch, "validation_top1": value}) + "\n"
            (job.folder / "metrics.jsonl").write_text(lines)
            if should_stop(job):
                return Outcome(job.name, STOPPED)
        return Outcome(job.name, DONE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 synthetic clips of three actions."""
    folder = tmp_path_factory.mktemp("search")
    assert run(["synth", str(folder / "rec"), "--clips", "48", "--actions", "3"]) == 0
    made = folder / "clips.arrow"
    assert run(["ingest", str(folder / "rec"), str(made), "--workers", "1"]) == 0
    return made


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """A small recipe that holds people out."""
    (tmp_path / "small.yaml").write_text(
        "extends: ctrgcn\nname: small\nmodel: {width: 8}\n"
        "data: {window: 8, validation_subjects: 2}\n"
        "training: {epochs: 2, batch_size: 8, warmup_epochs: 0}\n"
    )
    return "small.yaml"


def made_search(folder: Path, recipe: str, **changes: Any) -> Study:
    """A search of five trials."""
    return made_study(folder, **plan_of(recipe, **changes))


def plan_of(recipe: str, **changes: Any) -> dict[str, Any]:
    """What a plan of a search says."""
    wanted = {"trials": 5, "space": SPACE, "prune": False, **changes}
    return {"recipes": [recipe], "streams": None, "settings": None, "search": wanted}


def tell_nobody(_: str) -> None:
    """Where nobody watches."""


def test_the_best_trial_is_that_of_the_best_validation_epoch(
    store: Path, recipe: str, tmp_path: Path
) -> None:
    study = made_search(tmp_path, recipe)
    engine = Answers(lambda rate: [0.2, 1 - abs(rate - 0.3), 0.1])

    found = carry_out_search(study, engine, data=store.parent, on_message=tell_nobody)

    values = [trial.value for trial in found.trials]
    assert [trial.state for trial in found.trials] == ["complete"] * 5
    assert found.best == values.index(max(value for value in values if value is not None))
    for trial in found.trials:
        assert trial.value == pytest.approx(1 - abs(trial.settings[RATE] - 0.3))
    assert found.trials[0].settings == {RATE: 0.1, "training.label_smoothing": 0.0}
    assert json.loads((study.folder.path / "search.json").read_text())["best"] == found.best


def test_no_trial_is_scored_on_the_test_part(store: Path, recipe: str, tmp_path: Path) -> None:
    study = made_search(tmp_path, recipe)
    engine = Answers(lambda _: [0.5])

    carry_out_search(study, engine, data=store.parent, on_message=tell_nobody)

    assert len(engine.jobs) == 5
    assert all(job.parts == () for job in engine.jobs)


def test_a_search_whose_best_is_its_first_try_says_so(
    store: Path, recipe: str, tmp_path: Path
) -> None:
    study = made_search(tmp_path, recipe)
    engine = Answers(lambda rate: [1.0 if rate == 0.1 else 0.5])

    found = carry_out_search(study, engine, data=store.parent, on_message=tell_nobody)

    assert found.best == 0
    assert found.verdict.startswith("best: trial 0, top1 1.0000 on validation: training.learning_")
    assert found.verdict.endswith("so the search found nothing better than it began with")


def test_trials_that_fail_are_no_end(store: Path, recipe: str, tmp_path: Path) -> None:
    study = made_search(tmp_path, recipe)
    engine = Answers(lambda rate: [] if rate == 0.1 else [float("nan")])

    found = carry_out_search(study, engine, data=store.parent, on_message=tell_nobody)

    assert [trial.state for trial in found.trials] == ["fail"] * 5
    assert found.verdict == "no trial is complete, so that there is no best"


def test_a_trial_that_does_worse_than_the_median_is_pruned(
    store: Path, recipe: str, tmp_path: Path
) -> None:
    study = made_search(tmp_path, recipe, prune=True, trials=6)
    counted = iter(range(6))
    engine = Answers(lambda _: [0.1] * 4 if next(counted) > 3 else [0.5, 0.6, 0.7, 0.8])

    found = carry_out_search(study, engine, data=store.parent, on_message=tell_nobody)

    assert [trial.state for trial in found.trials] == ["complete"] * 4 + ["pruned"] * 2


def test_a_trial_is_the_mean_over_its_seeds(store: Path, recipe: str, tmp_path: Path) -> None:
    plan = plan_of(recipe, trials=2, prune=True)
    study = made_study(tmp_path, **plan, seeds=[1, 2])
    values = iter([0.2, 0.4, 0.6, 1.0])
    engine = Answers(lambda _: [next(values)])

    found = carry_out_search(study, engine, data=store.parent, on_message=tell_nobody)

    assert [trial.value for trial in found.trials] == pytest.approx([0.3, 0.8])


def test_a_search_that_was_stopped_goes_on_with_the_trials_that_it_had_begun(
    store: Path, recipe: str, tmp_path: Path
) -> None:
    study = made_search(tmp_path, recipe)
    first = Answers(lambda rate: [rate], stop=2)

    with pytest.raises(KeyboardInterrupt):
        carry_out_search(study, first, data=store.parent, on_message=tell_nobody)
    begun = search_result(study)
    second = Answers(lambda rate: [rate])
    found = carry_out_search(study, second, data=store.parent, on_message=tell_nobody)

    assert [trial.state for trial in begun.trials] == ["complete", "complete", "running"]
    assert [trial.settings for trial in found.trials[:3]] == [
        trial.settings for trial in begun.trials
    ]
    assert len(second.jobs) == 3
    assert [trial.state for trial in found.trials] == ["complete"] * 5


def test_a_space_that_has_changed_is_refused(store: Path, recipe: str, tmp_path: Path) -> None:
    study = made_search(tmp_path, recipe, trials=2)
    carry_out_search(study, Answers(lambda _: [0.5]), data=store.parent, on_message=tell_nobody)
    other = {**SPACE, "training.label_smoothing": [0.0, 0.1, 0.2]}
    path = write_plan(tmp_path / "plan.yaml", **plan_of(recipe, trials=3, space=other))
    changed = open_study(path, study.folder.path)

    with pytest.raises(StudyError, match="the space has changed since the search began"):
        carry_out_search(
            changed, Answers(lambda _: [0.5]), data=store.parent, on_message=tell_nobody
        )


def test_a_search_that_has_not_begun_has_no_table(recipe: str, tmp_path: Path) -> None:
    study = made_search(tmp_path, recipe)

    with pytest.raises(StudyError, match="there is no search yet; without --table it begins"):
        search_result(study)


def test_without_optuna_a_search_names_the_command_that_installs_it(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = made_search(tmp_path, recipe)
    monkeypatch.setattr(search, "find_spec", lambda _: None)

    with pytest.raises(StudyError, match=r"pip install 'skeleton-action-lab\[search\]'"):
        search_result(study)


@pytest.mark.slow
def test_a_search_of_real_runs_is_killed_and_goes_on(
    store: Path, recipe: str, tmp_path: Path
) -> None:
    path = write_plan(tmp_path / "plan.yaml", **plan_of(recipe, trials=2))
    out = tmp_path / "out"
    words = ["study", str(path), "--out", str(out), "--data", str(store.parent), "--jobs", "1"]
    command = [sys.executable, "-P", "-m", "skelab", *words]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE
    while not list(out.glob("runs/*trial-0*/recipe.yaml")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    again = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert [trial["state"] for trial in found["trials"]] == ["complete", "complete"]
    assert not list(out.glob("runs/*/scores-*.npz"))
