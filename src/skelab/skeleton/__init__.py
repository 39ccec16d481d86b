"""Topology tables: joints by name, bones, left and right, partitions."""

from skelab.skeleton.correspondence import JointMap, JointPair, canonical_name, match_joints
from skelab.skeleton.graph import (
    adjacency,
    ancestor_difference,
    hop_distance,
    k_adjacency,
    rooted_at,
    spatial_partition,
    window_adjacency,
)
from skelab.skeleton.layout import Layout
from skelab.skeleton.tables import get_layout, list_layouts

__all__ = [
    "JointMap",
    "JointPair",
    "Layout",
    "adjacency",
    "ancestor_difference",
    "canonical_name",
    "get_layout",
    "hop_distance",
    "k_adjacency",
    "list_layouts",
    "match_joints",
    "rooted_at",
    "spatial_partition",
    "window_adjacency",
]
