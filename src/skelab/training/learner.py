"""A network in training: one optimiser step, whatever the precision, memory and processes."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from skelab.data.feeding.feeder import Batch
from skelab.errors import TrainingError
from skelab.inference.checkpoint import Checkpoint, build_model, restore_optimizer
from skelab.models import parameter_groups, set_activation_policy
from skelab.training.average import WeightAverage
from skelab.training.config import BatchNormPolicy, TrainingConfig
from skelab.training.job import TrainingJob
from skelab.training.memory import BufferGuard, Reserve, free_memory, is_out_of_memory
from skelab.training.precision import make_engine, optimizer_class
from skelab.training.processes import Processes
from skelab.training.schedule import learning_rate
from skelab.training.treatment import (
    Treatment,
    freeze_parameters,
    hold_frozen_norms,
    parameter_treatments,
    split_by_rate,
)
from skelab.training.watch import Watcher


def make_optimizer(
    model: nn.Module,
    config: TrainingConfig,
    kind: Callable[..., Optimizer] = torch.optim.SGD,
    treatments: Mapping[str, Treatment] | None = None,
) -> Optimizer:
    """The optimiser of a run, new; ``kind`` makes it, see ``optimizer_class``.

    Args:
        model: Its parameters that take gradients are stepped.
        config: Rate, momentum, decay.
        kind: The class of the optimiser.
        treatments: Rates of single parameters; None gives all of them the same.

    Raises:
        ModelError: The model was not made by ``create_model``.
    """
    groups = parameter_groups(model, config.weight_decay)
    return kind(
        groups if treatments is None else split_by_rate(groups, model, treatments),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
    )


def clip_loss(
    logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"], config: TrainingConfig
) -> Float[Tensor, ""]:
    """The mean loss of some clips, in float32 whatever the network computes in."""
    return F.cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing)


def clear_gradients(model: nn.Module, optimizer: Optimizer) -> None:
    """Forget all gradients: of a network and, where Apex steps copies of its weights, of these.

    Not by the optimiser's ``zero_grad``, which takes no arguments once Apex has it.
    """
    model.zero_grad(set_to_none=True)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


@dataclass(frozen=True)
class StepResult:
    """What a step saw, over all processes.

    Attributes:
        loss: Mean loss of the clips.
        correct: Clips that were recognised.
    """

    loss: float
    correct: int


class Learner:
    """A network, its optimiser, and all else that a step changes.

    Args:
        job: The run.
        processes: Who shares it.
        watcher: Is told when memory runs out.
        checkpoint: Where to go on; None begins anew.

    Raises:
        TrainingError: The machine cannot compute in the job's precision, or a pattern of frozen
            parameters is in no name.
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
        self.model = build_model(job.model)
        start = checkpoint or job.initial
        if start is not None:
            self.model.load_state_dict(dict(start.weights))
        names = [name for name, _ in self.model.named_parameters()]
        self.treatments = parameter_treatments(names, job.transfer)
        freeze_parameters(self.model, self.treatments)
        self.model.to(self.engine.device)
        set_activation_policy(self.model, job.memory.activations)
        self.optimizer = make_optimizer(
            self.model, config, optimizer_class(job.precision), self.treatments
        )
        self.engine.prepare(self.model, self.optimizer)
        self.average = WeightAverage(self.model, config.ema) if config.ema else None
        micro_batch = job.memory.micro_batch
        self.micro_batch: int | None = None if micro_batch == "auto" else micro_batch
        """Clips that pass through the network at once; None for all that a process has."""
        self._allocator_said = "in another process"
        self._reserve = Reserve()
        state = checkpoint.trainer if checkpoint is not None else None
        if state is not None:
            restore_optimizer(self.optimizer, state.optimizer)
            self.engine.restore(state.scaler)
            self.micro_batch = state.micro_batch
            if self.average is not None:
                self.average.restore(state.average, state.average_steps)

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rate of an epoch, and the network to training."""
        self.model.train()
        hold_frozen_norms(self.model, self.treatments)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.job.config, epoch) * group.get("rate_factor", 1.0)

    def step(self, batch: Batch, *, epoch: int, step: int, clips: int) -> StepResult:
        """One optimiser step.

        What dropout draws depends on seed, epoch, step and process only. If memory runs out, the
        step is undone and done again with half as many clips at once.

        Args:
            batch: This process's clips of the step.
            epoch: Epoch, from 0.
            step: Step in the epoch, from 0.
            clips: Clips of the step, over all processes.

        Raises:
            TrainingError: Memory does not even suffice for one clip, or another process has ended.
        """
        config, number = self.job.config, self.processes.number
        sequence = np.random.SeedSequence((config.seed, epoch, step, number))
        seed = int(sequence.generate_state(1, np.uint64)[0])
        guard = BufferGuard(self.model)
        while True:
            torch.manual_seed(seed)
            loss, correct, failures = self._gradients(batch, clips)
            if not failures:
                break
            guard.undo()
            self._halve(epoch, step, clips)
        self.engine.step()
        if self.average is not None:
            self.average.update(self.model)
        return StepResult(loss, int(correct))

    @contextmanager
    def judged(self) -> Iterator[nn.Module]:
        """In this block the model has the weights that are validated: their average, if asked."""
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

    def _gradients(self, batch: Batch, clips: int) -> tuple[float, float, float]:
        """Add up the gradients of a step; its loss, its correct clips, and who lacked memory."""
        counts = torch.zeros(3, dtype=torch.float64)
        clear_gradients(self.model, self.optimizer)
        try:
            self._backward(batch, clips, counts)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            counts = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
            self._allocator_said = " ".join(str(error).split())[:120] or "MemoryError"
        if counts[2]:
            clear_gradients(self.model, self.optimizer)
            self._reserve.release()
            free_memory()
        if self.processes.count > 1:
            counts = counts.to(self.engine.device, torch.float32)
            self.processes.add_up([*self._all_gradients(), counts])
        loss, correct, failures = counts.tolist()
        return loss, correct, failures

    def _backward(self, batch: Batch, clips: int, counts: Tensor) -> None:
        size = self.micro_batch or len(batch.rows)
        for joints, labels in zip(
            torch.split(batch.joints, size), torch.split(batch.labels, size), strict=True
        ):
            with self.engine.autocast():
                logits = self.model(joints)
            loss = clip_loss(logits, labels, self.job.config)
            share = len(labels) / clips
            self.engine.backward(loss * share)
            counts[0] += loss.item() * share
            counts[1] += int((logits.argmax(dim=1) == labels).sum())

    def _all_gradients(self) -> list[Tensor]:
        """The gradient of every parameter; zeros where a process has none."""
        gradients = []
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        return gradients

    def _halve(self, epoch: int, step: int, clips: int) -> None:
        """Pass half as many clips at once from now on."""
        where = f"epoch {epoch + 1}, step {step + 1}: out of memory"
        mend = (
            "--set memory.activations=recompute, --set precision=bf16 and a shorter"
            " --set data.window need less"
        )
        at_once = math.ceil(clips / self.processes.count)
        at_once = min(self.micro_batch or at_once, at_once)
        if self.job.memory.batch_norm is BatchNormPolicy.EXACT:
            raise TrainingError(
                f"{where}; memory.batch_norm=exact cannot pass the {at_once} clips in parts: {mend}"
            )
        if at_once == 1:
            raise TrainingError(f"{where} with a single clip ({self._allocator_said}); {mend}")
        self.micro_batch = math.ceil(at_once / 2)
        self.watcher.on_message(
            f"{where} with {at_once} clips at once; going on with {self.micro_batch}, and"
            " accumulating to the same batch"
        )
