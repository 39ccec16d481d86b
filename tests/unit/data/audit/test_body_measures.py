"""What is measured of bodies, beside plainer ways to the same figures."""

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree

from skelab.data.audit.body_measures import shortest_trees


@pytest.mark.parametrize("num_joints", [1, 2, 15, 25])
@pytest.mark.parametrize("axes", [2, 3])
def test_trees_are_as_long_as_scipys(num_joints: int, axes: int) -> None:
    poses = np.random.default_rng(num_joints).standard_normal((40, num_joints, axes))
    distances = np.linalg.norm(poses[:, :, None] - poses[:, None], axis=-1)

    found = shortest_trees(distances)

    expected = [float(minimum_spanning_tree(each).sum()) for each in distances]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_joints_at_one_place_are_joined_by_an_edge_of_no_length() -> None:
    points = np.array([[0.0, 0], [0, 0], [3, 4], [0, 0]])
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)

    assert shortest_trees(distances[None]) == pytest.approx([5.0], rel=1e-6)
