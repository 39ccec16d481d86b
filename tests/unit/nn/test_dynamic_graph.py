"""Topologies that are learned, and refined by clip, against the equation written as loops."""

from itertools import product

import pytest
import torch
from module_kit import normed, randomised

from skelab.nn import DynamicTopologyUnit


@pytest.mark.parametrize("one_strength", [True, False])
@pytest.mark.parametrize("out_channels", [6, 9])
def test_equals_the_equation_written_as_loops_over_pairs_of_joints(
    out_channels: int, one_strength: bool
) -> None:
    unit = randomised(
        DynamicTopologyUnit(6, out_channels, num_joints=5, num_subsets=3, one_strength=one_strength)
    )
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    share = out_channels // 3

    average = x.mean(dim=2, keepdim=True)
    a, b = unit.query(average)[:, :, 0], unit.key(average)[:, :, 0]  # N K*C' V
    values = normed(unit.reduce.get_submodule("norm"), unit.reduce.get_submodule("conv")(x))
    values = values.clamp(min=0)
    mixed = torch.zeros_like(values)
    for k in range(3):
        own = slice(k * share, (k + 1) * share)
        scores = torch.einsum("ncv,ncw->nvw", a[:, own], b[:, own]).softmax(dim=1)
        strength = 0 if one_strength else k
        for c, v, w in product(range(k * share, (k + 1) * share), range(5), range(5)):
            refined = unit.channel_strength[strength] * torch.tanh(a[:, c, v] - b[:, c, w])
            refined = refined + unit.joint_strength[strength] * scores[:, v, w]
            weight = unit.topology[k, v, w] + refined  # N
            mixed[:, c, :, w] += weight[:, None] * values[:, c, :, v]
    expected = (normed(unit.norm, unit.merge(mixed)) + unit.residual.eval()(x)).clamp(min=0)

    torch.testing.assert_close(unit(x), expected)


def test_a_new_unit_knows_no_clip_and_small_topologies() -> None:
    torch.manual_seed(0)

    unit = DynamicTopologyUnit(3, 16, num_joints=25)

    assert not unit.refinement(torch.randn(2, 3, 4, 25)).any()
    assert unit.topology.mean().item() == pytest.approx(0.04, abs=0.002)
    assert unit.topology.std().item() == pytest.approx(0.02, rel=0.1)
