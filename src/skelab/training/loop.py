"""Training, from top to bottom: epochs, steps, validation, checkpoints."""

import math
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from torch.utils.data import DataLoader

from skelab.data.feeding.dataset import (
    ClipDataset,
    PaddedClips,
    killed_workers_named,
    pad_clips,
    read_ahead,
)
from skelab.errors import TrainingError
from skelab.inference.checkpoint import Checkpoint, EpochTotals, TrainerState, read_checkpoint
from skelab.inference.scoring import predict_with_targets
from skelab.tasks import Choice, ratios_of
from skelab.training.config import USUAL_RATES
from skelab.training.history import History
from skelab.training.job import TrainingJob
from skelab.training.learner import Learner
from skelab.training.processes import Processes
from skelab.training.run_checkpoints import Saver, find_checkpoint, holds_run
from skelab.training.run_folder import describe_run
from skelab.training.trackers import open_trackers
from skelab.training.watch import Watcher

_CHOSEN_ON_TEST: Final = "chosen_on_test"
"""Column of a run under protocol ``paper``: its validation metrics are those of the test part."""


def train(
    job: TrainingJob,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    trackers: Sequence[str] = (),
) -> Checkpoint:
    """Train a network and return the chosen checkpoint.

    With validation rows the epoch with the best metric of the task is chosen (top-1 for
    classification; the first of equals), otherwise the last epoch. An interrupted run resumes from
    its newest intact checkpoint and ends with the weights of an uninterrupted one, bit for bit on a
    CPU. With several processes each calls this function; the first one writes files and notifies
    the watcher and the ``trackers``, names of `skelab.training.trackers.TRACKERS`. Nothing is
    written before the network has been made.

    Raises:
        TrainingError: The job cannot start, the folder holds another run, a tracker does not
            start, the loss is no longer finite, memory does not suffice for one clip, or another
            process has ended.
        SkelabError: The network cannot be made, see :class:`Learner`.
        OutputError: The disk is full; older checkpoints are untouched.
    """
    processes = Processes()
    first = processes.first
    watcher = watcher if watcher and first else Watcher()
    if first and not resume and holds_run(job):
        raise TrainingError(f"{job.run}: holds a run already; resume it, or choose another folder")
    with torch.random.fork_rng():
        checkpoint = find_checkpoint(job, watcher) if resume and first else None
        checkpoint = processes.from_first(checkpoint)
        state = (checkpoint and checkpoint.trainer) or TrainerState()
        learner = Learner(job, processes, watcher, checkpoint)
        saver = Saver(job, learner)
        if first:
            _begin(learner, state, saver, watcher, resume=resume)
        shown = open_trackers(trackers if first else (), job, watcher)
        history = History(job.run, first_epoch=state.epoch, trackers=shown) if first else None
        hint = f"--resume goes on from the last checkpoint in {job.run}"
        with history or nullcontext(), killed_workers_named(hint):
            for epoch in range(state.epoch, job.config.epochs):
                totals = train_epoch(learner, state, saver)
                record = _record(epoch, learner, totals) | validate(learner)
                state = _after_epoch(state, epoch, record, learner.task.choice)
                if history is not None:
                    # The epoch's own checkpoint last: a run killed before it repeats the epoch.
                    history.add(record)
                    saver.save_chosen(state, epoch)
                    saver.save(state)
                watcher.on_epoch(record)
    processes.wait()  # until the first has written the last checkpoint
    return read_checkpoint(job.chosen)


def _begin(
    learner: Learner, state: TrainerState, saver: Saver, watcher: Watcher, *, resume: bool
) -> None:
    """Describe the run in its folder, and report where training starts."""
    job = learner.job
    if not resume:
        describe_run(learner)
    if learner.initial is not None:
        watcher.on_initial(job.transfer.source, learner.initial)
        saver.save(state)  # from here on the initial weights are not needed
    watcher.on_start(
        epochs=job.config.epochs,
        steps=len(_batches(job, 0, learner.processes.count)),
        first_epoch=state.epoch,
        first_step=state.step,
    )


def train_epoch(learner: Learner, state: TrainerState, saver: Saver) -> EpochTotals:
    """Train one epoch, in an order that depends on seed and epoch.

    Args:
        learner: The network.
        state: The epoch and step to start from.
        saver: Writes checkpoints within the epoch.
    """
    job, processes, epoch = learner.job, learner.processes, state.epoch
    batches = _batches(job, epoch, processes.count)
    learner.begin_epoch(epoch, len(batches))
    totals = state.totals
    since = time.perf_counter()
    for step, clips in enumerate(_loader(job, batches[state.step :], processes), state.step):
        batch = job.feeder.training_batch(
            clips.to(learner.engine.device), seed=job.config.seed, epoch=epoch
        )
        waited = time.perf_counter() - since
        count = len(batches[step])
        result = learner.step(batch, epoch=epoch, step=step, clips=count)
        if not math.isfinite(result.loss):
            rate = min(job.config.learning_rate / 10, USUAL_RATES[job.config.optimizer])
            raise TrainingError(
                f"epoch {epoch + 1}, step {step + 1}: the loss is {result.loss}; a lower rate"
                f" helps: --set training.learning_rate={rate:g}"
            )
        totals = replace(
            totals,
            loss=totals.loss + result.loss * count,
            sums={n: totals.sums.get(n, 0.0) + value for n, value in result.sums.items()},
            clips=totals.clips + count,
            data_seconds=totals.data_seconds + waited,
            seconds=totals.seconds + time.perf_counter() - since,
        )
        since = time.perf_counter()
        learner.watcher.on_step(epoch=epoch, step=step, clips=count, loss=result.loss)
        if processes.first and saver.is_due() and step + 1 < len(batches):
            saver.save(replace(state, step=step + 1, totals=totals))
    return totals


def validate(learner: Learner) -> dict[str, float]:
    """The validation metrics of the task, named as in the record; empty without validation rows."""
    job = learner.job
    if not len(job.validation_rows):
        return {}
    with learner.evaluation_weights() as model:
        outputs, targets = predict_with_targets(
            model,
            job.feeder,
            job.source,
            job.validation_rows,
            learner.task.targets,
            max_bodies=job.model.max_bodies,
            batch_size=min(job.config.batch_size, learner.micro_batch or job.config.batch_size),
            workers=job.workers,
            engine=learner.engine,
            processes=learner.processes,
            on_scored=lambda done, total: learner.watcher.on_scored(done=done, total=total),
            ratios=ratios_of(learner.task),
        )
    found = learner.task.metrics(outputs, targets)
    said: dict[str, float] = {_CHOSEN_ON_TEST: 1} if job.protocol == "paper" else {}
    return {**{f"validation_{name}": value for name, value in found.items()}, **said}


def _batches(job: TrainingJob, epoch: int, processes: int) -> list[Int64[ndarray, " _"]]:
    """Batches of an epoch over all processes, as positions in the training rows.

    A last batch with fewer clips than processes is dropped.
    """
    clips, size = len(job.train_rows), job.config.batch_size
    if clips == 0:
        raise TrainingError("the training part is empty")
    if min(clips, size) < processes:
        raise TrainingError(
            f"{processes} processes share batches of {min(clips, size)} clips; each needs one at"
            " least: start fewer"
        )
    order = np.random.default_rng((job.config.seed, epoch)).permutation(clips)
    batches = [order[start : start + size] for start in range(0, clips, size)]
    if job.config.drop_last and clips >= size:
        batches = batches[: clips // size]
    return [batch for batch in batches if len(batch) >= processes]


def _loader(
    job: TrainingJob, batches: Sequence[Int64[ndarray, " _"]], processes: Processes
) -> Iterator[PaddedClips]:
    """Load this process's share of the batches."""
    loader = DataLoader(
        ClipDataset(job.source, job.train_rows),
        batch_sampler=[processes.own(batch).tolist() for batch in batches],
        collate_fn=partial(pad_clips, max_bodies=job.model.max_bodies),
        num_workers=job.workers,
    )
    yield from read_ahead(loader)


def _record(epoch: int, learner: Learner, totals: EpochTotals) -> dict[str, int | float]:
    return {
        "epoch": epoch,
        "learning_rate": learner.train_step.rate,
        "train_loss": totals.loss / totals.clips,
        **{f"train_{name}": value / totals.clips for name, value in totals.sums.items()},
        "seconds": totals.seconds,
        "data_seconds": totals.data_seconds,
        "clips_per_second": totals.clips / totals.seconds,
        "peak_memory_bytes": _peak_memory(),
    }


def _peak_memory() -> int:
    """Peak memory so far of the GPU or, without one, of this process, bytes."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _after_epoch(
    state: TrainerState, epoch: int, record: Mapping[str, int | float], choice: Choice
) -> TrainerState:
    value = record.get(f"validation_{choice.metric}")
    if value is not None and choice.prefers(value, state.best_value):
        state = replace(state, best_epoch=epoch, best_value=value)
    return replace(state, epoch=epoch + 1, step=0, totals=EpochTotals())
