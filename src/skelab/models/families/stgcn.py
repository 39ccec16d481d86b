"""ST-GCN: the first graph convolutions over joints, with a learned importance of each bone.

Two families: ``stgcn`` as PYSKL rebuilt it, ``stgcn_official`` as its authors wrote it. Both are
one network; they differ in the bones of the hands, in dropout, in how they start, and in the names
of their weights.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.authors import AuthorsFormat
from skelab.models.axes import BODY_NORM, GRAPH, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.card import ModelCard, ReportedAccuracy
from skelab.models.causal import Causal, Horizon, as_causal
from skelab.models.options import Dropout, Option
from skelab.models.plan import TenBlocks
from skelab.models.pyskl import (
    PYSKL_CODE,
    PYSKL_LICENCE,
    PYSKL_NAMES,
    PYSKL_TABLE,
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

    Entry ``[k, v, w]`` is the weight of joint v in the new joint w: 1 over the number of joints
    that w has around it, itself included.

    Args:
        layout: Gives bones and centre.
        near_sighted: Distances beyond one hop count as equal, so that nearly all neighbours are
            "as far". The authors' code computes them so; the paper means the true distances.

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
    """Mix the joints over a fixed topology whose every entry is scaled by a learned importance.

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
        """The mixture, normalised and rectified."""
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
        """ReLU of what the convolutions make of x, plus x itself."""
        mixed: Tensor = self.temporal(self.spatial(x))
        if self.residual is not None:
            mixed = mixed + self.residual(x)
        return torch.relu(mixed)

    def step(
        self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
    ) -> Float[Tensor, "N D 1 V"] | None:
        """The same for the newest frame of a causal network."""
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
    """The network that both families are, as PyTorch starts its layers."""
    if width < 1:
        raise ModelError(f"{name}: width: expected a whole number from 1, found {width!r}")
    if not 0.0 <= temporal_dropout < 1.0:
        raise ModelError(
            f"{name}: temporal_dropout: expected a number in [0, 1), found {temporal_dropout!r}"
        )
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
    """The classifier is a 1x1 convolution."""
    return tensor.view(*tensor.shape, 1, 1) if key == "classifier.weight" else tensor


def _official_rank(key: str) -> tuple[int, ...]:
    """All importances stand together, and a graph convolution before its norm."""
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

_PAPER = (
    "Yan, Xiong, Lin: Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action"
    " Recognition. AAAI 2018"
)
_ARXIV = "1801.07455"
_UNVERIFIED = "the paper, quoted from memory; not checked"
_PARAMETERS = 3_098_832


TemporalDropout = Annotated[
    float, Option("probability of dropping a number after each temporal convolution but the first")
]
Width = Annotated[int, Option("channels of the first four blocks")]
NearSighted = Annotated[
    bool,
    Option(
        "tell a joint's neighbours apart by distances to the centre that count to one hop only, as"
        " the authors' code does; imported weights have it"
    ),
]

_CARD = ModelCard(
    name="stgcn",
    title="ST-GCN (PYSKL)",
    paper=f"{_PAPER}; the form of Duan, Wang, Chen, Lin: PYSKL. ACM MM 2022 (arXiv:2205.09443)",
    arxiv=_ARXIV,
    code=PYSKL_CODE,
    code_licence=PYSKL_LICENCE,
    num_parameters=_PARAMETERS,
    pipeline="msg3d",
    pipeline_is_nearest=True,
    reported=(
        ReportedAccuracy("NTU60", "xsub", "joint", 87.8, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xsub", "four streams", 90.7, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xview", "joint", 95.5, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xview", "four streams", 96.5, PYSKL_TABLE),
        ReportedAccuracy("NTU120", "xsub", "joint", 82.1, PYSKL_TABLE),
        ReportedAccuracy("NTU120", "xset", "joint", 84.5, PYSKL_TABLE),
    ),
)

_OFFICIAL_CARD = ModelCard(
    name="stgcn_official",
    title="ST-GCN (its authors)",
    paper=_PAPER,
    arxiv=_ARXIV,
    code="yysijie/st-gcn@221c0e152054b8da593774c0d483e59befdb9061",
    code_licence="BSD-2-Clause",
    num_parameters=_PARAMETERS,
    pipeline="msg3d",
    pipeline_is_nearest=True,
    reported=(
        ReportedAccuracy("NTU60", "xsub", "joint", 81.5, _UNVERIFIED),
        ReportedAccuracy("NTU60", "xview", "joint", 88.3, _UNVERIFIED),
    ),
)


@register_model(_CARD, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def stgcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: Dropout = 0.0,
    temporal_dropout: TemporalDropout = 0.0,
    width: Width = 64,
    near_sighted_partition: NearSighted = False,
    causal: Causal = False,
    horizon: Horizon = 64,
) -> SkeletonModel:
    """ST-GCN as PYSKL has it, for clips N C T V M of any length.

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


@register_model(_OFFICIAL_CARD, authors=_OFFICIAL, joint_axes=_JOINT_AXES)
def stgcn_official(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: Dropout = 0.0,
    temporal_dropout: TemporalDropout = 0.5,
    width: Width = 64,
    near_sighted_partition: NearSighted = False,
    causal: Causal = False,
    horizon: Horizon = 64,
) -> SkeletonModel:
    """ST-GCN as its authors have it, for clips N C T V M of any length.

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
