"""The training step of a configuration and its inference, run on real tensors or on fake ones.

Measuring and predicting share this code, so that their results can be compared. The training step
is that of training, :class:`skelab.training.step.TrainStep`; this module adds a batch of noise, and
fake tensors in place of weights.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from skelab.data.feeding.feeder import Batch
from skelab.errors import SkelabError
from skelab.fit.fakes import PlainEngine, make_state, replace_by_fakes
from skelab.fit.figures import Configuration, NotTriedError
from skelab.models import create_model, set_activation_policy
from skelab.tasks import TaskSpec, get_task, observing_of
from skelab.training.config import Precision
from skelab.training.groups import set_training_mode
from skelab.training.precision import StepEngine, make_engine
from skelab.training.step import TrainStep, clear_gradients, make_optimizer, make_task


class TrainingStep(TrainStep):
    """A training step on a micro-batch of noise in which every body is present.

    Args:
        configuration: What is run.
        device: ``cpu``, or ``cuda`` with or without a number.
        fake: Run on fake tensors of this mode; nothing is computed. The device must be ``cpu``,
            where every precision is traced. The optimiser's state is initialised on real tensors
            beforehand, which takes a hundredth of the time.

    Attributes:
        micro_batch: Clips per forward pass.

    Raises:
        NotTriedError: The network cannot be built, or the device cannot compute in the precision.
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
            replace_by_fakes(fake, model, optimizer)
        with fake or nullcontext():
            super().__init__(model, optimizer, engine, task, recipe.training)
            joints = _noise(configuration, engine.device)
            labels = torch.arange(self.micro_batch, device=engine.device)
            labels %= configuration.num_classes
            observing = observing_of(task)
            whole = joints.clone() if observing is not None and observing.whole else None
        frames = labels[:, None].expand(-1, joints.shape[2])
        rows = tuple(range(self.micro_batch))
        self._batch = Batch(joints, labels, rows, whole=whole, frame_labels=frames)
        set_training_mode(self.model)

    def run(self, micro_batches: int = 1) -> None:
        """One optimiser step, with gradients accumulated over a number of micro-batches."""
        self.begin()
        for _ in range(micro_batches):
            self.forward_backward()
        self.update()

    def prime(self) -> None:
        """Initialise the optimiser's state by a step with zero gradients, which remain."""
        make_state(self.optimizer)

    def forward_backward(self) -> None:
        """Run the micro-batch forward and backward, accumulating gradients."""
        self.accumulate(self._batch, self.micro_batch / self.config.batch_size)

    def weights(self) -> Iterator[Shaped[Tensor, " ..."]]:
        """Parameters and buffers, and their moving average."""
        yield from self.model.parameters()
        yield from self.model.buffers()
        if self.average is not None:
            yield from self.average.tensors().values()

    def gradients(self) -> Iterator[Shaped[Tensor, " ..."]]:
        """The gradients of those parameters that have one."""
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                yield parameter.grad

    def optimiser_state(self) -> Iterator[Shaped[Tensor, " ..."]]:
        """The tensors of the optimiser's state."""
        for state in self.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))

    def inputs(self) -> Iterator[Shaped[Tensor, " ..."]]:
        """Clips and labels."""
        yield self._batch.joints
        if self._batch.whole is not None:
            yield self._batch.whole
        yield self._batch.labels


class InferenceStep:
    """Inference on a micro-batch of noise in which every body is present.

    Args:
        configuration: What is run.
        device: ``cpu``, or ``cuda`` with or without a number.
        fake: As in :class:`TrainingStep`.

    Attributes:
        model: The network, in eval mode.

    Raises:
        NotTriedError: The network cannot be built, or the device cannot compute in the precision.
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
            replace_by_fakes(fake, self.model)
        with fake or nullcontext():
            self._joints = _noise(configuration, self._engine.device)

    def run(self) -> None:
        """Run the micro-batch through the network; logits are float32."""
        # A fake tensor loses its dtype in inference mode.
        ungraded = torch.no_grad() if self._fake else torch.inference_mode()
        with ungraded, self._engine.autocast():
            self.model(self._joints).float()

    def weights(self) -> Iterator[Shaped[Tensor, " ..."]]:
        """Parameters and buffers."""
        yield from self.model.parameters()
        yield from self.model.buffers()

    def inputs(self) -> Iterator[Shaped[Tensor, " ..."]]:
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
            in_channels=len(configuration.skeleton.axes),
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
    layout = configuration.skeleton
    window = configuration.recipe.data.window
    shape = (len(layout.axes), window, layout.num_joints, configuration.bodies)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(configuration.recipe.training.seed)
        return torch.randn(configuration.micro_batch, *shape).to(device)
