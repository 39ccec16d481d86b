"""Number formats: who casts, who scales the loss, and who steps the optimiser.

Two engines do the same for the loop: PyTorch's own mixed precision, carried by Accelerate, and
NVIDIA Apex, whose ``amp`` the papers used. Apex is reached by three calls only, ``initialize``,
``scale_loss`` and ``master_params``, beside the state that it lets be saved.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.optim import Optimizer

from skelab.errors import TrainingError
from skelab.training.config import OptimizerName, Precision
from skelab.training.processes import Processes

APEX_LEVELS = {Precision.APEX_O1: "O1", Precision.APEX_O2: "O2"}
"""What Apex calls them."""

GET_APEX = (
    "build its release 24.04.01 from source where nvcc matches torch's CUDA, or --set"
    " precision=fp16, which does the same with PyTorch alone"
)


@runtime_checkable
class StepEngine(Protocol):
    """The interface of a training step to a number format."""

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        ...

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Prepare a network, with its weights restored, and its new optimiser."""
        ...

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which the forward pass computes in the format."""
        ...

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Backpropagate a loss, accumulating gradients, which may be scaled until :meth:`step`."""
        ...

    def clip(self, max_norm: float) -> None:
        """Clip the gradients by their global, unscaled norm."""
        ...

    def step(self) -> None:
        """Take an optimiser step unless the gradients have overflowed."""
        ...


@runtime_checkable
class TrainingEngine(StepEngine, Protocol):
    """The interface of a run to a number format: a step, and the state in a checkpoint."""

    def weights(self) -> Mapping[str, Shaped[Tensor, " ..."]]:
        """The network's state dict in full precision."""
        ...

    def state(self) -> dict[str, Any]:
        """State of the loss scaler; empty without one."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a :meth:`state`."""
        ...


def make_engine(precision: Precision) -> TrainingEngine:
    """The engine of a number format.

    Raises:
        TrainingError: This machine cannot compute in it; the message names what is missing.
    """
    check_precision(precision)
    level = APEX_LEVELS.get(precision)
    return ApexEngine(level) if level else TorchEngine(precision)


def check_precision(precision: Precision) -> None:
    """Refuse a number format that this machine or run does not support.

    Raises:
        TrainingError: float16 without a GPU, Apex where it cannot run, or in several processes.
    """
    level = APEX_LEVELS.get(precision)
    missing = missing_for_apex() if level else ""
    if missing:
        raise TrainingError(
            f"precision {precision.value} needs NVIDIA Apex with amp on a GPU, but {missing};"
            f" {GET_APEX}"
        )
    if level and Processes().count > 1:
        raise TrainingError(
            f"precision {precision.value} works in one process; for several --set precision=fp16"
            " does the same with PyTorch alone"
        )
    if precision is Precision.FP16 and not torch.cuda.is_available():
        raise TrainingError(
            "precision fp16 needs a GPU, found none; --set precision=bf16 works on a CPU"
        )


def half_precision() -> tuple[Precision, str]:
    """The number format of ``--half`` on this machine, with the reason.

    Apex O1 where it can run, as in the original; otherwise PyTorch's own format.
    """
    if not torch.cuda.is_available():
        why = "bf16, since there is no GPU"
        if "AVX512" not in torch.backends.cpu.get_cpu_capability():
            why += "; on this processor, without AVX-512, fp32 is many times as fast"
        return Precision.BF16, why
    missing = missing_for_apex()
    if missing:
        return Precision.FP16, f"fp16, since NVIDIA Apex cannot run: {missing}"
    return Precision.APEX_O1, "apex-o1, since NVIDIA Apex is installed"


def optimizer_class(
    precision: Precision, name: OptimizerName = OptimizerName.SGD
) -> type[Optimizer]:
    """The optimiser class: PyTorch's, or Apex's fused SGD for Apex levels if it was built.

    Both kinds of SGD keep one ``momentum_buffer`` per parameter, so that their checkpoints are
    interchangeable. AdamW is always PyTorch's: Apex's does not keep its step count in the state.
    """
    if name is OptimizerName.ADAMW:
        return torch.optim.AdamW
    if precision in APEX_LEVELS:
        with suppress(ImportError, AttributeError):
            fused: type[Optimizer] = importlib.import_module("apex.optimizers").FusedSGD
            return fused
    return torch.optim.SGD


def optimizer_parameters(optimizer: Optimizer) -> Iterator[Shaped[Tensor, " ..."]]:
    """The parameters of an optimiser, group by group."""
    for group in optimizer.param_groups:
        yield from group["params"]


def missing_for_apex() -> str:
    """The reason why Apex cannot run here; empty if it can."""
    try:
        importlib.import_module("apex")
    except ImportError as error:
        return f"there is no package apex ({error})"
    for part, reason in (
        ("apex.amp", "this apex has no amp: it was removed after release 25.04"),
        ("amp_C", "this apex was built without its CUDA extensions: amp_C is missing"),
    ):
        try:
            importlib.import_module(part)
        except ImportError:
            return reason
    return "" if _gpu() else "there is no GPU"


def _gpu() -> torch.device | None:
    """The current GPU; None without one."""
    if not torch.cuda.is_available():
        return None
    return torch.device("cuda", torch.cuda.current_device())


class TorchEngine:
    """PyTorch's autocast and loss scaling, through Accelerate.

    Args:
        precision: A format that ``check_precision`` accepts, except those of Apex.
    """

    def __init__(self, precision: Precision) -> None:
        mixed = "no" if precision is Precision.FP32 else precision.value
        AcceleratorState._reset_state()  # else a second run in this process reuses the first's
        self._accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=mixed)

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        device: torch.device = self._accelerator.device
        return device

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Prepare a network, with its weights restored, and its new optimiser."""
        self._model, self._optimizer = model, optimizer

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which the forward pass computes in the format."""
        context: AbstractContextManager[object] = self._accelerator.autocast()
        return context

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Backpropagate a loss, accumulating gradients, which may be scaled until :meth:`step`."""
        self._accelerator.backward(loss)

    def clip(self, max_norm: float) -> None:
        """Clip the gradients by their global, unscaled norm.

        The scaler detects an overflow while unscaling, and skips the step.
        """
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(optimizer_parameters(self._optimizer), max_norm)

    def step(self) -> None:
        """Take an optimiser step unless the gradients have overflowed."""
        scaler = self._accelerator.scaler
        if scaler is None:
            self._optimizer.step()
        else:
            scaler.step(self._optimizer)
            scaler.update()

    def weights(self) -> Mapping[str, Shaped[Tensor, " ..."]]:
        """The network's state dict in full precision."""
        weights: Mapping[str, Tensor] = self._model.state_dict()
        return weights

    def state(self) -> dict[str, Any]:
        """State of the loss scaler; empty without one."""
        scaler = self._accelerator.scaler
        return {} if scaler is None else dict(scaler.state_dict())

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a :meth:`state`."""
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(dict(state))


class ApexEngine:
    """``amp`` of NVIDIA Apex, for one process.

    At level O2 the network computes with float16 weights, and the optimiser steps a float32 copy,
    the master weights; these are checkpointed, so that resuming does not round.

    Args:
        level: ``O1`` or ``O2``, if ``check_precision`` accepts it.
    """

    def __init__(self, level: str) -> None:
        self._amp = importlib.import_module("apex.amp")
        self._level = level
        self._device = _gpu() or torch.device("cpu")

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self._device

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Prepare a network, with its weights restored, and its new optimiser."""
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._names = [names[id(parameter)] for parameter in optimizer_parameters(optimizer)]
        exact = {name: value.detach().clone() for name, value in model.named_parameters()}
        self._frozen = {name: exact[name] for name in exact.keys() - set(self._names)}
        self._model, self._optimizer = self._amp.initialize(
            model, optimizer, opt_level=self._level, verbosity=0
        )
        # Apex creates the master weights when gradients are first cleared, from weights that it has
        # rounded: a resumed run would not continue exactly.
        self._optimizer.zero_grad()
        with torch.no_grad():
            for name, master in self._masters():
                master.copy_(exact[name])

    def autocast(self) -> AbstractContextManager[object]:
        """No context: Apex has patched torch or the network."""
        return nullcontext()

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Backpropagate a loss, accumulating gradients."""
        with self._amp.scale_loss(loss, self._optimizer) as scaled:
            scaled.backward()

    def clip(self, max_norm: float) -> None:
        """Clip the gradients by their global norm; Apex has already unscaled them."""
        nn.utils.clip_grad_norm_(self._amp.master_params(self._optimizer), max_norm)

    def step(self) -> None:
        """Take an optimiser step; Apex skips it after an overflow."""
        self._optimizer.step()

    def weights(self) -> Mapping[str, Shaped[Tensor, " ..."]]:
        """The network's state dict, with the master weights for the parameters.

        Parameters without an optimiser have no master weights; their values from before the
        rounding of O2 are returned.
        """
        masters = {name: value.detach() for name, value in self._masters()}
        return {**self._model.state_dict(), **self._frozen, **masters}

    def state(self) -> dict[str, Any]:
        """State of the loss scaler."""
        return dict(self._amp.state_dict())

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a :meth:`state`."""
        self._amp.load_state_dict(dict(state))

    def _masters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters in float32 by name: the network's own at O1, copies of them at O2."""
        return zip(self._names, self._amp.master_params(self._optimizer), strict=True)
