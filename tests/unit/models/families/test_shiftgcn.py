"""Shift-GCN's blocks, and the lengths that it takes."""

import pytest
import torch
from module_kit import normed, randomised

from skelab.errors import ModelError
from skelab.models import create_model
from skelab.models.families.shiftgcn import ShiftGCNBlock, ShiftTemporalUnit


@pytest.mark.parametrize("stride", [1, 2])
def test_channels_move_are_mixed_and_move_again(stride: int) -> None:
    unit = randomised(ShiftTemporalUnit(4, stride=stride))
    x = torch.randn(2, 4, 8, 5, dtype=torch.float64)

    mixed = unit.mix(unit.shift_in(normed(unit.norm_in, x))).clamp(min=0)
    expected = normed(unit.norm_out, unit.shift_out(mixed))

    torch.testing.assert_close(unit(x), expected)
    assert expected.shape[2] == 8 // stride


@pytest.mark.parametrize("has_residual", [True, False])
@pytest.mark.parametrize(("out_channels", "stride"), [(8, 1), (12, 2)])
def test_a_block_mixes_joints_then_frames_and_adds_its_input(
    out_channels: int, stride: int, has_residual: bool
) -> None:
    block = randomised(
        ShiftGCNBlock(8, out_channels, num_joints=5, stride=stride, has_residual=has_residual)
    )
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64)

    expected = block.temporal(block.spatial(x))
    if block.residual is not None:
        expected = expected + block.residual(x)

    torch.testing.assert_close(block(x), expected.clamp(min=0))
    assert (block.residual is not None) == has_residual


@pytest.mark.parametrize("frames", [1, 50, 66])
def test_a_length_that_is_no_multiple_of_four_is_refused(frames: int) -> None:
    model = create_model("shiftgcn", num_classes=2, width=4).eval()

    with pytest.raises(
        ModelError,
        match=rf"shiftgcn: expected .* a multiple of 4, found {frames}; choose such a window",
    ):
        model(torch.zeros(1, 3, frames, 25, 2))
