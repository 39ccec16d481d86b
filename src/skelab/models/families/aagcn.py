"""AAGCN: a topology that adapts to the clip, with attention to joints, frames and channels."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.authors import AuthorsFormat
from skelab.models.axes import BODY_NORM, GRAPH, ORDER, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.aagcn import AAGCN
from skelab.models.options import check_multiple
from skelab.models.plan import TenBlocks
from skelab.models.pyskl import (
    PYSKL_NAMES,
    init_pyskl_classifier,
    pyskl_arguments,
    with_pyskl_hands,
)
from skelab.models.registry import register_model
from skelab.nn import (
    AdaptiveGraphConv,
    Block,
    ChannelAttention,
    FrameAttention,
    JointAttention,
    PlainTemporalConv,
    init_convs_by_fan_out,
    projection,
)
from skelab.skeleton import Layout, spatial_partition

_NORM_SCALE_BEFORE_RESIDUAL = 1e-6  # a new block adds next to nothing to its residual


class AttentiveGraphUnit(nn.Module):
    """An adaptive graph convolution with a residual, then attention to joints, frames, channels.

    Source: arXiv:1912.06971.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, topology: Float[Tensor, "K V V"]
    ) -> None:
        super().__init__()
        self.mix = AdaptiveGraphConv(in_channels, out_channels, topology=topology)
        self.frame_attention = FrameAttention(out_channels)
        self.joint_attention = JointAttention(out_channels, topology.shape[-1])
        self.channel_attention = ChannelAttention(out_channels)
        self.residual = projection(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self._initialise()

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """The mixture of the joints, attended to; each attention sees what the one before gave."""
        y = torch.relu(self.norm(self.mix(x)) + self.residual(x))
        attended: Tensor = self.channel_attention(self.frame_attention(self.joint_attention(y)))
        return attended

    def _initialise(self) -> None:
        init_convs_by_fan_out(self)
        for name, weight in self.mix.value.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(weight, std=math.sqrt(2 / (weight.numel() * len(self.mix.value))))
        nn.init.constant_(self.norm.weight, _NORM_SCALE_BEFORE_RESIDUAL)
        nn.init.xavier_normal_(self.joint_attention.conv.weight)
        nn.init.kaiming_normal_(self.channel_attention.reduce.weight)
        nn.init.zeros_(self.frame_attention.conv.weight)
        nn.init.zeros_(self.channel_attention.expand.weight)
        for attention in (self.frame_attention, self.joint_attention, self.channel_attention):
            for name, parameter in attention.named_parameters():
                if name.endswith("bias"):
                    nn.init.zeros_(parameter)


class AAGCNBlock(Block):
    """Mix the joints, then the frames, and add the block's input.

    Source: arXiv:1912.06971.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        topology: Float[Tensor, "K V V"],
        stride: int = 1,
        has_residual: bool = True,
    ) -> None:
        super().__init__()
        self.spatial = AttentiveGraphUnit(in_channels, out_channels, topology=topology)
        self.temporal = PlainTemporalConv(out_channels, out_channels, stride=stride)
        self.residual = (
            projection(in_channels, out_channels, stride=stride) if has_residual else None
        )
        init_convs_by_fan_out(self.temporal)

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """ReLU of what the convolutions make of x, plus x itself."""
        mixed: Tensor = self.temporal(self.spatial(x))
        if self.residual is not None:
            mixed = mixed + self.residual(x)
        return torch.relu(mixed)


class AAGCNBackbone(TenBlocks):
    """Ten blocks on single bodies, B C T V to B F L V, with L = ceil(ceil(T / 2) / 2).

    F is ``4 * width``; the first block has no residual.

    Attributes:
        topology: The topology that every block started from. Nothing uses it; the authors' weights
            have it, so that it goes in and out with them.

    Source: arXiv:1912.06971.
    """

    topology: Tensor

    def __init__(self, in_channels: int, *, width: int, topology: Float[Tensor, "K V V"]) -> None:
        def make_block(
            in_channels: int, out_channels: int, stride: int, is_first: bool
        ) -> AAGCNBlock:
            return AAGCNBlock(
                in_channels,
                out_channels,
                topology=topology,
                stride=stride,
                has_residual=not is_first,
            )

        super().__init__(in_channels, width=width, make_block=make_block)
        self.register_buffer("topology", topology.clone())


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    arguments = pyskl_arguments(theirs, "backbone.gcn.0.gcn.conv_d.0.weight")
    per_body = arguments["num_joints"] * arguments["in_channels"]
    return {**arguments, "max_bodies": theirs["backbone.data_bn.weight"].shape[0] // per_body}


def _rank(key: str) -> tuple[int, ...]:
    """The topology that nothing uses stands first."""
    return (key != "backbone.A",)


_AUTHORS = AuthorsFormat(
    names=(
        (r"^backbone\.topology$", "backbone.A"),
        (r"\.spatial\.mix\.topology$", ".gcn.A"),
        (r"\.spatial\.mix\.strength$", ".gcn.alpha"),
        (r"\.spatial\.mix\.value\.", ".gcn.conv_d."),
        (r"\.spatial\.mix\.query\.", ".gcn.conv_a."),
        (r"\.spatial\.mix\.key\.", ".gcn.conv_b."),
        (r"\.spatial\.frame_attention\.conv\.", ".gcn.conv_ta."),
        (r"\.spatial\.joint_attention\.conv\.", ".gcn.conv_sa."),
        (r"\.spatial\.channel_attention\.reduce\.", ".gcn.fc1c."),
        (r"\.spatial\.channel_attention\.expand\.", ".gcn.fc2c."),
        *PYSKL_NAMES,
    ),
    build_arguments=_build_arguments,
    rank=_rank,
)

_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(M V C)",
        r"^backbone\.topology$": GRAPH,
        r"\.spatial\.mix\.topology$": "K V V",
        r"\.spatial\.joint_attention\.conv\.weight$": ORDER,  # its kernel spans all joints
    }
)


@register_model(AAGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def aagcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
) -> SkeletonModel:
    """AAGCN for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:1912.06971; layer sizes, hands and initialisation of kennymckormick/pyskl@3f6795f,
    from a description of it.
    """
    check_multiple("aagcn", "width", width, of=4)
    topology = torch.from_numpy(spatial_partition(with_pyskl_hands(layout))).float()
    backbone = AAGCNBackbone(in_channels, width=width, topology=topology)
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
    init_pyskl_classifier(model.classifier)
    return model
