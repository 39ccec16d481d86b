"""The frame that every family fills with a backbone of its own."""

from collections.abc import Hashable
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.nn import (
    AbsentBodies,
    BodyNorm,
    ConstantFeatures,
    find_absent,
    pool_bodies,
    row_counts,
    takes_batch_statistics,
    treats_equal_rows_alike,
    version_of,
    with_counted_norms,
)


class SkeletonModel(nn.Module):
    """A classifier of clips: normalise, run each body through the backbone, pool, classify.

    Absent bodies cost next to nothing. Without gradients, in eval mode, their features are
    constants of the weights, computed once for each slot and length of clips; they are kept until
    a weight changes (by all but writing through ``.data``), or the mode, device or type. Otherwise
    one row for each slot stands for all absent bodies, and batch norms count it as often as it
    does. Logits, gradients and running statistics are those of the plain computation, within
    rounding. That is taken by itself where the features cannot be spared: while a graph is traced
    or exported, where gradients for the clips themselves are asked for, or if the backbone, in
    training, has dropout or a batch norm that is not PyTorch's plain one.

    Args:
        backbone: Takes single bodies B C T V, gives B F L W: any F, L and W. Each body by itself:
            but for batch norms, no body may change what another becomes.
        num_features: F.
        num_classes: K.
        in_channels: C, say 3 for x, y, z.
        num_joints: V.
        max_bodies: M. An absent body is all zeros, and counts like any other.
        dropout: Probability of dropping a feature before the classifier, in training.
        norm_per_body: Normalise each body of a clip by statistics of its own.

    Attributes:
        skips_absent: Spare absent bodies as said above; ``set_skip_absent`` switches it.

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
        self.backbone = with_counted_norms(backbone)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_features, num_classes)
        self.skips_absent = True
        self._constants = ConstantFeatures()

    def forward_features(self, x: Float[Tensor, "N C T V M"]) -> Float[Tensor, "N F"]:
        """One vector a clip: the mean over frames, joints and bodies.

        Raises:
            ModelError: The clips have other channels, joints or bodies than the model.
        """
        bodies = self.input_norm(x)
        absent = self._find_absent(x)
        if absent is None:
            return pool_bodies(self.backbone(bodies), self.max_bodies)
        version = self._weights_version()
        if version is not None:
            present = self._pooled(bodies[absent.present]) if len(absent.present) else None
            return absent.pool(present, self._constants_of(x, absent, version))
        if not absent.num_spared or not treats_equal_rows_alike(self.backbone):
            return pool_bodies(self.backbone(bodies), self.max_bodies)
        rows = torch.cat([absent.present, absent.first])
        with row_counts(self.backbone, absent.row_counts()):
            pooled = self._pooled(bodies[rows])
        num_present = len(absent.present)
        return absent.pool(pooled[:num_present], pooled[num_present:])

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

    def train(self, mode: bool = True) -> "SkeletonModel":
        """Set training or eval mode; what was kept of absent bodies is forgotten."""
        self._constants.clear()
        return super().train(mode)

    def _find_absent(self, x: Float[Tensor, "N C T V M"]) -> AbsentBodies | None:
        """The absent bodies, None if there are none or they must be computed like any other."""
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        has_numbers = type(x) is Tensor and not x.is_meta  # others may hide what is in them
        wants_gradient = x.requires_grad and torch.is_grad_enabled()
        if not self.skips_absent or traced or not has_numbers or wants_gradient:
            return None
        return find_absent(x, alike=not self.input_norm.per_body)

    def _pooled(self, bodies: Float[Tensor, "B C T V"]) -> Float[Tensor, "B F"]:
        """Features of single bodies, the mean over frames and joints."""
        features: Tensor = self.backbone(bodies).mean(dim=(2, 3))
        return features

    def _constants_of(
        self, x: Float[Tensor, "N C T V M"], absent: AbsentBodies, version: Hashable
    ) -> Float[Tensor, "S F"]:
        """What an absent body's features are in each slot where there is one."""
        one = x.new_ones(1, 1)
        number_type = (one @ one).dtype  # another one than x's under autocast

        def compute() -> Tensor:
            with torch.inference_mode(False), torch.no_grad():
                bodies = self.input_norm(x.new_zeros(1, *x.shape[1:]))
                return self._pooled(bodies[slot : slot + 1])[0]

        constants = []
        for slot in absent.slots:
            key = (slot, x.shape[2], x.dtype, x.device, number_type)
            constants.append(self._constants.get(version, key, compute))
        return torch.stack(constants)

    def _weights_version(self) -> Hashable:
        """Of all that the features of absent bodies depend on; None if they are no constants."""
        if torch.is_grad_enabled():
            return None
        tensors: list[Tensor] = []
        for layer in chain(self.input_norm.modules(), self.backbone.modules()):
            if _is_in_training(layer):
                return None
            # parameters() and buffers() take three times as long, in every forward pass
            own = chain(layer._parameters.values(), layer._buffers.values())
            tensors.extend(tensor for tensor in own if tensor is not None)
        return version_of(tensors)


def set_skip_absent(model: nn.Module, skip: bool) -> None:
    """Let ``model`` spare absent bodies, or compute every body like any other.

    The plain way suits tracing by tools that PyTorch does not know of, hooks that expect a row for
    every body, and ``torch.func``. It changes results by rounding at most.
    """
    for module in model.modules():
        if isinstance(module, SkeletonModel):
            module.skips_absent = skip


def _is_in_training(layer: nn.Module) -> bool:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return takes_batch_statistics(layer)
    return layer.training
