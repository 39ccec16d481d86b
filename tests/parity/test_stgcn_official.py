"""ST-GCN reproduces what its authors' code computed; limits are in parity_kit."""

import numpy as np
import parity_kit
import pytest
import torch
from golden_kit import ODD_CASES_IN_BOTH_TYPES, read_arrays

from skelab.models.families.stgcn import distance_partition
from skelab.skeleton import get_layout

NETWORK = "stgcn_official"


def test_the_weights_are_those_that_the_kit_was_made_with() -> None:
    parity_kit.check_golden_weights_are_those_that_the_kit_was_made_with(NETWORK)


def test_keys_shapes_and_parameter_count_are_the_authors() -> None:
    parity_kit.check_key_lists_and_parameters(NETWORK, num_parameters=3_098_832)


def test_the_authors_weights_go_in_and_out_bit_for_bit() -> None:
    parity_kit.check_round_trip(NETWORK)


@pytest.mark.parametrize(("case", "dtype"), ODD_CASES_IN_BOTH_TYPES)
def test_logits_in_both_modes_equal_the_authors(case: str, dtype: torch.dtype) -> None:
    parity_kit.check_logits(NETWORK, case, dtype)


@pytest.mark.parametrize("case", [pytest.param("n2_t64", marks=pytest.mark.slow), "n1_t50"])
def test_loss_statistics_and_gradients_equal_the_authors(case: str) -> None:
    parity_kit.check_statistics_and_gradients(NETWORK, case)


def test_a_new_network_is_spread_like_the_authors() -> None:
    parity_kit.check_initialisation(NETWORK, near_sighted_partition=True)


def test_the_near_sighted_partition_is_the_authors() -> None:
    layout = get_layout("ntu25")

    partition = distance_partition(layout, near_sighted=True)

    np.testing.assert_allclose(partition, read_arrays(NETWORK, "graph")["A"], atol=1e-12)
