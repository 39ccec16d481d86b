"""Trackers: told every epoch once, and never in the way of the training."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from skelab.errors import TrainingError
from skelab.training.history import History
from skelab.training.trackers import (
    TRACKERS,
    Trackers,
    check_trackers,
    flatten_settings,
    scalar_tags,
)

RECIPE = "name: tiny\ntraining:\n  epochs: 3\n  steps: [35, 55]\n"


class StandIn:
    """Takes the place of one of Accelerate's trackers and notes what it is told."""

    made: ClassVar[list["StandIn"]] = []
    fails_at: ClassVar[int | None] = None

    def __init__(self, project: str, **options: Any) -> None:
        self.project, self.options = project, options
        self.settings: dict[str, Any] | None = None
        self.logged: list[tuple[int, Mapping[str, float]]] = []
        self.closed = False

    def start(self) -> None:
        if self.fails_at == -1:
            raise ConnectionError("nobody\nanswers")
        self.made.append(self)

    @property
    def tracker(self) -> SimpleNamespace:
        return SimpleNamespace(id="run-7", info=SimpleNamespace(run_id="run-7"))

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.settings = values

    def log(self, values: Mapping[str, float], step: int) -> None:
        if step == self.fails_at:
            raise ConnectionError("the line is dead")
        self.logged.append((step, values))

    def finish(self) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[StandIn]:
    """Every stand-in that was started."""
    monkeypatch.setattr("skelab.training.trackers.find_spec", lambda name: name)
    for name in TRACKERS:
        monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, name, StandIn)
    monkeypatch.setattr(StandIn, "made", [])
    return StandIn.made


def record(epoch: int) -> dict[str, int | float]:
    return {"epoch": epoch, "train_loss": 1.0 / (epoch + 1)}


def test_accelerate_knows_every_name_that_we_offer() -> None:
    assert set(TRACKERS) <= set(LOGGER_TYPE_TO_CLASS)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="unknown tracker 'wandbb', did you mean 'wandb'") as e:
        check_trackers(["wandbb"])

    assert "Known: mlflow, wandb; TensorBoard and CSV are always written" in str(e.value)


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_a_missing_package_is_one_line_with_the_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skelab.training.trackers.find_spec", lambda name: None)

    with pytest.raises(TrainingError) as caught:
        check_trackers([name])

    assert str(caught.value) == (
        f"--track {name}: expected the package {name!r}, found none; pip install {name}"
    )


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_a_tracker_is_told_the_recipe_once_and_every_epoch_under_its_number(
    name: str, made: list[StandIn], tmp_path: Path
) -> None:
    trackers = Trackers([name, name], tmp_path, recipe=RECIPE, facts={"data.synthetic": True})
    with History(tmp_path, first_epoch=0, trackers=trackers) as history:
        history.add(record(0))
        history.add(record(1))

    (tracker,) = made
    assert tracker.project == "skelab"
    assert tmp_path.name in tracker.options.values()
    assert tracker.settings == {
        "name": "tiny",
        "training.epochs": 3,
        "training.steps": "35, 55",
        "data.synthetic": True,
    }
    assert tracker.logged == [(0, {"train/loss": 1.0}), (1, {"train/loss": 0.5})]
    assert tracker.closed
    assert json.loads((tmp_path / "trackers.json").read_text()) == {
        name: {"run": "run-7", "epoch": 1}
    }


@pytest.mark.parametrize(("name", "option"), [("mlflow", "run_id"), ("wandb", "id")])
def test_a_resumed_run_goes_on_in_the_same_place_and_shows_nothing_twice(
    name: str, option: str, made: list[StandIn], tmp_path: Path
) -> None:
    with History(tmp_path, first_epoch=0, trackers=Trackers([name], tmp_path)) as history:
        for epoch in range(3):
            history.add(record(epoch))

    # Killed before the checkpoint of epoch 2: it is done again.
    with History(tmp_path, first_epoch=2, trackers=Trackers([name], tmp_path)) as history:
        history.add(record(2))
        history.add(record(3))

    before, after = made
    assert before.options[option] is None
    assert after.options[option] == "run-7"
    assert after.settings is None
    assert [step for step, _ in before.logged + after.logged] == [0, 1, 2, 3]


def test_a_tracker_that_joins_late_is_shown_what_was_before(
    made: list[StandIn], tmp_path: Path
) -> None:
    with History(tmp_path, first_epoch=0) as history:
        history.add(record(0))
        history.add(record(1))

    with History(tmp_path, first_epoch=2, trackers=Trackers(["wandb"], tmp_path)) as history:
        history.add(record(2))

    assert [step for step, _ in made[0].logged] == [0, 1, 2]


def test_a_tracker_that_fails_on_the_way_is_left_out_and_told_the_rest_later(
    made: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(StandIn, "fails_at", 1)
    failing = Trackers(["wandb"], tmp_path, say=said.append)
    with History(tmp_path, first_epoch=0, trackers=failing) as history:
        for epoch in range(3):
            history.add(record(epoch))
    monkeypatch.setattr(StandIn, "fails_at", None)

    with History(tmp_path, first_epoch=3, trackers=Trackers(["wandb"], tmp_path)):
        pass

    (message,) = said
    assert message.startswith("tracker wandb failed, the training goes on without it; --resume")
    assert "ConnectionError: the line is dead" in message
    assert [step for step, _ in made[0].logged] == [0]
    assert [step for step, _ in made[1].logged] == [1, 2]


def test_a_tracker_that_does_not_start_ends_the_run_in_one_line(
    made: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "fails_at", -1)

    with pytest.raises(TrainingError) as caught:
        Trackers(["mlflow"], tmp_path)

    assert str(caught.value) == (
        "--track mlflow: does not start: ConnectionError: nobody answers;"
        " --resume goes on with the run, with or without it"
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"wandb": {}}', '{"wandb": 3}'])
def test_a_damaged_state_is_named_and_matters_only_to_who_tracks(
    text: str, made: list[StandIn], tmp_path: Path
) -> None:
    (tmp_path / "trackers.json").write_text(text)

    Trackers([], tmp_path).close()
    with pytest.raises(TrainingError, match=r"trackers\.json: expected what the trackers were"):
        Trackers(["wandb"], tmp_path)


def test_without_trackers_nothing_is_started_or_written(
    made: list[StandIn], tmp_path: Path
) -> None:
    trackers = Trackers([], tmp_path, recipe=RECIPE)
    with History(tmp_path, first_epoch=0, trackers=trackers) as history:
        history.add(record(0))

    assert made == []
    assert not (tmp_path / "trackers.json").exists()


def test_the_runs_of_several_seeds_are_told_apart(made: list[StandIn], tmp_path: Path) -> None:
    run = tmp_path / "first" / "seed-2"
    run.mkdir(parents=True)

    Trackers(["mlflow"], run).close()

    assert made[0].options["run_name"] == "first/seed-2"


def test_names_and_settings_are_plain() -> None:
    figures = scalar_tags({"epoch": 3, "peak_memory_bytes": 7, "seconds": 1.5})
    settings = flatten_settings({"a": {"b": {"c": 1}, "d": [1, 2]}, "e": None})

    assert figures == {"peak/memory_bytes": 7, "seconds": 1.5}
    assert settings == {"a.b.c": 1, "a.d": "1, 2", "e": None}


def test_accelerates_own_tracker_takes_what_we_give_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[str, Any]] = []
    run = SimpleNamespace(
        id="w-1",
        log=lambda values, step: noted.append(("log", (step, values))),
        finish=lambda: noted.append(("finish", None)),
    )
    config = SimpleNamespace(update=lambda values, **_: noted.append(("config", values)))

    def init(**options: Any) -> SimpleNamespace:
        noted.append(("init", options))
        return run

    package = SimpleNamespace(init=init, config=config)
    monkeypatch.setitem(sys.modules, "wandb", package)
    monkeypatch.setattr("skelab.training.trackers.find_spec", lambda name: name)
    monkeypatch.setenv("WANDB_PROJECT", "mine")

    trackers = Trackers(["wandb"], tmp_path, recipe=RECIPE)
    with History(tmp_path, first_epoch=0, trackers=trackers) as history:
        history.add(record(0))

    options = {"name": tmp_path.name, "dir": str(tmp_path), "id": None, "resume": None}
    assert noted[0] == ("init", {"project": "mine", **options})
    assert noted[1][0] == "config"
    assert noted[2:] == [("log", (0, {"train/loss": 1.0})), ("finish", None)]
