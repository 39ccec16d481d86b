"""Fake tensors, and an engine that runs on them, for measuring and tracing a step."""

from contextlib import AbstractContextManager, nullcontext
from typing import Final, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.optim import Optimizer

from skelab.training.config import Precision
from skelab.training.precision import optimizer_parameters

HALF: Final = {
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
    Precision.APEX_O1: torch.float16,
    Precision.APEX_O2: torch.float16,
}
"""The 16-bit type of each precision that has one."""


class PlainEngine:
    """PyTorch's autocast on the CPU, for real and for fake tensors.

    Computes as :class:`skelab.training.precision.TorchEngine` does on a CPU; that engine uses a GPU
    if there is one, and cannot run on fake tensors.
    """

    device: Final = torch.device("cpu")

    def __init__(self, precision: Precision) -> None:
        self._half = HALF.get(precision)

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Prepare a network and its optimiser for training."""
        self._optimizer = optimizer

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which the forward pass computes in the precision."""
        return nullcontext() if self._half is None else torch.autocast("cpu", dtype=self._half)

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Backpropagate a loss, accumulating gradients."""
        torch.autograd.backward(loss)

    def clip(self, max_norm: float) -> None:
        """Clip the gradients by their global norm."""
        nn.utils.clip_grad_norm_(optimizer_parameters(self._optimizer), max_norm)

    def step(self) -> None:
        """Take an optimiser step."""
        if isinstance(self._optimizer, torch.optim.AdamW) and self._is_fake():
            _step_fake_adamw(self._optimizer)
        else:
            self._optimizer.step()

    def _is_fake(self) -> bool:
        return any(isinstance(each, FakeTensor) for each in optimizer_parameters(self._optimizer))


def replace_by_fakes(
    fake: FakeTensorMode, model: nn.Module, optimizer: Optimizer | None = None
) -> None:
    """Replace parameters, buffers and the optimiser's state by fake tensors."""
    doubles: dict[Tensor, nn.Parameter] = {}
    for layer in model.modules():
        for name, parameter in layer._parameters.items():
            if parameter is not None:
                double = cast(nn.Parameter, fake.from_tensor(parameter))
                layer._parameters[name] = doubles[parameter] = double
        for name, buffer in layer._buffers.items():
            if buffer is not None:
                layer._buffers[name] = fake.from_tensor(buffer)
    if optimizer is None:
        return
    for group in optimizer.param_groups:
        group["params"] = [doubles[real] for real in group["params"]]
    states = dict(optimizer.state)
    optimizer.state.clear()
    for real, state in states.items():
        optimizer.state[doubles[real]] = {
            name: fake.from_tensor(value) if isinstance(value, Tensor) else value
            for name, value in state.items()
        }


def make_state(optimizer: Optimizer) -> None:
    """Initialise an optimiser's state by a step with zero gradients, which remain."""
    for parameter in optimizer_parameters(optimizer):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()


def _step_fake_adamw(optimizer: Optimizer) -> None:
    """AdamW's step on fake tensors, parameter by parameter.

    PyTorch's own reads the step count, which a fake tensor does not have.
    """
    with torch.no_grad():
        for parameter in optimizer_parameters(optimizer):
            if parameter.grad is None:
                continue
            state = optimizer.state[parameter]
            parameter.mul_(1.0)
            state["exp_avg"].lerp_(parameter.grad, 0.1)
            state["exp_avg_sq"].mul_(0.9).addcmul_(parameter.grad, parameter.grad)
            denominator = state["exp_avg_sq"].sqrt().add_(1.0)
            parameter.addcdiv_(state["exp_avg"], denominator)
