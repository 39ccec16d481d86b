"""Shift-GCN reproduces what its authors' code computed; limits are in parity_kit."""

import hashlib

import numpy as np
import parity_kit
import pytest
import torch
from golden_kit import CASES, golden_input, read_arrays, read_json, relative_error
from shared_data import shared_data
from torch import Tensor

from skelab.models import import_weights, read_state_dict
from skelab.nn import TemporalShift, joint_shift_table

NETWORK = "shiftgcn"
# The authors' code also shifts joints, by about 1e-9 of one; that is left out here.
FLOAT64_LIMIT = 5e-9


def test_the_weights_are_those_that_the_kit_was_made_with() -> None:
    parity_kit.check_golden_weights_are_those_that_the_kit_was_made_with(NETWORK)


def test_keys_shapes_and_parameter_count_are_the_authors() -> None:
    parity_kit.check_key_lists_and_parameters(NETWORK, num_parameters=693_107)


def test_the_authors_weights_go_in_and_out_bit_for_bit() -> None:
    parity_kit.check_round_trip(NETWORK)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_logits_in_both_modes_equal_the_authors(case: str, dtype: torch.dtype) -> None:
    limit = FLOAT64_LIMIT if dtype is torch.float64 else None
    parity_kit.check_logits(NETWORK, case, dtype, limit=limit)


@pytest.mark.parametrize("case", [pytest.param("n2_t64", marks=pytest.mark.slow), "n1_t52"])
def test_loss_statistics_and_gradients_equal_the_authors(case: str) -> None:
    parity_kit.check_statistics_and_gradients(NETWORK, case)


def test_a_new_network_is_spread_like_the_authors() -> None:
    parity_kit.check_initialisation(NETWORK)


@pytest.mark.parametrize("channels", [3, 64, 128, 256])
def test_the_tables_of_the_shift_between_joints_are_the_authors(channels: int) -> None:
    tables = read_arrays(NETWORK, "fixed")

    forth = joint_shift_table(25, channels)
    back = joint_shift_table(25, channels, backwards=True)

    assert np.array_equal(forth.numpy(), tables[f"shift_in_{channels}"])
    if channels > 3:
        assert np.array_equal(back.numpy(), tables[f"shift_out_{channels}"])


def shifted_between_joints(x: Tensor, offset: Tensor) -> Tensor:
    """Channel c moved by ``offset[c]`` joints, interpolated, zeros outside."""
    moved = torch.zeros_like(x)
    for channel, joint in np.ndindex(x.shape[1], x.shape[3]):
        position = joint + offset[channel].item()
        for near in (int(np.floor(position)), int(np.floor(position)) + 1):
            if 0 <= near < x.shape[3]:
                share = 1 - abs(position - near)
                moved[:, channel, :, joint] += share * x[:, channel, :, near]
    return moved


@pytest.mark.parametrize("sign_gradients", [True, False], ids=["sign", "true"])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_temporal_shift_and_its_gradients_are_the_authors(
    stride: int, sign_gradients: bool
) -> None:
    recorded = {
        key.removeprefix(f"s{stride}_"): torch.tensor(array).double()
        for key, array in read_arrays(NETWORK, "shift_op").items()
        if key.startswith(f"s{stride}_")
    }
    shift = TemporalShift(10, stride=stride, sign_gradients=sign_gradients).double()
    with torch.no_grad():
        shift.offset.copy_(recorded["ypos"])
    x = recorded["x"].requires_grad_()

    found = shift(shifted_between_joints(x, recorded["xpos"]))
    torch.autograd.backward(found, recorded["grad_out"])

    torch.testing.assert_close(found, recorded["y"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x.grad, recorded["grad_x"], rtol=1e-12, atol=1e-12)
    if sign_gradients:
        expected = recorded["grad_ypos_official"]
    else:  # the kit has the mean over the batch
        expected = len(x) * recorded["grad_ypos_raw"]
    torch.testing.assert_close(shift.offset.grad, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("split", ["xsub", "xview"])
def test_the_released_weights_give_the_logits_that_they_gave_the_authors_code(split: str) -> None:
    name = f"ntu_ShiftGCN_joint_{split}.pt"
    path = shared_data("weights", name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == read_json(NETWORK, "real_weights")[name]["sha256"]

    model = import_weights(NETWORK, read_state_dict(path)).eval()
    with torch.no_grad():
        logits = model(golden_input(NETWORK, "n2_t64"))

    expected = read_arrays(NETWORK, "real_weights_logits")[f"logits_eval_{split}_f64"]
    assert relative_error(logits, expected) < 1e-5
