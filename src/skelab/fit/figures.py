"""The costs of a configuration, as measuring and predicting both give them."""

from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

from skelab.recipes import Recipe
from skelab.skeleton import Layout, get_layout


@dataclass(frozen=True)
class Configuration:
    """A network with the settings under which it runs.

    Attributes:
        recipe: The recipe, with the ``precision``, the ``memory.activations`` and, as a number,
            the ``memory.micro_batch`` of the configuration.
        layout: Layout of the skeletons, or the name of a known one.
        num_classes: Number of classes.
        bodies: Bodies per clip.
    """

    recipe: Recipe
    layout: str | Layout = "ntu25"
    num_classes: int = 60
    bodies: int = 2

    @property
    def skeleton(self) -> Layout:
        """The layout."""
        return get_layout(self.layout) if isinstance(self.layout, str) else self.layout

    @property
    def micro_batch(self) -> int:
        """Clips per forward pass."""
        given = self.recipe.memory.micro_batch
        return self.recipe.training.batch_size if given == "auto" else int(given)

    def with_micro_batch(self, clips: int) -> "Configuration":
        """The same configuration with another micro-batch."""
        memory = self.recipe.memory.model_copy(update={"micro_batch": clips})
        recipe = self.recipe.model_copy(update={"memory": memory})
        return Configuration(recipe, self.layout, self.num_classes, self.bodies)


@dataclass(frozen=True)
class MemoryParts:
    """Peak memory by category, bytes.

    Attributes:
        weights: Parameters and buffers.
        gradients: Gradients of the parameters.
        optimiser: State of the optimiser.
        activations: Inputs, activations kept for the backward pass, and intermediate results.
        workspace: Scratch memory of operators, and memory that the allocator holds unused.
        context: Memory before any computation: driver and libraries on a GPU, the process with its
            libraries on a CPU.
    """

    weights: int = 0
    gradients: int = 0
    optimiser: int = 0
    activations: int = 0
    workspace: int = 0
    context: int = 0

    @property
    def total(self) -> int:
        """The sum of all categories."""
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Span:
    """A time or another figure, with its range.

    Attributes:
        low: First quartile of the measured rounds, or lower bound of a prediction.
        typical: Median, or best guess.
        high: Third quartile of the measured rounds, or upper bound of a prediction.
    """

    low: float
    typical: float
    high: float

    def times(self, factor: float) -> "Span":
        """All three values multiplied by a factor."""
        return Span(self.low * factor, self.typical * factor, self.high * factor)


@dataclass(frozen=True)
class Cost:
    """The cost of a training step of one micro-batch, or of one inference.

    Attributes:
        memory: Peak memory; None if only the time was requested.
        seconds: Time of the whole micro-batch.
        note: A caveat of this figure; usually empty.
    """

    memory: MemoryParts | None
    seconds: Span
    note: str = ""


class DoesNotFitError(Exception):
    """A configuration does not fit into memory: a result, not a failure."""


class NotTriedError(Exception):
    """A configuration could not be tried; the message has the reason."""


@runtime_checkable
class Backend(Protocol):
    """A device whose costs can be measured or predicted.

    Every method raises :class:`DoesNotFitError` where the configuration does not fit, and
    :class:`NotTriedError` where it could not be tried.
    """

    @property
    def measured(self) -> bool:
        """Whether figures are measured; otherwise they are predicted."""
        ...

    @property
    def memory_limit(self) -> int:
        """Memory that a process may use on the device, bytes."""
        ...

    def training(self, configuration: Configuration) -> Cost:
        """A training step of one micro-batch: forward, backward, optimiser."""
        ...

    def inference(self, configuration: Configuration) -> Cost:
        """One forward pass of a micro-batch, without gradients."""
        ...

    def largest_micro_batch(self, configuration: Configuration, limit: int) -> int:
        """The largest micro-batch that fits, at most the recipe's batch size; 0 if none does.

        Args:
            configuration: Its micro-batch is ignored.
            limit: Memory that may be used, bytes.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """A description of the device for the report."""
        ...
