"""SkateFormer: attention in partitions of near and far joints and frames, all bodies together."""

from collections import OrderedDict
from typing import Annotated

from torch import nn

from skelab.models.authors import AuthorsFormat
from skelab.models.axes import JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.card import ModelCard
from skelab.models.options import Dropout, Option
from skelab.models.registry import register_model
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

_AUTHORS = AuthorsFormat(names=SKATE_NAMES, build_arguments=skate_arguments, rank=skate_rank)

_CARD = ModelCard(
    name="skateformer",
    title="SkateFormer",
    paper="Do, Kim: SkateFormer: Skeletal-Temporal Transformer for Human Action Recognition."
    " ECCV 2024",
    arxiv="2403.09508",
    code="KAIST-VICLab/SkateFormer@1f1d9ffc2385bec0b49b6751e34b6469fad8563b",
    code_licence="MIT by its LICENSE file; its README says for research and education only",
    num_parameters=3_616_083,
    pipeline="ctrgcn",
    traits=FamilyTraits(bodies_mix=True, frames_multiple_of=FRAMES_MULTIPLE),
)


def reduce_frames(in_channels: int, out_channels: int, stage: int) -> nn.Module:
    """A convolution over seven frames that keeps every second, normalised."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=(7, 1), stride=(2, 1), padding=(3, 0))
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(out_channels)))


@register_model(_CARD, authors=_AUTHORS, joint_axes=JointAxes(SKATE_AXES))
def skateformer(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: Dropout = 0.0,
    width: Annotated[int, Option("channels of the first stage; a multiple of 32")] = 96,
    depth: Annotated[int, Option("blocks of each of the four stages")] = 2,
    attention_dropout: AttentionDropout = 0.5,
    drop_path: DropPathRate = 0.2,
    bias_by_joint: BiasByJoint = False,
    scale_by_heads: ScaleByHeads = False,
) -> SkeletonModel:
    """SkateFormer for clips N C T V M whose frames are a multiple of 64.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2403.09508; layer sizes and initialisation of KAIST-VICLab/SkateFormer@1f1d9ff,
    from a description of it.
    """
    check_options("skateformer", width, depth, attention_dropout, drop_path)
    embedding = PartEmbedding(in_channels, layout, max_bodies, channels=width)
    channels = [width, *[2 * width] * (NUM_STAGES - 1)]
    backbone = skate_stages(
        channels,
        [depth] * NUM_STAGES,
        num_slots=embedding.num_slots,
        reduction=reduce_frames,
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
