"""The matrices derived from the NTU layout are those of the authors' code."""

import numpy as np
import pytest
from golden_kit import read_arrays

from skelab.skeleton import (
    adjacency,
    get_layout,
    k_adjacency,
    spatial_partition,
    window_adjacency,
)

NTU = get_layout("ntu25")


def test_the_three_subsets_equal_those_of_ctrgcn() -> None:
    expected = read_arrays("ctrgcn", "graph")["A"]

    found = spatial_partition(NTU)

    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_bones_tie_the_joints_that_msg3d_ties() -> None:
    graph = read_arrays("msg3d", "graph")

    found = adjacency(NTU)

    np.testing.assert_array_equal(found, graph["A_binary"])
    np.testing.assert_array_equal(found | np.eye(25, dtype=bool), graph["A_binary_with_I"])


def test_thirteen_scales_equal_those_of_msg3d() -> None:
    expected = read_arrays("msg3d", "graph")["A_powers"]

    found = k_adjacency(adjacency(NTU), 13)

    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("window", [3, 5])
def test_six_scales_of_a_window_equal_those_of_msg3d(window: int) -> None:
    graph = read_arrays("msg3d", "graph")

    tied = window_adjacency(adjacency(NTU), window)
    found = k_adjacency(tied, 6)

    np.testing.assert_array_equal(tied, graph[f"A_spatial_temporal_binary_window{window}"])
    np.testing.assert_allclose(found, graph[f"A_scales_window{window}"], rtol=0, atol=1e-7)
