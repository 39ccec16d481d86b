"""What a configuration costs: the figures that measuring and predicting have in common."""

from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

from skelab.recipes import Recipe


@dataclass(frozen=True)
class Configuration:
    """One way to run one network.

    Attributes:
        recipe: What is trained; its ``precision``, ``memory.activations`` and, as a number,
            ``memory.micro_batch`` are those of the configuration.
        layout: Layout of the skeletons.
        num_classes: Classes.
        bodies: Bodies of an input.
    """

    recipe: Recipe
    layout: str = "ntu25"
    num_classes: int = 60
    bodies: int = 2

    @property
    def micro_batch(self) -> int:
        """Clips that pass the network at once."""
        given = self.recipe.memory.micro_batch
        return self.recipe.training.batch_size if given == "auto" else int(given)

    def with_micro_batch(self, clips: int) -> "Configuration":
        """The same with so many clips at once."""
        memory = self.recipe.memory.model_copy(update={"micro_batch": clips})
        recipe = self.recipe.model_copy(update={"memory": memory})
        return Configuration(recipe, self.layout, self.num_classes, self.bodies)


@dataclass(frozen=True)
class MemoryParts:
    """Bytes at the moment when most is held.

    Attributes:
        weights: Parameters and buffers.
        gradients: Of the parameters.
        optimiser: What the optimiser keeps from step to step.
        activations: Inputs, what is kept for the backward pass, and what is in the making.
        workspace: What operators need beside their results, and what the allocator holds unused.
        context: What is taken before anything is computed: on a GPU by driver and libraries, on a
            processor by the process itself with its libraries.
    """

    weights: int = 0
    gradients: int = 0
    optimiser: int = 0
    activations: int = 0
    workspace: int = 0
    context: int = 0

    @property
    def total(self) -> int:
        """All together."""
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Span:
    """A time, or another figure, with what it may lie between.

    Attributes:
        low: A quarter of the measured rounds lie below; of a prediction, its lower end.
        typical: Median, or best guess.
        high: A quarter of the measured rounds lie above; of a prediction, its upper end.
    """

    low: float
    typical: float
    high: float

    def times(self, factor: float) -> "Span":
        """All three multiplied."""
        return Span(self.low * factor, self.typical * factor, self.high * factor)


@dataclass(frozen=True)
class Cost:
    """What one pass costs: a training step of a micro-batch, or an inference.

    Attributes:
        memory: At its highest; None where only the time was asked for.
        seconds: For all clips of the micro-batch together.
        note: What a reader must know of this figure; empty as a rule.
    """

    memory: MemoryParts | None
    seconds: Span
    note: str = ""


class DoesNotFitError(Exception):
    """A configuration does not fit; that is a result, and no fault."""


class NotTriedError(Exception):
    """A configuration could not be tried for another reason; the message says which."""


@runtime_checkable
class Backend(Protocol):
    """A device whose costs can be found out, by trying or by reckoning.

    Every method raises :class:`DoesNotFitError` where the configuration does not fit, and
    :class:`NotTriedError` where it could not be tried.
    """

    @property
    def measured(self) -> bool:
        """Whether figures are measured; otherwise they are predicted."""
        ...

    @property
    def memory_limit(self) -> int:
        """Bytes that a process may use on the device."""
        ...

    def training(self, configuration: Configuration) -> Cost:
        """A training step of one micro-batch: forward, backward, optimiser."""
        ...

    def inference(self, configuration: Configuration) -> Cost:
        """One forward pass of a micro-batch, without gradients."""
        ...

    def largest_micro_batch(self, configuration: Configuration, limit: int) -> int:
        """Clips at once of a training step that fit, at most the recipe's batch size; 0 for none.

        Args:
            configuration: Its micro-batch is of no account.
            limit: Bytes that may be used.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """The device, for the report."""
        ...
