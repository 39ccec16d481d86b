"""The frame that every family fills with a backbone of its own."""

from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.nn import BodyNorm, pool_bodies


class SkeletonModel(nn.Module):
    """A classifier of clips: normalise, run each body through the backbone, pool, classify.

    Args:
        backbone: Takes single bodies B C T V, gives B F L W: any F, L and W.
        num_features: F.
        num_classes: K.
        in_channels: C, say 3 for x, y, z.
        num_joints: V.
        max_bodies: M. An absent body is all zeros, and counts like any other.
        dropout: Probability of dropping a feature before the classifier, in training.
        norm_per_body: Normalise each body of a clip by statistics of its own.

    Raises:
        ModelError: ``dropout`` lies outside [0, 1).
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_features: int,
        num_classes: int,
        in_channels: int,
        num_joints: int,
        max_bodies: int,
        dropout: float = 0.0,
        norm_per_body: bool = True,
    ) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ModelError(f"dropout: expected a number in [0, 1), found {dropout!r}")
        self.max_bodies = max_bodies
        self.input_norm = BodyNorm(in_channels, num_joints, max_bodies, per_body=norm_per_body)
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_features, num_classes)

    def forward_features(self, x: Float[Tensor, "N C T V M"]) -> Float[Tensor, "N F"]:
        """One vector a clip: the mean over frames, joints and bodies.

        Raises:
            ModelError: The clips have other channels, joints or bodies than the model.
        """
        return pool_bodies(self.backbone(self.input_norm(x)), self.max_bodies)

    def forward_head(self, features: Float[Tensor, "N F"]) -> Float[Tensor, "N K"]:
        """Logits of the K classes; no softmax."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits

    def forward(self, x: Float[Tensor, "N C T V M"]) -> Float[Tensor, "N K"]:
        """Logits of the K classes for N clips of T frames.

        Raises:
            ModelError: The clips have other channels, joints or bodies than the model.
        """
        return self.forward_head(self.forward_features(x))
