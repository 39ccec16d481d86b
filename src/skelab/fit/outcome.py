"""What came of asking: per network its options, costs and verdict, and the report of all."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from skelab._version import __version__
from skelab.fit.figures import Cost, MemoryParts, Span
from skelab.recipes import Recipe

SCHEMA: Final = 1
"""Version of the JSON; a key that goes or changes its meaning raises it, a new one does not."""

FRAMES_PER_SECOND: Final = 30


class Verdict(StrEnum):
    """How well a machine runs a network."""

    COMFORTABLE = "comfortable"
    WORKABLE = "workable"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DataNeeds:
    """What the clips of a recipe need.

    Attributes:
        title: The data set, or whose clips they are.
        layout: Layout of its skeletons.
        bodies: Most in a clip.
        classes: Its classes.
        training_clips: Clips of an epoch.
        clips: Clips of the store, the test part with them.
        disk: Bytes of the store.
        source: Where the counts are from.
    """

    title: str
    layout: str
    bodies: int
    classes: int
    training_clips: int
    clips: int
    disk: int
    source: str


@dataclass(frozen=True)
class Loading:
    """How fast clips come.

    Attributes:
        clips_per_second: Of one process that reads and shapes them.
        batch_bytes: Of the largest batch that a worker hands over.
        workers: Processes that read ahead; 0 where training reads for itself.
        shared_memory: Bytes of shared memory that those need.
        enough_shared: Whether there is so much; None where none is needed.
    """

    clips_per_second: Span
    batch_bytes: int
    workers: int
    shared_memory: int
    enough_shared: bool | None


@dataclass(frozen=True)
class OptionFit:
    """A network trained in one precision, its activations kept or recomputed.

    Attributes:
        precision: Number format.
        activations: ``keep`` or ``recompute``.
        largest_micro_batch: Clips at once that fit, at most the recipe's batch size; 0 for none,
            None where that is not known.
        micro_batch: Clips at once of the figures below: what divides the batch evenly and leaves a
            fifth of the memory free, or the most that fits; None where nothing fits.
        memory: Bytes with so many clips.
        points: Clips at once, and bytes in all, where that was found out.
        step: Seconds of a micro-batch.
        epoch: Seconds of an epoch.
        recipe: Seconds of the whole recipe.
        note: Why it could not be tried, or what must be known of the figures.
        predicted: What is predicted of the same on the device that was measured.
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
        """Clips that are trained on, in a second of computing."""
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
    """A network in use.

    Attributes:
        precision: Number format.
        one_person: Seconds of an answer where one body is there; None where that is not known.
        two_people: The same for two bodies.
        batch: Clips at once of the throughput.
        clips_per_second: With so many at once; None where that was not asked for.
        memory: Bytes with one clip of two bodies.
        note: Why figures are missing.
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
        """Comfortable if every frame of a stream gets an answer, with two people in it.

        Workable if an answer comes once a second at least.
        """
        if self.two_people is None:
            return Verdict.UNKNOWN
        if is_real_time(self.two_people):
            return Verdict.COMFORTABLE
        return Verdict.WORKABLE if self.two_people.high <= 1.0 else Verdict.NO

    def to_dict(self) -> dict[str, Any]:
        """The use as a JSON object."""
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
    """What to set in a recipe.

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
    """What came of one network.

    Attributes:
        model: What was asked about: a family, a recipe or a file.
        title: The name that people write.
        recipe: The recipe that was taken, its micro-batch as it is written.
        data: What its clips need.
        verdict: For training.
        reason: Of the verdict, in a sentence.
        settings: What to train with; None where nothing fits or is known.
        options: What was tried, the recipe as it is first.
        inference: The network in use.
        loading: How fast clips come; None where that was not measured.
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
        """The option of the settings."""
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
        """The recipe with the settings; None where there are none."""
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
            "data": asdict(self.data),
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
        device: What the networks ran on, or would run on.
        machine: This machine; empty where another one was asked about.
        models: One entry a network, in the order asked for.
        answer: The answer, in one or two sentences.
        recommended: Name of the entry of ``models`` whose recipe is recommended; empty for none.
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
        """The one recipe that is recommended; None where none fits."""
        for model in self.models:
            if model.model == self.recommended:
                return model.recommended_recipe
        return None

    def address_space(self, model: ModelFit) -> int | None:
        """Bytes that a process maps at most to train a network with its settings.

        That is what a limit of the address space (``ulimit -v``) has to allow; libraries map more
        than they touch. None unless it was measured on a processor.
        """
        own, option = self.device.get("process_address_space"), model.chosen
        if own is None or option is None or option.memory is None:
            return None
        return int(own) + option.memory.total - option.memory.context

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON object; the keys stand in the reference."""
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
    """Whether answers of so many seconds keep up with every frame of a stream."""
    return answer.high * FRAMES_PER_SECOND <= 1.0


def _memory(parts: MemoryParts | None) -> dict[str, int] | None:
    return None if parts is None else {**asdict(parts), "total": parts.total}
