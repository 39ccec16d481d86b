"""MS-G3D reproduces what its authors' code computed; limits are in parity_kit."""

import parity_kit
import pytest
import torch
from golden_kit import CASES

NETWORK = "msg3d"


def test_the_weights_are_those_that_the_kit_was_made_with() -> None:
    parity_kit.check_golden_weights_are_those_that_the_kit_was_made_with(NETWORK)


def test_keys_shapes_and_parameter_count_are_the_authors() -> None:
    parity_kit.check_key_lists_and_parameters(NETWORK, num_parameters=3_194_595)


def test_the_authors_weights_go_in_and_out_bit_for_bit() -> None:
    parity_kit.check_round_trip(NETWORK)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_logits_in_both_modes_equal_the_authors(case: str, dtype: torch.dtype) -> None:
    parity_kit.check_logits(NETWORK, case, dtype)


@pytest.mark.parametrize("case", [pytest.param("n2_t64", marks=pytest.mark.slow), "n1_t52"])
def test_loss_statistics_and_gradients_equal_the_authors(case: str) -> None:
    parity_kit.check_statistics_and_gradients(NETWORK, case)


@pytest.mark.slow
def test_three_steps_of_training_equal_the_authors() -> None:
    parity_kit.check_three_steps(NETWORK, learning_rate=0.005, weight_decay=0.0005)


def test_a_new_network_is_spread_like_the_authors() -> None:
    parity_kit.check_initialisation(NETWORK)
