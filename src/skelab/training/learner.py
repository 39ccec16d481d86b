"""Takes optimiser steps, across processes, and retries with fewer clips when out of memory."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from skelab.data.feeding.feeder import Batch
from skelab.errors import TrainingError
from skelab.inference.checkpoint import (
    Checkpoint,
    TrainerState,
    build_model,
    restore_optimizer,
)
from skelab.models import set_activation_policy
from skelab.training.config import BatchNormPolicy
from skelab.training.groups import set_training_mode
from skelab.training.job import TrainingJob
from skelab.training.memory import Reserve, free_memory, is_out_of_memory
from skelab.training.precision import make_engine, optimizer_parameters
from skelab.training.processes import Processes
from skelab.training.schedule import learning_rate
from skelab.training.start import check_frozen, describe_start, load_start
from skelab.training.step import TrainStep, clear_gradients, make_optimizer, make_task
from skelab.training.watch import Watcher


@dataclass(frozen=True)
class StepResult:
    """Loss and metrics of a step over all processes.

    Attributes:
        loss: Mean loss of the clips.
        sums: Metrics of the task, summed over the clips; with several losses, these as well.
    """

    loss: float
    sums: Mapping[str, float] = field(default_factory=dict)


class Learner:
    """A network with its optimiser, and all other state that a step changes.

    It is built from the job and, on resuming, from a checkpoint. It shares steps with other
    processes, and halves the micro-batch when memory runs out.

    Args:
        job: The run.
        processes: The process group.
        watcher: Notified when memory runs out.
        checkpoint: The checkpoint to resume; None starts a new run.

    Attributes:
        initial: What a new run took from trained weights; None if it keeps what it has drawn.
        origin: What checkpoints say of where the run started.

    Raises:
        ModelError: The network does not take the options of the job.
        TaskError: There is no such task, or it does not take the options of the job.
        TrainingError: The machine cannot compute in the job's precision, a pattern of frozen
            parameters matches no name, or a new parameter is frozen.
        CheckpointError: The run starts from weights of another family.
        LayoutError: It starts from a layout with too few joints in common.
        WeightsError: The shapes of what it starts from differ for another reason.
    """

    def __init__(
        self,
        job: TrainingJob,
        processes: Processes,
        watcher: Watcher,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.job = job
        self.processes = processes
        self.watcher = watcher
        self.engine = make_engine(job.precision)
        config = job.config
        torch.manual_seed(config.seed)
        self.task = make_task(job.task, config)
        self.model = build_model(job.model, job.task, job.fusion)
        self.initial = None
        if checkpoint is not None:
            self.model.load_state_dict(dict(checkpoint.weights))
        else:
            self.initial = load_start(job, self.model)
        self.origin = checkpoint.origin if checkpoint else describe_start(job, self.initial)
        self.model.to(self.engine.device)
        set_activation_policy(self.model, job.memory.activations)
        self.optimizer = make_optimizer(self.model, config, job.precision, job.transfer)
        if self.initial is not None:
            check_frozen(job, self.initial, self.model)
        self.train_step = TrainStep(self.model, self.optimizer, self.engine, self.task, config)
        self.average = self.train_step.average
        micro_batch = job.memory.micro_batch
        self.micro_batch: int | None = None if micro_batch == "auto" else micro_batch
        """Clips per forward pass; None for all clips of the process."""
        self._steps_per_epoch = 1
        self._summed: tuple[str, ...] = ()
        self._allocator_said = "in another process"
        self._reserve = Reserve()
        if checkpoint is not None and checkpoint.trainer is not None:
            self._restore(checkpoint.trainer)

    def _restore(self, state: TrainerState) -> None:
        restore_optimizer(self.optimizer, state.optimizer)
        self.engine.restore(state.scaler)
        self.micro_batch = state.micro_batch
        if self.average is not None:
            self.average.restore(state.average, state.average_steps)

    def begin_epoch(self, epoch: int, steps: int = 1) -> None:
        """Set the learning rate of an epoch of ``steps`` steps, and the network to training."""
        set_training_mode(self.model)
        self._steps_per_epoch = steps
        self._set_rate(epoch, 0)

    def _set_rate(self, epoch: int, step: int) -> None:
        rate = learning_rate(self.job.config, epoch, step, steps_per_epoch=self._steps_per_epoch)
        self.train_step.set_rate(rate)

    def step(self, batch: Batch, *, epoch: int, step: int, clips: int) -> StepResult:
        """One optimiser step.

        Dropout depends only on seed, epoch, step and process. If memory runs out, the step is
        undone and repeated with half the micro-batch.

        Args:
            batch: This process's clips of the step.
            epoch: Epoch, from 0.
            step: Step in the epoch, from 0.
            clips: Clips of the step, over all processes.

        Raises:
            TrainingError: Memory does not suffice for a single clip, or another process has ended.
        """
        config, number = self.job.config, self.processes.number
        sequence = np.random.SeedSequence((config.seed, epoch, step, number))
        seed = int(sequence.generate_state(1, np.uint64)[0])
        self._set_rate(epoch, step)
        self.train_step.begin()
        while True:
            torch.manual_seed(seed)
            loss, sums, failures = self._gradients(batch, clips)
            if not failures:
                break
            self.train_step.undo()
            self._halve(epoch, step, clips)
        self.train_step.update()
        return StepResult(loss, sums)

    @contextmanager
    def evaluation_weights(self) -> Iterator[nn.Module]:
        """Swap the averaged (EMA) weights in within a block, if there are any."""
        self.processes.share_buffers(self.model)
        if self.average is None:
            yield self.model
            return
        own = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average.tensors())
        try:
            yield self.model
        finally:
            self.model.load_state_dict(own)

    def _gradients(self, batch: Batch, clips: int) -> tuple[float, Mapping[str, float], float]:
        """Accumulate the gradients of a step; returns loss, sums and number of failed processes.

        A process that ran out of memory does not know the names of the sums, and asks the others.
        """
        loss, failures = 0.0, 0.0
        sums: Mapping[str, float] = {}
        try:
            loss, sums = self._backward(batch, clips)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failures = 1.0
            self._allocator_said = " ".join(str(error).split())[:120] or "MemoryError"
        if failures:
            clear_gradients(self.model, self.optimizer)
            self._reserve.release()
            free_memory()
        if self.processes.count == 1:
            return loss, sums, failures
        if not self._summed:
            self._summed = next(filter(None, self.processes.gather(tuple(sums))), ())
        values = [loss, failures, *(sums.get(name, 0.0) for name in self._summed)]
        counts = torch.tensor(values, dtype=torch.float32, device=self.engine.device)
        self.processes.add_up([*self._all_gradients(), counts])
        loss, failures, *totals = counts.tolist()
        return loss, dict(zip(self._summed, totals, strict=True)), failures

    def _backward(self, batch: Batch, clips: int) -> tuple[float, dict[str, float]]:
        """Backpropagate this process's clips; returns its share of the loss, and its sums."""
        loss, sums = 0.0, defaultdict[str, float](float)
        size = self.micro_batch or len(batch.rows)
        for part in _parts(batch, size):
            share = len(part.rows) / clips
            output, losses = self.train_step.accumulate(part, share)
            loss += losses.total.item() * share
            with torch.no_grad():
                found = dict(self.task.sums(output, part))
            if len(losses.by_name) > 1:
                for name, term in losses.by_name.items():
                    found[f"loss_{name}"] = term.item() * len(part.rows)
            for name, value in found.items():
                sums[name] += value
            del output, losses  # frees them before the next micro-batch
        return loss, dict(sums)

    def _all_gradients(self) -> list[Tensor]:
        """The gradient of every parameter; zeros where a process has none."""
        gradients = []
        for parameter in optimizer_parameters(self.optimizer):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        return gradients

    def _halve(self, epoch: int, step: int, clips: int) -> None:
        """Halve the micro-batch from now on."""
        where = f"epoch {epoch + 1}, step {step + 1}: out of memory"
        mend = (
            "--set memory.activations=recompute, --set precision=bf16 and a shorter"
            " --set data.window need less"
        )
        at_once = math.ceil(clips / self.processes.count)
        at_once = min(self.micro_batch or at_once, at_once)
        if self.job.memory.batch_norm is BatchNormPolicy.EXACT:
            raise TrainingError(
                f"{where}; memory.batch_norm=exact cannot divide the {at_once} clips: {mend}"
            )
        if at_once == 1:
            raise TrainingError(f"{where} with a single clip ({self._allocator_said}); {mend}")
        self.micro_batch = math.ceil(at_once / 2)
        self.watcher.on_message(
            f"{where} with {at_once} clips at once; going on with {self.micro_batch}, and"
            " accumulating to the same batch"
        )


def _parts(batch: Batch, size: int) -> Iterator[Batch]:
    """The clips of a batch, ``size`` at a time."""
    for start in range(0, len(batch.rows), size):
        yield batch.part(start, size)
