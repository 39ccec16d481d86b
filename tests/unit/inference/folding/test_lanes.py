"""Channels laid out in vectors."""

import numpy as np

from skelab.inference.folding.lanes import Lanes


def test_each_part_starts_a_vector_and_is_padded_to_whole_ones() -> None:
    lanes = Lanes((3, 5, 4), vector=4)

    assert (lanes.channels, lanes.width, lanes.depth) == (12, 16, 16)
    assert lanes.starts == (0, 4, 12, 16)
    assert lanes.positions.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 12, 13, 14, 15]
    assert lanes.part(1) == Lanes((5,), vector=4)


def test_values_and_rows_go_to_their_lanes_with_zeros_between() -> None:
    lanes = Lanes((1, 2), vector=2)

    np.testing.assert_array_equal(lanes.spread(np.array([[1.0, 2, 3]])), [[1, 0, 2, 3]])
    np.testing.assert_array_equal(
        Lanes((2, 1), vector=2).spread_rows(np.array([[1.0], [2], [3]])), [[1], [2], [3]]
    )
