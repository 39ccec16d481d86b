"""From a model to a program of compiled steps and the head that follows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import nn

from skelab.errors import NetworkError
from skelab.inference.folding.builder import Activation, Builder
from skelab.inference.folding.ctrgcn import fold_ctrgcn
from skelab.inference.folding.msg3d import fold_msg3d
from skelab.inference.folding.norms import Affine, as_float64, norm_of
from skelab.inference.folding.ten_blocks import fold_ten_blocks, is_ten_blocks
from skelab.models import SkeletonModel
from skelab.models.families.ctrgcn import CTRGCNBackbone
from skelab.models.families.msg3d import MSG3DBackbone
from skelab.models.pooling import MeanPooling
from skelab.native.networks import ProgramPlan

Fold = Callable[[Builder, Any, Activation], Activation]
"""Writes a backbone's steps, from the normalised joints to its features."""

_FOLDS: Final[dict[type[nn.Module], Fold]] = {
    CTRGCNBackbone: fold_ctrgcn,
    MSG3DBackbone: fold_msg3d,
}
_FAMILIES: Final = ("ctrgcn", "msg3d", "stgcn", "stgcn_official", "stgcnpp")
_HALO: Final = 2  # frames of zeros around the joints, for the widest windows


@dataclass(frozen=True)
class FoldedNetwork:
    """A model whose weights are folded for the compiled steps.

    Attributes:
        plan: From the joints of a body to its features, the mean over frames and joints.
        features: Where the F features lie in what the program gives.
        weight: Of the classifier.
        bias: Of the classifier.
    """

    plan: ProgramPlan
    features: Int64[ndarray, " F"]
    weight: Float32[ndarray, "F K"]
    bias: Float32[ndarray, " K"]

    def head(self, outputs: Float32[ndarray, "N M L"]) -> Float32[ndarray, "N K"]:
        """Logits from what the program gives for the bodies of N clips."""
        features = outputs.mean(axis=1, dtype=np.float64)[:, self.features]
        logits: Float32[ndarray, "N K"] = (features @ self.weight + self.bias).astype(np.float32)
        return logits


def foldable_families() -> tuple[str, ...]:
    """The families that there is a program for."""
    return _FAMILIES


def _fold_of(backbone: nn.Module) -> Fold | None:
    return fold_ten_blocks if is_ten_blocks(backbone) else _FOLDS.get(type(backbone))


def can_fold(model: nn.Module) -> bool:
    """Whether there is a program for the model's family, head and pooling."""
    return (
        isinstance(model, SkeletonModel)
        and _fold_of(model.backbone) is not None
        and isinstance(model.pooling, MeanPooling)
        and type(model.classifier) is nn.Linear
        and not (model.traits.bodies_mix or model.traits.samples_mix)
        and all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values())
    )


def fold(model: SkeletonModel, vector: int) -> FoldedNetwork:
    """The program of a model for which ``can_fold`` holds, for vectors of so many lanes.

    Raises:
        NetworkError: There is no program for the backbone.
    """
    channels, joints, _ = model.input_norm.clip_shape
    builder = Builder(channels, joints, vector)
    fold_backbone = _fold_of(model.backbone)
    if fold_backbone is None:
        raise NetworkError(
            f"native kernels: there is no program for {type(model.backbone).__name__}"
        )
    norm = norm_of(cast(nn.Module, model.input_norm.norm))
    shape = (-1, joints, channels)  # of each body, or of all
    x = builder.input(Affine(norm.factor.reshape(shape), norm.offset.reshape(shape)), halo=_HALO)
    y = fold_backbone(builder, model.backbone, x)
    builder.mean(y)
    return FoldedNetwork(
        plan=builder.finish(),
        features=y.lanes.positions,
        weight=np.ascontiguousarray(as_float64(model.classifier.weight).T, dtype=np.float32),
        bias=as_float64(model.classifier.bias).astype(np.float32),
    )
