"""LSTC-MDA: SkateFormer whose frames are halved by what is near and what is half a clip away."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.authors import AuthorsFormat
from skelab.models.axes import ORDER, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.card import ModelCard, ReportedAccuracy
from skelab.models.options import Dropout, Option
from skelab.models.registry import register_model
from skelab.models.reported import reported_on_ntu
from skelab.models.skate import (
    FRAMES_MULTIPLE,
    NUM_STAGES,
    SKATE_AXES,
    SKATE_NAMES,
    AttentionDropout,
    BiasByJoint,
    DropPathRate,
    PartEmbedding,
    ScaleByHeads,
    SkateModel,
    check_options,
    skate_arguments,
    skate_rank,
    skate_stages,
)
from skelab.models.traits import FamilyTraits
from skelab.skeleton import Layout

_NEAR = 3  # frames at either end of the long convolution that count


class LongShortReduction(nn.Module):
    """Halve the frames by a short convolution, and add a long one weighted by how it fits.

    The long convolution spans half of the clip and three frames; only the first and the last three
    of them count. Its weight in a frame and joint is a softmax over time of how alike it is to the
    short one and to a learned pattern, in cosines.

    Args:
        in_channels: C.
        out_channels: D.
        frames: Frames that come out.
        num_slots: V.

    Attributes:
        bias: Of the long convolution; the authors' code never trains it.
        zeros: What the authors' code puts between both ends of the long kernel. Nothing uses it.

    Source: arXiv:2509.14619 (LSTC).
    """

    zeros: Tensor

    def __init__(self, in_channels: int, out_channels: int, *, frames: int, num_slots: int) -> None:
        super().__init__()
        self.frames = frames
        self.pattern = nn.Parameter(torch.randn(1, out_channels, frames, num_slots))
        self.register_buffer("zeros", torch.zeros(out_channels, in_channels, frames - _NEAR, 1))
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size=(7, 1), stride=(2, 1), padding=(3, 0)
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.long = nn.Conv2d(in_channels, out_channels, kernel_size=(2 * _NEAR, 1))
        self.short_view = nn.Conv2d(out_channels, out_channels, kernel_size=1)
        self.long_view = nn.Conv2d(out_channels, out_channels, kernel_size=1)
        if self.long.bias is not None:
            self.long.bias.requires_grad_(False)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Half as many frames, normalised."""
        short, long = self.conv(x), self._long(x)
        view = self.long_view(long)
        fit = F.cosine_similarity(self.short_view(short), view, dim=1)
        fit = fit + F.cosine_similarity(self.pattern, view, dim=1)  # N L V
        normed: Tensor = self.norm(short + fit.softmax(dim=1).unsqueeze(1) * long)
        return normed

    def _long(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Both ends of the kernel as two short convolutions, half a clip apart."""
        padded = F.pad(x, (0, 0, 1, 1))
        early = padded[:, :, : self.frames + _NEAR - 1]
        late = padded[:, :, self.frames :]
        weight, bias = self.long.weight, self.long.bias
        return F.conv2d(early, weight[:, :, :_NEAR], bias) + F.conv2d(late, weight[:, :, _NEAR:])


def _traits(options: Mapping[str, Any]) -> FamilyTraits:
    frames = options["frames"]
    return FamilyTraits(bodies_mix=True, min_frames=frames, max_frames=frames)


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    frames = 2 * theirs["stages.1.blocks.0.downsample.mu"].shape[2]
    return {**skate_arguments(theirs), "frames": frames}


_AUTHORS = AuthorsFormat(
    names=(
        (r"\.reduction\.pattern$", ".reduction.mu"),
        (r"\.reduction\.long\.", ".reduction.conv2."),
        (r"\.reduction\.short_view\.", ".reduction.linear_s."),
        (r"\.reduction\.long_view\.", ".reduction.linear_l."),
        *SKATE_NAMES,
    ),
    build_arguments=_build_arguments,
    rank=skate_rank,
)

_JOINT_AXES = JointAxes({**SKATE_AXES, r"\.reduction\.pattern$": ORDER})

_ABSTRACT = "the abstract of the paper; chosen on the test set, by its scripts"
_CARD = ModelCard(
    name="lstc_mda",
    title="LSTC-MDA",
    paper="Ding, Fu, Oraki, Liang: LSTC-MDA: A Unified Framework for Long-Short Term Temporal"
    " Convolution and Mixed Data Augmentation in Skeleton-Based Action Recognition. 2025",
    arxiv="2509.14619",
    code="xiaobaoxia/LSTC-MDA@67beac62de0f7e9dfd450058e7596ea8ad1e49b9",
    code_licence="Apache-2.0",
    num_parameters=4_908_051,
    pipeline="ctrgcn",
    traits=FamilyTraits(bodies_mix=True, min_frames=FRAMES_MULTIPLE, max_frames=FRAMES_MULTIPLE),
    reported=(
        *reported_on_ntu("four streams", 94.1, 97.5, 90.4, 92.0, source=_ABSTRACT),
        ReportedAccuracy("NW-UCLA", "view 3", "four streams", 97.2, _ABSTRACT),
    ),
)


@register_model(_CARD, authors=_AUTHORS, joint_axes=_JOINT_AXES, traits_of=_traits)
def lstc_mda(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: Dropout = 0.0,
    width: Annotated[int, Option("channels of the first stage; a multiple of 32")] = 96,
    depth: Annotated[int, Option("blocks of each of the four stages")] = 2,
    frames: Annotated[
        int, Option("length of the clips that it is made for; a multiple of 64")
    ] = FRAMES_MULTIPLE,
    attention_dropout: AttentionDropout = 0.5,
    drop_path: DropPathRate = 0.2,
    bias_by_joint: BiasByJoint = False,
    scale_by_heads: ScaleByHeads = False,
) -> SkeletonModel:
    """LSTC-MDA for clips N C T V M of one length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2509.14619; layer sizes and initialisation of xiaobaoxia/LSTC-MDA@67beac6, from a
    description of it.
    """
    check_options("lstc_mda", width, depth, attention_dropout, drop_path)
    if frames < FRAMES_MULTIPLE or frames % FRAMES_MULTIPLE:
        raise ModelError(
            f"lstc_mda: frames: expected a multiple of {FRAMES_MULTIPLE}, found {frames!r}"
        )
    embedding = PartEmbedding(in_channels, layout, max_bodies, channels=width)

    def reduction(in_channels: int, out_channels: int, stage: int) -> nn.Module:
        return LongShortReduction(
            in_channels, out_channels, frames=frames >> stage, num_slots=embedding.num_slots
        )

    channels = [width, *[2 * width] * (NUM_STAGES - 1)]
    backbone = skate_stages(
        channels,
        [depth] * NUM_STAGES,
        num_slots=embedding.num_slots,
        reduction=reduction,
        dropout=attention_dropout,
        drop_path=drop_path,
        bias_by_joint=bias_by_joint,
        scale_by_heads=scale_by_heads,
    )
    return SkateModel(
        backbone,
        num_features=channels[-1],
        stride=8,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        input_norm=embedding,
    )
