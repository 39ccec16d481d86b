"""ST-GCN: graph convolutions over joints with a learned importance of each edge.

Two families: ``stgcn`` as in PYSKL, and ``stgcn_official`` as in its authors' code. The network is
the same; they differ in the bones of the hands, dropout, initialisation and weight names.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from skelab.models.authors import AuthorsFormat
from skelab.models.axes import BODY_NORM, GRAPH, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.stgcn import STGCN, STGCN_OFFICIAL
from skelab.models.causal import as_causal
from skelab.models.options import check_probability, check_whole
from skelab.models.plan import TenBlocks
from skelab.models.pyskl import (
    PYSKL_NAMES,
    init_pyskl_classifier,
    pyskl_arguments,
    with_pyskl_hands,
)
from skelab.models.registry import register_model
from skelab.nn import (
    Block,
    FrameMemory,
    PartitionedGraphConv,
    PlainTemporalConv,
    init_norms_near_one,
    projection,
    step_with_residual,
)
from skelab.skeleton import Layout, adjacency, hop_distance

_OFFICIAL_STD = 0.02


def distance_partition(layout: Layout, *, near_sighted: bool) -> Float[ndarray, "3 V V"]:
    """Neighbours in three subsets: a joint itself, those as far from the centre or farther, nearer.

    Entry ``[k, v, w]`` is the weight of joint v in the output of joint w: 1 over the number of
    neighbours of w, including itself.

    Args:
        layout: The bones and the centre.
        near_sighted: Treat distances beyond one hop as equal, so that nearly all neighbours are
            equally far. The authors' code does so; the paper means the true distances.

    Source: spatial configuration partitioning of arXiv:1801.07455; yysijie/st-gcn@221c0e1 and
    kennymckormick/pyskl@3f6795f for the near-sighted one.
    """
    linked, itself = adjacency(layout), np.eye(layout.num_joints)
    shares = (linked + itself) / (linked + itself).sum(axis=0)
    distance = hop_distance(linked)[layout.centre]
    if near_sighted:
        distance = np.minimum(distance, 2)
    is_nearer = distance[:, None] < distance[None, :]
    others = shares * (1 - itself)
    return np.stack([shares * itself, others * ~is_nearer, others * is_nearer])


class EdgeImportanceUnit(nn.Module):
    """Graph convolution over a fixed topology with a learned importance of each edge.

    Source: arXiv:1801.07455.
    """

    topology: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, *, topology: Float[Tensor, "K V V"]
    ) -> None:
        super().__init__()
        self.importance = nn.Parameter(torch.ones_like(topology))
        self.register_buffer("topology", topology.clone())
        self.norm = nn.BatchNorm2d(out_channels)
        self.mix = PartitionedGraphConv(in_channels, out_channels, num_subsets=len(topology))

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """Mix the joints, normalise, and apply ReLU."""
        return torch.relu(self.norm(self.mix(x, self.topology * self.importance)))


class STGCNBlock(Block):
    """Mix the joints, then the frames, and add the block's input.

    Source: arXiv:1801.07455.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        topology: Float[Tensor, "K V V"],
        stride: int = 1,
        has_residual: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.spatial = EdgeImportanceUnit(in_channels, out_channels, topology=topology)
        self.temporal = PlainTemporalConv(
            out_channels, out_channels, stride=stride, dropout=dropout
        )
        self.residual = (
            projection(in_channels, out_channels, stride=stride) if has_residual else None
        )

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Apply both convolutions, add the residual, and apply ReLU."""
        mixed: Tensor = self.temporal(self.spatial(x))
        if self.residual is not None:
            mixed = mixed + self.residual(x)
        return torch.relu(mixed)

    def step(
        self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
    ) -> Float[Tensor, "N D 1 V"] | None:
        """Output for the newest frame, in a causal network."""
        mixed = step_with_residual((self.spatial, self.temporal), self.residual, x, memory)
        return None if mixed is None else torch.relu(mixed)


def _build(
    name: str,
    layout: Layout,
    *,
    num_classes: int,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    temporal_dropout: float,
    width: int,
    near_sighted_partition: bool,
) -> SkeletonModel:
    """The network of both families, with PyTorch's initial weights."""
    _check_options(name, width, temporal_dropout)
    partition = distance_partition(layout, near_sighted=near_sighted_partition)
    topology = torch.from_numpy(partition).float()

    def make_block(in_channels: int, out_channels: int, stride: int, is_first: bool) -> STGCNBlock:
        return STGCNBlock(
            in_channels,
            out_channels,
            topology=topology,
            stride=stride,
            has_residual=not is_first,
            dropout=0.0 if is_first else temporal_dropout,
        )

    backbone = TenBlocks(in_channels, width=width, make_block=make_block)
    return SkeletonModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        norm_per_body=False,
    )


def _check_options(name: str, width: int, temporal_dropout: float) -> None:
    check_whole(name, "width", width)
    check_probability(name, "temporal_dropout", temporal_dropout)


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    arguments = pyskl_arguments(theirs, "backbone.gcn.0.gcn.conv.weight")
    return {**arguments, "near_sighted_partition": True}


_AUTHORS = AuthorsFormat(
    names=(
        (r"\.spatial\.importance$", ".gcn.PA"),
        (r"\.spatial\.topology$", ".gcn.A"),
        *PYSKL_NAMES,
    ),
    build_arguments=_build_arguments,
)


def _official_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "num_classes": theirs["fcn.weight"].shape[0],
        "num_joints": theirs["A"].shape[-1],
        "in_channels": theirs["st_gcn_networks.0.gcn.conv.weight"].shape[1],
        "width": theirs["st_gcn_networks.0.tcn.0.weight"].shape[0],
        "near_sighted_partition": True,
    }


def _as_official(key: str, tensor: Tensor) -> Tensor:
    """The authors' classifier is a 1x1 convolution."""
    return tensor.view(*tensor.shape, 1, 1) if key == "classifier.weight" else tensor


def _official_rank(key: str) -> tuple[int, ...]:
    """Sort key: importances come together, and a graph convolution before its norm."""
    first = key.split(".")[0]
    place = ("A", "data_bn", "st_gcn_networks", "edge_importance", "fcn").index(first)
    block = re.match(r"st_gcn_networks\.(\d+)\.(\w+)", key)
    return (place, int(block[1]), block[2] != "gcn") if block else (place,)


_OFFICIAL = AuthorsFormat(
    names=(
        (r"^input_norm\.norm\.", "data_bn."),
        (r"^classifier\.", "fcn."),
        (r"^backbone\.(\d+)\.spatial\.importance$", r"edge_importance.\1"),
        (r"^backbone\.\d+\.spatial\.topology$", "A"),
        (r"^backbone\.(\d+)\.", r"st_gcn_networks.\1."),
        (r"\.spatial\.mix\.", ".gcn."),
        (r"\.spatial\.norm\.", ".tcn.0."),
        (r"\.temporal\.conv\.", ".tcn.2."),
        (r"\.temporal\.norm\.", ".tcn.3."),
        (r"\.residual\.conv\.", ".residual.0."),
        (r"\.residual\.norm\.", ".residual.1."),
    ),
    build_arguments=_official_arguments,
    as_authors=_as_official,
    rank=_official_rank,
)

_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(V C)",
        r"\.spatial\.importance$": "K V V",
        r"\.spatial\.topology$": GRAPH,
    }
)


@register_model(STGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def stgcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    temporal_dropout: float,
    width: int,
    near_sighted_partition: bool,
    causal: bool,
    horizon: int,
) -> SkeletonModel:
    """ST-GCN in the version of PYSKL, for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:1801.07455; layer sizes, hands and initialisation of kennymckormick/pyskl@3f6795f,
    from a description of it.
    """
    model = _build(
        "stgcn",
        with_pyskl_hands(layout),
        num_classes=num_classes,
        in_channels=in_channels,
        max_bodies=max_bodies,
        dropout=dropout,
        temporal_dropout=temporal_dropout,
        width=width,
        near_sighted_partition=near_sighted_partition,
    )
    init_pyskl_classifier(model.classifier)
    return as_causal(model, horizon) if causal else model


@register_model(STGCN_OFFICIAL, authors=_OFFICIAL, joint_axes=_JOINT_AXES)
def stgcn_official(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    temporal_dropout: float,
    width: int,
    near_sighted_partition: bool,
    causal: bool,
    horizon: int,
) -> SkeletonModel:
    """ST-GCN in the version of its authors, for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:1801.07455; layer sizes, dropout and initialisation of yysijie/st-gcn@221c0e1,
    from a description of it.
    """
    model = _build(
        "stgcn_official",
        layout,
        num_classes=num_classes,
        in_channels=in_channels,
        max_bodies=max_bodies,
        dropout=dropout,
        temporal_dropout=temporal_dropout,
        width=width,
        near_sighted_partition=near_sighted_partition,
    )
    init_norms_near_one(model)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=_OFFICIAL_STD)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # every layer here has one
    return as_causal(model, horizon) if causal else model
