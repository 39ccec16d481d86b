"""Hyper-GCN: every clip ties its joints, and a few virtual ones, by hyperedges of its own."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from skelab.models.authors import COMMON_NAMES, NUMBERED_BLOCKS, AuthorsFormat, embedded_arguments
from skelab.models.axes import BODY_NORM, GRAPH, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.hypergcn import HYPERGCN
from skelab.models.options import check_multiple, check_whole
from skelab.models.plan import MakeBlock, PlannedBlocks
from skelab.models.pyskl import with_pyskl_hands
from skelab.models.registry import register_model
from skelab.models.tokens import Tokens
from skelab.nn import (
    Block,
    EmbeddedBodyNorm,
    MultiBranchTemporalConv,
    ResidualBlock,
    init_classifier,
    init_convs_by_fan_out,
    init_norms_near_one,
    projection,
)
from skelab.skeleton import Layout, adjacency

_PLAN = ((1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (2, 2), (2, 1), (2, 1))
_SKIPS_AFTER = (1, 4, 7)  # these blocks' inputs are added to their outputs once more
_NUM_HEADS = 8
_NUM_MEMBERS = 9  # of the hyperedge around a joint
_NORM_SCALE_BEFORE_RESIDUAL = 1e-6  # a new block adds next to nothing to its residual
_TINY = 1e-8


def virtual_topology(layout: Layout, num_virtual: int) -> Float[ndarray, "U U"]:
    """The bones both ways, each joint with itself, and each virtual joint with every real one.

    Virtual joints stand after the real ones: U = V + ``num_virtual``.

    Source: arXiv:2411.14796.
    """
    size = layout.num_joints + num_virtual
    linked = np.eye(size)
    linked[: layout.num_joints, : layout.num_joints] += adjacency(layout)
    linked[layout.num_joints :, : layout.num_joints] = 1.0
    linked[: layout.num_joints, layout.num_joints :] = 1.0
    return linked


class HyperGraphUnit(nn.Module):
    """Mix real and virtual joints over a scaled graph plus hyperedges that the clip decides.

    The hyperedge around a joint holds the joints whose features lie nearest; a joint counts in it
    by a softmax of the distances. Each hyperedge has a weight that the clip decides, too. H heads
    mix their own share of the channels.

    Attributes:
        hyper_joint: Features of the virtual joints, the same in every frame.

    Source: arXiv:2411.14796; the norms of rows of 6UOOON9/Hyper-GCN@cefe70b.
    """

    topology: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        topology: Float[Tensor, "U U"],
        num_joints: int,
    ) -> None:
        super().__init__()
        self.num_joints = num_joints
        num_virtual = len(topology) - num_joints
        hidden = _NUM_HEADS * (in_channels // (4 * _NUM_HEADS))
        self.hyper_joint = nn.Parameter(torch.randn(1, in_channels).repeat(num_virtual, 1))
        self.strength = nn.Parameter(torch.ones(1))
        self.register_buffer("topology", topology.repeat(_NUM_HEADS, 1, 1))
        self.importance = nn.Parameter(torch.ones(_NUM_HEADS, *topology.shape))
        self.place = nn.Conv1d(in_channels, hidden, kernel_size=1, groups=_NUM_HEADS)
        self.weigh = nn.Sequential(
            nn.Conv1d(in_channels, hidden, kernel_size=1, groups=_NUM_HEADS),
            nn.LeakyReLU(0.01),
            nn.Conv1d(hidden, _NUM_HEADS, kernel_size=1),
        )
        self.value = nn.Conv2d(in_channels, out_channels, kernel_size=1, groups=_NUM_HEADS)
        self.residual = projection(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self._initialise()

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """The mixture for the real joints, normalised, plus the input, rectified."""
        n, c, t, _ = x.shape
        virtual = self.hyper_joint.T.unsqueeze(1).expand(n, c, t, -1)
        everything = torch.cat([x, virtual], dim=3)  # N C T U
        topology = self.importance * self.topology
        topology = topology / (topology.abs().sum(dim=2, keepdim=True) + _TINY)
        edges = self.hyperedges(everything.mean(dim=2))
        mixing = topology + torch.relu(self.strength) * edges  # N H U U
        parts = self.value(everything).unflatten(1, (_NUM_HEADS, -1))  # N H D/H T U
        received = mixing[:, :, : self.num_joints].transpose(2, 3).unsqueeze(2)  # N H 1 U V
        mixed = (parts @ received).flatten(1, 2)
        return torch.relu(self.norm(mixed) + self.residual(x))

    def hyperedges(self, x: Float[Tensor, "N C U"]) -> Float[Tensor, "N H U U"]:
        """By how much joints give to each other through the hyperedges that they share."""
        places = self.place(x).unflatten(1, (_NUM_HEADS, -1)).transpose(2, 3)  # N H U d
        distance = _distances(places)
        members = min(_NUM_MEMBERS, x.shape[2])
        nearest, indices = distance.topk(members, dim=3, largest=False)
        incidence = torch.zeros_like(distance).scatter(3, indices, (-nearest).softmax(dim=3))
        weight = self.weigh(x).tanh().unsqueeze(2)  # N H 1 U, of each hyperedge
        given = incidence * weight
        given = given / (given.abs().sum(dim=3, keepdim=True) + _TINY)
        share = weight / (incidence.abs().sum(dim=2, keepdim=True) + _TINY)
        edges: Tensor = (given * share) @ incidence.transpose(2, 3)
        return edges

    def likeness(self) -> Float[Tensor, ""]:
        """The mean cosine between two virtual joints, negative ones counted as 0."""
        rows = F.normalize(self.hyper_joint, dim=1)
        count = len(rows)
        cosines = torch.relu(rows @ rows.T)
        return (cosines.sum() - count) / max(count * (count - 1), 1)

    def _initialise(self) -> None:
        init_convs_by_fan_out(self)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # every layer here has one
        nn.init.constant_(self.norm.weight, _NORM_SCALE_BEFORE_RESIDUAL)


def _distances(points: Float[Tensor, "N H U d"]) -> Float[Tensor, "N H U U"]:
    """Euclidean distances; the gradient of a distance of 0 is 0.

    The quicker way over a matrix product, which the authors' code takes, rounds the distance of a
    joint to itself to 1e-3.
    """
    squares = (points.unsqueeze(3) - points.unsqueeze(2)).square().sum(dim=4)
    apart = squares > 0
    return torch.where(apart, squares, torch.ones_like(squares)).sqrt() * apart


class HyperGCNBackbone(PlannedBlocks):
    """Nine blocks, after each three of which a block's input is added once more.

    Source: arXiv:2411.14796.
    """

    def forward(self, x: Float[Tensor, "B C T V"]) -> Float[Tensor, "B F L V"]:
        """Features of each body."""
        for index, block in enumerate(self):
            made = block(x)
            x = made + x if index in _SKIPS_AFTER else made
        return x


class HyperGCNModel(SkeletonModel):
    """A classifier whose loss also asks that the virtual joints of a block differ.

    The loss term is called ``divergence``.
    """

    def auxiliary_losses(self, tokens: Tokens) -> Mapping[str, Tensor]:
        """How alike the virtual joints are, as the mean of all blocks."""
        units = [unit for unit in self.backbone.modules() if isinstance(unit, HyperGraphUnit)]
        return {"divergence": reduce(torch.add, (unit.likeness() for unit in units)) / len(units)}


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    num_virtual = theirs["l1.gcn1.hyper_joint"].shape[0]
    return {**embedded_arguments(theirs), "num_virtual": num_virtual}


def _rank(key: str) -> tuple[int, ...]:
    """The fixed graph stands among the parameters of its unit."""
    block, _, rest = key.partition(".gcn1.")
    first = ("hyper_joint", "alpha", "PA", "edge_importance")
    if not rest:
        place = int(block[1:].split(".")[0]) if block[1:2].isdigit() else 0
        return (100, 0) if key.startswith("fc.") else (place, len(first) + 1)
    return (int(block[1:]), first.index(rest) if rest in first else len(first))


_AUTHORS = AuthorsFormat(
    names=(
        NUMBERED_BLOCKS,
        (r"\.spatial\.residual\.conv\.", ".gcn1.down.0."),
        (r"\.spatial\.residual\.norm\.", ".gcn1.down.1."),
        (r"\.spatial\.norm\.", ".gcn1.bn."),
        (r"\.spatial\.topology$", ".gcn1.PA"),
        (r"\.spatial\.importance$", ".gcn1.edge_importance"),
        (r"\.spatial\.strength$", ".gcn1.alpha"),
        (r"\.spatial\.place\.", ".gcn1.to_V."),
        (r"\.spatial\.weigh\.", ".gcn1.to_W."),
        (r"\.spatial\.value\.", ".gcn1.conv_d."),
        (r"\.spatial\.", ".gcn1."),
        (r"\.temporal\.", ".tcn1."),
        *COMMON_NAMES,
    ),
    build_arguments=_build_arguments,
    rank=_rank,
)

_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(M V W)",
        r"^input_norm\.position$": "1 V W",
        r"\.spatial\.topology$": GRAPH,
        r"\.spatial\.importance$": "K U U",
    },
    sizes=lambda layout, options: {"U": layout.num_joints + options["num_virtual"]},
)


def _block_maker(topology: Float[Tensor, "U U"], num_joints: int) -> MakeBlock:
    """How the blocks are made, over joints and virtual ones."""

    def make_block(in_channels: int, out_channels: int, stride: int, is_first: bool) -> Block:
        temporal = MultiBranchTemporalConv(
            out_channels,
            out_channels,
            kernel_size=5,
            dilations=(1, 2),
            stride=stride,
            repeats_ends=True,
        )
        block = ResidualBlock(
            spatial=HyperGraphUnit(
                in_channels, out_channels, topology=topology, num_joints=num_joints
            ),
            temporal=temporal,
            residual=projection(in_channels, out_channels, stride=stride),
        )
        init_convs_by_fan_out(block)
        init_norms_near_one(temporal)
        return block

    return make_block


@register_model(HYPERGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def hypergcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    num_virtual: int,
) -> SkeletonModel:
    """Hyper-GCN for clips N C T V M of any length.

    Which joints a hyperedge has hangs on distances: where two are nearly equal, rounding decides,
    and logits differ more from one machine to another than those of other families.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2411.14796; layer sizes, hands, losses and initialisation of
    6UOOON9/Hyper-GCN@cefe70b, from a description of it.
    """
    check_multiple("hypergcn", "width", width, of=32)
    check_whole("hypergcn", "num_virtual", num_virtual)
    graph = virtual_topology(with_pyskl_hands(layout), num_virtual)
    topology = torch.from_numpy(graph).float()

    backbone = HyperGCNBackbone(
        width, width=width, plan=_PLAN, make_block=_block_maker(topology, layout.num_joints)
    )
    model = HyperGCNModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        input_norm=EmbeddedBodyNorm(
            in_channels, layout.num_joints, max_bodies, channels=width, saturate=True
        ),
    )
    init_classifier(model.classifier)
    return model
