"""A second task for the tests, the mean height of a clip; as STORE RUN STEP it is killed there.

Its head gives one number a clip, its targets come from the batch and not from labels, and the epoch
with the lowest error is chosen.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float, Float32
from numpy import ndarray
from tiny_run import enter_tiny_family, tiny_job, with_settings
from torch import Tensor, nn
from torch.nn import functional as F

from skelab.cli.main import leave
from skelab.data.clips.store import ClipStore, open_store
from skelab.data.feeding.feeder import Batch
from skelab.errors import TaskError
from skelab.evaluation import OutputScores
from skelab.models import ModelOutput
from skelab.tasks import Choice, Losses, ScoredClips, TaskSpec, register_task, registry
from skelab.training.job import TrainingJob
from skelab.training.loop import train
from skelab.training.watch import Watcher

HEIGHT = TaskSpec("height", {"scale": 2.0})
SETTINGS = with_settings(learning_rate=0.002)


class HeightTask:
    """Regress the mean of y over a clip, times a scale."""

    name = "height"
    needs_labels = False
    choice = Choice("error", higher_is_better=False)

    def __init__(self, *, scale: float = 1.0) -> None:
        if not scale > 0:
            raise TaskError(f"task.scale: expected a number above 0, found {scale!r}")
        self.scale = scale

    def attach_head(self, model: nn.Module) -> None:
        old = model.classifier
        assert isinstance(old, nn.Linear)
        model.classifier = nn.Linear(old.in_features, 1, device=old.weight.device)

    def targets(self, batch: Batch) -> Float[Tensor, " N"]:
        return self.scale * batch.joints[:, 1].mean(dim=(1, 2, 3))

    def losses(self, output: ModelOutput, batch: Batch) -> Losses:
        loss = F.mse_loss(output.logits.float()[:, 0], self.targets(batch))
        return Losses(loss, {"squared": loss})

    def sums(self, output: ModelOutput, batch: Batch) -> dict[str, float]:
        return {"error": float((output.logits[:, 0] - self.targets(batch)).abs().sum())}

    def metrics(
        self, outputs: Float32[ndarray, "N 1"], targets: Float32[ndarray, " N"]
    ) -> dict[str, float]:
        gap = outputs[:, 0].astype(np.float64) - targets
        return {"loss": float(np.mean(gap**2)), "error": float(np.mean(np.abs(gap)))}

    def scores(
        self, outputs: Float32[ndarray, "N 1"], targets: Float32[ndarray, " N"], clips: ScoredClips
    ) -> OutputScores:
        metrics = self.metrics(outputs, targets)
        return OutputScores(clips.names, outputs, targets, metrics, self.name, clips.info)


def enter_height_task(patch: pytest.MonkeyPatch) -> None:
    """Let recipes and checkpoints know the task until the patch is undone."""
    patch.setattr(registry, "_TASKS", dict(registry._TASKS))
    register_task("height")(HeightTask)


@pytest.fixture
def height_task() -> Iterator[None]:
    """The task is there in every test that takes this in."""
    with pytest.MonkeyPatch.context() as patch:
        enter_height_task(patch)
        yield


def height_job(store: ClipStore, run: Path, **changes: Any) -> TrainingJob:
    """The tiny run with the second task."""
    return tiny_job(store, run, **{"task": HEIGHT, "config": SETTINGS, **changes})


class _Killer(Watcher):
    """Kills this very process in the step that it is told, counted from 1; 0 for none."""

    def __init__(self, step: int) -> None:
        self._left = step

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch(self, record: Mapping[str, int | float]) -> None:
        assert "validation_error" in record


if __name__ == "__main__":
    store_path, run_path, number = sys.argv[1:]
    with pytest.MonkeyPatch.context() as patched:
        enter_tiny_family(patched)
        enter_height_task(patched)
        job = height_job(open_store(Path(store_path)), Path(run_path))
        if "NO_DROPOUT" in os.environ:  # so that processes draw nothing that one would not
            job = replace(job, model=replace(job.model, options={"dropout": 0.0}))
        train(job, watcher=_Killer(int(number)))
        leave(0)
