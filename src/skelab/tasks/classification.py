"""Classification: one action class a clip."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from skelab.data.feeding.batch import Batch
from skelab.evaluation import Scores
from skelab.models import ModelOutput
from skelab.tasks.outputs import check_smoothing
from skelab.tasks.task import Choice, Losses, ScoredClips


class ClassificationTask:
    """Give every clip one of K classes; cross-entropy is minimised, top-1 chooses the epoch.

    Args:
        label_smoothing: Share of the target that is spread over all classes in training.

    Raises:
        TaskError: The share is not in [0, 1).
    """

    name = "classification"
    needs_labels = True
    choice = Choice("top1")

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = check_smoothing(label_smoothing)

    def attach_head(self, model: nn.Module) -> None:
        """Keep the head of the family, which gives a logit a class."""

    def targets(self, batch: Batch) -> Int64[Tensor, " N"]:
        """The class of each clip."""
        return batch.labels

    def losses(self, output: ModelOutput, batch: Batch) -> Losses:
        """The mean cross-entropy, in float32 whatever the network computes in.

        Where clips were mixed, both labels count, each by its clip's share.
        """
        cross_entropy = partial(
            F.cross_entropy, output.logits.float(), label_smoothing=self.label_smoothing
        )
        if batch.mixed is None:
            loss = cross_entropy(batch.labels)
        else:
            own = cross_entropy(batch.labels, reduction="none")
            other = cross_entropy(batch.mixed.labels, reduction="none")
            loss = torch.lerp(own, other, batch.mixed.weights.to(own.dtype)).mean()
        return Losses(loss, {"cross_entropy": loss})

    def sums(self, output: ModelOutput, batch: Batch) -> dict[str, float]:
        """The number of correct clips."""
        return {"top1": float((output.logits.argmax(dim=1) == batch.labels).sum())}

    def metrics(
        self, outputs: Float32[ndarray, "N K"], targets: Int64[ndarray, " N"]
    ) -> dict[str, float]:
        """Cross-entropy without smoothing, and top-1 (0..1)."""
        loss = F.cross_entropy(torch.from_numpy(outputs), torch.from_numpy(targets)).item()
        return {"loss": loss, "top1": float(np.mean(outputs.argmax(axis=1) == targets))}

    def scores(
        self, outputs: Float32[ndarray, "N K"], targets: Int64[ndarray, " N"], clips: ScoredClips
    ) -> Scores:
        """Logits and labels by sample name.

        Raises:
            ScoresError: A logit is not finite.
        """
        return Scores(clips.names, targets, outputs, clips.classes, clips.info, clips.groups)
