"""Results: options, costs and verdict of each network, and the report of all."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from skelab._version import __version__
from skelab.fit.figures import Cost, MemoryParts, Span
from skelab.recipes import Recipe
from skelab.skeleton import Layout

SCHEMA: Final = 1
"""Version of the JSON; raised when a key is removed or changes its meaning."""

FRAMES_PER_SECOND: Final = 30


class Verdict(StrEnum):
    """How well a machine runs a network."""

    COMFORTABLE = "comfortable"
    WORKABLE = "workable"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DataNeeds:
    """The data that a recipe trains on.

    Attributes:
        title: The data set, or the owner of the clips.
        layout: Skeleton layout.
        bodies: Most bodies in a clip.
        classes: Number of classes.
        training_clips: Clips of an epoch.
        clips: Clips of the store, including the test part.
        disk: Size of the store, bytes.
        source: Source of the counts.
        own_layout: The layout itself, of clips whose layout has no name here.
    """

    title: str
    layout: str
    bodies: int
    classes: int
    training_clips: int
    clips: int
    disk: int
    source: str
    own_layout: Layout | None = None

    def to_dict(self) -> dict[str, Any]:
        """The data as a JSON object."""
        return {name: value for name, value in vars(self).items() if name != "own_layout"}


@dataclass(frozen=True)
class Loading:
    """The loading speed.

    Attributes:
        clips_per_second: Speed of one process that reads and shapes clips.
        batch_bytes: Largest batch that a worker hands over, bytes.
        workers: Loader processes; 0 if the training process loads.
        shared_memory: Shared memory that they need, bytes.
        enough_shared: Whether there is enough of it; None if none is needed.
    """

    clips_per_second: Span
    batch_bytes: int
    workers: int
    shared_memory: int
    enough_shared: bool | None


@dataclass(frozen=True)
class OptionFit:
    """The training of a network in one precision, with activations kept or recomputed.

    Attributes:
        precision: Number format.
        activations: ``keep`` or ``recompute``.
        largest_micro_batch: Largest micro-batch that fits, at most the recipe's batch size; 0 if
            none does, None if unknown.
        micro_batch: The micro-batch of the figures below: the largest that divides the batch and
            leaves a fifth of the memory free, or a single clip; None if nothing fits.
        memory: Peak memory with this micro-batch, bytes.
        points: Micro-batches with their total bytes, where known.
        step: Seconds of a micro-batch.
        epoch: Seconds of an epoch.
        recipe: Seconds of the whole recipe.
        note: The reason why it could not be tried, or a caveat of the figures.
        predicted: The prediction for the same configuration on a measured device.
    """

    precision: str
    activations: str
    largest_micro_batch: int | None = None
    micro_batch: int | None = None
    memory: MemoryParts | None = None
    points: tuple[tuple[int, int], ...] = ()
    step: Span | None = None
    epoch: Span | None = None
    recipe: Span | None = None
    note: str = ""
    predicted: Cost | None = None

    @property
    def clips_per_second(self) -> Span | None:
        """Training throughput, clips per second of compute time."""
        if self.step is None or self.micro_batch is None:
            return None
        clips = self.micro_batch
        return Span(clips / self.step.high, clips / self.step.typical, clips / self.step.low)

    def to_dict(self) -> dict[str, Any]:
        """The option as a JSON object."""
        speed = self.clips_per_second
        return {
            **asdict(self),
            "memory": _memory(self.memory),
            "points": [list(point) for point in self.points],
            "clips_per_second": speed and asdict(speed),
            "predicted": self.predicted
            and {
                "memory": _memory(self.predicted.memory),
                "step": asdict(self.predicted.seconds),
                "note": self.predicted.note,
            },
        }


@dataclass(frozen=True)
class InferenceFit:
    """The inference of a network.

    Attributes:
        precision: Number format.
        one_person: Latency with one body, seconds; None if unknown.
        two_people: Latency with two bodies, seconds; None if unknown.
        batch: Batch size of the throughput.
        clips_per_second: Throughput at this batch size; None if not determined.
        memory: Peak memory for one clip of two bodies, bytes.
        note: The reason why figures are missing.
    """

    precision: str
    one_person: Span | None = None
    two_people: Span | None = None
    batch: int = 1
    clips_per_second: Span | None = None
    memory: MemoryParts | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Comfortable if inference keeps up with every frame of a stream of two people.

        Workable if it runs at least once a second.
        """
        if self.two_people is None:
            return Verdict.UNKNOWN
        if is_real_time(self.two_people):
            return Verdict.COMFORTABLE
        return Verdict.WORKABLE if self.two_people.high <= 1.0 else Verdict.NO

    def to_dict(self) -> dict[str, Any]:
        """The inference as a JSON object."""
        bodies = {"one_person": self.one_person, "two_people": self.two_people}
        real_time = {name: span and is_real_time(span) for name, span in bodies.items()}
        return {
            **asdict(self),
            "memory": _memory(self.memory),
            "verdict": self.verdict.value,
            "real_time": real_time,
        }


@dataclass(frozen=True)
class Settings:
    """Recommended settings of a recipe.

    Attributes:
        precision: ``precision``.
        activations: ``memory.activations``.
        micro_batch: ``memory.micro_batch``, as a number.
    """

    precision: str
    activations: str
    micro_batch: int


@dataclass(frozen=True)
class ModelFit:
    """The results of one network.

    Attributes:
        model: The name that was given: a family, a recipe or a file.
        title: Its usual name.
        recipe: Its recipe, with the micro-batch as written.
        data: The data that it trains on.
        verdict: Verdict on training.
        reason: Reason of the verdict, one sentence.
        settings: Settings to train with; None if nothing fits or is known.
        options: The options tried, beginning with the recipe's own.
        inference: Latency and throughput.
        loading: Loading speed; None if not measured.
    """

    model: str
    title: str
    recipe: Recipe
    data: DataNeeds
    verdict: Verdict
    reason: str
    settings: Settings | None = None
    options: tuple[OptionFit, ...] = ()
    inference: InferenceFit = field(default_factory=lambda: InferenceFit("fp32"))
    loading: Loading | None = None

    @property
    def chosen(self) -> OptionFit | None:
        """The option with the recommended settings."""
        for option in self.options:
            wanted = self.settings
            if wanted and (option.precision, option.activations) == (
                wanted.precision,
                wanted.activations,
            ):
                return option
        return None

    @property
    def recommended_recipe(self) -> Recipe | None:
        """The recipe with the recommended settings; None if there are none."""
        if self.settings is None:
            return None
        given = self.recipe.memory.micro_batch
        batch = self.recipe.training.batch_size
        at_once = self.settings.micro_batch
        own = batch if given == "auto" else min(given, batch)
        memory = {
            **self.recipe.memory.model_dump(),
            "activations": self.settings.activations,
            "micro_batch": given if at_once == own else ("auto" if at_once >= batch else at_once),
        }
        content = self.recipe.model_dump(mode="json")
        content |= {"precision": self.settings.precision, "memory": memory}
        return Recipe.model_validate(content)

    def to_dict(self) -> dict[str, Any]:
        """The network as a JSON object."""
        training = self.recipe.training
        return {
            "model": self.model,
            "title": self.title,
            "family": self.recipe.model.name,
            "recipe": self.recipe.name,
            "epochs": training.epochs,
            "batch_size": training.batch_size,
            "frames": self.recipe.data.window,
            "data": self.data.to_dict(),
            "verdict": self.verdict.value,
            "reason": self.reason,
            "settings": self.settings and asdict(self.settings),
            "options": [option.to_dict() for option in self.options],
            "inference": self.inference.to_dict(),
            "loading": self.loading and asdict(self.loading),
        }


@dataclass(frozen=True)
class FitReport:
    """The answer to "can this machine run modern skeleton models comfortably?".

    Attributes:
        measured: Whether the figures are measured; otherwise they are predicted.
        thorough: Whether every option was tried.
        device: The device that was measured or predicted.
        machine: This machine; empty if another one was asked about.
        models: One entry per network, in the order given.
        answer: The answer, in one or two sentences.
        recommended: Name of the entry in ``models`` whose recipe is recommended; empty if none.
        finished: Whether all networks were tried.
    """

    measured: bool
    thorough: bool
    device: dict[str, Any]
    machine: dict[str, Any]
    models: tuple[ModelFit, ...]
    answer: str
    recommended: str = ""
    finished: bool = True

    @property
    def recommended_recipe(self) -> Recipe | None:
        """The recommended recipe; None if none fits."""
        for model in self.models:
            if model.model == self.recommended:
                return model.recommended_recipe
        return None

    def address_space(self, model: ModelFit) -> int | None:
        """The address space that a process needs to train a network with its settings, bytes.

        A limit on the address space (``ulimit -v``) must allow it; libraries map more memory than
        they use. None unless it was measured on a CPU.
        """
        own, option = self.device.get("process_address_space"), model.chosen
        if own is None or option is None or option.memory is None:
            return None
        return int(own) + option.memory.total - option.memory.context

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON object, whose keys docs/reference/fit-report.md describes."""
        recipe = self.recommended_recipe
        return {
            "schema": SCHEMA,
            "skelab": __version__,
            "measured": self.measured,
            "thorough": self.thorough,
            "finished": self.finished,
            "device": self.device,
            "machine": self.machine,
            "answer": self.answer,
            "models": [
                {**model.to_dict(), "address_space": self.address_space(model)}
                for model in self.models
            ],
            "recommended": self.recommended or None,
            "recipe": recipe and recipe.model_dump(mode="json"),
        }


def is_real_time(answer: Span) -> bool:
    """Whether a latency, seconds, keeps up with every frame of a stream."""
    return answer.high * FRAMES_PER_SECOND <= 1.0


def _memory(parts: MemoryParts | None) -> dict[str, int] | None:
    return None if parts is None else {**asdict(parts), "total": parts.total}
