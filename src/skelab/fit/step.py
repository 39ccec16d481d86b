"""The training step of a configuration and its inference, run on real tensors or on fake ones.

Measuring and predicting both run what stands here, so that one can be held against the other. The
training step is that of training, :class:`skelab.training.step.TrainStep`; what is added here is a
batch of noise, and fake tensors in the place of weights.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from skelab.data.feeding.feeder import Batch
from skelab.errors import SkelabError
from skelab.fit.fakes import PlainEngine, become_fakes, make_state
from skelab.fit.figures import Configuration, NotTriedError
from skelab.models import create_model, set_activation_policy
from skelab.skeleton import get_layout
from skelab.tasks import TaskSpec, get_task, observing_of
from skelab.training.config import Precision
from skelab.training.groups import set_training_mode
from skelab.training.precision import StepEngine, make_engine
from skelab.training.step import TrainStep, clear_gradients, make_optimizer, make_task


class TrainingStep(TrainStep):
    """The step of training with a micro-batch of noise in which every body is present.

    Args:
        configuration: What is run.
        device: ``cpu``, or ``cuda`` with or without a number.
        fake: Fake tensors of this mode take the place of real ones; nothing is computed. The device
            must be ``cpu``, and every precision is traced there. The optimiser has its state
            already, made on the real ones, where that takes a hundredth of the time.

    Attributes:
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
        engine = _engine(recipe.precision, device, fake)
        self.micro_batch = configuration.micro_batch
        try:
            task = make_task(_task_spec(configuration), recipe.training)
            model = _network(configuration).to(engine.device)
            set_activation_policy(model, recipe.memory.activations)
            precision = Precision.FP32 if fake else recipe.precision
            optimizer = make_optimizer(model, recipe.training, precision, recipe.transfer)
        except SkelabError as error:
            raise NotTriedError(str(error)) from error
        if fake:
            make_state(optimizer)
            clear_gradients(model, optimizer)
            become_fakes(fake, model, optimizer)
        with fake or nullcontext():
            super().__init__(model, optimizer, engine, task, recipe.training)
            joints = _noise(configuration, engine.device)
            labels = torch.arange(self.micro_batch, device=engine.device)
            labels %= configuration.num_classes
            observing = observing_of(task)
            whole = joints.clone() if observing is not None and observing.whole else None
        self._batch = Batch(joints, labels, tuple(range(self.micro_batch)), whole=whole)
        set_training_mode(self.model)

    def run(self, micro_batches: int = 1) -> None:
        """One optimiser step, its gradients added up over so many micro-batches."""
        self.begin()
        for _ in range(micro_batches):
            self.forward_backward()
        self.update()

    def prime(self) -> None:
        """Give the optimiser its state, by a step with gradients of zero, and keep these."""
        make_state(self.optimizer)

    def forward_backward(self) -> None:
        """Pass the micro-batch through the network, and add up the gradients."""
        self.accumulate(self._batch, self.micro_batch / self.config.batch_size)

    def weights(self) -> Iterator[Tensor]:
        """Parameters and buffers, and their copies."""
        yield from self.model.parameters()
        yield from self.model.buffers()
        if self.average is not None:
            yield from self.average.tensors().values()

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
        yield self._batch.joints
        if self._batch.whole is not None:
            yield self._batch.whole
        yield self._batch.labels


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
            become_fakes(fake, self.model)
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


def _engine(precision: Precision, device: str, fake: FakeTensorMode | None) -> StepEngine:
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
        model = create_model(
            recipe.model.name,
            num_classes=configuration.num_classes,
            layout=configuration.layout,
            in_channels=len(get_layout(configuration.layout).axes),
            max_bodies=configuration.bodies,
            **recipe.model.options,
        )
        get_task(recipe.task.name, recipe.task.options).attach_head(model)
        return model


def _task_spec(configuration: Configuration) -> TaskSpec:
    task = configuration.recipe.task
    return TaskSpec(task.name, task.options)


def _noise(configuration: Configuration, device: torch.device) -> Tensor:
    """A micro-batch N C T V M of standard normal noise, the same for the same seed."""
    layout = get_layout(configuration.layout)
    window = configuration.recipe.data.window
    shape = (len(layout.axes), window, layout.num_joints, configuration.bodies)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(configuration.recipe.training.seed)
        return torch.randn(configuration.micro_batch, *shape).to(device)
