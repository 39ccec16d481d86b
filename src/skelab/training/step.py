"""One optimiser step: what training runs, and what fit measures and traces.

A step is :meth:`TrainStep.begin`, :meth:`TrainStep.accumulate` for each micro-batch, and
:meth:`TrainStep.update`. Process groups, recovery from out-of-memory and seeds belong to the
learner.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from torch import nn
from torch.optim import Optimizer

from skelab.data.feeding.feeder import Batch
from skelab.errors import TrainingError, unknown_name
from skelab.models import ModelOutput
from skelab.tasks import (
    Losses,
    Task,
    TaskSpec,
    get_task,
    model_outputs,
    task_options,
)
from skelab.training.average import WeightAverage
from skelab.training.config import OptimizerName, Precision, TrainingConfig, TransferConfig
from skelab.training.groups import training_groups
from skelab.training.memory import BufferGuard
from skelab.training.precision import (
    APEX_LEVELS,
    StepEngine,
    optimizer_class,
    optimizer_parameters,
)

_NO_TRANSFER: Final = TransferConfig()


class TrainStep:
    """A network in training, with all state that an optimiser step changes.

    Args:
        model: The network, with its weights, on the device.
        optimizer: Its optimiser, see :func:`make_optimizer`.
        engine: Casts, scales the loss and steps the optimiser.
        task: Computes the losses.
        config: Clipping, averaging, weights of auxiliary losses.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        engine: StepEngine,
        task: Task,
        config: TrainingConfig,
    ) -> None:
        engine.prepare(model, optimizer)
        self.model = model
        self.optimizer = optimizer
        self.engine = engine
        self.task = task
        self.config = config
        self.average = WeightAverage(model, config.ema) if config.ema else None
        self.rate = config.learning_rate
        self._guard: BufferGuard | None = None

    def set_rate(self, rate: float) -> None:
        """Set the learning rate, multiplied by the factor of each parameter group."""
        self.rate = rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)

    def begin(self) -> None:
        """Clear the gradients, and save the buffers for :meth:`undo`."""
        clear_gradients(self.model, self.optimizer)
        self._guard = BufferGuard(self.model)

    def accumulate(self, batch: Batch, share: float) -> tuple[ModelOutput, Losses]:
        """Run clips forward and backward, accumulating gradients.

        Args:
            batch: The clips.
            share: Their share of all clips of the step, over all processes.

        Raises:
            TrainingError: The recipe weights an auxiliary loss that the network does not have.
        """
        with self.engine.autocast():
            output = model_outputs(self.model, batch)
        losses = self._with_auxiliary(self.task.losses(output, batch), output)
        self.engine.backward(losses.total * share)
        return output, losses

    def undo(self) -> None:
        """Clear the gradients, and restore the buffers as of :meth:`begin`."""
        clear_gradients(self.model, self.optimizer)
        if self._guard is not None:
            self._guard.undo()

    def update(self) -> None:
        """Clip the gradients, take an optimiser step, and update the average of the weights."""
        if self.config.clip_norm is not None:
            self.engine.clip(self.config.clip_norm)
        self.engine.step()
        if self.average is not None:
            self.average.update(self.model)

    def _with_auxiliary(self, losses: Losses, output: ModelOutput) -> Losses:
        """The losses of the task, plus the weighted auxiliary losses of the network."""
        weights = self.config.auxiliary
        for name in weights:
            if name not in output.auxiliary:
                said = unknown_name("loss of this network", name, output.auxiliary)
                raise TrainingError(f"training.auxiliary: {said}")
        total = losses.total
        for name, loss in output.auxiliary.items():
            total = total + weights.get(name, 1.0) * loss.float()
        return replace(losses, total=total, by_name={**losses.by_name, **output.auxiliary})


def make_optimizer(
    model: nn.Module,
    config: TrainingConfig,
    precision: Precision = Precision.FP32,
    transfer: TransferConfig = _NO_TRANSFER,
) -> Optimizer:
    """Create the optimiser of a run; parameters that it does not train are frozen.

    Raises:
        TrainingError: A parameter group fits no parameter.
        ModelError: The model was not made by ``create_model``.
    """
    groups = training_groups(model, config, transfer)
    kind: Callable[..., Optimizer] = optimizer_class(precision, config.optimizer)
    if config.optimizer is OptimizerName.SGD:
        settings: dict[str, Any] = {"momentum": config.momentum, "nesterov": config.nesterov}
    else:
        on_gpu = all(parameter.is_cuda for group in groups for parameter in group["params"])
        settings = {"betas": config.betas, "eps": config.eps}
        if on_gpu and precision not in APEX_LEVELS:
            settings["fused"] = True  # one kernel, no memory besides the state
    return kind(groups, lr=config.learning_rate, **settings)


def make_task(spec: TaskSpec, config: TrainingConfig) -> Task:
    """Create the task of a run; ``training.label_smoothing`` applies to tasks that have it.

    Raises:
        TaskError: There is no such task or option.
        TrainingError: Label smoothing is set for a task without labels.
    """
    options = dict(spec.options)
    if "label_smoothing" in task_options(spec.name):
        options.setdefault("label_smoothing", config.label_smoothing)
    elif config.label_smoothing:
        raise TrainingError(
            f"training.label_smoothing: the task {spec.name} has no labels to smooth;"
            " --set training.label_smoothing=0"
        )
    return get_task(spec.name, options)


def clear_gradients(model: nn.Module, optimizer: Optimizer) -> None:
    """Clear all gradients of a network and, with Apex, of the master weights.

    The optimiser's ``zero_grad`` takes no arguments once Apex has wrapped it.
    """
    model.zero_grad(set_to_none=True)
    for parameter in optimizer_parameters(optimizer):
        parameter.grad = None
