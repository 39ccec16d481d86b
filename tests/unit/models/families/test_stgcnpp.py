"""ST-GCN++'s blocks."""

import pytest
import torch
from module_kit import normed, randomised

from skelab.models.families.stgcnpp import LearnedTopologyUnit, STGCNppBlock


@pytest.mark.parametrize("out_channels", [3, 4])
def test_a_unit_mixes_the_joints_and_adds_the_projected_input(out_channels: int) -> None:
    unit = randomised(LearnedTopologyUnit(3, out_channels, topology=torch.zeros(3, 5, 5)))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)

    carried = x
    if out_channels != 3:
        conv, norm = unit.residual.get_submodule("conv"), unit.residual.get_submodule("norm")
        carried = normed(norm, conv(x))
    expected = normed(unit.norm, unit.mix(x, unit.topology)) + carried

    torch.testing.assert_close(unit(x), expected.clamp(min=0))


def test_the_topology_is_learned_from_the_one_given() -> None:
    topology = torch.randn(3, 5, 5)

    unit = LearnedTopologyUnit(3, 4, topology=topology)

    assert torch.equal(dict(unit.named_parameters())["topology"], topology)


@pytest.mark.parametrize("has_residual", [True, False])
@pytest.mark.parametrize(("out_channels", "stride"), [(8, 1), (12, 2)])
def test_a_block_mixes_joints_then_frames_and_adds_its_input(
    out_channels: int, stride: int, has_residual: bool
) -> None:
    topology = torch.randn(3, 5, 5)
    block = randomised(
        STGCNppBlock(8, out_channels, topology=topology, stride=stride, has_residual=has_residual)
    )
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)

    expected = block.temporal(block.spatial(x))
    if block.residual is not None:
        expected = expected + block.residual(x)

    torch.testing.assert_close(block(x), expected.clamp(min=0))
    assert (block.residual is not None) == has_residual
