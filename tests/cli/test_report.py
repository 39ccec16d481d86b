"""`skelab report`: runs side by side, in the terminal and as one page."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_outcome import SMALL, Outcome, SmallSet
from made_scores import made_scores

Skelab = Callable[..., Outcome]


@pytest.fixture
def two_runs(tmp_path: Path) -> list[Path]:
    """Run folders of one recipe with different rates; only the first was evaluated."""
    folders = []
    for name, rate in (("fast", 0.1), ("slow", 0.01)):
        folder = tmp_path / name
        folder.mkdir()
        recipe = f"model: {{name: ctrgcn}}\ntraining: {{epochs: 2, learning_rate: {rate}}}\n"
        (folder / "recipe.yaml").write_text(recipe)
        record = {"epoch": 0, "train_loss": 1.0, "train_top1": 0.5, "seconds": 61.0}
        (folder / "metrics.jsonl").write_text(json.dumps(record) + "\n")
        folders.append(folder)
    made_scores(80, part="test").save(folders[0] / "scores-test.npz")
    return folders


def test_runs_are_told_in_the_terminal_and_written_as_a_page(
    skelab: Skelab, two_runs: list[Path], tmp_path: Path
) -> None:
    done = skelab("report", *two_runs, "--out", tmp_path / "page.html")

    assert done.status == 0
    assert f"{made_scores(80, part='test').top(1):.2%}" in done.out
    assert "1 of 2" in done.out
    assert "1 min 01 s" in done.out
    assert "training.learning_rate" in done.out
    assert "B against A: not compared, slow has no scores of the test part" in done.out
    assert f"slow: never evaluated: skelab evaluate {two_runs[1]} --data STORE" in done.err
    assert f"report {tmp_path / 'page.html'}" in done.out
    assert "Training loss" in (tmp_path / "page.html").read_text()


def test_the_figures_are_there_for_machines(
    skelab: Skelab, two_runs: list[Path], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"

    done = skelab("report", *two_runs, "--out", page, "--json")

    assert [run["name"] for run in done.json["runs"]] == ["fast", "slow"]
    assert done.json["runs"][1]["top1"] is None
    assert done.json["settings"] == {"training.learning_rate": {"fast": 0.1, "slow": 0.01}}
    assert done.json["files"] == {"report": str(page)}


def test_significance_is_told_in_points(skelab: Skelab, tmp_path: Path) -> None:
    files = [tmp_path / "one.npz", tmp_path / "two.npz"]
    made_scores(300, lean=0.5, part="test").save(files[0])
    made_scores(300, lean=4.0, noise_seed=8, part="test").save(files[1])

    done = skelab("report", *files, "--out", tmp_path / "page.html")

    assert "B against A: +" in done.out
    assert "p < 0.001" in done.out
    assert "one.npz" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: expected a run folder or a score file (npz), found nothing"),
        (["."], "found a folder without recipe.yaml; `skelab train` makes a run"),
        ([], "Missing argument"),
    ],
)
def test_what_is_no_run_is_one_line(
    words: list[str], message: str, skelab: Skelab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = skelab("report", *words)

    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "compare.html").exists()


def test_a_run_of_the_lab_itself_is_compared_with_another(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    run = tmp_path / "copy"
    shutil.copytree(small_set.run, run)
    assert skelab("evaluate", run, "--data", small_set.store).status == 0

    done = skelab("report", run, small_set.run, "--out", tmp_path / "page.html", "--json")

    first, second = done.json["runs"]
    assert done.json["synthetic"]
    assert first["samples"] > 0
    assert first["epochs"] == second["epochs"] == [2]
    assert done.json["settings"] == {}
    assert "SYNTHETIC DATA" in (tmp_path / "page.html").read_text()


# Trackers


@pytest.mark.parametrize(
    ("tracker", "message"),
    [
        ("wandbb", "unknown tracker 'wandbb', did you mean 'wandb'? Known: mlflow, wandb"),
        ("wandb", "--track wandb: expected the package 'wandb', found none; pip install wandb"),
    ],
)
def test_a_tracker_that_is_not_there_is_one_line_before_anything_is_made(
    tracker: str,
    message: str,
    skelab: Skelab,
    small_set: SmallSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skelab.training.trackers.find_spec", lambda name: None)
    data = ["--data", small_set.store, "--out", tmp_path / "run"]

    done = skelab("train", "ctrgcn", *data, *SMALL, "--track", tracker)

    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "run").exists()
