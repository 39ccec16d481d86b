"""A tiny run that several processes share; started by `torchrun`: STORE RUN KIND [SETTINGS]."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_run import enter_tiny_family, tiny_job, with_settings

from skelab.cli.main import leave
from skelab.data.clips.store import open_store
from skelab.errors import SkelabError
from skelab.inference.scoring import predict_logits
from skelab.training.loop import train
from skelab.training.processes import Processes
from skelab.training.watch import Watcher


class Dying(Watcher):
    """Kills the first process in a step of the third epoch."""

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def main(store_path: str, run: str, kind: str, settings: str = "{}") -> None:
    config = with_settings(**json.loads(settings))
    job = tiny_job(open_store(Path(store_path)), Path(run), config=config)
    job = replace(job, model=replace(job.model, options={"dropout": 0.0}))
    checkpoint = train(job, resume=kind == "resume", watcher=Dying() if kind == "die" else None)
    processes = Processes()
    rows = np.arange(len(job.source.index.names))[:7]
    logits = predict_logits(
        checkpoint.build(), job.feeder, job.source, rows, max_bodies=2, processes=processes
    )
    np.save(Path(run) / f"logits-{processes.number}.npy", logits)


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as family:
        enter_tiny_family(family)
        status = 0
        try:
            main(*sys.argv[1:])
        except SkelabError as error:
            sys.stderr.write(f"skelab: {error}\n")
            status = 2
        leave(status)
