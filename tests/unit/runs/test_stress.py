"""Accuracy of a network under stress."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from tiny_clips import tiny_store
from tiny_run import tiny_recipe

from skelab.errors import NetworkError
from skelab.runs import stress
from skelab.runs.evaluate import evaluate_run
from skelab.runs.stress import stress_network, stress_section, write_stress
from skelab.runs.train import train_recipe


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A tiny network, trained."""
    store = tiny_store(tmp_path / "clips.arrow")
    train_recipe(tiny_recipe(), store, tmp_path / "run")
    return tmp_path / "run"


def test_every_kind_has_five_accuracies_and_an_area_that_begins_clean(
    run: Path, tmp_path: Path
) -> None:
    store = tiny_store(tmp_path / "again.arrow")
    told: list[tuple[int, int]] = []

    found = stress_network(run, store, on_scored=lambda done, total: told.append((done, total)))

    clean = evaluate_run(run, store).scores
    assert found.clean.value == clean.top(1)  # type: ignore[union-attr]
    assert [len(curve.top1) for curve in found.curves] == [5] * 9
    assert told[-1] == (46, 46)
    for curve in found.curves:
        values = [found.clean.value, *(each.value for each in curve.top1)]
        trapezia = [(a + b) / 2 for a, b in pairwise(values)]
        assert curve.area == pytest.approx(sum(trapezia) / 5)
    every = [each.value for curve in found.curves for each in curve.top1]
    assert found.mean == pytest.approx(sum(every) / 45)


def test_the_same_seed_gives_the_same_figures(run: Path, tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "again.arrow")

    first = stress_network(run, store, seed=3)
    second = stress_network(run, store, seed=3)

    assert first == second


def test_the_figures_are_kept_as_json_and_in_a_section(run: Path, tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "again.arrow")
    found = stress_network(run, store)

    file = write_stress(found, tmp_path / "stress.json")
    section = stress_section(found)

    kept = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert len(kept["stress"]) == 9
    assert kept["synthetic"] is True
    assert kept["clean"]["value"] == found.clean.value
    assert section.title == "Robustness"
    assert len(section.tables[0].rows) == 9
    assert section.figures[0].startswith("<svg")


def test_a_network_of_another_task_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tiny_store(tmp_path / "again.arrow")
    monkeypatch.setattr(stress, "DEFAULT_TASK", "another")

    with pytest.raises(NetworkError, match="expected a network for classification for --str"):
        stress_network(run, store)
