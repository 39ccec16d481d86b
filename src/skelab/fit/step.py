"""The training step of a configuration and its inference, run on real tensors or on fake ones.

Measuring and predicting both run what stands here, so that one can be held against the other. It
is the step of :class:`skelab.training.learner.Learner`, out of the same parts, without the clips,
the augmentation and the other processes.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer

from skelab.errors import SkelabError
from skelab.fit.figures import Configuration, NotTriedError
from skelab.models import create_model, set_activation_policy
from skelab.skeleton import get_layout
from skelab.training.average import WeightAverage
from skelab.training.config import Precision
from skelab.training.learner import clear_gradients, clip_loss, make_optimizer
from skelab.training.memory import BufferGuard
from skelab.training.precision import Engine, make_engine, optimizer_class

HALF: Final = {
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
    Precision.APEX_O1: torch.float16,
    Precision.APEX_O2: torch.float16,
}
"""The 16-bit type of each precision that has one."""


class TrainingStep:
    """A network in training, with a micro-batch of noise in which every body is present.

    Args:
        configuration: What is run.
        device: ``cpu``, or ``cuda`` with or without a number.
        fake: Fake tensors of this mode take the place of real ones; nothing is computed. The device
            must be ``cpu``, and every precision is traced there. The optimiser has its state
            already, made on the real ones, where that takes a hundredth of the time.

    Attributes:
        model: The network, in training mode.
        optimizer: Its optimiser.
        micro_batch: Clips that pass the network at once.

    Raises:
        NotTriedError: The network cannot be made, or not run in the precision on the device.
    """

    def __init__(
        self,
        configuration: Configuration,
        device: str = "cpu",
        *,
        fake: FakeTensorMode | None = None,
    ) -> None:
        recipe = configuration.recipe
        self._config = recipe.training
        self._engine = _engine(recipe.precision, device, fake)
        self.micro_batch = configuration.micro_batch
        try:
            self.model = _network(configuration).to(self._engine.device)
            set_activation_policy(self.model, recipe.memory.activations)
            kind = torch.optim.SGD if fake else optimizer_class(recipe.precision)
            self.optimizer = make_optimizer(self.model, self._config, kind)
        except SkelabError as error:
            raise NotTriedError(str(error)) from error
        self._engine.prepare(self.model, self.optimizer)
        if fake:
            self.prime()
            clear_gradients(self.model, self.optimizer)
            _become_fakes(fake, self.model, self.optimizer)
        with fake or nullcontext():
            self._average = (
                WeightAverage(self.model, self._config.ema) if self._config.ema else None
            )
            self._joints = _noise(configuration, self._engine.device)
            self._labels = torch.arange(self.micro_batch, device=self._engine.device)
            self._labels %= configuration.num_classes
        self._guard: BufferGuard | None = None
        self.model.train()

    def run(self, micro_batches: int = 1) -> None:
        """One optimiser step, its gradients added up over so many micro-batches."""
        self.begin()
        for _ in range(micro_batches):
            self.forward_backward()
        self.update()

    def prime(self) -> None:
        """Give the optimiser its state, by a step with gradients of zero, and keep these."""
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        self._engine.step()

    def begin(self) -> None:
        """Drop the gradients of the last step, and keep the buffers, should this one be undone."""
        clear_gradients(self.model, self.optimizer)
        self._guard = BufferGuard(self.model)

    def forward_backward(self) -> None:
        """Pass the micro-batch through the network, and add up the gradients."""
        with self._engine.autocast():
            logits = self.model(self._joints)
        loss = clip_loss(logits, self._labels, self._config)
        self._engine.backward(loss * (self.micro_batch / self._config.batch_size))

    def update(self) -> None:
        """Let the optimiser step."""
        self._engine.step()
        if self._average is not None:
            self._average.update(self.model)

    def weights(self) -> Iterator[Tensor]:
        """Parameters and buffers, and their copies."""
        yield from self.model.parameters()
        yield from self.model.buffers()
        if self._average is not None:
            yield from self._average.tensors().values()

    def gradients(self) -> Iterator[Tensor]:
        """Of those parameters that have one."""
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                yield parameter.grad

    def optimiser_state(self) -> Iterator[Tensor]:
        """What the optimiser keeps from step to step."""
        for state in self.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))

    def inputs(self) -> Iterator[Tensor]:
        """Clips and labels."""
        yield self._joints
        yield self._labels


class InferenceStep:
    """A network in use, with a micro-batch of noise in which every body is present.

    Args:
        configuration: What is run.
        device: ``cpu``, or ``cuda`` with or without a number.
        fake: As in :class:`TrainingStep`.

    Attributes:
        model: The network, in eval mode.

    Raises:
        NotTriedError: The network cannot be made, or not run in the precision on the device.
    """

    def __init__(
        self,
        configuration: Configuration,
        device: str = "cpu",
        *,
        fake: FakeTensorMode | None = None,
    ) -> None:
        precision = configuration.recipe.precision
        self._fake = fake
        self._engine = _engine(precision, device, fake)
        try:
            self.model = _network(configuration).to(self._engine.device).eval()
        except SkelabError as error:
            raise NotTriedError(str(error)) from error
        if fake:
            _become_fakes(fake, self.model)
        with fake or nullcontext():
            self._joints = _noise(configuration, self._engine.device)

    def run(self) -> None:
        """Pass the micro-batch through the network; its logits are float32."""
        # A fake tensor of inference mode forgets its type.
        ungraded = torch.no_grad() if self._fake else torch.inference_mode()
        with ungraded, self._engine.autocast():
            self.model(self._joints).float()

    def weights(self) -> Iterator[Tensor]:
        """Parameters and buffers."""
        yield from self.model.parameters()
        yield from self.model.buffers()

    def inputs(self) -> Iterator[Tensor]:
        """The clips."""
        yield self._joints


class PlainEngine:
    """PyTorch's autocast on the processor, for real tensors and for fake ones.

    Does what :class:`skelab.training.precision.TorchEngine` does there, also where there is a GPU.
    """

    device: Final = torch.device("cpu")

    def __init__(self, precision: Precision) -> None:
        self._half = HALF.get(precision)

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Take over a network and its optimiser."""
        self._optimizer = optimizer

    def autocast(self) -> AbstractContextManager[object]:
        """In this block the forward pass computes in the format."""
        return nullcontext() if self._half is None else torch.autocast("cpu", dtype=self._half)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        torch.autograd.backward(loss)

    def step(self) -> None:
        """Let the optimiser step."""
        self._optimizer.step()


def _engine(precision: Precision, device: str, fake: FakeTensorMode | None) -> PlainEngine | Engine:
    if fake is not None:
        return PlainEngine(precision)
    if device == "cpu":
        if precision not in (Precision.FP32, Precision.BF16):
            raise NotTriedError(f"precision {precision.value} needs a GPU")
        return PlainEngine(precision)
    torch.cuda.set_device(device)
    try:
        return make_engine(precision)
    except SkelabError as error:
        raise NotTriedError(str(error)) from error


def _network(configuration: Configuration) -> nn.Module:
    recipe = configuration.recipe
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        return create_model(
            recipe.model.name,
            num_classes=configuration.num_classes,
            layout=configuration.layout,
            in_channels=len(get_layout(configuration.layout).axes),
            max_bodies=configuration.bodies,
            **recipe.model.options,
        )


def _become_fakes(
    fake: FakeTensorMode, model: nn.Module, optimizer: Optimizer | None = None
) -> None:
    """Put fake tensors in the place of parameters and buffers, and of the optimiser's state."""
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


def _noise(configuration: Configuration, device: torch.device) -> Tensor:
    """A micro-batch N C T V M of standard normal noise, the same for the same seed."""
    layout = get_layout(configuration.layout)
    window = configuration.recipe.data.window
    shape = (len(layout.axes), window, layout.num_joints, configuration.bodies)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(configuration.recipe.training.seed)
        return torch.randn(configuration.micro_batch, *shape).to(device)
