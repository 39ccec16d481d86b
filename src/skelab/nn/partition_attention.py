"""Attention between joints and frames inside partitions of a clip, and blocks made of it."""

import math
from collections import OrderedDict
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from skelab.nn.block import Block

SPAN = 8
"""Frames of a partition."""

_STARTING_STD = 0.02
_NUM_ATTENTIONS = 4
_NUM_MIXERS = 8  # groups of channels whose joints, and whose frames, are mixed by learned weights


class DropPath(nn.Dropout):
    """In training, drop what a branch made of a whole clip, with probability ``p``.

    Source: arXiv:1603.09382.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the base's name
        """The clips N ..., each kept (and scaled by 1 / (1 - p)) or zero."""
        ones = input.new_ones(input.shape[0], *[1] * (input.ndim - 1))
        return input * F.dropout(ones, self.p, self.training)


class PartitionAttention(nn.Module):
    """Self-attention between the SPAN * P tokens of each partition: SPAN frames of P joints.

    Frames of a partition stand side by side, or as far apart as the clip allows; so do joints.
    What two tokens give each other is biased by their distance in time and, where joints stand
    apart, by which joints they are.

    Args:
        joints: P.
        num_heads: Heads, each on its own share of the channels.
        near_frames: Frames side by side.
        near_joints: Joints side by side.
        bias_by_joint: Where joints stand side by side, take the distance between their places for
            that in time, as the authors' code does.
        scale_by_heads: Divide scores by the root of the number of heads, and not of the channels
            of a head, as the authors' code does.
        dropout: Probability of dropping an attention weight, in training.

    Source: arXiv:2403.09508 (Skate-MSA).
    """

    relative_frames: Tensor

    def __init__(
        self,
        *,
        joints: int,
        num_heads: int = 4,
        near_frames: bool,
        near_joints: bool,
        bias_by_joint: bool = False,
        scale_by_heads: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.joints, self.num_heads = joints, num_heads
        self.near_frames, self.near_joints = near_frames, near_joints
        self.bias_by_joint, self.scale_by_heads = bias_by_joint, scale_by_heads
        by_joints = () if near_joints else (joints, joints)
        self.bias = nn.Parameter(torch.empty(2 * SPAN - 1, *by_joints, num_heads))
        nn.init.trunc_normal_(self.bias, std=_STARTING_STD)
        number = torch.arange(SPAN)
        self.register_buffer("relative_frames", number[:, None] - number[None, :] + SPAN - 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "N T V C"]) -> Float[Tensor, "N T V D"]:
        """What each token gathers; C is three times D, for queries, keys and values."""
        n, t, v, c = x.shape
        shape = (
            *((n, t // SPAN, SPAN) if self.near_frames else (n, SPAN, t // SPAN)),
            *((v // self.joints, self.joints) if self.near_joints else (self.joints, -1)),
        )
        frame_axes = (1, 2) if self.near_frames else (2, 1)  # which partition, and where in it
        joint_axes = (3, 4) if self.near_joints else (4, 3)
        order = (0, frame_axes[0], joint_axes[0], frame_axes[1], joint_axes[1], 5)
        parts = x.reshape(*shape, c).permute(order)  # N, partitions in both axes, SPAN, P, C
        made = self._attend(parts.flatten(3, 4).flatten(0, 2))  # B SPAN*P D
        back = [order.index(axis) for axis in range(6)]
        return made.reshape(*parts.shape[:5], -1).permute(back).reshape(n, t, v, -1)

    def _attend(self, tokens: Float[Tensor, "B S C"]) -> Float[Tensor, "B S D"]:
        b, s, _ = tokens.shape
        query, key, value = tokens.view(b, s, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        size = self.num_heads if self.scale_by_heads else query.shape[-1]
        scores = query @ key.transpose(2, 3) / math.sqrt(size) + self._biases()
        gathered = self.dropout(scores.softmax(dim=3)) @ value  # B H S d
        made: Tensor = gathered.transpose(1, 2).reshape(b, s, -1)
        return made

    def _biases(self) -> Float[Tensor, "H S S"]:
        if not self.near_joints:
            by_tokens = self.bias[self.relative_frames]  # SPAN SPAN P P H
            return by_tokens.permute(4, 0, 2, 1, 3).flatten(3, 4).flatten(1, 2)
        number = torch.arange(SPAN * self.joints, device=self.bias.device)
        place = number % SPAN if self.bias_by_joint else number // self.joints
        return self.bias[self.relative_frames[place][:, place]].permute(2, 0, 1)


class PartitionTransformerBlock(Block):
    """Mix joints and frames by learned weights and by attention in partitions, then channels.

    A quarter of the C channels mixes joints, a quarter mixes frames, and half attends, in all four
    kinds of partitions. A reduction may come before it.

    Args:
        channels: C, a multiple of 32.
        num_slots: V, joints of all bodies; a multiple of 4.
        reduction: Applied first: N B T V to N C L V.
        dropout: Probability of dropping an attention weight, in training.
        drop_path: Probability of dropping what the block adds to a clip, in training.
        bias_by_joint: As in ``PartitionAttention``.
        scale_by_heads: As in ``PartitionAttention``.

    Source: arXiv:2403.09508.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_slots: int,
        reduction: nn.Module | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        bias_by_joint: bool = False,
        scale_by_heads: bool = False,
    ) -> None:
        super().__init__()
        near = SPAN if num_slots % SPAN == 0 else SPAN // 2
        quarter = channels // 4
        self.reduction = reduction
        self.joint_weights = nn.Parameter(torch.empty(_NUM_MIXERS, num_slots, num_slots))
        nn.init.trunc_normal_(self.joint_weights, std=_STARTING_STD)
        self.norm_in = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, 2 * channels)
        self.over_time = nn.Conv2d(
            quarter, quarter, kernel_size=(7, 1), padding=(3, 0), groups=_NUM_MIXERS
        )
        make_attention = partial(
            PartitionAttention,
            bias_by_joint=bias_by_joint,
            scale_by_heads=scale_by_heads,
            dropout=dropout,
        )
        self.attentions = nn.ModuleList(
            make_attention(joints=joints, near_frames=near_frames, near_joints=near_joints)
            for near_frames in (True, False)
            for near_joints, joints in ((True, near), (False, num_slots // 4))
        )
        self.merge = nn.Linear(channels, channels)
        self.norm_between = nn.LayerNorm(channels)
        self.mlp = _mlp(channels)
        self.drop_path = DropPath(drop_path)

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """The clips, to which both halves of the block add something."""
        if self.reduction is not None:
            x = self.reduction(x)
        x = x.permute(0, 2, 3, 1)  # N T V C
        x = x + self.drop_path(self._mix(self.norm_in(x)))
        x = x + self.drop_path(self.mlp(self.norm_between(x)))
        return x.permute(0, 3, 1, 2)

    def _mix(self, x: Float[Tensor, "N T V C"]) -> Float[Tensor, "N T V C"]:
        quarter = x.shape[3] // 4
        widths = [quarter, quarter, *[6 * quarter // _NUM_ATTENTIONS] * _NUM_ATTENTIONS]
        of_joints, of_frames, *attended = self.expand(x).split(widths, dim=3)
        groups = of_joints.unflatten(3, (_NUM_MIXERS, -1))  # N T U K c
        joints = torch.einsum("ntukc,kvu->ntvkc", groups, self.joint_weights).flatten(3)
        frames = self.over_time(of_frames.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        gathered = [attend(part) for attend, part in zip(self.attentions, attended, strict=True)]
        merged: Tensor = self.merge(torch.cat([joints, frames, *gathered], dim=3))
        return merged


def _mlp(channels: int) -> nn.Sequential:
    layers = OrderedDict[str, nn.Module](
        widen=nn.Linear(channels, 4 * channels),
        activation=nn.GELU(),
        narrow=nn.Linear(4 * channels, channels),
    )
    return nn.Sequential(layers)
