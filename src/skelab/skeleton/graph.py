"""Matrices derived from a layout: adjacency, hops, partitions and scales."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from skelab.skeleton.layout import Layout


def adjacency(layout: Layout) -> Bool[ndarray, "V V"]:
    """The adjacency matrix of the bones: symmetric, without self-loops."""
    linked = np.zeros((layout.num_joints, layout.num_joints), dtype=bool)
    for joint, parent in layout.bones:
        linked[joint, parent] = linked[parent, joint] = True
    return linked


def hop_distance(linked: Bool[ndarray, "V V"]) -> Int[ndarray, "V V"]:
    """Hop distance between joints: the number of bones on the shortest path.

    It is V for joints without a path.
    """
    size = len(linked)
    distance = np.where(np.eye(size, dtype=bool), 0, size)
    reached = np.eye(size, dtype=bool)
    for hops in range(1, size):
        reached = reached | (reached @ linked)
        distance = np.where(reached & (distance == size), hops, distance)
    return distance


def spatial_partition(layout: Layout) -> Float[ndarray, "3 V V"]:
    """Spatial partitioning of a graph convolution: self, inward and outward edges.

    Entry ``[1, parent, joint]`` is set for each bone and ``[2, joint, parent]`` for its reverse;
    each column is divided by its sum (zero columns stay zero).

    Source: spatial configuration partitioning of arXiv:1801.07455, as CTR-GCN initialises its
    topologies with it (arXiv:2107.12213).
    """
    inward = np.zeros((layout.num_joints, layout.num_joints))
    for joint, parent in layout.bones:
        inward[parent, joint] = 1.0
    subsets = np.stack([np.eye(layout.num_joints), inward, inward.T])
    totals = subsets.sum(axis=1, keepdims=True)
    shares: ndarray = np.divide(subsets, totals, out=np.zeros_like(subsets), where=totals > 0)
    return shares


def rooted_at(layout: Layout, root: int) -> Layout:
    """The same bones, each pointing to the joint that is nearer to ``root``, the new centre."""
    neighbours = adjacency(layout)
    distance = hop_distance(neighbours)[root]
    parents = {
        joint: int(np.flatnonzero(neighbours[joint] & (distance == distance[joint] - 1))[0])
        for joint in range(layout.num_joints)
        if joint != root
    }
    return replace(layout, bones=tuple(parents.items()), centre=root)


def ancestor_difference(layout: Layout, hops: int) -> Float[ndarray, "V V"]:
    """The matrix that takes from each joint the one ``hops`` bones nearer to the centre.

    Joints that have no such ancestor stay as they are: with one hop, the centre alone; with more
    hops than the skeleton is deep, all of them.

    Source: Chi et al., InfoGCN, CVPR 2022 (the multi-modal representation).
    """
    to_parent = np.zeros((layout.num_joints, layout.num_joints))
    for joint, parent in layout.bones:
        to_parent[joint, parent] = 1.0
    difference: ndarray = np.eye(layout.num_joints) - np.linalg.matrix_power(to_parent, hops)
    return difference


def k_adjacency(linked: Bool[ndarray, "V V"], num_scales: int) -> Float[ndarray, "S V V"]:
    """Disentangled k-adjacency: each node is linked to nodes exactly k hops away, and to itself.

    Each scale is normalised symmetrically, D^-1/2 (K + I) D^-1/2, in float32 arithmetic as the
    source does; scale 0 is the identity.

    Source: arXiv:2003.14111, equations 3 and 4.
    """
    distance = hop_distance(linked)
    itself = distance == 0
    scales = np.stack([(distance == k) | itself for k in range(num_scales)]).astype(np.float32)
    # A power of -1/2 is rounded differently on each kind of processor.
    factor = 1 / np.sqrt(scales.sum(axis=2))  # S V
    normalised: ndarray = factor[:, :, None] * scales * factor[:, None, :]
    return normalised


def window_adjacency(linked: Bool[ndarray, "V V"], window: int) -> Bool[ndarray, "W W"]:
    """Adjacency of the W = ``window`` * V nodes of a window of frames.

    A joint is linked to itself and its neighbours in every frame; node = frame * V + joint.

    Source: arXiv:2003.14111, section 3.3.
    """
    return np.tile(linked | np.eye(len(linked), dtype=bool), (window, window))
