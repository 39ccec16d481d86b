"""What is known of clips beside their joints is checked against them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from skelab.errors import ModelError
from skelab.models import ModelInput
from skelab.models.inputs import as_input

JOINTS = torch.randn(4, 3, 6, 5, 2)


def test_everything_that_fits_is_taken() -> None:
    given = ModelInput(
        JOINTS,
        times=torch.rand(4, 6),
        present=torch.ones(4, 6, 2, dtype=torch.bool),
        views={"bones": torch.randn(4, 6, 9, 5, 2)},
        sidecars={"camera": torch.arange(4), "text": torch.randn(4, 7)},
        labels=torch.arange(4),
    )

    assert given.joints is JOINTS
    assert as_input(given) is given


def test_plain_joints_are_an_input_with_nothing_else() -> None:
    given = as_input(JOINTS)

    assert given.joints is JOINTS
    assert (given.times, given.present, given.labels) == (None, None, None)
    assert (dict(given.views), dict(given.sidecars)) == ({}, {})


def test_without_a_mask_a_body_is_present_where_it_is_not_all_zeros() -> None:
    joints = JOINTS.clone()
    joints[1, ..., 1] = 0
    joints[2, :, 4, :, 0] = 0
    joints[3, :2, 5] = 0  # one coordinate is left
    mask = torch.rand(4, 6, 2) > 0.5

    presence = ModelInput(joints).presence()

    expected = torch.ones(4, 6, 2, dtype=torch.bool)
    expected[1, :, 1] = False
    expected[2, 4, 0] = False
    assert torch.equal(presence, expected)
    assert ModelInput(joints, present=mask).presence() is mask


@pytest.mark.parametrize(
    ("joints", "fields", "message"),
    [
        (JOINTS[0], {}, r"joints: expected N x C x T x V x M .*, found 3 x 6 x 5 x 2"),
        (JOINTS, {"times": torch.rand(4, 5)}, r"times: expected N x T, here 4 x 6, found 4 x 5"),
        (
            JOINTS,
            {"present": torch.ones(4, 2, 6, dtype=torch.bool)},
            r"present: expected N x T x M, here 4 x 6 x 2, found 4 x 2 x 6",
        ),
        (
            JOINTS,
            {"present": torch.ones(4, 6, 2)},
            "present: expected true or false, found float32",
        ),
        (JOINTS, {"labels": torch.tensor(3)}, r"labels: expected N, here 4, found a single number"),
        (JOINTS, {"labels": torch.rand(4)}, r"labels: expected whole numbers, found float32"),
        (
            JOINTS,
            {"views": {"bones": torch.rand(4, 3, 6, 4, 2)}},
            r"view 'bones': expected 4 x C x T x 5 x 2, .* found 4 x 3 x 6 x 4 x 2",
        ),
        (
            JOINTS,
            {"sidecars": {"text": torch.rand(3, 7)}},
            r"sidecar 'text': expected one entry for each of 4 clips, found 3 x 7",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_both_shapes(
    joints: Tensor, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=f"model input, {message}"):
        ModelInput(joints, **fields)
