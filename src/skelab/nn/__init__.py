"""Blocks that model families share: graph and temporal convolutions, norms, initialisations."""

from skelab.nn.block import Block
from skelab.nn.bodies import BodyNorm, pool_bodies
from skelab.nn.graph_conv import ChannelTopologyConv, ChannelTopologyUnit, MultiScaleGraphConv
from skelab.nn.initialise import init_classifier, init_convs_by_fan_out, init_norms_near_one
from skelab.nn.residual import projection
from skelab.nn.temporal_conv import MultiBranchTemporalConv

__all__ = [
    "Block",
    "BodyNorm",
    "ChannelTopologyConv",
    "ChannelTopologyUnit",
    "MultiBranchTemporalConv",
    "MultiScaleGraphConv",
    "init_classifier",
    "init_convs_by_fan_out",
    "init_norms_near_one",
    "pool_bodies",
    "projection",
]
