"""What a network gives in training: its outputs, and loss terms of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from skelab.data.feeding.feeder import Batch


@dataclass(frozen=True)
class ModelOutput:
    """The outputs of a network for N clips.

    Attributes:
        logits: What its head gives, K logits a clip for classification.
        auxiliary: Scalar loss terms of the network's own, by name; empty for most.
    """

    logits: Float[Tensor, "N ..."]
    auxiliary: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)


def model_outputs(model: nn.Module, batch: Batch) -> ModelOutput:
    """Run a network on a batch, as training does.

    A network with auxiliary losses has a method ``outputs``; of any other the logits are all.
    """
    outputs = getattr(model, "outputs", None)
    if outputs is None:
        return ModelOutput(model(batch.joints))
    found = outputs(batch.joints)
    return ModelOutput(found.logits, dict(found.auxiliary))
