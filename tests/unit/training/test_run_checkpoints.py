"""Which checkpoints of a run are kept, and which one it goes on from."""

from pathlib import Path

import pytest
from tiny_run import CONFIG, tiny_job

from skelab.data.clips.store import ClipStore
from skelab.inference.checkpoint import EpochTotals, TrainerState, read_checkpoint
from skelab.training.job import TrainingJob
from skelab.training.learner import Learner
from skelab.training.processes import Processes
from skelab.training.run_checkpoints import Saver, find_checkpoint, holds_run
from skelab.training.watch import Watcher


@pytest.fixture
def job(store: ClipStore, tmp_path: Path) -> TrainingJob:
    return tiny_job(store, tmp_path)


@pytest.fixture
def saver(job: TrainingJob) -> Saver:
    return Saver(job, Learner(job, Processes(), Watcher()))


def names(job: TrainingJob) -> list[str]:
    return sorted(path.name for path in job.checkpoints.iterdir())


def test_the_newest_place_is_found_also_within_an_epoch(job: TrainingJob, saver: Saver) -> None:
    assert not holds_run(job)
    saver.save(TrainerState(epoch=9))
    saver.save(TrainerState(epoch=9, step=1000, totals=EpochTotals(clips=4000)))

    found = find_checkpoint(job, Watcher())

    assert holds_run(job)
    assert found is not None
    assert found.trainer is not None
    assert (found.trainer.epoch, found.trainer.step) == (9, 1000)
    assert found.trainer.totals.clips == 4000


def test_two_places_are_kept(job: TrainingJob, saver: Saver) -> None:
    for epoch, step in ((0, 7), (1, 0), (1, 5), (1, 12), (2, 0)):
        saver.save(TrainerState(epoch=epoch, step=step))

    assert names(job) == ["epoch-0001-step-000012.safetensors", "epoch-0002.safetensors"]


def test_places_after_the_newest_are_removed(job: TrainingJob, saver: Saver) -> None:
    saver.save(TrainerState(epoch=5))
    (job.checkpoints / "epoch-0007.safetensors").write_bytes(b"damaged")

    saver.save(TrainerState(epoch=5, step=3))

    assert names(job) == ["epoch-0005-step-000003.safetensors", "epoch-0005.safetensors"]


@pytest.mark.parametrize(("best", "saved"), [(None, True), (4, True), (2, False)])
def test_the_chosen_checkpoint_is_that_of_the_best_epoch(
    best: int | None, saved: bool, job: TrainingJob, saver: Saver
) -> None:
    saver.save_chosen(TrainerState(epoch=5, best_epoch=best), epoch=4)

    assert job.chosen.exists() == saved
    if saved:
        assert read_checkpoint(job.chosen).trainer is None


@pytest.mark.parametrize(("minutes", "due"), [(0.0, True), (60.0, False)])
def test_a_checkpoint_is_due_when_the_last_one_is_old(
    minutes: float, due: bool, store: ClipStore, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"checkpoint_minutes": minutes})
    job = tiny_job(store, tmp_path, config=config)
    saver = Saver(job, Learner(job, Processes(), Watcher()))
    saver.save(TrainerState(epoch=1))

    assert saver.is_due() == due
