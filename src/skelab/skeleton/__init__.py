"""Topology tables: joints by name, bones, left and right, partitions."""

from skelab.skeleton.graph import (
    adjacency,
    hop_distance,
    k_adjacency,
    spatial_partition,
    window_adjacency,
)
from skelab.skeleton.layout import Layout
from skelab.skeleton.tables import get_layout, list_layouts

__all__ = [
    "Layout",
    "adjacency",
    "get_layout",
    "hop_distance",
    "k_adjacency",
    "list_layouts",
    "spatial_partition",
    "window_adjacency",
]
