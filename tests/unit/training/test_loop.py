"""Training: the same job gives the same weights, whole, stopped, killed or short of disk."""

import errno
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from killed_run import long_job
from tiny_clips import SBU15
from tiny_run import (
    CONFIG,
    PYTHON_PATH,
    enter_tiny_family,
    same_tensors,
    tiny_job,
    what_training_computed,
    with_settings,
)
from torch.nn import functional as F

from skelab.data.clips.store import ClipStore
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Batch, Feeder
from skelab.errors import OutputError, TrainingError
from skelab.files import atomic
from skelab.inference.checkpoint import Checkpoint, build_model, optimizer_tensors, read_checkpoint
from skelab.models import ModelSpec
from skelab.training import loop as loop_module
from skelab.training.config import MemoryConfig, Precision, TrainingConfig
from skelab.training.learner import Learner, StepResult
from skelab.training.loop import train
from skelab.training.records import read_history
from skelab.training.watch import Watcher

TESTS = Path(__file__).parents[2]


class StoppedError(Exception):
    """Raised by a watcher to end a run."""


class Stopper(Watcher):
    """Stops a run after a step, or after an epoch; collects what it is told."""

    def __init__(self, *, step: tuple[int, int] | None = None, epoch: int | None = None) -> None:
        self.stop_step, self.stop_epoch = step, epoch
        self.messages: list[str] = []
        self.calls: list[str] = []
        self.losses: list[float] = []

    def on_start(self, *, epochs: int, steps: int, first_epoch: int, first_step: int) -> None:
        self.calls.append(f"start {first_epoch}.{first_step} of {epochs}, {steps} steps")

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        self.calls.append(f"step {epoch}.{step}, {clips} clips")
        self.losses.append(loss)
        if (epoch, step) == self.stop_step:
            raise StoppedError

    def on_epoch(self, record: Mapping[str, int | float]) -> None:
        self.calls.append(f"epoch {record['epoch']}")
        if record["epoch"] == self.stop_epoch:
            raise StoppedError

    def on_scored(self, *, done: int, total: int) -> None:
        self.calls.append(f"scored {done} of {total}")

    def on_message(self, text: str) -> None:
        self.messages.append(text)


def newest(run: Path) -> Checkpoint:
    return read_checkpoint(max((run / "checkpoints").glob("epoch-*")))


def assert_same_run(run: Path, expected: Path) -> None:
    """Both runs ended with the same weights, optimiser, choice and numbers, bit for bit."""
    found, wanted = newest(run), newest(expected)
    assert found.trainer is not None
    assert wanted.trainer is not None
    assert same_tensors(found.weights, wanted.weights)
    assert same_tensors(found.trainer.optimizer, wanted.trainer.optimizer)
    assert found.digest == wanted.digest
    chosen = [
        read_checkpoint(folder / "checkpoints/best.safetensors") for folder in (run, expected)
    ]
    assert chosen[0].digest == chosen[1].digest
    assert what_training_computed(run) == what_training_computed(expected)


@pytest.fixture(scope="module")
def whole(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        enter_tiny_family(patch)
        train(tiny_job(store, run))
    return run


# What a run does


def test_two_runs_of_equal_jobs_end_with_equal_weights(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    torch.manual_seed(123)  # what happened before a run has no part in it

    train(tiny_job(store, tmp_path))

    assert_same_run(tmp_path, whole)


def test_another_seed_ends_with_other_weights(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    train(tiny_job(store, tmp_path, config=CONFIG.model_copy(update={"seed": 4})))

    assert not same_tensors(newest(tmp_path).weights, newest(whole).weights)


def test_a_run_leaves_the_generator_of_its_caller_alone(store: ClipStore, tmp_path: Path) -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()

    train(tiny_job(store, tmp_path))

    assert torch.equal(torch.get_rng_state(), before)


def test_a_watcher_is_told_of_everything_in_order(store: ClipStore, tmp_path: Path) -> None:
    watcher = Stopper()
    config = CONFIG.model_copy(update={"epochs": 2})

    train(tiny_job(store, tmp_path, config=config), watcher=watcher)

    scored = ["scored 4 of 6", "scored 6 of 6"]
    assert watcher.calls == [
        "start 0.0 of 2, 4 steps",
        *[f"step 0.{step}, 4 clips" for step in range(4)],
        *scored,
        "epoch 0",
        *[f"step 1.{step}, 4 clips" for step in range(4)],
        *scored,
        "epoch 1",
    ]


def test_the_record_of_an_epoch_has_what_a_report_needs(store: ClipStore, whole: Path) -> None:
    records = read_history(whole)

    assert [record["epoch"] for record in records] == [0, 1, 2, 3]
    assert [record["learning_rate"] for record in records] == pytest.approx(
        [0.05, 0.05, 0.005, 0.005]
    )
    for record in records:
        assert 0 <= record["train_top1"] <= 1
        assert 0 <= record["validation_top1"] <= 1
        assert 0 <= record["data_seconds"] <= record["seconds"]
        assert record["clips_per_second"] == pytest.approx(16 / record["seconds"])
        assert record["peak_memory_bytes"] > 1e6
        assert {"train_loss", "validation_loss"} <= set(record)


def test_each_epoch_has_an_order_of_its_own_and_sees_each_clip_once_at_most(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    feed = Feeder.training_batch

    def watched(self: Feeder, clips: Any, *, seed: int, epoch: int) -> Batch:
        rows.extend(clips.rows)
        return feed(self, clips, seed=seed, epoch=epoch)

    monkeypatch.setattr(Feeder, "training_batch", watched)
    job = tiny_job(store, tmp_path)
    train(job)

    epochs = [rows[start : start + 16] for start in range(0, 64, 16)]
    assert len(rows) == 64
    for epoch in epochs:
        assert len(set(epoch)) == 16
        assert set(epoch) <= set(job.train_rows)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_the_rest_of_an_epoch_is_trained_on_if_nothing_is_dropped(
    store: ClipStore, tmp_path: Path
) -> None:
    watcher = Stopper(epoch=0)
    config = CONFIG.model_copy(update={"drop_last": False})

    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path, config=config), watcher=watcher)

    sizes = [call.split(", ")[1] for call in watcher.calls if call.startswith("step")]
    assert sizes == ["4 clips"] * 4 + ["2 clips"]


def test_a_set_smaller_than_a_batch_is_trained_on_whole(store: ClipStore, tmp_path: Path) -> None:
    watcher = Stopper(epoch=0)
    config = CONFIG.model_copy(update={"batch_size": 64})

    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path, config=config), watcher=watcher)

    assert "step 0.0, 18 clips" in watcher.calls


def test_reading_ahead_in_another_process_changes_no_weight(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"epochs": 1})
    train(tiny_job(store, tmp_path / "here", config=config))

    train(tiny_job(store, tmp_path / "ahead", config=config, workers=1))

    assert_same_run(tmp_path / "ahead", tmp_path / "here")


def test_the_loss_falls(store: ClipStore, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"epochs": 12, "steps": ()})
    model = replace(tiny_job(store, tmp_path).model, options={"dropout": 0.0})

    train(tiny_job(store, tmp_path, config=config, model=model))

    losses = [record["train_loss"] for record in read_history(tmp_path)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_last_clips_of_an_epoch_are_left_out_if_processes_outnumber_them(
    store: ClipStore, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"drop_last": False, "batch_size": 8})
    job = tiny_job(store, tmp_path, config=config)

    sizes = [[len(batch) for batch in loop_module._batches(job, 0, count)] for count in (1, 2, 3)]

    assert sizes == [[8, 8, 2], [8, 8, 2], [8, 8]]


def test_more_processes_than_clips_in_a_batch_are_refused(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="5 processes share batches of 4 clips"):
        loop_module._batches(tiny_job(store, tmp_path), 0, 5)


# Which epoch is chosen


def choose(values: list[float], store: ClipStore, run: Path) -> Checkpoint:
    """Train while the validation says what the list does."""
    said = iter(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop_module, "validate", lambda *_: {"validation_top1": next(said)})
        return train(tiny_job(store, run))


@pytest.mark.parametrize(
    ("values", "chosen"),
    [([0.1, 0.4, 0.3, 0.2], 2), ([0.5, 0.5, 0.5, 0.5], 1), ([0.0, 0.1, 0.3, 0.3], 3)],
)
def test_the_first_of_the_best_epochs_on_validation_is_chosen(
    values: list[float], chosen: int, store: ClipStore, tmp_path: Path
) -> None:
    checkpoint = choose(values, store, tmp_path)

    assert checkpoint.epoch == chosen
    assert checkpoint.trainer is None
    trainer = newest(tmp_path).trainer
    assert trainer is not None
    assert (trainer.best_epoch, trainer.best_value) == (chosen - 1, max(values))


def test_without_validation_the_last_epoch_is_chosen(store: ClipStore, tmp_path: Path) -> None:
    job = tiny_job(store, tmp_path, validation_rows=np.arange(0))

    checkpoint = train(job)

    assert checkpoint.epoch == 4
    assert same_tensors(checkpoint.weights, newest(tmp_path).weights)
    assert "validation_top1" not in read_history(tmp_path)[0]


def test_validation_is_the_share_of_right_answers_and_their_loss(
    store: ClipStore, whole: Path
) -> None:
    job, checkpoint = tiny_job(store, whole), newest(whole)
    network = checkpoint.build()

    losses, right = [], []
    for row in job.validation_rows:
        clips = pad_clips([(int(row), store.clip(int(row)))], max_bodies=2)
        batch = job.feeder.evaluation_batch(clips)
        logits = network(batch.joints)
        losses.append(F.cross_entropy(logits, batch.labels).item())
        right.append(bool(logits.argmax() == batch.labels))

    record = read_history(whole)[-1]
    assert record["validation_top1"] == pytest.approx(np.mean(right))
    assert record["validation_loss"] == pytest.approx(np.mean(losses), rel=1e-5)


# Stops, kills, damage


@pytest.mark.parametrize(
    "stopper",
    [{"epoch": 0}, {"epoch": 1}, {"step": (0, 1)}, {"step": (2, 3)}, {"step": (3, 0)}],
    ids=lambda stopper: str(stopper),
)
def test_a_run_that_was_stopped_and_resumed_ends_like_one_that_never_was(
    stopper: dict[str, Any], store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path), watcher=Stopper(**stopper))
    torch.manual_seed(77)

    train(tiny_job(store, tmp_path), resume=True)

    assert_same_run(tmp_path, whole)


def test_a_run_may_be_stopped_again_and_again(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    for step in ((0, 3), (1, 0), (1, 2), (3, 1)):
        with pytest.raises(StoppedError):
            train(tiny_job(store, tmp_path), resume=step != (0, 3), watcher=Stopper(step=step))

    train(tiny_job(store, tmp_path), resume=True)

    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize("step", [(0, 1), (1, 0), (2, 2), (3, 3)])
def test_a_run_goes_on_within_an_epoch_if_it_left_a_checkpoint_there(
    step: tuple[int, int], store: ClipStore, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"checkpoint_minutes": 0.0, "ema": 0.9})
    train(tiny_job(store, tmp_path / "whole", config=config))
    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path / "run", config=config), watcher=Stopper(step=step))
    watcher = Stopper()

    train(tiny_job(store, tmp_path / "run", config=config), resume=True, watcher=watcher)

    place = f"step {step[1]} of epoch {step[0] + 1}" if step[1] else f"epoch {step[0]}"
    assert watcher.messages[0].startswith(f"resumed after {place} from ")
    assert watcher.calls[0] == f"start {step[0]}.{step[1]} of 4, 4 steps"
    assert watcher.calls[1] == f"step {step[0]}.{step[1]}, 4 clips"
    assert_same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("unit", ["epoch", "step"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_every_optimiser_and_schedule_goes_on_within_an_epoch_bit_for_bit(
    optimizer: str, unit: str, store: ClipStore, tmp_path: Path
) -> None:
    config = with_settings(
        optimizer=optimizer,
        schedule="cosine",
        schedule_unit=unit,
        min_rate=1e-4,
        clip_norm=0.5,
        groups=[{"pattern": "^norm", "rate": 0.5, "decay": 0.0}],
        checkpoint_minutes=0.0,
    )
    train(tiny_job(store, tmp_path / "whole", config=config))
    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path / "run", config=config), watcher=Stopper(step=(2, 2)))
    watcher = Stopper()

    train(tiny_job(store, tmp_path / "run", config=config), resume=True, watcher=watcher)

    assert watcher.calls[0] == "start 2.2 of 4, 4 steps"
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_run_with_the_default_settings_is_sgd_in_a_plain_loop(
    store: ClipStore, tmp_path: Path
) -> None:
    job = tiny_job(store, tmp_path, config=TrainingConfig(epochs=8, batch_size=4, seed=3))
    config = job.config
    torch.manual_seed(config.seed)
    model = build_model(job.model).train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.0004
    )

    for epoch in range(8):
        order = np.random.default_rng((config.seed, epoch)).permutation(len(job.train_rows))
        for step in range(len(order) // 4):
            rows = job.train_rows[order[4 * step : 4 * step + 4]]
            clips = pad_clips([(int(row), store.clip(int(row))) for row in rows], max_bodies=2)
            batch = job.feeder.training_batch(clips, seed=config.seed, epoch=epoch)
            place = np.random.SeedSequence((config.seed, epoch, step, 0))
            torch.manual_seed(int(place.generate_state(1, np.uint64)[0]))
            optimizer.param_groups[0]["lr"] = 0.1 * min(epoch + 1, 5) / 5
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(model(batch.joints), batch.labels))
            optimizer.step()
    train(job)

    found = newest(tmp_path)
    assert same_tensors(found.weights, model.state_dict())
    assert found.trainer is not None
    assert same_tensors(found.trainer.optimizer, optimizer_tensors(optimizer))


def test_a_run_that_met_the_end_of_memory_is_resumed_with_what_fitted(
    store: ClipStore, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train(
            tiny_job(store, tmp_path, memory=MemoryConfig(micro_batch=2)), watcher=Stopper(epoch=0)
        )
    state = newest(tmp_path).trainer
    assert state is not None
    assert state.micro_batch == 2


def test_the_average_of_the_weights_is_chosen_and_the_weights_go_on(
    store: ClipStore, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"ema": 0.9})

    chosen = train(tiny_job(store, tmp_path, config=config, validation_rows=np.arange(0)))

    last = newest(tmp_path)
    assert last.trainer is not None
    assert same_tensors(chosen.weights, last.trainer.average)
    assert not same_tensors(chosen.weights, last.weights)


def test_resuming_says_where_it_goes_on(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path), watcher=Stopper(epoch=1))
    watcher = Stopper()

    train(tiny_job(store, tmp_path), resume=True, watcher=watcher)

    path = tmp_path / "checkpoints" / "epoch-0002.safetensors"
    assert watcher.messages == [f"resumed after epoch 2 from {path}"]
    assert watcher.calls[0] == "start 2.0 of 4, 4 steps"


def test_resuming_a_run_that_has_ended_changes_nothing(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    job = tiny_job(store, tmp_path)
    train(job)
    before = {path.name: path.read_bytes() for path in job.checkpoints.iterdir()}

    train(job, resume=True)

    assert {path.name: path.read_bytes() for path in job.checkpoints.iterdir()} == before
    assert_same_run(tmp_path, whole)


def test_two_checkpoints_are_kept_beside_the_chosen_one(whole: Path) -> None:
    names = sorted(path.name for path in (whole / "checkpoints").iterdir())

    assert names == ["best.safetensors", "epoch-0003.safetensors", "epoch-0004.safetensors"]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before_it(
    damage: str, store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path), watcher=Stopper(epoch=2))
    path = tmp_path / "checkpoints" / "epoch-0003.safetensors"
    content = path.read_bytes()
    flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    path.write_bytes({"flip": flipped, "cut": content[:-100], "empty": b""}[damage])
    watcher = Stopper()

    train(tiny_job(store, tmp_path), resume=True, watcher=watcher)

    assert watcher.messages[0].startswith(f"{path}: ")
    assert watcher.messages[0].endswith("; taking the one before it")
    assert "resumed after epoch 2" in watcher.messages[1]
    assert_same_run(tmp_path, whole)


def test_if_all_checkpoints_are_damaged_the_run_begins_anew_and_can_be_stopped_again(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path), watcher=Stopper(epoch=3))
    for path in (tmp_path / "checkpoints").glob("epoch-*"):
        path.write_bytes(b"damaged")
    watcher = Stopper(epoch=0)

    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path), resume=True, watcher=watcher)

    train(tiny_job(store, tmp_path), resume=True)
    assert watcher.calls[0] == "start 0.0 of 4, 4 steps"
    assert len(watcher.messages) == 2
    assert_same_run(tmp_path, whole)


def test_another_recipe_or_other_data_cannot_resume_a_run(store: ClipStore, tmp_path: Path) -> None:
    job = tiny_job(store, tmp_path)
    with pytest.raises(StoppedError):
        train(job, watcher=Stopper(epoch=0))
    others = [replace(job, recipe="name: other\n")]
    others.append(replace(job, inputs=replace(job.inputs, digest="other")))

    for other in others:
        with pytest.raises(TrainingError, match="started with another recipe or other data") as e:
            train(other, resume=True)
        assert "\n" not in str(e.value)

    assert newest(tmp_path).epoch == 1


def test_a_folder_that_holds_a_run_is_not_overwritten(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path), watcher=Stopper(epoch=0))
    before = newest(tmp_path).digest

    with pytest.raises(TrainingError, match="holds a run already; resume it, or choose another"):
        train(tiny_job(store, tmp_path))

    assert newest(tmp_path).digest == before


def test_a_disk_that_fills_up_keeps_the_older_checkpoints_and_the_run_can_go_on(
    store: ClipStore, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full_from_epoch_3(self: Path, data: bytes) -> int:
        if "epoch-0003" in self.name:
            write(self, data[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full_from_epoch_3)
    with pytest.raises(OutputError, match=r"epoch-0003\.safetensors: the disk is full"):
        train(tiny_job(store, tmp_path))
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    monkeypatch.undo()
    train(tiny_job(store, tmp_path), resume=True)

    assert left == ["best.safetensors", "epoch-0001.safetensors", "epoch-0002.safetensors"]
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize("number", range(2, 10))
def test_a_run_that_stops_at_any_moment_of_writing_ends_like_one_that_never_did(
    number: int, store: ClipStore, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = atomic._flush
    written = 0

    def stop_at_number(path: Path) -> None:
        nonlocal written
        flush(path)
        written += 1
        if written == number:
            raise StoppedError

    monkeypatch.setattr(atomic, "_flush", stop_at_number)
    with pytest.raises(StoppedError):
        train(tiny_job(store, tmp_path))
    monkeypatch.undo()

    train(tiny_job(store, tmp_path), resume=True)

    assert_same_run(tmp_path, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "number"),
    # in a step; before a file gets its name (odd) and after it has got it (even)
    [("step", 7), ("write", 5), ("write", 13), ("write", 16)],
)
def test_a_run_that_was_killed_and_resumed_ends_like_one_that_never_was(
    what: str, number: int, store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    script = [sys.executable, str(TESTS / "tiny_run.py"), str(store.path), str(tmp_path)]

    killed = subprocess.run(
        [*script, what, str(number)],
        env={**os.environ, "PYTHONPATH": PYTHON_PATH},
        check=False,
    )

    train(tiny_job(store, tmp_path), resume=True)
    assert killed.returncode == -9
    assert_same_run(tmp_path, whole)


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_ends_like_one_that_never_was(
    store: ClipStore, tmp_path: Path
) -> None:
    rng = np.random.default_rng(20)
    script = [sys.executable, str(TESTS / "killed_run.py"), str(store.path), str(tmp_path / "run")]
    places = []
    for _ in range(20):
        with subprocess.Popen(
            script, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": PYTHON_PATH}
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            time.sleep(rng.uniform(0.05, 0.2))
            process.kill()
            assert process.wait() == -signal.SIGKILL
        files = sorted((tmp_path / "run" / "checkpoints").glob("epoch-*"), key=lambda p: p.stem)
        places.append(files[-1].stem if files else "")

    train(long_job(store.path, tmp_path / "run"), resume=True)
    train(long_job(store.path, tmp_path / "whole"))

    assert len(set(places)) >= 10  # they really were at different places
    assert "epoch-0400" not in places
    assert_same_run(tmp_path / "run", tmp_path / "whole")


# What a run cannot do


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step = Learner.step

    def diverging(self: Learner, batch: Batch, **place: int) -> StepResult:
        if (place["epoch"], place["step"]) == (1, 1):
            return StepResult(math.nan)
        return take_step(self, batch, **place)

    monkeypatch.setattr(Learner, "step", diverging)
    with pytest.raises(TrainingError, match=r"epoch 2, step 2: the loss is nan; .*=0\.005") as e:
        train(tiny_job(store, tmp_path))

    assert "\n" not in str(e.value)
    assert newest(tmp_path).epoch == 1


@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({"learning_rate": 1e30}, "0.1"),
        ({"learning_rate": 0.5}, "0.05"),
        ({"learning_rate": 1e30, "optimizer": "adamw"}, "0.001"),
    ],
)
def test_a_rate_that_is_suggested_is_one_at_which_networks_train(
    settings: dict[str, Any],
    rate: str,
    store: ClipStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Learner, "step", lambda *_, **__: StepResult(math.inf))

    with pytest.raises(TrainingError, match=rf"training\.learning_rate={rate}$"):
        train(tiny_job(store, tmp_path, config=with_settings(**settings)))


def test_an_empty_training_part_is_refused(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the training part is empty"):
        train(tiny_job(store, tmp_path, train_rows=np.arange(0)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_half_precision_without_a_gpu_is_refused_with_the_way_out(
    store: ClipStore, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="fp16 needs a GPU, found none; --set precision=bf16"):
        train(tiny_job(store, tmp_path, precision=Precision.FP16))


def test_precisions_may_change_from_run_to_run_in_one_process(
    store: ClipStore, whole: Path, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"epochs": 1})

    train(tiny_job(store, tmp_path / "a", config=config, precision=Precision.BF16))
    train(tiny_job(store, tmp_path / "b", config=config))

    losses = [read_history(tmp_path / name)[0]["train_loss"] for name in "ab"]
    assert losses[1] == read_history(whole)[0]["train_loss"]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
    assert all(
        value.dtype is not torch.bfloat16 for value in newest(tmp_path / "a").weights.values()
    )


def test_activations_that_are_recomputed_train_the_same_network(
    store: ClipStore, tmp_path: Path
) -> None:
    job = tiny_job(
        store,
        tmp_path,
        config=CONFIG.model_copy(update={"epochs": 1, "batch_size": 8}),
        model=ModelSpec("ctrgcn", 3, SBU15, 3, 2, {"dropout": 0.0, "width": 8}),
        validation_rows=np.arange(0),
    )

    kept = train(replace(job, run=tmp_path / "keep"))
    memory = MemoryConfig(activations="recompute")
    recomputed = train(replace(job, run=tmp_path / "recompute", memory=memory))

    torch.testing.assert_close(dict(recomputed.weights), dict(kept.weights))


def test_a_loader_that_is_killed_ends_the_run_with_the_way_to_go_on(
    store: ClipStore, tmp_path: Path
) -> None:
    script = f"""
import os, signal, sys, threading
from pathlib import Path
import multiprocessing as mp, time
sys.path[:0] = {PYTHON_PATH.split(os.pathsep)!r}
from tiny_run import *
enter_tiny_family(pytest.MonkeyPatch())

class Killer(Watcher):
    def on_step(self, *, epoch, step, clips, loss):
        for child in mp.active_children():
            os.kill(child.pid, signal.SIGKILL)
        time.sleep(1)

try:
    job = tiny_job(open_store(Path({str(store.path)!r})), Path({str(tmp_path)!r}), workers=1)
    train(job, watcher=Killer())
except Exception as error:
    print(type(error).__name__, error)
"""

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.stdout.startswith("LoaderError loader process "), done.stderr
    assert f"--resume goes on from the last checkpoint in {tmp_path}" in done.stdout
