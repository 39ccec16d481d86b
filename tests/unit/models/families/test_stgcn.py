"""ST-GCN's partition, blocks and plan, in both of its forms."""

from itertools import product

import numpy as np
import pytest
import torch
from module_kit import STICK, normed, randomised
from torch import nn

from skelab.models import SkeletonModel, create_model
from skelab.models.families.stgcn import EdgeImportanceUnit, STGCNBlock, distance_partition
from skelab.skeleton import adjacency, get_layout, hop_distance


@pytest.mark.parametrize("near_sighted", [False, True])
@pytest.mark.parametrize("name", ["ntu25", "coco17", "stick"])
def test_neighbours_are_told_apart_by_their_distance_to_the_centre(
    name: str, near_sighted: bool
) -> None:
    layout = STICK if name == "stick" else get_layout(name)
    linked = adjacency(layout)
    distance = hop_distance(linked)

    partition = distance_partition(layout, near_sighted=near_sighted)

    expected = np.zeros_like(partition)
    for source, to in product(range(layout.num_joints), repeat=2):
        if source != to and not linked[source, to]:
            continue
        far, near = (
            float("inf") if near_sighted and hops > 1 else hops
            for hops in (distance[layout.centre, source], distance[layout.centre, to])
        )
        subset = 0 if source == to else 1 if far >= near else 2
        expected[subset, source, to] = 1 / (1 + linked[:, to].sum())
    np.testing.assert_allclose(partition, expected)


def test_the_near_sighted_partition_sees_the_centre_and_its_neighbours_only() -> None:
    layout = get_layout("ntu25")

    true = distance_partition(layout, near_sighted=False)
    blurred = distance_partition(layout, near_sighted=True)

    assert np.count_nonzero(true[2]) == layout.num_joints - 1  # each joint has one nearer to it
    assert np.count_nonzero(blurred[2]) == 8
    np.testing.assert_allclose(true.sum(axis=0), blurred.sum(axis=0))


def test_importance_scales_each_entry_of_the_fixed_topology() -> None:
    topology = torch.randn(3, 5, 5)
    unit = randomised(EdgeImportanceUnit(3, 4, topology=topology))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)

    scaled = torch.zeros(3, 5, 5, dtype=torch.float64)
    for entry in np.ndindex(3, 5, 5):
        scaled[entry] = unit.topology[entry] * unit.importance[entry]
    expected = normed(unit.norm, unit.mix(x, scaled)).clamp(min=0)

    torch.testing.assert_close(unit(x), expected)


def test_new_importance_is_one_and_the_topology_is_no_parameter() -> None:
    topology = torch.randn(3, 5, 5)

    unit = EdgeImportanceUnit(3, 4, topology=topology)

    assert torch.equal(unit.importance, torch.ones(3, 5, 5))
    assert torch.equal(unit.topology, topology)
    assert "topology" in unit.state_dict()
    assert "topology" not in dict(unit.named_parameters())


@pytest.mark.parametrize("has_residual", [True, False])
@pytest.mark.parametrize(("out_channels", "stride"), [(8, 1), (12, 2)])
def test_a_block_mixes_joints_then_frames_and_adds_its_input(
    out_channels: int, stride: int, has_residual: bool
) -> None:
    topology = torch.randn(3, 5, 5)
    block = randomised(
        STGCNBlock(8, out_channels, topology=topology, stride=stride, has_residual=has_residual)
    )
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)

    expected = block.temporal(block.spatial(x))
    if block.residual is not None:
        expected = expected + block.residual(x)

    torch.testing.assert_close(block(x), expected.clamp(min=0))
    assert (block.residual is not None) == has_residual


@pytest.mark.parametrize(("name", "share"), [("stgcn", 0.0), ("stgcn_official", 0.5)])
def test_every_block_but_the_first_drops_as_the_family_says(name: str, share: float) -> None:
    model = create_model(name, num_classes=2, width=4)

    assert isinstance(model, SkeletonModel)
    shares = [module.p for module in model.backbone.modules() if isinstance(module, nn.Dropout)]
    assert shares == [0.0, *[share] * 9]


def test_all_bodies_of_a_clip_are_normalised_alike() -> None:
    model = create_model("stgcn", num_classes=2, layout=STICK, max_bodies=3, width=4)

    assert isinstance(model, SkeletonModel)
    assert model.input_norm.get_parameter("norm.weight").shape == (3 * STICK.num_joints,)
