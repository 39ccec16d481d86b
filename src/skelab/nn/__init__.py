"""Blocks that model families share: graph and temporal convolutions, norms, initialisations."""

from skelab.nn.absent import AbsentBodies, ConstantFeatures, find_absent, version_of
from skelab.nn.attention import ChannelAttention, FrameAttention, JointAttention
from skelab.nn.block import Block, ResidualBlock
from skelab.nn.bodies import BodyNorm, BodySplit, EmbeddedBodyNorm
from skelab.nn.dynamic_graph import DynamicTopologyUnit
from skelab.nn.graph_conv import (
    AdaptiveGraphConv,
    ChannelTopologyConv,
    ChannelTopologyUnit,
    MultiScaleGraphConv,
    PartitionedGraphConv,
)
from skelab.nn.heat_maps import fit_to_box, joint_maps, limb_maps
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
from skelab.nn.partition_attention import PartitionTransformerBlock
from skelab.nn.persistence import BarcodeEncoding, spanning_tree_lengths
from skelab.nn.residual import projection
from skelab.nn.shift import ShiftGraphConv, TemporalShift, joint_shift_table
from skelab.nn.temporal_conv import (
    BodyAwareTemporalConv,
    MergingTemporalConv,
    MultiBranchTemporalConv,
    PlainTemporalConv,
    dilated_branch,
    pooled_branch,
)

__all__ = [
    "AbsentBodies",
    "AdaptiveGraphConv",
    "BarcodeEncoding",
    "Block",
    "BodyAwareTemporalConv",
    "BodyNorm",
    "BodySplit",
    "ChannelAttention",
    "ChannelTopologyConv",
    "ChannelTopologyUnit",
    "ConstantFeatures",
    "DynamicTopologyUnit",
    "EmbeddedBodyNorm",
    "FrameAttention",
    "JointAttention",
    "MergingTemporalConv",
    "MultiBranchTemporalConv",
    "MultiScaleGraphConv",
    "Multiplicities",
    "PartitionTransformerBlock",
    "PartitionedGraphConv",
    "PlainTemporalConv",
    "ResidualBlock",
    "ShiftGraphConv",
    "TemporalShift",
    "WeightedBatchNorm1d",
    "WeightedBatchNorm2d",
    "current_multiplicities",
    "dilated_branch",
    "find_absent",
    "fit_to_box",
    "init_classifier",
    "init_convs_by_fan_out",
    "init_norms_near_one",
    "joint_maps",
    "joint_shift_table",
    "keeps_duplicates_identical",
    "limb_maps",
    "multiplicities",
    "pooled_branch",
    "projection",
    "spanning_tree_lengths",
    "takes_batch_statistics",
    "version_of",
    "with_weighted_norms",
]
