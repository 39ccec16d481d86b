"""Blocks that model families share: graph and temporal convolutions, norms, initialisations."""

from skelab.nn.absent import AbsentBodies, ConstantFeatures, find_absent, version_of
from skelab.nn.attention import ChannelAttention, FrameAttention, JointAttention
from skelab.nn.block import Block
from skelab.nn.bodies import BodyNorm
from skelab.nn.causal import (
    FrameMemory,
    make_causal,
    running_mean,
    step,
    step_with_residual,
)
from skelab.nn.graph_conv import (
    AdaptiveGraphConv,
    ChannelTopologyConv,
    ChannelTopologyUnit,
    MultiScaleGraphConv,
    PartitionedGraphConv,
)
from skelab.nn.initialise import init_classifier, init_convs_by_fan_out, init_norms_near_one
from skelab.nn.norm import (
    CountedBatchNorm1d,
    CountedBatchNorm2d,
    RowCounts,
    current_row_counts,
    row_counts,
    takes_batch_statistics,
    treats_equal_rows_alike,
    with_counted_norms,
)
from skelab.nn.residual import projection
from skelab.nn.shift import ShiftGraphConv, TemporalShift, joint_shift_table
from skelab.nn.temporal_conv import (
    MergingTemporalConv,
    MultiBranchTemporalConv,
    PlainTemporalConv,
)

__all__ = [
    "AbsentBodies",
    "AdaptiveGraphConv",
    "Block",
    "BodyNorm",
    "ChannelAttention",
    "ChannelTopologyConv",
    "ChannelTopologyUnit",
    "ConstantFeatures",
    "CountedBatchNorm1d",
    "CountedBatchNorm2d",
    "FrameAttention",
    "FrameMemory",
    "JointAttention",
    "MergingTemporalConv",
    "MultiBranchTemporalConv",
    "MultiScaleGraphConv",
    "PartitionedGraphConv",
    "PlainTemporalConv",
    "RowCounts",
    "ShiftGraphConv",
    "TemporalShift",
    "current_row_counts",
    "find_absent",
    "init_classifier",
    "init_convs_by_fan_out",
    "init_norms_near_one",
    "joint_shift_table",
    "make_causal",
    "projection",
    "row_counts",
    "running_mean",
    "step",
    "step_with_residual",
    "takes_batch_statistics",
    "treats_equal_rows_alike",
    "version_of",
    "with_counted_norms",
]
