"""What holds for every skeleton that can be drawn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skelab.skeleton import (
    Layout,
    adjacency,
    hop_distance,
    k_adjacency,
    spatial_partition,
    window_adjacency,
)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Any tree of 1 to 12 joints, its joints numbered in any order."""
    size = draw(st.integers(1, 12))
    number = draw(st.permutations(range(size)))
    bones = tuple(
        (number[joint], number[draw(st.integers(0, joint - 1))]) for joint in range(1, size)
    )
    return Layout(
        name="drawn",
        title="Drawn by hypothesis",
        joints=tuple(f"joint {index}" for index in range(size)),
        bones=bones,
        pairs=(),
        centre=number[0],
        origin=draw(st.integers(0, size - 1)),
    )


@given(layouts())
def test_a_tree_of_v_joints_has_v_minus_1_bones_each_tied_both_ways(layout: Layout) -> None:
    linked = adjacency(layout)

    assert linked.sum() == 2 * (layout.num_joints - 1)
    np.testing.assert_array_equal(linked, linked.T)


@given(layouts())
def test_hops_are_a_distance_that_counts_bones(layout: Layout) -> None:
    linked = adjacency(layout)

    hops = hop_distance(linked)

    np.testing.assert_array_equal(hops, hops.T)
    np.testing.assert_array_equal(hops == 0, np.eye(layout.num_joints, dtype=bool))
    np.testing.assert_array_equal(hops == 1, linked)
    assert (hops[:, :, None] <= hops[:, None, :] + hops.T[None, :, :]).all()


@given(layouts())
def test_following_the_parents_reaches_the_centre_in_as_many_steps_as_there_are_hops(
    layout: Layout,
) -> None:
    hops = hop_distance(adjacency(layout))[layout.centre]

    for joint in range(layout.num_joints):
        at = joint
        for _ in range(hops[joint]):
            assert at != layout.centre
            at = layout.parents[at]
        assert at == layout.centre


@given(layouts())
def test_columns_of_a_partition_sum_to_one_or_are_empty(layout: Layout) -> None:
    subsets = spatial_partition(layout)

    totals = subsets.sum(axis=1)
    inward_empty = np.flatnonzero(totals[1] == 0)
    np.testing.assert_allclose(totals[totals > 0], 1.0)
    np.testing.assert_array_equal(subsets[0], np.eye(layout.num_joints))
    assert inward_empty.tolist() == [layout.centre]  # the only joint without a parent


@given(layouts(), st.data())
def test_numbering_the_joints_otherwise_permutes_every_matrix(
    layout: Layout, data: st.DataObject
) -> None:
    order = np.array(data.draw(st.permutations(range(layout.num_joints))))
    place = np.argsort(order)
    renumbered = Layout(
        name="renumbered",
        title=layout.title,
        joints=tuple(layout.joints[joint] for joint in order),
        bones=tuple((int(place[joint]), int(place[parent])) for joint, parent in layout.bones),
        pairs=(),
        centre=int(place[layout.centre]),
        origin=int(place[layout.origin]),
    )

    swap = np.ix_(order, order)
    linked, other = adjacency(layout), adjacency(renumbered)

    np.testing.assert_array_equal(other, linked[swap])
    np.testing.assert_array_equal(hop_distance(other), hop_distance(linked)[swap])
    np.testing.assert_allclose(
        spatial_partition(renumbered), np.stack([part[swap] for part in spatial_partition(layout)])
    )


@given(layouts())
def test_scales_part_the_pairs_of_joints_among_themselves(layout: Layout) -> None:
    size = layout.num_joints

    tied = k_adjacency(adjacency(layout), size) > 0  # S V V, every possible distance

    apart = ~np.eye(size, dtype=bool)
    np.testing.assert_array_equal(tied.sum(axis=0)[apart], 1)
    assert tied[:, ~apart].all()


@given(layouts(), st.integers(1, 4))
def test_a_window_looks_alike_between_any_two_frames(layout: Layout, window: int) -> None:
    linked, size = adjacency(layout), layout.num_joints

    tied = window_adjacency(linked, window)

    frames = tied.reshape(window, size, window, size).transpose(0, 2, 1, 3)
    assert (frames == (linked | np.eye(size, dtype=bool))).all()
