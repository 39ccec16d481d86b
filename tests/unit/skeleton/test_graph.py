"""Matrices of a layout, each against its equation written as loops."""

from itertools import product

import numpy as np
import pytest
from jaxtyping import Bool
from numpy import ndarray

from skelab.skeleton import (
    Layout,
    adjacency,
    ancestor_difference,
    get_layout,
    hop_distance,
    k_adjacency,
    list_layouts,
    rooted_at,
    spatial_partition,
    window_adjacency,
)

LAYOUTS = list_layouts()
NAMES = [layout.name for layout in LAYOUTS]


def walked_hops(linked: Bool[ndarray, "V V"], start: int) -> list[int]:
    """Hops from one joint to each other one, by walking outward joint by joint."""
    size = len(linked)
    hops = [size] * size
    hops[start] = 0
    frontier = [start]
    while frontier:
        joint = frontier.pop(0)
        for other in range(size):
            if linked[joint, other] and hops[other] == size and other != start:
                hops[other] = hops[joint] + 1
                frontier.append(other)
    return hops


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
def test_adjacency_ties_exactly_the_two_ends_of_each_bone(layout: Layout) -> None:
    bones = {frozenset(bone) for bone in layout.bones}

    linked = adjacency(layout)

    for u, v in product(range(layout.num_joints), repeat=2):
        assert linked[u, v] == (frozenset((u, v)) in bones)


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
def test_hop_distance_equals_walking_outward_from_each_joint(layout: Layout) -> None:
    linked = adjacency(layout)

    distance = hop_distance(linked)

    for start in range(layout.num_joints):
        assert distance[start].tolist() == walked_hops(linked, start)


def test_hop_distance_to_a_joint_without_a_path_is_the_number_of_joints() -> None:
    linked = np.zeros((4, 4), dtype=bool)
    linked[0, 1] = linked[1, 0] = True

    distance = hop_distance(linked)

    assert distance.tolist() == [[0, 1, 4, 4], [1, 0, 4, 4], [4, 4, 0, 4], [4, 4, 4, 0]]


def test_hop_distance_along_a_chain_is_the_difference_of_the_numbers() -> None:
    linked = np.eye(6, k=1, dtype=bool) | np.eye(6, k=-1, dtype=bool)

    distance = hop_distance(linked)

    for u, v in product(range(6), repeat=2):
        assert distance[u, v] == abs(u - v)


def test_hop_distance_of_a_single_joint_is_zero() -> None:
    distance = hop_distance(np.zeros((1, 1), dtype=bool))

    assert distance.tolist() == [[0]]


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
def test_spatial_partition_equals_its_definition_entry_by_entry(layout: Layout) -> None:
    size = layout.num_joints
    bones = set(layout.bones)
    expected = np.zeros((3, size, size))
    for row, column in product(range(size), repeat=2):
        expected[0, row, column] = row == column
        expected[1, row, column] = (column, row) in bones  # from a joint to its parent
        expected[2, row, column] = (row, column) in bones  # from a parent to its joints
    for subset, column in product(range(3), range(size)):
        total = sum(expected[subset, row, column] for row in range(size))
        for row in range(size):
            expected[subset, row, column] /= total if total else 1.0

    subsets = spatial_partition(layout)

    np.testing.assert_array_equal(subsets, expected)


@pytest.mark.parametrize("name", ["ntu25", "sbu15"])
@pytest.mark.parametrize("num_scales", [1, 6, 13])
def test_k_adjacency_equals_its_equation_entry_by_entry(name: str, num_scales: int) -> None:
    linked = adjacency(get_layout(name))
    size = len(linked)
    hops = [walked_hops(linked, start) for start in range(size)]
    expected = np.zeros((num_scales, size, size))
    for k in range(num_scales):
        tied = [[float(u == v or hops[u][v] == k) for v in range(size)] for u in range(size)]
        degree = [sum(row) for row in tied]
        for u, v in product(range(size), repeat=2):
            expected[k, u, v] = tied[u][v] / (degree[u] * degree[v]) ** 0.5

    scales = k_adjacency(linked, num_scales)

    assert scales.dtype == np.float32
    np.testing.assert_allclose(scales, expected, atol=1e-7)


@pytest.mark.parametrize("window", [1, 3, 5])
def test_window_adjacency_ties_neighbours_and_itself_in_every_pair_of_frames(window: int) -> None:
    layout = get_layout("sbu15")
    linked, size = adjacency(layout), layout.num_joints

    tied = window_adjacency(linked, window)

    assert tied.shape == (window * size, window * size)
    for s, u, t, v in product(range(window), range(size), range(window), range(size)):
        assert tied[s * size + u, t * size + v] == (u == v or linked[u, v])


def test_a_skeleton_can_hang_on_any_joint() -> None:
    layout = get_layout("ntu25")
    spine = layout.joint("middle of spine")

    hung = rooted_at(layout, spine)

    assert hung.centre == spine
    assert {frozenset(bone) for bone in hung.bones} == {frozenset(bone) for bone in layout.bones}
    assert hung.parents[layout.joint("base of spine")] == spine
    assert hung.parents[layout.joint("spine at the shoulders")] == spine
    assert rooted_at(layout, layout.centre).parents == layout.parents


@pytest.mark.parametrize("hops", [1, 2, 20])
def test_each_joint_can_be_seen_from_its_ancestor(hops: int) -> None:
    layout = get_layout("kinect20")
    joints = np.random.default_rng(0).normal(size=(20, 3))

    seen = ancestor_difference(layout, hops) @ joints

    for joint in range(20):
        path = [joint]
        while path[-1] != layout.centre:
            path.append(layout.parents[path[-1]])
        expected = joints[joint] - (joints[path[hops]] if hops < len(path) else 0)
        np.testing.assert_allclose(seen[joint], expected)
