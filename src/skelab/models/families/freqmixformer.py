"""FreqMixFormer: attention between joints, seen as they are and by their frequencies."""

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.authors import COMMON_NAMES, NUMBERED_BLOCKS, AuthorsFormat, embedded_arguments
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.freqmixformer import FREQMIXFORMER
from skelab.models.options import check_multiple, check_whole
from skelab.models.plan import MakeBlock, TenBlocks
from skelab.models.registry import register_model
from skelab.nn import (
    Block,
    EmbeddedBodyNorm,
    ResidualBlock,
    dilated_branch,
    init_classifier,
    init_convs_by_fan_out,
    pooled_branch,
    projection,
)
from skelab.skeleton import Layout, ancestor_difference, rooted_at, spatial_partition

_NUM_SUBSETS, _NUM_PARTS, _NUM_GROUPS, _NUM_BRANCHES = 3, 4, 8, 5
_LOW, _HIGH = 0.5, 1.5  # weights of the lower and the higher half of the frequencies
_FRAMES = 64
_CARRIED = {3: 4, 6: 2}  # blocks whose outputs reach the end, and how many frames are averaged


def cosine_transform(size: int, like: Tensor) -> Float[Tensor, "V V"]:
    """The matrix that takes V numbers to V frequencies; row k is the k-th frequency.

    Source: the cosine transform of type II, twice the sum without any scaling.
    """
    number = torch.arange(size, dtype=like.dtype, device=like.device)
    return 2 * torch.cos(torch.outer(number, 2 * number + 1) * (math.pi / (2 * size)))


def inverse_cosine_transform(size: int, like: Tensor) -> Float[Tensor, "V V"]:
    """The inverse of ``cosine_transform``; column k is the k-th frequency.

    Source: the cosine transform of type III, scaled to invert type II.
    """
    forth = cosine_transform(size, like).T / (2 * size)
    first = torch.arange(size, device=like.device) == 0
    return torch.where(first, forth / 2, forth)


class FrequencyMixUnit(nn.Module):
    """Mix the joints by learned topologies plus attention between them; add the input.

    The channels of each of three subsets are four parts. A part attends within itself and to the
    next one, by a number for each joint; the same is done with the frequencies of these
    numbers, of which the lower count less.

    What the authors' code has and never uses is kept, frozen, so that their weights go in and out:
    ``unused_strength``, ``unused_norm`` and ``unused_linear``.

    Source: arXiv:2407.12322 (the frequency-aware mixed attention).
    """

    fixed_topology: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, *, topology: Float[Tensor, "K V V"]
    ) -> None:
        super().__init__()
        num_joints = topology.shape[-1]
        part = out_channels // _NUM_PARTS
        self.unused_strength = nn.Parameter(torch.ones(1), requires_grad=False)
        self.topology = nn.Parameter(topology.unsqueeze(1).repeat(1, _NUM_GROUPS, 1, 1))
        self.register_buffer("fixed_topology", topology, persistent=False)
        self.between = nn.Linear(num_joints, num_joints)
        self.unused_norm = nn.BatchNorm2d(part).requires_grad_(False)
        self.within = nn.Linear(num_joints, num_joints)
        self.channel_gate = nn.Conv1d(1, 1, kernel_size=3, padding=1, bias=False)
        self.value = nn.Conv2d(in_channels, _NUM_SUBSETS * out_channels, kernel_size=1)
        self.residual = projection(in_channels, out_channels)
        self.unused_linear = nn.Linear(2 * num_joints, num_joints).requires_grad_(False)
        self.norm = nn.BatchNorm2d(out_channels)
        nn.init.normal_(self.unused_linear.weight, std=math.sqrt(2 / num_joints))
        init_convs_by_fan_out(self)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """The sum of the subsets' mixtures, gated by channel, plus the input, rectified."""
        n, _, t, v = x.shape
        value = self.value(x).view(n, _NUM_SUBSETS, _NUM_PARTS, -1, t, v)  # N K P Q T V
        by_attention = value.flatten(3, 4) @ self.attention(value)  # N K P Q*T V
        by_topology = torch.einsum("nkctv,kcvw->nctw", value.flatten(2, 3), self._topology(value))
        mixed = by_attention.sum(dim=1).view_as(by_topology) + by_topology
        means = mixed.mean(dim=(2, 3)).unsqueeze(1)  # N 1 D
        gate = 1 + self.channel_gate(means).sigmoid().transpose(1, 2).unsqueeze(3)  # N D 1 1
        return torch.relu(self.norm(mixed * gate) + self.residual(x))

    def attention(self, value: Float[Tensor, "N K P Q T V"]) -> Float[Tensor, "N K P V V"]:
        """The mean of what joints and frequencies attend to, within and between the parts."""
        half = value.shape[3] // 2
        query = value[:, :, :, :half].mean(dim=(3, 4))  # N K P V
        key = value[:, :, :, half:].mean(dim=(3, 4))
        joints = query.shape[-1]
        forth = cosine_transform(joints, query).T
        back = inverse_cosine_transform(joints, query).T
        number = torch.arange(joints, device=query.device)
        weights = torch.where(number < (joints + 1) // 2, _LOW, _HIGH).to(query.dtype)
        plain = self._mix_parts(query, key, torch.ones_like(weights))
        by_frequency = self._mix_parts(query @ forth, key @ forth, weights) @ back
        return (plain + by_frequency) / 2

    def _mix_parts(
        self,
        query: Float[Tensor, "N K P V"],
        key: Float[Tensor, "N K P V"],
        weights: Float[Tensor, " V"],
    ) -> Float[Tensor, "N K P V V"]:
        """Half of each part's attention within, and quarters of those to its neighbours."""
        own = _attend(self.within, query, key)
        cross = _attend(self.between, key[:, :, :-1], query[:, :, 1:]) * weights  # N K P-1 V V
        none = torch.zeros_like(cross[:, :, :1])
        before, after = torch.cat([none, cross], dim=2), torch.cat([cross, none], dim=2)
        return own / 2 + (before + after) / 4

    def _topology(self, value: Float[Tensor, "N K P Q T V"]) -> Float[Tensor, "K D V V"]:
        channels = value.shape[2] * value.shape[3]
        groups = torch.arange(channels, device=value.device) % _NUM_GROUPS
        return self.fixed_topology.to(value.dtype).unsqueeze(1) + self.topology[:, groups]


def _attend(
    linear: nn.Module, a: Float[Tensor, "N K P V"], b: Float[Tensor, "N K P V"]
) -> Float[Tensor, "N K P V V"]:
    scores = torch.relu(linear(a)).unsqueeze(-1) * torch.relu(linear(b)).unsqueeze(-2)
    return scores.softmax(dim=-1)


class FrameMixing(nn.Module):
    """Mix the frames by products of a number for each, from the mean and the maximum of a frame.

    Source: arXiv:2407.12322; the maximum of wenhanwu95/FreqMixFormer@1e9f1bc.
    """

    def __init__(self, in_channels: int, out_channels: int, *, frames: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=(stride, 1))
        self.norm = nn.BatchNorm2d(out_channels)
        self.linear = nn.Linear(frames, frames)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Every frame from all frames, normalised."""
        z = self.conv(x)
        half = z.shape[1] // 2
        query = torch.relu(self.linear(z[:, :half].mean(dim=(1, 3))))  # N L
        key = torch.relu(self.linear(z[:, half:].amax(dim=(1, 3))))
        shares = (query.unsqueeze(2) * key.unsqueeze(1)).sigmoid()  # N L L, from frame to frame
        mixed: Tensor = self.norm((z.transpose(2, 3) @ shares.unsqueeze(1)).transpose(2, 3))
        return mixed


class FrameGate(nn.Module):
    """Scale each frame by a gate that the mean and the maximum of its numbers decide.

    ``norm`` is in the authors' weights and is never used.

    Source: arXiv:2407.12322, after arXiv:1807.06521.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=(stride, 1))
        self.norm = nn.BatchNorm2d(out_channels).requires_grad_(False)
        self.combine = nn.Conv2d(2, 1, kernel_size=1)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """The frames, each scaled by one number."""
        z: Tensor = self.conv(x)
        seen = torch.stack([z.mean(dim=(1, 3)), z.amax(dim=(1, 3))], dim=1)  # N 2 L
        gate: Tensor = self.combine(seen.unsqueeze(3)).sigmoid()  # N 1 L 1
        return z * gate


class MixedTemporalConv(nn.Module):
    """Five ways to mix the frames side by side, each for its own fifth of the D output channels.

    Two dilated convolutions and a maximum, as in CTR-GCN, then ``FrameMixing`` and ``FrameGate``.

    Source: arXiv:2407.12322.
    """

    def __init__(self, channels: int, *, frames: int, stride: int) -> None:
        super().__init__()
        share = channels // _NUM_BRANCHES
        mixing = FrameMixing(channels, share, frames=frames, stride=stride)
        gate = FrameGate(channels, share, stride=stride)
        self.branches = nn.ModuleList(
            [
                *(
                    dilated_branch(channels, share, kernel_size=5, dilation=dilation, stride=stride)
                    for dilation in (1, 2)
                ),
                pooled_branch(channels, share, stride=stride),
                *(
                    nn.Sequential(OrderedDict(over_time=layer, norm=nn.BatchNorm2d(share)))
                    for layer in (mixing, gate)
                ),
            ]
        )

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """The branches' outputs, one after the other along the channels."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class FreqMixFormerBackbone(TenBlocks):
    """Ten blocks, and what the fourth and the seventh made of the clip added at the end.

    Source: arXiv:2407.12322.
    """

    def forward(self, x: Float[Tensor, "B C T V"]) -> Float[Tensor, "B F L V"]:
        """Features of each body."""
        carried = []
        for block in self:
            x = block(x)
            if isinstance(block, CarryingBlock):
                carried.append(torch.relu(block.carry(x)))
        return x + carried[0] + carried[1]


class CarryingBlock(ResidualBlock):
    """A block whose output also reaches the end of the network, at its length and width.

    Source: arXiv:2407.12322.
    """

    def __init__(
        self,
        *,
        spatial: nn.Module,
        temporal: nn.Module,
        residual: nn.Module,
        channels: tuple[int, int],
        frames: int,
    ) -> None:
        super().__init__(spatial=spatial, temporal=temporal, residual=residual)
        self.carry = nn.Sequential(
            OrderedDict(
                pool=nn.AvgPool2d((frames, 1)),
                conv=nn.Conv2d(*channels, kernel_size=1),
                norm=nn.BatchNorm2d(channels[1]),
            )
        )


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    frames = theirs["l1.tem_mixf.branches.3.0.linear.weight"].shape[0]
    return {**embedded_arguments(theirs), "frames": frames}


def _rank(key: str) -> tuple[int, ...]:
    """What is carried to the end stands behind the classifier."""
    late = ("fc.", "first_tram.", "second_tram.")
    return (next((place for place, name in enumerate(late, 1) if key.startswith(name)), 0),)


_AUTHORS = AuthorsFormat(
    names=(
        (r"^backbone\.3\.carry\.conv\.", "first_tram.1."),
        (r"^backbone\.3\.carry\.norm\.", "first_tram.2."),
        (r"^backbone\.6\.carry\.conv\.", "second_tram.1."),
        (r"^backbone\.6\.carry\.norm\.", "second_tram.2."),
        NUMBERED_BLOCKS,
        (r"\.spatial\.residual\.conv\.", ".spa_mixf.down.0."),
        (r"\.spatial\.residual\.norm\.", ".spa_mixf.down.1."),
        (r"\.spatial\.unused_strength$", ".spa_mixf.alpha"),
        (r"\.spatial\.unused_norm\.", ".spa_mixf.Spa_Att.bn."),
        (r"\.spatial\.unused_linear\.", ".spa_mixf.fc."),
        (r"\.spatial\.topology$", ".spa_mixf.A_GEME"),
        (r"\.spatial\.between\.", ".spa_mixf.linear."),
        (r"\.spatial\.within\.", ".spa_mixf.Spa_Att.linear."),
        (r"\.spatial\.channel_gate\.", ".spa_mixf.ChaRef_conv."),
        (r"\.spatial\.value\.", ".spa_mixf.conv."),
        (r"\.spatial\.norm\.", ".spa_mixf.bn."),
        (r"(branches\.\d+)\.over_time\.norm\.", r"\1.0.bn."),
        (r"(branches\.\d+)\.over_time\.combine\.", r"\1.0.combine_conv."),
        (r"(branches\.\d+)\.over_time\.", r"\1.0."),
        (r"(branches\.\d+)\.norm\.", r"\1.1."),
        (r"\.temporal\.", ".tem_mixf."),
        *COMMON_NAMES,
    ),
    build_arguments=_build_arguments,
    rank=_rank,
)

_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(M V W)",
        r"^input_norm\.position$": "1 V W",
        r"\.spatial\.topology$": "K G V V",
        r"\.spatial\.(between|within)\.weight$": "V V",
        r"\.spatial\.(between|within|unused_linear)\.bias$": "V",
        r"\.spatial\.unused_linear\.weight$": "V P",
    },
    sizes=lambda layout, options: {"P": 2 * layout.num_joints},
)


def _block_maker(topology: Float[Tensor, "K V V"], frames: int, width: int) -> MakeBlock:
    """How the blocks are made, for clips of this length."""
    lengths = [frames]
    made: list[Block] = []

    def make_block(in_channels: int, out_channels: int, stride: int, is_first: bool) -> Block:
        lengths.append(lengths[-1] // stride)
        arguments: dict[str, Any] = {
            "spatial": FrequencyMixUnit(in_channels, out_channels, topology=topology),
            "temporal": MixedTemporalConv(out_channels, frames=lengths[-1], stride=stride),
            "residual": None if is_first else projection(in_channels, out_channels, stride=stride),
        }
        if len(made) in _CARRIED:
            channels = (out_channels, 4 * width)
            block: Block = CarryingBlock(**arguments, channels=channels, frames=_CARRIED[len(made)])
        else:
            block = ResidualBlock(**arguments)
        init_convs_by_fan_out(block)
        made.append(block)
        return block

    return make_block


@register_model(FREQMIXFORMER, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def freqmixformer(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    frames: int,
    hops: int,
) -> SkeletonModel:
    """FreqMixFormer for clips N C T V M of one length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2407.12322; layer sizes and initialisation of wenhanwu95/FreqMixFormer@1e9f1bc,
    from a description of it.
    """
    check_multiple("freqmixformer", "width", width, of=20)
    check_multiple("freqmixformer", "frames", frames, of=4)
    check_whole("freqmixformer", "hops", hops)
    tree = rooted_at(layout, layout.origin)
    topology = torch.from_numpy(spatial_partition(tree)[[0, 2, 1]]).float()  # away from the root
    backbone = FreqMixFormerBackbone(
        width, width=width, make_block=_block_maker(topology, frames, width)
    )
    model = SkeletonModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        input_norm=EmbeddedBodyNorm(
            in_channels,
            layout.num_joints,
            max_bodies,
            channels=width,
            mix=torch.from_numpy(ancestor_difference(tree, hops)).float(),
        ),
    )
    init_classifier(model.classifier)
    return model
