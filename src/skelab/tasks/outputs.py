"""Running a network as training does."""

from torch import nn

from skelab.data.feeding.batch import Batch
from skelab.models import ModelInput, ModelOutput


def model_outputs(model: nn.Module, batch: Batch) -> ModelOutput:
    """The outputs of a network for a batch, with the auxiliary losses that it has.

    A network that is no ``SkeletonModel`` has logits and nothing else.
    """
    outputs = getattr(model, "outputs", None)
    if outputs is None:
        return ModelOutput(model(batch.joints))
    found: ModelOutput = outputs(ModelInput(batch.joints, labels=batch.labels))
    return found
