"""CTR-GCN's blocks and plan."""

import pytest
import torch
from module_kit import randomised
from torch import nn

from skelab.models import SkeletonModel, create_model
from skelab.models.families.ctrgcn import CTRGCNBackbone, CTRGCNBlock


@pytest.mark.parametrize("has_residual", [True, False])
@pytest.mark.parametrize(("out_channels", "stride"), [(8, 1), (12, 2)])
def test_a_block_mixes_joints_then_frames_and_adds_its_input(
    out_channels: int, stride: int, has_residual: bool
) -> None:
    topology = torch.randn(3, 5, 5)
    block = randomised(
        CTRGCNBlock(8, out_channels, topology=topology, stride=stride, has_residual=has_residual)
    )
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)

    expected = block.temporal(block.spatial(x))
    if block.residual is not None:
        expected = expected + block.residual(x)

    torch.testing.assert_close(block(x), expected.clamp(min=0))
    assert (block.residual is not None) == has_residual


def test_ten_blocks_widen_and_shorten_twice_and_the_first_adds_nothing() -> None:
    backbone = CTRGCNBackbone(3, width=8, topology=torch.zeros(3, 5, 5))
    x = torch.randn(1, 3, 9, 5)

    shapes = []
    for block in backbone:
        x = block(x)
        shapes.append(tuple(x.shape[1:3]))

    assert shapes == [(8, 9)] * 4 + [(16, 5)] * 3 + [(32, 3)] * 3
    assert backbone.num_features == 32
    kinds = [type(block.residual) for block in backbone]
    identity, projected = nn.Identity, nn.Sequential
    assert kinds == [
        type(None),
        *[identity] * 3,
        *[projected, identity, identity],
        *[projected, identity, identity],
    ]


def test_a_new_block_adds_next_to_nothing_of_its_graph() -> None:
    model = create_model("ctrgcn", num_classes=2, width=8)

    assert isinstance(model, SkeletonModel)
    for block in model.backbone.children():
        assert isinstance(block, CTRGCNBlock)
        assert block.spatial.norm.weight.tolist() == pytest.approx(
            [1e-6] * len(block.spatial.norm.weight)
        )
        assert block.spatial.strength.item() == 0.0
