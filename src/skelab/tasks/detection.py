"""Online detection: which action is going on at each frame of a sequence, while it runs."""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.windows import WindowClips, windows_of_frames
from skelab.data.feeding.batch import NO_FRAME, Batch
from skelab.data.feeding.config import FeederConfig, Stream
from skelab.data.feeding.transforms.settings import Fill
from skelab.errors import TaskError
from skelab.evaluation import OutputScores
from skelab.models import ModelOutput
from skelab.tasks.early import let_answer_per_frame
from skelab.tasks.outputs import check_smoothing
from skelab.tasks.task import Choice, Losses, ScoredClips

NO_ACTION: Final = "no action"
"""The class of frames without an action, the last one of a detector."""

_KEEP_TIME: Final = frozenset(
    {"rotate", "limbs", "mirror", "shear", "scale", "noise", "drop-joints"}
)


class DetectionTask:
    """Give every frame of a sequence an action or none, by a causal network.

    Clips are windows of sequences, frame by frame as stored. The loss is the mean cross-entropy
    over all frames.

    Args:
        label_smoothing: Share of the target that is spread over all classes in training.

    Raises:
        TaskError: The share is not in [0, 1).
    """

    name = "detection"
    needs_labels = False
    choice = Choice("frame_accuracy")

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = check_smoothing(label_smoothing)

    def clips_of(self, clips: OpenedClips, feeder: FeederConfig) -> OpenedClips:
        """Overlapping windows of all sequences; windows themselves stay as they are.

        Raises:
            DataError: There is no sequence with segments.
            TaskError: The feeder would move frames, or looks ahead.
        """
        _check_feeder(feeder)
        if isinstance(clips, WindowClips):
            return clips
        return windows_of_frames(clips, frames=feeder.window, background=NO_ACTION)

    def attach_head(self, model: nn.Module) -> None:
        """Let the network answer at each frame.

        Raises:
            TaskError: The network is not causal.
        """
        let_answer_per_frame(model, self.name)

    def targets(self, batch: Batch) -> Int64[Tensor, "N T"]:
        """The class of each frame; ``NO_FRAME`` where the clip has none.

        Raises:
            TaskError: The clips carry no labels of frames.
        """
        if batch.frame_labels is None:
            raise TaskError(
                f"{self.name}: expected a label for each frame, found one for each clip"
            )
        return batch.frame_labels

    def losses(self, output: ModelOutput, batch: Batch) -> Losses:
        """The mean cross-entropy over all frames of all clips."""
        logits = output.logits.float()
        loss = F.cross_entropy(
            logits.flatten(0, 1),
            _class_of_frames(self.targets(batch), logits.shape[2]).flatten(),
            label_smoothing=self.label_smoothing,
            ignore_index=NO_FRAME,
        )
        return Losses(loss, {"cross_entropy": loss})

    def sums(self, output: ModelOutput, batch: Batch) -> dict[str, float]:
        """The share of right frames of each clip, summed over the clips."""
        targets = _class_of_frames(self.targets(batch), output.logits.shape[2])
        counted = targets != NO_FRAME
        right = (output.logits.argmax(dim=2) == targets) & counted
        shares = right.sum(dim=1) / counted.sum(dim=1).clamp(min=1)
        return {"frame_accuracy": float(shares.sum())}

    def metrics(
        self, outputs: Float32[ndarray, "N T K"], targets: Shaped[ndarray, "N T"]
    ) -> dict[str, float]:
        """Cross-entropy and share of right frames, over all frames."""
        logits = torch.from_numpy(np.ascontiguousarray(outputs)).flatten(0, 1)
        labels = _class_of_frames(torch.from_numpy(targets), outputs.shape[2]).flatten()
        counted = labels != NO_FRAME
        right = logits.argmax(dim=1) == labels
        return {
            "loss": F.cross_entropy(logits, labels, ignore_index=NO_FRAME).item(),
            "frame_accuracy": float(right[counted].double().mean()),
        }

    def scores(
        self,
        outputs: Float32[ndarray, "N T K"],
        targets: Shaped[ndarray, "N T"],
        clips: ScoredClips,
    ) -> OutputScores:
        """Logits and label of each frame by window."""
        metrics = self.metrics(outputs, targets)
        return OutputScores(clips.names, outputs, targets, metrics, self.name, clips.info)


def _class_of_frames(labels: Int64[Tensor, "N T"], classes: int) -> Int64[Tensor, "N T"]:
    """The background as the last class."""
    return torch.where(labels == -1, classes - 1, labels)


def _check_feeder(feeder: FeederConfig) -> None:
    """Refuse a feeder that would move frames away from their labels."""
    name = DetectionTask.name
    found = [
        f"data.{key}={value}"
        for key, value, needed in (
            ("fill", feeder.fill.value, Fill.ZEROS.value),
            ("train_crop", list(feeder.train_crop), [1.0, 1.0]),
            ("eval_crop", feeder.eval_crop, 1.0),
        )
        if value != needed
    ]
    if found:
        raise TaskError(
            f"{name}: every frame has a label of its own, so that frames must stay as they are:"
            " expected data.fill=zeros, data.train_crop=[1.0,1.0] and data.eval_crop=1.0, found"
            f" {', '.join(found)}"
        )
    moved = [entry.name for entry in feeder.transforms if entry.name not in _KEEP_TIME]
    if moved:
        raise TaskError(
            f"{name}: transform {moved[0]} may move frames away from their labels; expected only"
            f" {', '.join(sorted(_KEEP_TIME))}"
        )
    if Stream(feeder.stream).of_motion:
        raise TaskError(
            f"{name}: stream {feeder.stream.value} needs the next frame; --set data.stream=joint"
            " or bone does not"
        )
