"""Shift-GCN: shift operations mix joints and frames, followed by 1x1 convolutions."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.authors import COMMON_NAMES, NUMBERED_BLOCKS, AuthorsFormat
from skelab.models.axes import BODY_NORM, GRAPH, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.shiftgcn import SHIFTGCN
from skelab.models.options import check_whole
from skelab.models.plan import TenBlocks
from skelab.models.registry import register_model
from skelab.nn import (
    Block,
    ShiftGraphConv,
    TemporalShift,
    init_classifier,
    init_convs_by_fan_out,
    projection,
)
from skelab.skeleton import Layout

_DECAY_FACTORS = {r"\.spatial\.weight$": 10.0, r"\.spatial\.mask$": 0.0}
_LARGEST_JOINT_OFFSET = 1e-6  # of a joint; smaller offsets have no effect in float32


class ShiftTemporalUnit(nn.Module):
    """Temporal shift, 1x1 convolution, ReLU and another temporal shift.

    Input and result are batch-normalised; only the second shift has the stride.

    Source: Cheng et al., CVPR 2020.
    """

    def __init__(self, channels: int, *, stride: int = 1, sign_gradients: bool = False) -> None:
        super().__init__()
        self.norm_in = nn.BatchNorm2d(channels)
        self.norm_out = nn.BatchNorm2d(channels)
        self.shift_in = TemporalShift(channels, sign_gradients=sign_gradients)
        self.shift_out = TemporalShift(channels, stride=stride, sign_gradients=sign_gradients)
        self.mix = nn.Conv2d(channels, channels, kernel_size=1)
        nn.init.kaiming_normal_(self.mix.weight, mode="fan_out")

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N C L V"]:
        """Mix the frames; L = floor(T / stride)."""
        mixed = torch.relu(self.mix(self.shift_in(self.norm_in(x))))
        moved: Tensor = self.norm_out(self.shift_out(mixed))
        return moved


class ShiftGCNBlock(Block):
    """Mix the joints, then the frames, and add the block's input.

    Source: Cheng et al., CVPR 2020.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_joints: int,
        stride: int = 1,
        has_residual: bool = True,
        sign_gradients: bool = False,
    ) -> None:
        super().__init__()
        self.spatial = ShiftGraphConv(in_channels, out_channels, num_joints=num_joints)
        self.temporal = ShiftTemporalUnit(
            out_channels, stride=stride, sign_gradients=sign_gradients
        )
        self.residual = (
            projection(in_channels, out_channels, stride=stride) if has_residual else None
        )
        init_convs_by_fan_out(self.spatial)
        if self.residual is not None:
            init_convs_by_fan_out(self.residual)

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Apply both shifts, add the residual, and apply ReLU."""
        mixed: Tensor = self.temporal(self.spatial(x))
        if self.residual is not None:
            mixed = mixed + self.residual(x)
        return torch.relu(mixed)


class ShiftGCNBackbone(TenBlocks):
    """Ten blocks on single bodies, B C T V to B F L V, with L = T / 4.

    F is ``4 * width``; the first block has no residual.

    Source: Cheng et al., CVPR 2020.
    """

    def __init__(
        self, in_channels: int, *, width: int, num_joints: int, sign_gradients: bool
    ) -> None:
        def make_block(
            in_channels: int, out_channels: int, stride: int, is_first: bool
        ) -> ShiftGCNBlock:
            return ShiftGCNBlock(
                in_channels,
                out_channels,
                num_joints=num_joints,
                stride=stride,
                has_residual=not is_first,
                sign_gradients=sign_gradients,
            )

        super().__init__(in_channels, width=width, make_block=make_block)


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    num_joints, in_channels = theirs["l1.gcn1.Feature_Mask"].shape[1:]
    for key, tensor in theirs.items():
        if key.endswith(".xpos") and tensor.abs().max() > _LARGEST_JOINT_OFFSET:
            raise ValueError(
                f"{key}: expected offsets between joints of at most {_LARGEST_JOINT_OFFSET:g}, as"
                f" the authors' code leaves them, found {tensor.abs().max():g}"
            )
    return {
        "num_classes": theirs["fc.weight"].shape[0],
        "num_joints": num_joints,
        "in_channels": in_channels,
        "max_bodies": theirs["data_bn.weight"].shape[0] // (num_joints * in_channels),
        "width": theirs["l1.gcn1.Linear_weight"].shape[1],
        "sign_gradients": True,
    }


def _as_authors(key: str, tensor: Tensor) -> Tensor:
    """The authors' biases and masks have leading axes of length 1."""
    if key.endswith(".spatial.bias"):
        return tensor.view(1, 1, -1)
    if key.endswith(".spatial.mask"):
        return tensor.unsqueeze(0)
    return tensor


_AUTHORS = AuthorsFormat(
    names=(
        NUMBERED_BLOCKS,
        (r"\.spatial\.weight$", ".gcn1.Linear_weight"),
        (r"\.spatial\.bias$", ".gcn1.Linear_bias"),
        (r"\.spatial\.mask$", ".gcn1.Feature_Mask"),
        (r"\.spatial\.residual\.conv\.", ".gcn1.down.0."),
        (r"\.spatial\.residual\.norm\.", ".gcn1.down.1."),
        (r"\.spatial\.norm\.", ".gcn1.bn."),
        (r"\.spatial\.", ".gcn1."),
        (r"\.joint_offset$", ".xpos"),
        (r"\.offset$", ".ypos"),
        (r"\.temporal\.norm_in\.", ".tcn1.bn."),
        (r"\.temporal\.norm_out\.", ".tcn1.bn2."),
        (r"\.temporal\.mix\.", ".tcn1.temporal_linear."),
        (r"\.temporal\.", ".tcn1."),
        *COMMON_NAMES,
    ),
    build_arguments=_build_arguments,
    as_authors=_as_authors,
)

# Shifts go by joint number; their weights stay with the target joint.
_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(M V C)",
        r"\.spatial\.mask$": "V D",
        r"\.spatial\.norm\.(weight|bias|running_mean|running_var)$": "(V D)",
        r"\.spatial\.shift_(in|out)$": GRAPH,
    }
)


@register_model(SHIFTGCN, authors=_AUTHORS, decay_factors=_DECAY_FACTORS, joint_axes=_JOINT_AXES)
def shiftgcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    sign_gradients: bool,
) -> SkeletonModel:
    """Shift-GCN for clips N C T V M whose length is a multiple of 4.

    Raises:
        ModelError: An option is out of range.

    Source: Cheng et al., CVPR 2020; layer sizes and initialisation of kchengiva/Shift-GCN@20276b6,
    from a description of it. The authors' gradient of the temporal offsets is behind
    ``sign_gradients``. As in their code, weight decay is tenfold for the weights that mix joints,
    and zero for the masks.
    """
    check_whole("shiftgcn", "width", width)
    backbone = ShiftGCNBackbone(
        in_channels, width=width, num_joints=layout.num_joints, sign_gradients=sign_gradients
    )
    model = SkeletonModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
    )
    init_classifier(model.classifier)
    return model
