"""A task of another kind goes through loop, checkpoints, processes, evaluation and report."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from second_task import HEIGHT, SETTINGS, HeightTask, height_job
from tiny_clips import tiny_clip, tiny_info
from tiny_run import PYTHON_PATH, same_tensors, tiny_recipe, what_training_computed

from skelab.data.clips.store import ClipStore, open_store
from skelab.data.clips.write import write_store
from skelab.data.feeding.dataset import pad_clips
from skelab.errors import CheckpointError, TaskError, TrainingError
from skelab.evaluation import OutputScores
from skelab.inference.checkpoint import Checkpoint, read_checkpoint
from skelab.recipes import Recipe
from skelab.runs.compare import compare_paths
from skelab.runs.evaluate import evaluate_run
from skelab.runs.train import train_recipe
from skelab.tasks import registry
from skelab.training.config import MemoryConfig
from skelab.training.loop import train
from skelab.training.records import read_history

SCRIPT = Path(__file__).parents[2] / "second_task.py"

pytestmark = pytest.mark.usefixtures("height_task")


def height_recipe(**changes: object) -> Recipe:
    usual = {"task": {"name": "height", "scale": 2.0}, "training": SETTINGS.model_dump()}
    return tiny_recipe(**{**usual, **changes})


def newest(run: Path) -> Checkpoint:
    return read_checkpoint(max((run / "checkpoints").glob("epoch-*")))


@pytest.fixture
def whole(store: ClipStore, tmp_path: Path) -> Path:
    """The folder of a run that nothing disturbed."""
    run = tmp_path / "whole"
    train(height_job(store, run))
    return run


# Training


def test_the_network_has_the_head_of_the_task_and_learns_it(store: ClipStore, whole: Path) -> None:
    records = read_history(whole)

    network = newest(whole).build()
    assert network.classifier.out_features == 1  # type: ignore[union-attr]
    assert records[-1]["train_loss"] < records[0]["train_loss"]
    assert {"train_error", "validation_error", "validation_loss"} <= set(records[0])
    assert not [name for name in records[0] if "top1" in name]


def test_the_first_epoch_with_the_lowest_error_on_validation_is_chosen(whole: Path) -> None:
    errors = [record["validation_error"] for record in read_history(whole)]

    chosen = read_checkpoint(whole / "checkpoints" / "best.safetensors")

    assert chosen.epoch == errors.index(min(errors)) + 1
    state = newest(whole).trainer
    assert state is not None
    assert (state.best_epoch, state.best_value) == (chosen.epoch - 1, min(errors))


def test_metrics_are_those_of_every_clip_by_itself(store: ClipStore, whole: Path) -> None:
    job, network = height_job(store, whole), newest(whole).build()

    gaps = []
    for row in job.validation_rows:
        clips = pad_clips([(int(row), store.clip(int(row)))], max_bodies=2)
        batch = job.feeder.evaluation_batch(clips)
        with torch.no_grad():
            gap = network(batch.joints)[0, 0] - 2.0 * batch.joints[:, 1].mean()
        gaps.append(float(gap))

    record = read_history(whole)[-1]
    assert record["validation_error"] == pytest.approx(np.mean(np.abs(gaps)), rel=1e-5)
    assert record["validation_loss"] == pytest.approx(np.mean(np.square(gaps)), rel=1e-5)


def test_a_run_that_was_killed_goes_on_bit_for_bit(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "killed"
    killed = subprocess.run(
        [sys.executable, str(SCRIPT), str(store.path), str(run), "7"],
        env={**os.environ, "PYTHONPATH": PYTHON_PATH},
        check=False,
    )

    train(height_job(store, run), resume=True)

    assert killed.returncode == -9
    assert newest(run).digest == newest(whole).digest
    assert what_training_computed(run) == what_training_computed(whole)


def test_two_processes_train_the_network_that_one_trains_in_two_parts(
    store: ClipStore, tmp_path: Path
) -> None:
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    ended = subprocess.run(
        [sys.executable, *launch, str(SCRIPT), str(store.path), str(tmp_path / "two"), "0"],
        env={**os.environ, "PYTHONPATH": PYTHON_PATH, "OMP_NUM_THREADS": "1", "NO_DROPOUT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    job = height_job(store, tmp_path / "one", memory=MemoryConfig(micro_batch=2))
    train(replace(job, model=replace(job.model, options={"dropout": 0.0})))

    assert ended.returncode == 0, ended.stderr[-3000:]
    here, there = (read_history(tmp_path / run) for run in ("two", "one"))
    for found, expected in zip(here, there, strict=True):
        assert found["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-4)
        assert found["train_error"] == pytest.approx(expected["train_error"], rel=1e-4)
    heads = [newest(tmp_path / run).weights["classifier.weight"] for run in ("two", "one")]
    torch.testing.assert_close(*heads, rtol=1e-4, atol=1e-5)


def test_an_average_is_chosen_by_the_task_as_well(store: ClipStore, tmp_path: Path) -> None:
    config = SETTINGS.model_copy(update={"ema": 0.9})

    chosen = train(height_job(store, tmp_path, config=config, validation_rows=np.arange(0)))

    state = newest(tmp_path).trainer
    assert state is not None
    assert same_tensors(chosen.weights, state.average)


def test_labels_cannot_be_smoothed_where_there_are_none(store: ClipStore, tmp_path: Path) -> None:
    config = SETTINGS.model_copy(update={"label_smoothing": 0.1})

    with pytest.raises(TrainingError, match="the task height has no labels to smooth"):
        train(height_job(store, tmp_path, config=config))


# Recipes, evaluation and report


def test_a_recipe_trains_the_task_and_its_checkpoint_names_it(
    store: ClipStore, tmp_path: Path
) -> None:
    checkpoint = train_recipe(height_recipe(), store, tmp_path / "run")

    resumed = train_recipe(height_recipe(), store, tmp_path / "run", resume=True)

    assert checkpoint.task == HEIGHT
    assert resumed.digest == checkpoint.digest


def test_clips_without_labels_can_be_trained_on_and_scored(tmp_path: Path) -> None:
    clips = [tiny_clip(row, label=None) for row in range(24)]
    write_store(tmp_path / "clips.arrow", clips, tiny_info())
    store = open_store(tmp_path / "clips.arrow")

    train_recipe(height_recipe(), store, tmp_path / "run")
    made = evaluate_run(tmp_path / "run", store)

    assert len(made.scores) == 6


def test_an_evaluation_writes_outputs_and_a_report_that_shows_the_metrics(
    store: ClipStore, tmp_path: Path
) -> None:
    train_recipe(height_recipe(), store, tmp_path)
    beside = evaluate_run(tmp_path, store, part="validation")

    made = evaluate_run(tmp_path, store)

    scores = OutputScores.load(made.scores_file)
    assert isinstance(made.scores, OutputScores)
    assert isinstance(beside.scores, OutputScores)
    assert (scores.task, len(scores)) == ("height", 6)
    np.testing.assert_array_equal(scores.outputs, made.scores.outputs)
    assert scores.metrics == HeightTask(scale=2.0).metrics(scores.outputs, scores.targets)
    page = made.report_file.read_text()
    assert f"{scores.metrics['error']:.4g}" in page
    assert f"validation {beside.scores.metrics['error']:.4g}" in page
    assert ">Error<" in page
    assert 'id="confusion"' not in page
    assert made.calibration is None


def test_runs_of_the_task_are_compared_by_their_metrics(store: ClipStore, tmp_path: Path) -> None:
    for name in ("a", "b"):
        seed = {**SETTINGS.model_dump(), "seed": 3 + len(name)}
        train_recipe(height_recipe(training=seed), store, tmp_path / name)
        evaluate_run(tmp_path / name, store)

    comparison = compare_paths([tmp_path / "a", tmp_path / "b"])

    errors = [record["validation_error"] for record in read_history(tmp_path / "a")]
    run = comparison.runs[0]
    assert run.chosen_epochs == (errors.index(min(errors)) + 1,)
    assert math.isfinite(run.figures["error"].value)
    assert run.remedy == ""


def test_a_checkpoint_of_a_task_that_is_not_known_is_refused(
    store: ClipStore, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry._TASKS, "height")

    with pytest.raises((TaskError, CheckpointError), match=r"unknown task 'height'"):
        newest(whole).build()
