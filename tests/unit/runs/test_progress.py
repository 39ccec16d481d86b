"""How far a run has come, and that an evaluation says so."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tiny_clips import tiny_store
from tiny_run import tiny_recipe

from skelab.runs.evaluate import evaluate_run
from skelab.runs.progress import unfinished
from skelab.runs.train import train_recipe
from skelab.training.watch import Watcher


class Stopper(Watcher):
    """Ends a run after its first epoch."""

    def on_epoch(self, record: Mapping[str, int | float]) -> None:
        raise KeyboardInterrupt


def test_an_evaluation_of_a_run_that_was_stopped_says_so(tmp_path: Path) -> None:
    store, run = tiny_store(tmp_path / "clips.arrow"), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_recipe(tiny_recipe(), store, run, watcher=Stopper())

    early = evaluate_run(run, store)
    report = early.report_file.read_text()
    train_recipe(tiny_recipe(), store, run, resume=True)
    late = evaluate_run(run, store)

    assert early.unfinished == f"{run}: this run has not ended, 1 of its 4 epochs are done"
    assert "this run has not ended, 1 of its 4 epochs are done" in report
    assert late.unfinished == unfinished(run) == ""
    assert "has not ended" not in late.report_file.read_text()


def test_a_folder_that_is_no_run_says_nothing(tmp_path: Path) -> None:
    assert unfinished(tmp_path) == ""
