"""LSTC-MDA: SkateFormer whose frames are halved by what is near and what is half a clip away."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.authors import AuthorsFormat
from skelab.models.axes import ORDER, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards._skate import FRAMES_MULTIPLE
from skelab.models.cards.lstc_mda import LSTC_MDA
from skelab.models.options import check_multiple
from skelab.models.registry import register_model
from skelab.models.skate import (
    SKATE_AXES,
    SKATE_NAMES,
    PartEmbedding,
    build_skate,
    skate_arguments,
    skate_rank,
)
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


@register_model(LSTC_MDA, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def lstc_mda(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    depth: int,
    frames: int,
    attention_dropout: float,
    drop_path: float,
    bias_by_joint: bool,
    scale_by_heads: bool,
) -> SkeletonModel:
    """LSTC-MDA for clips N C T V M of one length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2509.14619; layer sizes and initialisation of xiaobaoxia/LSTC-MDA@67beac6, from a
    description of it.
    """
    check_multiple("lstc_mda", "frames", frames, of=FRAMES_MULTIPLE)
    embedding = PartEmbedding(in_channels, layout, max_bodies, channels=width)

    def reduction(in_channels: int, out_channels: int, stage: int) -> nn.Module:
        return LongShortReduction(
            in_channels, out_channels, frames=frames >> stage, num_slots=embedding.num_slots
        )

    return build_skate(
        "lstc_mda",
        embedding,
        layout=layout,
        num_classes=num_classes,
        in_channels=in_channels,
        max_bodies=max_bodies,
        dropout=dropout,
        width=width,
        depth=depth,
        attention_dropout=attention_dropout,
        drop_path=drop_path,
        bias_by_joint=bias_by_joint,
        scale_by_heads=scale_by_heads,
        reduction=reduction,
    )
