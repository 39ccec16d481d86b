"""What a task is: head, losses, metrics, the choice of the epoch, and scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor, nn

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.batch import Batch
from skelab.data.feeding.config import FeederConfig
from skelab.data.feeding.observing import Observing
from skelab.evaluation import OutputScores, Scores, ScoresInfo
from skelab.models import ModelOutput


@dataclass(frozen=True)
class Losses:
    """The losses of some clips, each a mean over the clips.

    Attributes:
        total: What is minimised.
        by_name: The terms of which it is made, unweighted.
    """

    total: Float[Tensor, ""]
    by_name: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """How a task chooses the epoch.

    Attributes:
        metric: One of the task's validation metrics.
        higher_is_better: Whether the best epoch has its highest value, or its lowest.
    """

    metric: str
    higher_is_better: bool = True

    def prefers(self, value: float, best: float | None) -> bool:
        """Whether ``value`` is better than the best so far; NaN never is."""
        if value != value:
            return False
        if best is None:
            return True
        return value > best if self.higher_is_better else value < best


@dataclass(frozen=True)
class ScoredClips:
    """Facts of the clips that were scored, in the order of the outputs.

    Attributes:
        names: Name of each clip.
        classes: Name of each class of the data set.
        info: Where the scores come from.
        groups: Subject, camera and setup of each clip, as far as they are known.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    info: ScoresInfo
    groups: Mapping[str, Int64[ndarray, " N"]] = field(default_factory=dict)


@runtime_checkable
class Task(Protocol):
    """What is predicted, with its losses and metrics.

    Training, checkpoints, evaluation and the report know a task only by what stands here. Three
    further attributes are optional, see :func:`observing_of`, :func:`ratios_of` and
    :func:`clips_of`.
    """

    @property
    def name(self) -> str:
        """Its name in recipes and checkpoints."""
        ...

    @property
    def needs_labels(self) -> bool:
        """Whether a clip without a label can be neither trained nor tested on."""
        ...

    @property
    def choice(self) -> Choice:
        """Which validation metric chooses the epoch."""
        ...

    def attach_head(self, model: nn.Module) -> None:
        """Give a new network the head of the task, in place; it may keep the family's own."""
        ...

    def targets(self, batch: Batch) -> Shaped[Tensor, "N ..."]:
        """What is right for each clip."""
        ...

    def losses(self, output: ModelOutput, batch: Batch) -> Losses:
        """The mean losses of some clips, in float32 whatever the network computes in."""
        ...

    def sums(self, output: ModelOutput, batch: Batch) -> Mapping[str, float]:
        """Metrics that are means over clips, summed over the clips; say, the correct ones."""
        ...

    def metrics(
        self, outputs: Float32[ndarray, "N ..."], targets: Shaped[ndarray, "N ..."]
    ) -> dict[str, float]:
        """Metrics of clips that were not trained on, by name; ``loss`` among them."""
        ...

    def scores(
        self,
        outputs: Float32[ndarray, "N ..."],
        targets: Shaped[ndarray, "N ..."],
        clips: ScoredClips,
    ) -> Scores | OutputScores:
        """What an evaluation writes to a score file and shows in the report."""
        ...


def observing_of(task: Task) -> Observing | None:
    """Observed shares of a task in training: its ``observing``, None for whole clips."""
    found: Observing | None = getattr(task, "observing", None)
    return found


def ratios_of(task: Task) -> tuple[float, ...]:
    """Observed shares at which a task is validated: its ``ratios``, empty for whole clips.

    With ratios, its ``metrics`` get outputs N R K instead of N K.
    """
    found: tuple[float, ...] = getattr(task, "ratios", ())
    return found


def clips_of(task: Task, clips: OpenedClips, feeder: FeederConfig) -> OpenedClips:
    """The clips that a task is trained and tested on: by its ``clips_of``, others as they are.

    What comes out can be given again, and stays as it is.

    Raises:
        DataError: The clips are not what the task needs.
        TaskError: The feeder does not fit the task.
    """
    make = getattr(task, "clips_of", None)
    if make is None:
        return clips
    made: OpenedClips = make(clips, feeder)
    return made
