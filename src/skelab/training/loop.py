"""Training, from top to bottom: epochs, steps, validation, checkpoints."""

import math
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from jaxtyping import Int64
from numpy import ndarray
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from skelab.data.dataset import ClipDataset, ClipSource, PaddedClips, pad_clips
from skelab.data.feeder import Batch, Feeder
from skelab.errors import CheckpointError, TrainingError
from skelab.models import ModelSpec, set_activation_policy
from skelab.training.checkpoint import (
    Checkpoint,
    InputSpec,
    TrainerState,
    build_model,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
)
from skelab.training.config import MemoryConfig, Precision, TrainingConfig
from skelab.training.history import History
from skelab.training.inference import predict_logits
from skelab.training.schedule import learning_rate
from skelab.training.watch import Watcher

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints in a run folder."""

CHOSEN = "best.safetensors"
"""The checkpoint that the protocol has chosen; the one to evaluate."""

KEPT_CHECKPOINTS = 2
"""The newest, and the one before it in case the newest is damaged."""

_EPOCH_FILES = "epoch-*.safetensors"


@dataclass(frozen=True)
class TrainingJob:
    """Everything that a run needs; two runs of equal jobs give equal weights on a CPU.

    Attributes:
        model: What to build.
        inputs: What the checkpoints will say that the network must be shown.
        source: The clips.
        train_rows: Rows that train.
        validation_rows: Rows that choose the epoch; if empty, the last epoch is taken.
        feeder: Shapes the clips.
        config: Optimiser, schedule, length, seed.
        memory: What is traded for memory.
        precision: Number format.
        workers: Processes that read clips ahead; 0 reads in this one.
        recipe: The whole recipe, YAML text, for the checkpoints.
        protocol: ``honest`` or ``paper``, for the checkpoints.
        run: Folder of the run.
    """

    model: ModelSpec
    inputs: InputSpec
    source: ClipSource
    train_rows: Int64[ndarray, " A"]
    validation_rows: Int64[ndarray, " B"]
    feeder: Feeder
    config: TrainingConfig
    run: Path
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    precision: Precision = Precision.FP32
    workers: int = 0
    recipe: str = ""
    protocol: str = "honest"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.run / CHECKPOINTS

    @property
    def chosen(self) -> Path:
        """The checkpoint that the protocol has chosen; the one to evaluate."""
        return self.checkpoints / CHOSEN


@dataclass
class EpochTotals:
    """Sums over the steps of an epoch."""

    loss: float = 0.0
    correct: float = 0.0
    clips: float = 0.0
    seconds: float = 0.0
    data_seconds: float = 0.0


def train(job: TrainingJob, *, resume: bool = False, watcher: Watcher | None = None) -> Checkpoint:
    """Train a network and return the chosen checkpoint.

    With validation rows the epoch with the best top-1 on them is chosen (the first, if several),
    otherwise the last. A run that was killed goes on from its newest sound checkpoint and ends
    with the weights of a run that never was, bit for bit on a CPU.

    Raises:
        TrainingError: The job cannot start, the folder holds another run, or the loss is no longer
            finite.
        OutputError: The disk is full; older checkpoints are untouched.
    """
    watcher = watcher or Watcher()
    config = job.config
    if not resume and any(job.checkpoints.glob(_EPOCH_FILES)):
        raise TrainingError(f"{job.run}: holds a run already; resume it, or choose another folder")
    accelerator = _make_accelerator(job.precision)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = build_model(job.model).to(accelerator.device)
        set_activation_policy(model, job.memory.activations)
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
        )
        state = _restore(job, model, optimizer, accelerator, watcher) if resume else None
        state = state or _fresh_state()
        steps = _steps_per_epoch(job)
        watcher.on_start(epochs=config.epochs, steps=steps, first_epoch=state.epoch)
        with History(job.run, first_epoch=state.epoch) as history:
            for epoch in range(state.epoch, config.epochs):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(config, epoch)
                totals = train_epoch(job, epoch, model, optimizer, accelerator, watcher)
                record = _record(epoch, optimizer, totals)
                record |= validate(job, model, accelerator, watcher)
                state = _after_epoch(state, epoch, record)
                checkpoint = _checkpoint(job, state, model, optimizer, accelerator)
                # The epoch's own checkpoint last: a run killed before it does the epoch again.
                history.add(record)
                if state.best_epoch in (None, epoch):
                    replace(checkpoint, trainer=None).save(job.chosen)
                checkpoint.save(_epoch_file(job, state.epoch))
                _prune(job, state.epoch)
                watcher.on_epoch(record)
    return read_checkpoint(job.chosen)


def train_epoch(
    job: TrainingJob,
    epoch: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    watcher: Watcher,
) -> EpochTotals:
    """Pass once over the training rows, in an order that seed and epoch decide."""
    model.train()
    totals = EpochTotals()
    started = waiting_since = time.perf_counter()
    for step, clips in enumerate(_loader(job, epoch)):
        totals.data_seconds += time.perf_counter() - waiting_since
        batch = job.feeder.training_batch(
            clips.to(accelerator.device), seed=job.config.seed, epoch=epoch
        )
        loss, correct = train_step(job, model, optimizer, accelerator, batch)
        if not math.isfinite(loss):
            raise TrainingError(
                f"epoch {epoch + 1}, step {step + 1}: the loss is {loss}; a lower rate helps:"
                f" --set training.learning_rate={job.config.learning_rate / 10:g}"
            )
        clips_done = len(batch.rows)
        totals.loss += loss * clips_done
        totals.correct += correct
        totals.clips += clips_done
        watcher.on_step(epoch=epoch, step=step, clips=clips_done, loss=loss)
        waiting_since = time.perf_counter()
    totals.seconds = time.perf_counter() - started
    return totals


def train_step(
    job: TrainingJob,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    batch: Batch,
) -> tuple[float, int]:
    """One optimiser step, in micro-batches if the recipe says so; mean loss and correct clips."""
    size = job.memory.micro_batch or len(batch.rows)
    total, correct = 0.0, 0
    optimizer.zero_grad(set_to_none=True)
    for joints, labels in zip(
        torch.split(batch.joints, size), torch.split(batch.labels, size), strict=True
    ):
        with accelerator.autocast():
            logits = model(joints)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=job.config.label_smoothing)
        share = len(labels) / len(batch.rows)
        accelerator.backward(loss * share)
        total += loss.item() * share
        correct += int((logits.argmax(dim=1) == labels).sum())
    if accelerator.scaler is None:
        optimizer.step()
    else:
        accelerator.scaler.step(optimizer)
        accelerator.scaler.update()
    return total, correct


def validate(
    job: TrainingJob, model: nn.Module, accelerator: Accelerator, watcher: Watcher
) -> dict[str, float]:
    """Loss and top-1 on the validation rows; empty without any."""
    if not len(job.validation_rows):
        return {}
    logits = predict_logits(
        model,
        job.feeder,
        job.source,
        job.validation_rows,
        max_bodies=job.model.max_bodies,
        batch_size=job.config.batch_size,
        workers=job.workers,
        accelerator=accelerator,
        on_scored=lambda done, total: watcher.on_scored(done=done, total=total),
    )
    labels = torch.from_numpy(job.source.index.labels[job.validation_rows])
    loss = F.cross_entropy(torch.from_numpy(logits), labels).item()
    top1 = float(np.mean(logits.argmax(axis=1) == labels.numpy()))
    return {"validation_loss": loss, "validation_top1": top1}


def _make_accelerator(precision: Precision) -> Accelerator:
    if precision is Precision.FP16 and not torch.cuda.is_available():
        raise TrainingError(
            "precision fp16 needs a GPU, found none; --set precision=bf16 works on a CPU"
        )
    mixed = "no" if precision is Precision.FP32 else precision.value
    AcceleratorState._reset_state()  # else a second run in this process must have the first's
    return Accelerator(mixed_precision=mixed)


def _loader(job: TrainingJob, epoch: int) -> Iterator[PaddedClips]:
    """The padded batches of an epoch, in its own order."""
    order = np.random.default_rng((job.config.seed, epoch)).permutation(len(job.train_rows))
    size = job.config.batch_size
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    yield from DataLoader(
        ClipDataset(job.source, job.train_rows),
        batch_sampler=[batch.tolist() for batch in batches[: _steps_per_epoch(job)]],
        collate_fn=partial(pad_clips, max_bodies=job.model.max_bodies),
        num_workers=job.workers,
    )


def _steps_per_epoch(job: TrainingJob) -> int:
    clips, size = len(job.train_rows), job.config.batch_size
    if clips == 0:
        raise TrainingError("the training part is empty")
    whole = clips // size
    return whole if job.config.drop_last and whole else math.ceil(clips / size)


def _record(
    epoch: int, optimizer: torch.optim.Optimizer, totals: EpochTotals
) -> dict[str, int | float]:
    return {
        "epoch": epoch,
        "learning_rate": optimizer.param_groups[0]["lr"],
        "train_loss": totals.loss / totals.clips,
        "train_top1": totals.correct / totals.clips,
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


def _fresh_state() -> TrainerState:
    return TrainerState(
        epoch=0,
        best_epoch=None,
        best_value=-1.0,
        optimizer={},
        rng=torch.get_rng_state(),
    )


def _after_epoch(
    state: TrainerState, epoch: int, record: Mapping[str, int | float]
) -> TrainerState:
    value = record.get("validation_top1")
    if value is not None and value > state.best_value:
        state = replace(state, best_epoch=epoch, best_value=value)
    return replace(state, epoch=epoch + 1)


def _checkpoint(
    job: TrainingJob,
    state: TrainerState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> Checkpoint:
    scaler = accelerator.scaler.state_dict() if accelerator.scaler is not None else {}
    return Checkpoint(
        model=job.model,
        inputs=job.inputs,
        recipe=job.recipe,
        weights=model.state_dict(),
        epoch=state.epoch,
        protocol=job.protocol,
        trainer=replace(
            state,
            optimizer=optimizer_tensors(optimizer),
            rng=torch.get_rng_state(),
            scaler=scaler,
        ),
    )


def _restore(
    job: TrainingJob,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    watcher: Watcher,
) -> TrainerState | None:
    """Put model, optimiser and generator back to the newest sound checkpoint, if there is one."""
    for path in sorted(job.checkpoints.glob(_EPOCH_FILES), reverse=True):
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
        model.load_state_dict(dict(checkpoint.weights))
        restore_optimizer(optimizer, state.optimizer)
        torch.set_rng_state(state.rng)
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(dict(state.scaler))
        watcher.on_message(f"resumed after epoch {state.epoch} from {path}")
        return state
    return None


def _epoch_file(job: TrainingJob, epochs: int) -> Path:
    return job.checkpoints / f"epoch-{epochs:04d}.safetensors"


def _prune(job: TrainingJob, epochs: int) -> None:
    """Keep the newest checkpoints; damaged ones of later epochs go as well."""
    kept = {_epoch_file(job, epochs - back) for back in range(KEPT_CHECKPOINTS)}
    for path in job.checkpoints.glob(_EPOCH_FILES):
        if path not in kept:
            path.unlink()
