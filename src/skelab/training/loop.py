"""Training, from top to bottom: epochs, steps, validation, checkpoints."""

import math
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from torch.utils.data import DataLoader

from skelab.data.feeding.dataset import ClipDataset, PaddedClips, pad_clips, read_ahead
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
from skelab.training.trackers import open_trackers
from skelab.training.watch import Watcher


def train(
    job: TrainingJob,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    trackers: Sequence[str] = (),
) -> Checkpoint:
    """Train a network and return the chosen checkpoint.

    With validation rows the epoch is chosen that is best on them by the task's metric, top-1 for
    classification (the first, if several), otherwise the last. A run that was killed goes on from
    its newest sound checkpoint and ends with the weights of a run that never was, bit for bit on a
    CPU. Where several processes share the run, each calls this; the first one writes and tells the
    watcher and the ``trackers``, which are of `skelab.training.trackers.TRACKERS`.

    Raises:
        TrainingError: The job cannot start, the folder holds another run, a tracker does not
            start, the loss is no longer finite, memory does not suffice for one clip, or another
            process has ended.
        OutputError: The disk is full; older checkpoints are untouched.
    """
    processes = Processes()
    watcher = watcher if watcher and processes.first else Watcher()
    if processes.first and not resume and holds_run(job):
        raise TrainingError(f"{job.run}: holds a run already; resume it, or choose another folder")
    with torch.random.fork_rng():
        checkpoint = find_checkpoint(job, watcher) if resume and processes.first else None
        checkpoint = processes.from_first(checkpoint)
        job = _with_origin(job, checkpoint)
        state = (checkpoint and checkpoint.trainer) or TrainerState()
        learner = Learner(job, processes, watcher, checkpoint)
        saver = Saver(job, learner)
        if processes.first and checkpoint is None and job.initial is not None:
            saver.save(state)  # from here on, nobody needs what the run starts from
        steps = len(_batches(job, 0, processes.count))
        watcher.on_start(
            epochs=job.config.epochs, steps=steps, first_epoch=state.epoch, first_step=state.step
        )
        shown = open_trackers(trackers if processes.first else (), job, watcher)
        records = (
            History(job.run, first_epoch=state.epoch, trackers=shown)
            if processes.first
            else nullcontext()
        )
        with records as history:
            for epoch in range(state.epoch, job.config.epochs):
                totals = train_epoch(learner, state, saver)
                record = _record(epoch, learner, totals) | validate(learner)
                state = _after_epoch(state, epoch, record, learner.task.choice)
                if history is not None:
                    # The epoch's own checkpoint last: a run killed before it does the epoch again.
                    history.add(record)
                    saver.save_chosen(state, epoch)
                    saver.save(state)
                watcher.on_epoch(record)
    processes.wait()  # until the first has written the last checkpoint
    return read_checkpoint(job.chosen)


def _with_origin(job: TrainingJob, checkpoint: Checkpoint | None) -> TrainingJob:
    """The job with the origin of what goes on; refuses to draw weights in place of trained ones."""
    if checkpoint is not None:
        return replace(job, origin=checkpoint.origin)
    if job.transfer.source and job.initial is None:
        raise TrainingError(
            f"{job.run}: there is no checkpoint yet, so that the run begins anew from"
            f" {job.transfer.source}; say where it is, --from RUN or --from CHECKPOINT"
        )
    return job


def train_epoch(learner: Learner, state: TrainerState, saver: Saver) -> EpochTotals:
    """Pass once over the training rows, in an order that seed and epoch decide.

    Args:
        learner: The network.
        state: Where to begin: its epoch, and the step of it.
        saver: Writes checkpoints on the way.
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
    """The task's metrics on the validation rows, as the record names them; empty without any."""
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
    return {f"validation_{name}": value for name, value in found.items()}


def _batches(job: TrainingJob, epoch: int, processes: int) -> list[Int64[ndarray, " _"]]:
    """The places in the training rows that make the batches of an epoch, over all processes.

    A last batch of fewer clips than there are processes is left out.
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
    """This process's padded clips of the batches."""
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
    """Highest memory so far: of the GPU where there is one, of this process otherwise; bytes."""
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
