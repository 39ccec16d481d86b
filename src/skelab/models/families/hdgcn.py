"""HD-GCN: the skeleton in levels around a centre, each joint tied to all of the next level."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.authors import COMMON_NAMES, NUMBERED_BLOCKS, AuthorsFormat
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.hdgcn import HDGCN
from skelab.models.options import check_multiple
from skelab.models.plan import MakeBlock, TenBlocks
from skelab.models.pyskl import with_pyskl_hands
from skelab.models.registry import register_model
from skelab.nn import (
    Block,
    MultiBranchTemporalConv,
    ResidualBlock,
    init_classifier,
    init_convs_by_fan_out,
    init_norms_near_one,
    projection,
)
from skelab.skeleton import Layout, adjacency, hop_distance

_NUM_LAYERS = 6  # pairs of neighbouring levels
_SHARES = 4  # of the channels: itself, outward and inward bones, and the nearest joints
_NEAREST_JOINTS, _NEAREST_LAYERS = 5, 3
_NORM_SCALE_BEFORE_RESIDUAL = 1e-6  # a new block adds next to nothing to its residual


def skeleton_levels(layout: Layout, centre: int) -> Bool[ndarray, "L V"]:
    """Which joints are in each of at most seven levels, by how many bones lead to the centre.

    Whatever is farther away than the seventh level belongs to it.

    Source: arXiv:2208.10741, in which ends of the hands hang on the hands.
    """
    hops = hop_distance(adjacency(with_pyskl_hands(layout)))[centre].clip(max=_NUM_LAYERS)
    return np.stack([hops == level for level in range(hops.max() + 1)])


def hierarchical_graph(levels: Bool[ndarray, "L V"]) -> Float[ndarray, "6 3 V V"]:
    """For each two neighbouring levels: each joint itself, all of the farther by all of the nearer.

    The third matrix is the reverse of the second; the columns of both add up to 1. A skeleton of
    fewer than seven levels begins with its first pair of levels again.

    Source: arXiv:2208.10741.
    """
    graph = np.zeros((_NUM_LAYERS, 3, levels.shape[1], levels.shape[1]))
    for layer, (near, far) in enumerate(level_pairs(levels)):
        outward = np.outer(far, near).astype(float)
        graph[layer] = [np.diag((near | far).astype(float)), outward, outward.T]
    totals = graph.sum(axis=2, keepdims=True)
    shares: ndarray = np.divide(graph, totals, out=np.zeros_like(graph), where=totals > 0)
    return shares


def level_pairs(levels: Bool[ndarray, "L V"]) -> Bool[ndarray, "6 2 V"]:
    """Six pairs of neighbouring levels.

    Source: arXiv:2208.10741.
    """
    firsts = np.arange(_NUM_LAYERS) % max(len(levels) - 1, 1)
    seconds = np.minimum(firsts + 1, len(levels) - 1)
    return np.stack([levels[firsts], levels[seconds]], axis=1)


class NearestConv(nn.Module):
    """Compare each node with those whose features lie nearest; the strongest difference counts.

    Args:
        in_channels: C.
        out_channels: D.
        num_nearest: How many nodes are compared, the node itself included.

    Source: arXiv:1801.07829 (EdgeConv), as arXiv:2208.10741 uses it.
    """

    def __init__(self, in_channels: int, out_channels: int, *, num_nearest: int) -> None:
        super().__init__()
        self.num_nearest = num_nearest
        self.conv = nn.Conv2d(2 * in_channels, out_channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: Float[Tensor, "N C V"]) -> Float[Tensor, "N D V"]:
        """The strongest difference in every channel."""
        n, c, v = x.shape
        squares = x.square().sum(dim=1, keepdim=True)  # N 1 V
        distance = squares.transpose(1, 2) + squares - 2 * x.transpose(1, 2) @ x  # N V V
        nearest = distance.topk(min(self.num_nearest, v), dim=2, largest=False).indices  # N V k
        index = nearest.flatten(1).unsqueeze(1).expand(n, c, -1)
        others = x.gather(2, index).view(n, c, v, -1)  # N C V k
        itself = x.unsqueeze(3).expand_as(others)
        compared = self.conv(torch.cat([others - itself, itself], dim=1))
        strongest: Tensor = self.activation(self.norm(compared)).amax(dim=3)
        return strongest


class LayerAttention(nn.Module):
    """Weigh the layers of a hierarchy in each channel by how they compare with one another.

    Args:
        channels: C.
        pairs: Which joints belong to the two levels of each layer.

    Source: arXiv:2208.10741 (A-HA).
    """

    membership: Tensor

    def __init__(self, channels: int, *, pairs: Float[Tensor, "L V"]) -> None:
        super().__init__()
        reduced = channels // _SHARES
        self.reduce = _normed_conv(channels, reduced)
        self.compare = NearestConv(reduced, reduced, num_nearest=_NEAREST_LAYERS)
        self.expand = nn.Conv1d(reduced, channels, kernel_size=1)
        self.register_buffer("membership", pairs, persistent=False)

    def forward(self, layers: Float[Tensor, "N C L T V"]) -> Float[Tensor, "N C T V"]:
        """The weighted sum of the layers."""
        strongest = self.reduce(layers.amax(dim=3))  # N R L V
        members = self.membership.to(strongest.dtype)  # L V
        nodes = (strongest * members).sum(dim=3) / members.sum(dim=1)  # N R L
        weights: Tensor = self.expand(self.compare(nodes)).sigmoid()  # N C L
        return (layers * weights[..., None, None]).sum(dim=2)


class HierarchicalGraphUnit(nn.Module):
    """Mix the joints of each two neighbouring levels, combine the pairs, and add the input.

    Args:
        in_channels: C.
        out_channels: D, a multiple of 4.
        graph: What the topology of each layer starts from.
        pairs: Which joints belong to each layer; None adds the layers up without attention.

    Source: arXiv:2208.10741 (HD-Graph convolution).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        graph: Float[Tensor, "L 3 V V"],
        pairs: Float[Tensor, "L V"] | None,
    ) -> None:
        super().__init__()
        share = out_channels // _SHARES
        self.topology = nn.Parameter(graph.clone())
        self.reduce = nn.ModuleList(_normed_conv(in_channels, share) for _ in graph)
        self.mix = nn.ModuleList(
            nn.ModuleList(
                [
                    *(_normed_conv(share, share, rectified=False) for _ in range(_SHARES - 1)),
                    NearestConv(share, share, num_nearest=_NEAREST_JOINTS),
                ]
            )
            for _ in graph
        )
        self.attention = None if pairs is None else LayerAttention(out_channels, pairs=pairs)
        self.residual = projection(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """The layers' mixtures combined, normalised, plus the input, rectified."""
        made = []
        for reduce, mix, topology in zip(self.reduce, self.mix, self.topology, strict=True):
            made.append(self._mix_layer(reduce(x), mix, topology))
        layers = torch.stack(made, dim=2)  # N D L T V
        combined = layers.sum(dim=2) if self.attention is None else self.attention(layers)
        return torch.relu(self.norm(combined) + self.residual(x))

    @staticmethod
    def _mix_layer(
        x: Float[Tensor, "N C T V"], mix: nn.Module, topology: Float[Tensor, "3 V V"]
    ) -> Float[Tensor, "N D T V"]:
        *by_graph, by_nearness = mix.children()
        parts = [
            conv(x @ matrix.transpose(0, 1))
            for conv, matrix in zip(by_graph, topology, strict=True)
        ]
        still = by_nearness(x.mean(dim=2)).unsqueeze(2)  # N D/4 1 V
        return torch.cat([*parts, still.expand(-1, -1, x.shape[2], -1)], dim=1)


def _normed_conv(in_channels: int, out_channels: int, *, rectified: bool = True) -> nn.Sequential:
    layers: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(in_channels, out_channels, kernel_size=1)),
        ("norm", nn.BatchNorm2d(out_channels)),
    ]
    if rectified:
        layers.append(("activation", nn.ReLU()))
    return nn.Sequential(OrderedDict(layers))


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    num_joints = theirs["l1.gcn1.PA"].shape[-1]
    in_channels = theirs["l1.gcn1.conv_down.0.0.weight"].shape[1]
    return {
        "num_classes": theirs["fc.weight"].shape[0],
        "num_joints": num_joints,
        "in_channels": in_channels,
        "max_bodies": theirs["data_bn.weight"].shape[0] // (num_joints * in_channels),
        "width": theirs["l1.gcn1.bn.weight"].shape[0],
    }


_UNIT_ORDER = ("PA", "conv_down", "conv", "conv_d", "aha", "down", "bn")


def _rank(key: str) -> tuple[int, ...]:
    """The second name of the last layer stands before the attention; biases before kernels."""
    block = re.match(r"l(\d+)\.", key)
    if block is None:
        return (99,) if key.startswith("fc.") else (0,)
    unit = re.match(r"l\d+\.gcn1\.(\w+)", key)
    if unit:
        return (int(block[1]), 0, _UNIT_ORDER.index(unit[1]))
    branch = re.match(r"l\d+\.tcn1\.branches\.(\d+)\.(\d+)\.(.*)", key)
    if branch:
        lone_bias = branch[2] == "3" and branch[3] == "bias"
        return (int(block[1]), 1, int(branch[1]), int(branch[2]), not lone_bias)
    return (int(block[1]), 2)


def _as_authors(key: str, tensor: Tensor) -> Tensor:
    """The bias of a dilated convolution is added for itself."""
    return tensor.view(1, -1, 1, 1) if key.endswith(".dilated.bias") else tensor


_AUTHORS = AuthorsFormat(
    names=(
        NUMBERED_BLOCKS,
        (r"\.spatial\.residual\.conv\.", ".gcn1.down.0."),
        (r"\.spatial\.residual\.norm\.", ".gcn1.down.1."),
        (r"\.spatial\.norm\.", ".gcn1.bn."),
        (r"\.spatial\.topology$", ".gcn1.PA"),
        (r"\.spatial\.reduce\.(\d+)\.conv\.", r".gcn1.conv_down.\1.0."),
        (r"\.spatial\.reduce\.(\d+)\.norm\.", r".gcn1.conv_down.\1.1."),
        (r"\.spatial\.mix\.(\d+)\.3\.conv\.", r".gcn1.conv.\1.3.conv.0."),
        (r"\.spatial\.mix\.(\d+)\.3\.norm\.", r".gcn1.conv.\1.3.conv.1."),
        (r"\.spatial\.mix\.(\d+)\.(\d+)\.conv\.", r".gcn1.conv.\1.\2.0."),
        (r"\.spatial\.mix\.(\d+)\.(\d+)\.norm\.", r".gcn1.conv.\1.\2.1."),
        (r"\.spatial\.attention\.reduce\.conv\.", ".gcn1.aha.conv_down.0."),
        (r"\.spatial\.attention\.reduce\.norm\.", ".gcn1.aha.conv_down.1."),
        (r"\.spatial\.attention\.compare\.conv\.", ".gcn1.aha.edge_conv.conv.0."),
        (r"\.spatial\.attention\.compare\.norm\.", ".gcn1.aha.edge_conv.conv.1."),
        (r"\.spatial\.attention\.expand\.", ".gcn1.aha.aggregate."),
        (r"\.temporal\.", ".tcn1."),
        (r"(branches\.\d+)\.dilated\.bias$", r"\1.3.bias"),
        *COMMON_NAMES,
    ),
    build_arguments=_build_arguments,
    as_authors=_as_authors,
    rank=_rank,
    second_names=((r"\.gcn1\.conv\.5\.", ".gcn1.conv_d."),),
)

_JOINT_AXES = JointAxes({BODY_NORM: "(M V C)", r"\.spatial\.topology$": "L K V V"})


def _block_maker(graph: Float[Tensor, "L 3 V V"], pairs: Float[Tensor, "L V"]) -> MakeBlock:
    """How the blocks are made, over the edges of a hierarchy of joints."""

    def make_block(in_channels: int, out_channels: int, stride: int, is_first: bool) -> Block:
        spatial = HierarchicalGraphUnit(
            in_channels, out_channels, graph=graph, pairs=None if is_first else pairs
        )
        temporal = MultiBranchTemporalConv(
            out_channels, out_channels, kernel_size=5, dilations=(1, 2), stride=stride
        )
        block = ResidualBlock(
            spatial=spatial,
            temporal=temporal,
            residual=None if is_first else projection(in_channels, out_channels, stride=stride),
        )
        init_convs_by_fan_out(block)
        init_norms_near_one(temporal)
        nn.init.constant_(spatial.norm.weight, _NORM_SCALE_BEFORE_RESIDUAL)
        return block

    return make_block


@register_model(HDGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def hdgcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    com: int | None,
) -> SkeletonModel:
    """HD-GCN for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2208.10741; layer sizes and initialisation of Jho-Yonsei/HD-GCN@672da2c, from a
    description of it.
    """
    check_multiple("hdgcn", "width", width, of=16)
    levels = skeleton_levels(layout, _centre_of_mass(layout, com))
    graph = torch.from_numpy(hierarchical_graph(levels)).float()
    pairs = torch.from_numpy(level_pairs(levels).any(axis=1)).float()

    backbone = TenBlocks(in_channels, width=width, make_block=_block_maker(graph, pairs))
    model = SkeletonModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
    )
    init_classifier(model.classifier)
    return model


def _centre_of_mass(layout: Layout, number: object) -> int:
    """The joint of this number, or the one that both hips hang on, or else the origin."""
    if number is not None:
        if type(number) is not int or not 1 <= number <= layout.num_joints:
            raise ModelError(
                f"hdgcn: com: expected a joint of {layout.name}, a whole number from 1 to"
                f" {layout.num_joints}, found {number!r}"
            )
        return number - 1
    hips = [layout.parents[joint] for joint, name in enumerate(layout.joints) if "hip" in name[-4:]]
    return hips[0] if len(hips) > 1 and len(set(hips)) == 1 else layout.origin
