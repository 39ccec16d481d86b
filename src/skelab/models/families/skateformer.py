"""SkateFormer: attention in partitions of near and far joints and frames, all bodies together."""

from collections import OrderedDict

from torch import nn

from skelab.models.authors import AuthorsFormat
from skelab.models.axes import JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.skateformer import SKATEFORMER
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

_AUTHORS = AuthorsFormat(names=SKATE_NAMES, build_arguments=skate_arguments, rank=skate_rank)


def reduce_frames(in_channels: int, out_channels: int, stage: int) -> nn.Module:
    """A convolution over seven frames that keeps every second, normalised."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=(7, 1), stride=(2, 1), padding=(3, 0))
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(out_channels)))


@register_model(SKATEFORMER, authors=_AUTHORS, joint_axes=JointAxes(SKATE_AXES))
def skateformer(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    depth: int,
    attention_dropout: float,
    drop_path: float,
    bias_by_joint: bool,
    scale_by_heads: bool,
) -> SkeletonModel:
    """SkateFormer for clips N C T V M whose frames are a multiple of 64.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2403.09508; layer sizes and initialisation of KAIST-VICLab/SkateFormer@1f1d9ff,
    from a description of it.
    """
    embedding = PartEmbedding(in_channels, layout, max_bodies, channels=width)
    return build_skate(
        "skateformer",
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
        reduction=reduce_frames,
    )
