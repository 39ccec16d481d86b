"""Blocks that model families share: graph and temporal convolutions, norms, initialisations."""

from skelab.nn.attention import ChannelAttention, FrameAttention, JointAttention
from skelab.nn.block import Block
from skelab.nn.bodies import BodyNorm, pool_bodies
from skelab.nn.graph_conv import (
    AdaptiveGraphConv,
    ChannelTopologyConv,
    ChannelTopologyUnit,
    MultiScaleGraphConv,
    PartitionedGraphConv,
)
from skelab.nn.initialise import init_classifier, init_convs_by_fan_out, init_norms_near_one
from skelab.nn.residual import projection
from skelab.nn.shift import ShiftGraphConv, TemporalShift, joint_shift_table
from skelab.nn.temporal_conv import (
    MergingTemporalConv,
    MultiBranchTemporalConv,
    PlainTemporalConv,
)

__all__ = [
    "AdaptiveGraphConv",
    "Block",
    "BodyNorm",
    "ChannelAttention",
    "ChannelTopologyConv",
    "ChannelTopologyUnit",
    "FrameAttention",
    "JointAttention",
    "MergingTemporalConv",
    "MultiBranchTemporalConv",
    "MultiScaleGraphConv",
    "PartitionedGraphConv",
    "PlainTemporalConv",
    "ShiftGraphConv",
    "TemporalShift",
    "init_classifier",
    "init_convs_by_fan_out",
    "init_norms_near_one",
    "joint_shift_table",
    "pool_bodies",
    "projection",
]
