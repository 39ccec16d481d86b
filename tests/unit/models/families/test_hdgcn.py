"""HD-GCN's levels, for NTU's skeleton and others."""

import numpy as np
import pytest
from golden_kit import read_arrays

from skelab.errors import ModelError
from skelab.models import create_model
from skelab.models.families.hdgcn import hierarchical_graph, level_pairs, skeleton_levels
from skelab.skeleton import get_layout


@pytest.mark.parametrize(("com", "key"), [(1, "A_CoM1"), (2, "A_CoM2"), (21, "A_CoM21")])
def test_the_graphs_of_all_centres_of_mass_are_the_authors(com: int, key: str) -> None:
    levels = skeleton_levels(get_layout("ntu25"), com - 1)

    graph = hierarchical_graph(levels)

    np.testing.assert_array_equal(graph, read_arrays("hdgcn", "graph")[key])


def test_a_skeleton_of_few_levels_uses_its_pairs_again() -> None:
    levels = np.eye(3, dtype=bool)

    pairs = level_pairs(levels)

    np.testing.assert_array_equal(pairs[:2], pairs[2:4])
    np.testing.assert_array_equal(pairs[1], levels[1:])


@pytest.mark.parametrize("com", [0, 16, -1])
def test_a_centre_that_the_layout_lacks_is_refused(com: int) -> None:
    with pytest.raises(
        ModelError, match=rf"hdgcn: com: expected a joint of sbu15, .* from 1 to 15, found {com}"
    ):
        create_model("hdgcn", num_classes=2, layout="sbu15", width=16, com=com)
