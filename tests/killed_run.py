"""A tiny run of many epochs, to be killed from outside at any moment: STORE RUN."""

import sys
from pathlib import Path

import pytest
from tiny_run import CONFIG, enter_tiny_family, tiny_job

from skelab.data.clips.store import open_store
from skelab.training.job import TrainingJob
from skelab.training.loop import train
from skelab.training.watch import Watcher

EPOCHS = 400


def long_job(store: Path, run: Path) -> TrainingJob:
    """Four hundred epochs with a running average and a checkpoint every thirtieth of a second."""
    changes = {"epochs": EPOCHS, "ema": 0.9, "checkpoint_minutes": 0.0005}
    return tiny_job(open_store(store), run, config=CONFIG.model_copy(update=changes))


class Announcer(Watcher):
    """Says when the first step is done, so that kills can be timed from there."""

    said = False

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        if not self.said:
            sys.stdout.write("started\n")
            sys.stdout.flush()
        self.said = True


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as family:
        enter_tiny_family(family)
        job = long_job(Path(sys.argv[1]), Path(sys.argv[2]))
        train(job, resume=job.checkpoints.exists(), watcher=Announcer())
