"""AAGCN's blocks."""

import pytest
import torch
from module_kit import normed, randomised

from skelab.models.families.aagcn import AAGCNBackbone, AAGCNBlock, AttentiveGraphUnit


@pytest.mark.parametrize("out_channels", [8, 12])
def test_joints_then_frames_then_channels_are_attended_to(out_channels: int) -> None:
    unit = randomised(AttentiveGraphUnit(8, out_channels, topology=torch.zeros(3, 5, 5)))
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64)

    carried = x
    if out_channels != 8:
        conv, norm = unit.residual.get_submodule("conv"), unit.residual.get_submodule("norm")
        carried = normed(norm, conv(x))
    expected = (normed(unit.norm, unit.mix(x)) + carried).clamp(min=0)
    expected = unit.joint_attention(expected)
    expected = unit.frame_attention(expected)
    expected = unit.channel_attention(expected)

    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("has_residual", [True, False])
@pytest.mark.parametrize(("out_channels", "stride"), [(8, 1), (12, 2)])
def test_a_block_mixes_joints_then_frames_and_adds_its_input(
    out_channels: int, stride: int, has_residual: bool
) -> None:
    topology = torch.randn(3, 5, 5)
    block = randomised(
        AAGCNBlock(8, out_channels, topology=topology, stride=stride, has_residual=has_residual)
    )
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)

    expected = block.temporal(block.spatial(x))
    if block.residual is not None:
        expected = expected + block.residual(x)

    torch.testing.assert_close(block(x), expected.clamp(min=0))
    assert (block.residual is not None) == has_residual


def test_a_topology_that_nothing_uses_goes_with_the_weights() -> None:
    torch.manual_seed(0)
    topology = torch.randn(3, 5, 5)
    backbone = AAGCNBackbone(3, width=4, topology=topology).eval()
    x = torch.randn(1, 3, 8, 5)
    before = backbone(x)

    backbone.topology.zero_()

    assert torch.equal(backbone(x), before)
    assert "topology" in backbone.state_dict()
