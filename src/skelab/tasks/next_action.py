"""The next action of a sequence, from the frames before it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import Tensor

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.windows import WindowClips, windows_before_actions
from skelab.data.feeding.batch import Batch
from skelab.data.feeding.config import FeederConfig
from skelab.errors import TaskError
from skelab.evaluation import Scores
from skelab.models import ModelOutput
from skelab.tasks.classification import ClassificationTask
from skelab.tasks.task import Losses, ScoredClips

HORIZONS: Final = (-30, -15, 0, 10, 20, 30)
"""Frames from the start of the next action: 1, 0.5 and 0 s before it, 10, 20 and 30 into it."""

_LONGEST: Final = 4096


class NextActionTask(ClassificationTask):
    """Tell the action that follows, at several horizons, from the latest frames up to a cut.

    A horizon counts from the start of the next action, negative before it. Each clip is a window of
    a sequence that ends at the cut; no later frame is read. The network has a group of logits a
    horizon, since the same frames mean something else at another horizon; the loss of a clip is the
    cross-entropy of its horizon's group.

    Args:
        horizons: Frames from the start of the next action to the cut, ascending.
        observed: Frames that are observed before the cut, fewer at the beginning of a sequence.
        label_smoothing: Share of the target that is spread over all classes in training.

    Raises:
        TaskError: The horizons are not ascending whole numbers, or too few frames are observed.
    """

    name = "next-action"

    def __init__(
        self,
        *,
        horizons: object = HORIZONS,
        observed: object = 30,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(label_smoothing=label_smoothing)
        if not isinstance(horizons, list | tuple) or any(
            type(each) is not int for each in horizons
        ):
            raise TaskError(
                f"task.horizons: expected whole numbers of frames, found {horizons!r:.60}"
            )
        if not horizons or sorted(set(horizons)) != list(horizons):
            raise TaskError(f"task.horizons: expected ascending numbers, found {horizons!r:.60}")
        if type(observed) is not int or not 1 <= observed <= _LONGEST:
            raise TaskError(
                f"task.observed: expected frames from 1 to {_LONGEST}, found {observed!r:.40}"
            )
        self.horizons: tuple[int, ...] = tuple(horizons)
        self.observed = observed

    def clips_of(self, clips: OpenedClips, feeder: FeederConfig) -> OpenedClips:
        """The windows that end at a horizon; windows themselves stay as they are.

        Raises:
            DataError: There is no sequence with segments.
            TaskError: The feeder mixes clips.
        """
        if any(entry.name == "mix" for entry in feeder.transforms):
            raise TaskError(
                f"{self.name}: two clips of different horizons cannot be mixed; --set"
                " data.transforms=[] leaves transform mix out"
            )
        if isinstance(clips, WindowClips):
            return clips
        return windows_before_actions(clips, self.horizons, observed=self.observed)

    def losses(self, output: ModelOutput, batch: Batch) -> Losses:
        """The mean cross-entropy of each clip's horizon, in float32."""
        return super().losses(*self._of_horizon(output, batch))

    def sums(self, output: ModelOutput, batch: Batch) -> dict[str, float]:
        """The number of correct clips, each at its horizon."""
        return super().sums(*self._of_horizon(output, batch))

    def metrics(
        self, outputs: Float32[ndarray, "N L"], targets: Int64[ndarray, " N"]
    ) -> dict[str, float]:
        """Cross-entropy and top-1 over all horizons together."""
        logits, labels, _ = self.by_horizon(outputs, targets)
        return super().metrics(logits, labels)

    def scores(
        self, outputs: Float32[ndarray, "N L"], targets: Int64[ndarray, " N"], clips: ScoredClips
    ) -> Scores:
        """Logits of the actions at each clip's horizon, which the name of a clip ends with."""
        logits, labels, _ = self.by_horizon(outputs, targets)
        return super().scores(logits, labels, replace(clips, classes=self.actions(clips.classes)))

    def actions(self, classes: Sequence[str]) -> tuple[str, ...]:
        """The names of the actions, from those of actions at horizons."""
        count = len(classes) // len(self.horizons)
        return tuple(name.rpartition(" @")[0] for name in classes[:count])

    def by_horizon(
        self, outputs: Float32[ndarray, "N L"], targets: Int64[ndarray, " N"]
    ) -> tuple[Float32[ndarray, "N K"], Int64[ndarray, " N"], Int64[ndarray, " N"]]:
        """The logits of each clip's own horizon, its action, and the number of the horizon."""
        count = outputs.shape[1] // len(self.horizons)
        places = targets // count
        groups = outputs.reshape(len(outputs), len(self.horizons), count)
        return np.ascontiguousarray(groups[np.arange(len(groups)), places]), targets % count, places

    def _of_horizon(self, output: ModelOutput, batch: Batch) -> tuple[ModelOutput, Batch]:
        logits: Tensor = output.logits
        if logits.shape[1] % len(self.horizons):
            raise TaskError(
                f"{self.name}: expected logits for each of {len(self.horizons)} horizons, found"
                f" {logits.shape[1]}"
            )
        groups = logits.reshape(len(logits), len(self.horizons), -1)
        places = batch.labels // groups.shape[2]
        chosen = groups[places.new_tensor(range(len(groups))), places]
        return ModelOutput(chosen), replace(batch, labels=batch.labels % groups.shape[2])
