"""Checkpoints of a run: when to write them, how many to keep, and which one to resume."""

import time
from dataclasses import replace
from pathlib import Path

from skelab.errors import CheckpointError, TrainingError
from skelab.inference.checkpoint import (
    Checkpoint,
    TrainerState,
    optimizer_tensors,
    read_checkpoint,
)
from skelab.training.job import TrainingJob
from skelab.training.learner import Learner
from skelab.training.watch import Watcher

KEPT_CHECKPOINTS = 2
"""Checkpoints to keep: the newest, and one more in case it is damaged."""

_FILES = "epoch-*.safetensors"


def holds_run(job: TrainingJob) -> bool:
    """Whether the job's folder has checkpoints to resume."""
    return any(job.checkpoints.glob(_FILES))


def find_checkpoint(job: TrainingJob, watcher: Watcher) -> Checkpoint | None:
    """The newest intact checkpoint of a run; None if there is none.

    Raises:
        TrainingError: It belongs to another recipe or to other data.
    """
    for path in _newest_first(job):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            watcher.on_message(f"{error}; taking the one before it")
            continue
        if (checkpoint.recipe, checkpoint.inputs) != (job.recipe, job.inputs):
            raise TrainingError(
                f"{path}: the run was started with another recipe or other data;"
                " resume it with what it was started with, or choose another --out"
            )
        state = checkpoint.trainer
        if state is None:
            continue
        place = f"step {state.step} of epoch {state.epoch + 1}" if state.step else ""
        watcher.on_message(f"resumed after {place or f'epoch {state.epoch}'} from {path}")
        return checkpoint
    return None


class Saver:
    """Writes the checkpoints of a run.

    Args:
        job: The run.
        learner: The learner whose weights are saved.
    """

    def __init__(self, job: TrainingJob, learner: Learner) -> None:
        self.job = job
        self.learner = learner
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether another checkpoint within the epoch is due."""
        minutes = (time.monotonic() - self._saved_at) / 60
        return minutes >= self.job.config.checkpoint_minutes

    def save(self, state: TrainerState) -> None:
        """Write a checkpoint of the current state, and remove those no longer needed.

        Raises:
            OutputError: The disk is full; older checkpoints are untouched.
        """
        learner, average = self.learner, self.learner.average
        state = replace(
            state,
            micro_batch=learner.micro_batch,
            optimizer=optimizer_tensors(learner.optimizer),
            average=average.tensors() if average else {},
            average_steps=average.steps if average else 0,
            scaler=learner.engine.state(),
        )
        path = _file(self.job, state)
        self._checkpoint(state).save(path)
        self._prune(path)
        self._saved_at = time.monotonic()

    def save_chosen(self, state: TrainerState, epoch: int) -> None:
        """Write the chosen checkpoint if the epoch that has just ended is the best.

        Raises:
            OutputError: The disk is full; the one before is untouched.
        """
        if state.best_epoch not in (None, epoch):
            return
        average = self.learner.average
        checkpoint = self._checkpoint(state)
        weights = average.tensors() if average else checkpoint.weights
        replace(checkpoint, weights=weights, trainer=None).save(self.job.chosen)

    def _checkpoint(self, state: TrainerState) -> Checkpoint:
        job = self.job
        return Checkpoint(
            model=job.model,
            inputs=job.inputs,
            recipe=job.recipe,
            weights=self.learner.engine.weights(),
            epoch=state.epoch,
            protocol=job.protocol,
            trainer=state,
            task=job.task,
            origin=self.learner.origin,
            fusion=job.fusion,
        )

    def _prune(self, newest: Path) -> None:
        """Keep the newest checkpoints; also remove damaged ones of a later state."""
        older = [path for path in _newest_first(self.job) if path.stem < newest.stem]
        kept = {newest, *older[: KEPT_CHECKPOINTS - 1]}
        for path in self.job.checkpoints.glob(_FILES):
            if path not in kept:
                path.unlink()


def _file(job: TrainingJob, state: TrainerState) -> Path:
    """The file of a state's checkpoint; file names sort chronologically."""
    step = f"-step-{state.step:06d}" if state.step else ""
    return job.checkpoints / f"epoch-{state.epoch:04d}{step}.safetensors"


def _newest_first(job: TrainingJob) -> list[Path]:
    return sorted(job.checkpoints.glob(_FILES), key=lambda path: path.stem, reverse=True)
