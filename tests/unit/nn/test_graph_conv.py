"""Each graph convolution meets its equation, written as loops."""

from itertools import product

import pytest
import torch
from module_kit import normed, randomised

from skelab.nn import (
    AdaptiveGraphConv,
    ChannelTopologyConv,
    ChannelTopologyUnit,
    MultiScaleGraphConv,
    PartitionedGraphConv,
)

HALF = torch.tensor(0.5, dtype=torch.float64)


def test_channel_topology_equals_the_equation_written_as_loops_over_pairs_of_joints() -> None:
    torch.manual_seed(0)
    conv = ChannelTopologyConv(3, 2, relation_channels=4).double()
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    topology = torch.randn(6, 6, dtype=torch.float64)  # not symmetric, so a swap of u, v shows

    query, key, value = conv.query(x), conv.key(x), conv.value(x)
    expected = torch.zeros_like(value)
    for u, v in product(range(6), repeat=2):
        relation = torch.tanh(query[..., u].mean(dim=2) - key[..., v].mean(dim=2))  # N R
        weight = topology[u, v] + HALF * conv.refine(relation[..., None, None])[..., 0]  # N D 1
        expected[..., u] += weight * value[..., v]

    torch.testing.assert_close(conv(x, topology, HALF), expected)


@pytest.mark.parametrize("out_channels", [3, 4])
def test_a_unit_sums_its_subsets_and_adds_the_projected_input(out_channels: int) -> None:
    topology = torch.randn(3, 5, 5)
    unit = randomised(ChannelTopologyUnit(3, out_channels, topology=topology))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)

    total = torch.zeros(2, out_channels, 4, 5, dtype=torch.float64)
    for index, conv in enumerate(unit.subsets):
        total += conv(x, unit.topology[index], unit.strength[0])
    carried = x
    if out_channels != 3:
        conv, norm = unit.residual.get_submodule("conv"), unit.residual.get_submodule("norm")
        carried = normed(norm, conv(x))
    expected = torch.relu(normed(unit.norm, total) + carried)

    torch.testing.assert_close(unit(x), expected)


def test_a_new_unit_starts_from_the_topology_given_and_without_refinement() -> None:
    topology = torch.randn(3, 5, 5)

    unit = ChannelTopologyUnit(3, 4, topology=topology)

    assert torch.equal(unit.topology, topology)
    assert unit.strength.tolist() == [0.0]


@pytest.mark.parametrize("channels", [(4, 3), (2, 5)], ids=["narrows", "widens"])
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
def test_scales_and_windows_equal_the_equation_written_as_loops_over_nodes(
    channels: tuple[int, int], window: int, stride: int
) -> None:
    joints, frames, scales = 4, 7, 3
    adjacency = torch.zeros(scales, window * joints, window * joints)
    conv = randomised(
        MultiScaleGraphConv(*channels, adjacency=adjacency, window=window, stride=stride)
    )
    x = torch.randn(2, channels[0], frames, joints, dtype=torch.float64)

    topology = conv.adjacency + conv.refinement  # S W W
    length = -(-frames // stride)
    nodes = torch.zeros(2, channels[0], window * joints, length, dtype=torch.float64)
    for step, offset in product(range(length), range(window)):
        frame = step * stride + offset - window // 2
        if 0 <= frame < frames:
            nodes[:, :, offset * joints : (offset + 1) * joints, step] = x[:, :, frame]
    weight, bias = conv.transform.weight[:, :, 0, 0], conv.transform.bias
    assert bias is not None
    expected = bias.view(1, -1, 1, 1).repeat(2, 1, window * joints, length)
    for scale, to, source in product(range(scales), *[range(window * joints)] * 2):
        mix = weight[:, scale * channels[0] : (scale + 1) * channels[0]]  # D C
        reached = topology[scale, to, source] * nodes[:, :, source]  # N C L
        expected[:, :, to] += torch.einsum("dc,ncl->ndl", mix, reached)

    torch.testing.assert_close(conv(x), expected)


def test_a_new_refinement_is_next_to_zero_and_the_adjacency_stays_out_of_the_state_dict() -> None:
    adjacency = torch.eye(4).repeat(2, 1, 1)

    conv = MultiScaleGraphConv(3, 8, adjacency=adjacency)

    assert 0 < float(conv.refinement.detach().abs().max()) <= 1e-6
    assert "adjacency" not in conv.state_dict()
    assert torch.equal(conv.adjacency, adjacency)


def test_each_subset_of_neighbours_has_weights_of_its_own() -> None:
    conv = randomised(PartitionedGraphConv(3, 2, num_subsets=3))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    topology = torch.randn(3, 5, 5, dtype=torch.float64)  # not symmetric, so a transpose shows

    weight, bias = conv.conv.weight[:, :, 0, 0].view(3, 2, 3), conv.conv.bias
    assert bias is not None
    expected = torch.zeros(2, 2, 4, 5, dtype=torch.float64)
    for subset, out, source, to in product(range(3), range(2), range(5), range(5)):
        sent = bias.view(3, 2)[subset, out] + sum(
            weight[subset, out, channel] * x[:, channel, :, source] for channel in range(3)
        )
        expected[:, out, :, to] += topology[subset, source, to] * sent

    torch.testing.assert_close(conv(x, topology), expected)


def test_an_adaptive_topology_adds_how_alike_two_joints_of_the_clip_are() -> None:
    conv = randomised(AdaptiveGraphConv(3, 8, topology=torch.zeros(2, 5, 5)))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)

    expected = torch.zeros(2, 8, 4, 5, dtype=torch.float64)
    for subset, clip in product(range(2), range(2)):
        one = x[clip : clip + 1]
        a, b = conv.query[subset](one)[0], conv.key[subset](one)[0]  # R T V
        mixed = torch.zeros_like(one)
        for source, to in product(range(5), range(5)):
            alike = torch.tanh((a[:, :, source] * b[:, :, to]).sum() / (2 * 4))  # R is 8 / 4
            weight = conv.topology[subset, source, to] + conv.strength[0] * alike
            mixed[..., to] += weight * one[..., source]
        expected[clip] += conv.value[subset](mixed)[0]

    torch.testing.assert_close(conv(x), expected)


def test_a_new_adaptive_topology_is_the_one_given() -> None:
    topology = torch.randn(3, 5, 5)

    conv = AdaptiveGraphConv(3, 8, topology=topology)

    assert torch.equal(conv.topology, topology)
    assert conv.strength.tolist() == [0.0]
