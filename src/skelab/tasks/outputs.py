"""What tasks share: running a network as training does, and checking an option."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.data.feeding.batch import Batch
from skelab.errors import TaskError
from skelab.models import ModelInput, ModelOutput


def check_smoothing(share: float) -> float:
    """The share of the target that is spread over all classes, as an option of a task.

    Raises:
        TaskError: It is not in [0, 1).
    """
    if type(share) not in (int, float) or not 0 <= share < 1:
        raise TaskError(
            f"task.label_smoothing: expected a share from 0 and below 1, found {share!r:.40}"
        )
    return float(share)


def model_outputs(model: nn.Module, batch: Batch) -> ModelOutput:
    """The outputs of a network for a batch, with the auxiliary losses that it has.

    A network that is no ``SkeletonModel`` has logits and nothing else. If a batch has whole clips
    beside their beginnings, the logits of the whole clips follow those of the beginnings.
    """
    joints, labels = batch.joints, batch.labels
    if batch.whole is not None:
        joints, labels = torch.cat([joints, batch.whole]), torch.cat([labels, labels])
    outputs = getattr(model, "outputs", None)
    if outputs is None:
        return ModelOutput(model(joints))
    found: ModelOutput = outputs(ModelInput(joints, sidecars=_side_cars(batch), labels=labels))
    return found


def model_input(batch: Batch) -> ModelInput | Float[Tensor, "N C T V M"]:
    """What a network is shown in evaluation: plain joints, unless there are side-cars."""
    if batch.side_cars is None:
        return batch.joints
    return ModelInput(batch.joints, sidecars=_side_cars(batch))


def _side_cars(batch: Batch) -> dict[str, Tensor]:
    return {} if batch.side_cars is None else batch.side_cars.by_name()
