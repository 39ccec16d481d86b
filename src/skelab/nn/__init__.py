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
    Multiplicities,
    WeightedBatchNorm1d,
    WeightedBatchNorm2d,
    current_multiplicities,
    keeps_duplicates_identical,
    multiplicities,
    takes_batch_statistics,
    with_weighted_norms,
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
    "FrameAttention",
    "FrameMemory",
    "JointAttention",
    "MergingTemporalConv",
    "MultiBranchTemporalConv",
    "MultiScaleGraphConv",
    "Multiplicities",
    "PartitionedGraphConv",
    "PlainTemporalConv",
    "ShiftGraphConv",
    "TemporalShift",
    "WeightedBatchNorm1d",
    "WeightedBatchNorm2d",
    "current_multiplicities",
    "find_absent",
    "init_classifier",
    "init_convs_by_fan_out",
    "init_norms_near_one",
    "joint_shift_table",
    "keeps_duplicates_identical",
    "make_causal",
    "multiplicities",
    "projection",
    "running_mean",
    "step",
    "step_with_residual",
    "takes_batch_statistics",
    "version_of",
    "with_weighted_norms",
]
