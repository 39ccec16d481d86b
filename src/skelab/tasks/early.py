"""Early action recognition: classification of clips from their beginning."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.observing import Observing
from skelab.errors import DataError, TaskError
from skelab.evaluation import RATIOS, Scores, area, at_ratios
from skelab.models import ModelOutput, SkeletonModel
from skelab.tasks.classification import ClassificationTask
from skelab.tasks.task import Choice, Losses, ScoredClips


class EarlyTask(ClassificationTask):
    """Protocol P1: classify clips of which any share was observed.

    A share is drawn per training clip and epoch, and the clip is truncated to it before any other
    transform. Network and head are those of classification. The epoch is chosen by the mean
    accuracy at 10, 20, … 100 %.

    Args:
        lowest: Lowest observed share, above 0.
        highest: Highest observed share, up to 1.
        oracle: Add a loss on the whole clip, and minimise the mean of both; doubles the cost of
            a step.
        label_smoothing: Share of the target that is spread over all classes in training.

    Raises:
        TaskError: A share is out of range.
    """

    name = "early"
    choice = Choice("auc")
    ratios = RATIOS

    def __init__(
        self,
        *,
        lowest: object = 0.1,
        highest: object = 1.0,
        oracle: object = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(label_smoothing=label_smoothing)
        if not isinstance(oracle, bool):
            raise TaskError(f"task.oracle: expected true or false, found {oracle!r:.40}")
        try:
            self.observing = Observing(
                (_share("lowest", lowest), _share("highest", highest)), whole=oracle
            )
        except DataError as error:
            raise TaskError(f"task.lowest, task.highest: {error}") from None

    def losses(self, output: ModelOutput, batch: Batch) -> Losses:
        """Mean cross-entropy of the observed shares and, with ``oracle``, of the whole clips."""
        observed, whole = _halves(output, batch)
        losses = super().losses(observed, batch)
        if whole is None:
            return losses
        beside = super().losses(whole, batch).total
        terms = {"observed": losses.total, "whole": beside}
        return Losses((losses.total + beside) / 2, terms)

    def sums(self, output: ModelOutput, batch: Batch) -> dict[str, float]:
        """Correct clips by the observed shares and, with ``oracle``, by the whole clips."""
        observed, whole = _halves(output, batch)
        found = super().sums(observed, batch)
        if whole is not None:
            found["top1_whole"] = super().sums(whole, batch)["top1"]
        return found

    def metrics(
        self, outputs: Float32[ndarray, "N ..."], targets: Int64[ndarray, " N"]
    ) -> dict[str, float]:
        """The mean cross-entropy over the shares, top-1 of whole clips, and the mean top-1.

        Args:
            outputs: Logits at each share, N R K, the last share being the whole clip; or of whole
                clips only, N K.
            targets: The classes.
        """
        return _early_metrics(outputs if outputs.ndim == 3 else outputs[:, None], targets)


class EarlyFramesTask(ClassificationTask):
    """Protocol P2: a causal network classifies every frame of a clip of known length.

    The clip is resized to the window first, so that its speed reveals its length: figures of P2 and
    P1 cannot be compared. The loss is the mean over all frames.

    Args:
        label_smoothing: Share of the target that is spread over all classes in training.

    Raises:
        TaskError: The share is out of range.

    Source: the protocol of arXiv:2310.16288, without its prediction of later frames.
    """

    name = "early-frames"
    choice = Choice("auc")

    def attach_head(self, model: nn.Module) -> None:
        """Let the network classify every frame.

        Raises:
            TaskError: The network is not causal.
        """
        let_answer_per_frame(model, self.name)

    def losses(self, output: ModelOutput, batch: Batch) -> Losses:
        """The mean cross-entropy over all frames of all clips."""
        logits = output.logits.float().transpose(1, 2)  # N K T
        cross_entropy = partial(
            F.cross_entropy, logits, label_smoothing=self.label_smoothing, reduction="none"
        )

        def of(labels: Int64[Tensor, " N"]) -> Tensor:
            return cross_entropy(labels[:, None].expand(-1, logits.shape[2])).mean(dim=1)

        loss = of(batch.labels)
        if batch.mixed is not None:
            weights = batch.mixed.weights.to(loss.dtype)
            loss = torch.lerp(loss, of(batch.mixed.labels), weights)
        return Losses(loss.mean(), {"cross_entropy": loss.mean()})

    def sums(self, output: ModelOutput, batch: Batch) -> dict[str, float]:
        """Clips that are correct at their last frame."""
        return super().sums(ModelOutput(output.logits[:, -1]), batch)

    def metrics(
        self, outputs: Float32[ndarray, "N T K"], targets: Int64[ndarray, " N"]
    ) -> dict[str, float]:
        """The mean cross-entropy at 10 … 100 %, top-1 of the last frame, and the mean top-1."""
        return _early_metrics(at_ratios(outputs), targets)

    def scores(
        self,
        outputs: Float32[ndarray, "N T K"],
        targets: Shaped[ndarray, "N ..."],
        clips: ScoredClips,
    ) -> Scores:
        """Logits of the last frame, which has seen the whole clip, and labels by sample name."""
        return super().scores(np.ascontiguousarray(outputs[:, -1]), targets, clips)


def let_answer_per_frame(model: nn.Module, name: str) -> None:
    """Let a causal network answer at each frame.

    Raises:
        TaskError: The network is not causal.
    """
    if not isinstance(model, SkeletonModel) or not model.traits.causal:
        other = ", and the task early asks no such thing" if name == EarlyFramesTask.name else ""
        raise TaskError(
            f"{name}: expected a causal network, which answers without knowing later frames, found"
            f" another; --set model.causal=true makes one of stgcn, ctrgcn or msg3d{other}"
        )
    model.answers_per_frame = True


def _share(key: str, value: object) -> float:
    """A share as a recipe gives it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TaskError(f"task.{key}: expected a share, found {value!r:.40}")
    return float(value)


def _early_metrics(
    logits: Float32[ndarray, "N R K"], targets: Int64[ndarray, " N"]
) -> dict[str, float]:
    shares = logits.shape[1]
    flat = torch.from_numpy(np.ascontiguousarray(logits)).flatten(0, 1)
    labels = torch.from_numpy(targets).repeat_interleave(shares)
    accuracy = (logits.argmax(axis=2) == targets[:, None]).mean(axis=0).tolist()
    return {
        "loss": F.cross_entropy(flat, labels).item(),
        "top1": accuracy[-1],
        "auc": area(accuracy, tuple(range(1, shares + 1))),
    }


def _halves(output: ModelOutput, batch: Batch) -> tuple[ModelOutput, ModelOutput | None]:
    """The outputs for the observed shares and, if the batch has them, for the whole clips."""
    if batch.whole is None:
        return output, None
    clips = len(batch.labels)
    return ModelOutput(output.logits[:clips]), ModelOutput(output.logits[clips:])
