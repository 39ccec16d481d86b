"""BlockGCN: graph convolutions in blocks of channels, told by the topology of the whole clip."""

import re
from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from skelab.models.authors import COMMON_NAMES, NUMBERED_BLOCKS, AuthorsFormat, embedded_arguments
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.blockgcn import BLOCKGCN
from skelab.models.inputs import ModelInput, as_input
from skelab.models.options import check_multiple
from skelab.models.plan import MakeBlock, PlannedBlocks
from skelab.models.pyskl import with_pyskl_hands
from skelab.models.registry import register_model
from skelab.models.tokens import Tokens
from skelab.nn import (
    BarcodeEncoding,
    EmbeddedBodyNorm,
    MultiBranchTemporalConv,
    ResidualBlock,
    init_classifier,
    init_convs_by_fan_out,
    init_norms_near_one,
    projection,
    spanning_tree_lengths,
)
from skelab.skeleton import Layout, adjacency, hop_distance

_PLAN = (*((1, 1),) * 4, (2, 2), (2, 1), (2, 1), (2, 2), (2, 1), (2, 1))
_NUM_HEADS, _NUM_SUBSETS = 8, 3
_NUM_PLACES = 64
_TINY = 1e-4

ABSOLUTE = "absolute"
"""The view of an input whose clips are relative already, or bones: the joints as they are."""


class BlockGraphUnit(nn.Module):
    """Mix the joints by topologies of each block of channels: learned ones, and one of distances.

    Each of H blocks of channels has three topologies, every one the sum of two parts: a matrix
    learned freely, and a number learned for each distance in bones. Columns of both are divided by
    their lengths. What they make is transformed block by block and summed.

    Source: Zhou et al., BlockGCN, CVPR 2024.
    """

    distance: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, *, distance: Int64[Tensor, "V V"]
    ) -> None:
        super().__init__()
        num_joints = len(distance)
        start = torch.eye(num_joints).repeat(_NUM_SUBSETS, _NUM_HEADS, 1, 1)
        self.topology = nn.Parameter(start)
        self.by_distance = nn.Parameter(
            torch.zeros(_NUM_SUBSETS, _NUM_HEADS, int(distance.max()) + 1)
        )
        self.transform = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, kernel_size=1, groups=_NUM_HEADS)
            for _ in range(_NUM_SUBSETS)
        )
        self.residual = projection(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.register_buffer("distance", distance, persistent=False)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """The transformed mixtures, summed, normalised, plus the input, rectified."""
        blocks = x.reshape(x.shape[0], _NUM_HEADS, -1, *x.shape[2:])  # N H C/H T V
        topology = _unit_columns(self.topology) + _unit_columns(
            self.by_distance[..., self.distance]
        )
        mixed = reduce(
            torch.add,
            (
                transform((blocks @ matrices.unsqueeze(1)).flatten(1, 2))
                for transform, matrices in zip(self.transform, topology, strict=True)
            ),
        )
        return torch.relu(self.norm(mixed) + self.residual(x))


def _unit_columns(matrices: Float[Tensor, "K H V V"]) -> Float[Tensor, "K H V V"]:
    scaled: Tensor = matrices / (matrices.norm(dim=2, keepdim=True) + _TINY)
    return scaled


class GuidedBlock(ResidualBlock):
    """A block whose input gets one number a channel, the same for all frames and joints.

    Source: Zhou et al., BlockGCN, CVPR 2024.
    """

    def __init__(
        self, *, spatial: nn.Module, temporal: nn.Module, residual: nn.Module, channels: int
    ) -> None:
        super().__init__(spatial=spatial, temporal=temporal, residual=residual)
        self.guide = nn.Linear(_NUM_PLACES, channels)
        self.guide_norm = nn.BatchNorm1d(channels)

    def forward(  # type: ignore[override]  # told more than other blocks are
        self, x: Float[Tensor, "N C T V"], shape: Float[Tensor, "N D"]
    ) -> Float[Tensor, "N E L V"]:
        """The block, told what the whole clip looks like."""
        told = torch.relu(self.guide_norm(self.guide(shape)))
        return super().forward(x + told[:, :, None, None])


class BlockGCNBackbone(PlannedBlocks):
    """Ten blocks, each told what the whole clip looks like.

    Source: Zhou et al., BlockGCN, CVPR 2024.
    """

    def forward(  # type: ignore[override]  # told more than other backbones are
        self, x: Float[Tensor, "B C T V"], shape: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B F L V"]:
        """Features of each body."""
        for block in self:
            x = block(x, shape)
        return x


class BlockGCNModel(SkeletonModel):
    """A classifier that sees the joints relative to the centre, and the shape of the clip.

    The shape is told by the distances between the joints' mean places, over frames and bodies, and
    these distances by a minimum spanning tree.

    Args:
        centre: The joint that the others are taken relative to; it stays where it is.
        batch_topology: As the authors' code does, divide the distances by the largest of the
            whole batch, and give row r of the bodies the shape of clip r modulo N, which is
            another clip's for most.
        **arguments: Those of ``SkeletonModel``.
    """

    def __init__(self, *, centre: int, batch_topology: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.centre, self.batch_topology = centre, batch_topology
        self.barcode = BarcodeEncoding(_NUM_PLACES)

    def forward_features(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> Tokens:
        """Features of every clip, body, frame and joint.

        If there is a view ``absolute``, the joints as they are, the clips are taken as they stand.

        Raises:
            ModelError: The clips have other channels, joints or bodies than the model.
        """
        given = as_input(x)
        absolute = given.views.get(ABSOLUTE)
        relative = self._relative(given.joints) if absolute is None else given.joints
        bodies = self.input_norm(relative)
        shape = self.shape_of(given.joints if absolute is None else absolute)
        num_bodies = given.joints.shape[4]
        rows = (
            shape.repeat(num_bodies, 1)
            if self.batch_topology
            else shape.repeat_interleave(num_bodies, dim=0)
        )
        return Tokens(self.backbone(bodies, rows), given, self.stride)

    def shape_of(self, joints: Float[Tensor, "N C T V M"]) -> Float[Tensor, "N D"]:
        """What the skeleton of each clip looks like, in 64 numbers."""
        places = joints.detach().mean(dim=(2, 4)).transpose(1, 2)  # N V C
        distance = _distances(places)
        shortest = distance.amin(dim=(1, 2), keepdim=True)
        longest = distance.amax(dim=(1, 2), keepdim=True)
        if self.batch_topology:
            shortest, longest = shortest.amin(), longest.amax()
        smallest = torch.finfo(distance.dtype).tiny
        scaled = (distance - shortest) / (longest - shortest).clamp(min=smallest)
        lengths = spanning_tree_lengths(_distances(scaled))  # its rows are points, too
        encoded: Tensor = self.barcode(lengths.float().to(scaled.dtype))
        return encoded

    def _relative(self, joints: Float[Tensor, "N C T V M"]) -> Float[Tensor, "N C T V M"]:
        others = torch.ones(joints.shape[3], dtype=joints.dtype, device=joints.device)
        others[self.centre] = 0
        centre = joints[:, :, :, self.centre : self.centre + 1]
        return joints - centre * others.unsqueeze(1)


def _distances(points: Float[Tensor, "N V C"]) -> Float[Tensor, "N V V"]:
    return (points.unsqueeze(2) - points.unsqueeze(1)).square().sum(dim=3).sqrt()


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    return {**embedded_arguments(theirs), "batch_topology": True}


def _guide_name(match: re.Match[str]) -> str:
    return f"t{int(match[1]) - 1}.{'bn' if match[2] else 'mlp'}."


def _rank(key: str) -> tuple[int, ...]:
    """The blocks, then what guides them, then the topology, then the classifier."""
    guide = re.match(r"t(\d+)\.", key)
    if guide:
        return (1, int(guide[1]))
    return (2 + key.startswith("fc."),) if key.startswith(("topo.", "fc.")) else (0,)


_AUTHORS = AuthorsFormat(
    names=(
        NUMBERED_BLOCKS,
        (r"^l(\d+)\.guide(_norm)?\.", _guide_name),
        (r"^barcode\.places$", "topo.pl.centres"),
        (r"^barcode\.sharpness$", "topo.pl.sharpness"),
        (r"\.spatial\.residual\.conv\.", ".gcn1.down.0."),
        (r"\.spatial\.residual\.norm\.", ".gcn1.down.1."),
        (r"\.spatial\.norm\.", ".gcn1.bn."),
        (r"\.spatial\.topology$", ".gcn1.fc1"),
        (r"\.spatial\.by_distance$", ".gcn1.rpe"),
        (r"\.spatial\.transform\.", ".gcn1.fc2."),
        (r"\.temporal\.", ".tcn1."),
        *COMMON_NAMES,
    ),
    build_arguments=_build_arguments,
    rank=_rank,
)


def _sizes(layout: Layout, options: Mapping[str, Any]) -> Mapping[str, int]:
    return {"D": int(_bone_distance(layout).max()) + 1}


_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(M V W)",
        r"^input_norm\.position$": "1 V W",
        r"\.spatial\.topology$": "K H V V",
        r"\.spatial\.by_distance$": "K H D",
    },
    sizes=_sizes,
)


def _block_maker(distance: Int64[Tensor, "V V"]) -> MakeBlock:
    """How the blocks are made, over joints with these distances."""

    def make_block(in_channels: int, out_channels: int, stride: int, is_first: bool) -> GuidedBlock:
        temporal = MultiBranchTemporalConv(
            out_channels, out_channels, kernel_size=5, dilations=(1, 2), stride=stride
        )
        block = GuidedBlock(
            spatial=BlockGraphUnit(in_channels, out_channels, distance=distance),
            temporal=temporal,
            residual=projection(in_channels, out_channels, stride=stride),
            channels=in_channels,
        )
        init_convs_by_fan_out(block)
        init_norms_near_one(temporal)
        return block

    return make_block


@register_model(BLOCKGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def blockgcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    batch_topology: bool,
) -> SkeletonModel:
    """BlockGCN for clips N C T V M of any length, joints as they are.

    Raises:
        ModelError: An option is out of range.

    Source: Zhou et al., CVPR 2024; layer sizes, hands and initialisation of
    ZhouYuxuanYX/BlockGCN@7b45971, from a description of it.
    """
    check_multiple("blockgcn", "width", width, of=8)
    distance = _bone_distance(layout)

    backbone = BlockGCNBackbone(width, width=width, plan=_PLAN, make_block=_block_maker(distance))
    model = BlockGCNModel(
        centre=layout.centre,
        batch_topology=batch_topology,
        backbone=backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        input_norm=EmbeddedBodyNorm(in_channels, layout.num_joints, max_bodies, channels=width),
    )
    init_classifier(model.classifier)
    return model


def _bone_distance(layout: Layout) -> Int64[Tensor, "V V"]:
    """How many bones lie between each two joints."""
    return torch.from_numpy(hop_distance(adjacency(with_pyskl_hands(layout)))).long()
