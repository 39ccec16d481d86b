"""ST-GCN++: ST-GCN with a learned topology and multi-branch temporal convolutions."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.authors import AuthorsFormat
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.stgcnpp import STGCNPP
from skelab.models.options import check_whole
from skelab.models.plan import TenBlocks
from skelab.models.pyskl import (
    PYSKL_NAMES,
    init_pyskl_classifier,
    pyskl_arguments,
    with_pyskl_hands,
)
from skelab.models.registry import register_model
from skelab.nn import Block, MergingTemporalConv, PartitionedGraphConv, projection
from skelab.skeleton import Layout, spatial_partition

_DILATIONS = (1, 2, 3, 4)
_NUM_BRANCHES = len(_DILATIONS) + 2


class LearnedTopologyUnit(nn.Module):
    """Graph convolution over a learned topology, with a residual connection.

    Source: arXiv:2205.09443.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, topology: Float[Tensor, "K V V"]
    ) -> None:
        super().__init__()
        self.topology = nn.Parameter(topology.clone())
        self.norm = nn.BatchNorm2d(out_channels)
        self.mix = PartitionedGraphConv(in_channels, out_channels, num_subsets=len(topology))
        self.residual = projection(in_channels, out_channels)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """Mix the joints, normalise, add the residual, and apply ReLU."""
        return torch.relu(self.norm(self.mix(x, self.topology)) + self.residual(x))


class STGCNppBlock(Block):
    """Mix the joints, then the frames, and add the block's input.

    Source: arXiv:2205.09443.
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
        self.spatial = LearnedTopologyUnit(in_channels, out_channels, topology=topology)
        self.temporal = MergingTemporalConv(
            out_channels, out_channels, kernel_size=3, dilations=_DILATIONS, stride=stride
        )
        self.residual = (
            projection(in_channels, out_channels, stride=stride) if has_residual else None
        )

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Apply both convolutions, add the residual, and apply ReLU."""
        mixed: Tensor = self.temporal(self.spatial(x))
        if self.residual is not None:
            mixed = mixed + self.residual(x)
        return torch.relu(mixed)


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    return pyskl_arguments(theirs, "backbone.gcn.0.gcn.conv.weight")


_AUTHORS = AuthorsFormat(
    names=(
        (r"\.spatial\.topology$", ".gcn.A"),
        (r"\.temporal\.branch_norm\.", ".tcn.transform.0."),
        (r"\.temporal\.merge\.", ".tcn.transform.2."),
        *PYSKL_NAMES,
    ),
    build_arguments=_build_arguments,
)

_JOINT_AXES = JointAxes({BODY_NORM: "(V C)", r"\.spatial\.topology$": "K V V"})


@register_model(STGCNPP, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def stgcnpp(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
) -> SkeletonModel:
    """ST-GCN++ for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2205.09443; layer sizes, hands and initialisation of kennymckormick/pyskl@3f6795f,
    from a description of it.
    """
    check_whole("stgcnpp", "width", width, least=_NUM_BRANCHES)
    topology = torch.from_numpy(spatial_partition(with_pyskl_hands(layout))).float()

    def make_block(
        in_channels: int, out_channels: int, stride: int, is_first: bool
    ) -> STGCNppBlock:
        return STGCNppBlock(
            in_channels, out_channels, topology=topology, stride=stride, has_residual=not is_first
        )

    backbone = TenBlocks(in_channels, width=width, make_block=make_block)
    model = SkeletonModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        norm_per_body=False,
    )
    init_pyskl_classifier(model.classifier)
    return model
