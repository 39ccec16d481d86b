"""USDRL's dense encoder: one transformer over frames, one over joints, both keep what is local."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.authors import AuthorsFormat
from skelab.models.axes import ORDER, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.usdrl import USDRL
from skelab.models.inputs import ModelInput, as_input
from skelab.models.options import check_probability, check_whole
from skelab.models.registry import register_model
from skelab.models.tokens import Tokens
from skelab.nn import Block, BodySplit
from skelab.nn.partition_attention import DropPath
from skelab.skeleton import Layout, get_layout

_GAP = 4  # every so many tokens one is kept from the dense shift
_MIX = 0.5
_POSITIONS = 200
_WAVES = 10_000.0
_STARTING_STD = 0.02
_JOINT_TOKENS = "joint tokens"


class SelfAttention(nn.Module):
    """Multi-head self-attention over tokens.

    Source: arXiv:1706.03762.
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(channels, 3 * channels)
        self.merge = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.merge.bias)

    def forward(self, x: Float[Tensor, "N S C"]) -> Float[Tensor, "N S C"]:
        """What each token gathers from all."""
        parts = self.project(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(dim=0)  # N H S d
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        merged: Tensor = self.merge((scores.softmax(dim=3) @ value).transpose(1, 2).flatten(2))
        return merged


class TokenMLP(nn.Sequential):
    """Twice as many channels and back, with a GELU between.

    Source: arXiv:1706.03762.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add_module("widen", nn.Linear(channels, 2 * channels))
        self.add_module("activation", nn.GELU())
        self.add_module("narrow", nn.Linear(2 * channels, channels))


class ConvolutionAttention(nn.Module):
    """Attention that sees tokens enriched by a convolution; its last step adds no input.

    Source: arXiv:2412.09220 (convolutional attention).
    """

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size=1)
        self.norm_in = nn.LayerNorm(channels)
        self.norm_between = nn.LayerNorm(channels)
        self.mlp = TokenMLP(channels)
        self.drop_path = DropPath(drop_path)

    def forward(
        self, x: Float[Tensor, "N S C"], attention: SelfAttention
    ) -> Float[Tensor, "N S C"]:
        """The tokens, attended to and transformed."""
        enriched = x + torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        gathered = self.drop_path(attention(self.norm_in(enriched))) + x
        made: Tensor = self.mlp(self.norm_between(gathered))
        return made


class DenseShiftAttention(nn.Module):
    """Attention over tokens that were mixed among each other, and over the tokens as they are.

    Every fourth token is not mixed. Both results are averaged.

    Source: arXiv:2412.09220 (dense shift attention).
    """

    def __init__(self, channels: int, drop_path: float, *, num_tokens: int) -> None:
        super().__init__()
        self.shift_in = nn.Linear(num_tokens, num_tokens)
        self.shift_out = nn.Linear(num_tokens, num_tokens)
        self.norm_in = nn.LayerNorm(channels)
        self.norm_between = nn.LayerNorm(channels)
        self.mlp = TokenMLP(channels)
        self.drop_path = DropPath(drop_path)

    def forward(
        self, x: Float[Tensor, "N S C"], attention: SelfAttention
    ) -> Float[Tensor, "N S C"]:
        """The mean of what both kinds of tokens become."""
        number = torch.arange(x.shape[1], device=x.device).unsqueeze(1)
        mixed = self.shift_out(torch.relu(self.shift_in(x.transpose(1, 2)))).transpose(1, 2)
        shifted = torch.where(number % _GAP == 0, x, x + mixed)
        return (self._attend(shifted, attention) + self._attend(x, attention)) / 2

    def _attend(
        self, x: Float[Tensor, "N S C"], attention: SelfAttention
    ) -> Float[Tensor, "N S C"]:
        x = x + self.drop_path(attention(self.norm_in(x)))
        made: Tensor = x + self.drop_path(self.mlp(self.norm_between(x)))
        return made


class DenseLayer(Block):
    """The mean of both kinds of attention, which share their projections.

    Source: arXiv:2412.09220.
    """

    def __init__(self, channels: int, *, num_tokens: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.attention = SelfAttention(channels, heads=heads)
        self.convolution = ConvolutionAttention(channels, drop_path)
        self.shift = DenseShiftAttention(channels, drop_path, num_tokens=num_tokens)

    def transform(self, x: Float[Tensor, "N S C"]) -> Float[Tensor, "N S C"]:
        """The tokens after both."""
        local, dense = self.convolution(x, self.attention), self.shift(x, self.attention)
        made: Tensor = _MIX * local + (1 - _MIX) * dense
        return made


class TokenBranch(nn.Module):
    """Embed tokens, and pass them through two layers, each told the places of the tokens.

    Source: arXiv:2412.09220.
    """

    def __init__(
        self, in_features: int, channels: int, *, num_tokens: int, heads: int, drop_path: float
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(in_features, channels),
            nn.LayerNorm(channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
        )
        self.layers = nn.ModuleList(
            DenseLayer(channels, num_tokens=num_tokens, heads=heads, drop_path=drop_path)
            for _ in range(2)
        )

    def forward(
        self, x: Float[Tensor, "N S F"], places: Float[Tensor, "1 S C"]
    ) -> Float[Tensor, "N S C"]:
        """The tokens."""
        x = self.embed(x)
        for layer in self.layers:
            x = layer(places + x)
        return x


class DenseEncoder(nn.Module):
    """A branch whose tokens are frames, and one whose tokens are joints of all bodies.

    Source: arXiv:2412.09220 (dense spatio-temporal encoder).
    """

    waves: Tensor

    def __init__(
        self, in_channels: int, channels: int, *, slots: int, frames: int, **options: Any
    ) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.empty(1, slots, channels))
        nn.init.trunc_normal_(self.places, std=_STARTING_STD)
        self.register_buffer("waves", _sine_table(channels))
        self.of_frames = TokenBranch(in_channels * slots, channels, num_tokens=frames, **options)
        self.of_joints = TokenBranch(in_channels * frames, channels, num_tokens=slots, **options)

    def forward(
        self, x: Float[Tensor, "N C T V M"]
    ) -> tuple[Float[Tensor, "N T D"], Float[Tensor, "N S D"]]:
        """The tokens of frames, and those of joints, body by body."""
        frames = self.of_frames(x.permute(0, 2, 4, 3, 1).flatten(2), self.waves[:, : x.shape[2]])
        joints = self.of_joints(x.permute(0, 4, 3, 2, 1).flatten(1, 2).flatten(2), self.places)
        return frames, joints


def _sine_table(channels: int) -> Float[Tensor, "1 P C"]:
    place = torch.arange(_POSITIONS).unsqueeze(1)
    waves = torch.exp(torch.arange(0, channels, 2) * (-math.log(_WAVES) / channels))
    table = torch.stack([torch.sin(place * waves), torch.cos(place * waves)], dim=2)
    return table.flatten(1).unsqueeze(0)


class LargestOfTokens(nn.Module):
    """The largest number of each channel among the tokens of frames, then among those of joints.

    Source: wengwanjiang/FoundSkelModel@945fe91.
    """

    def forward(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One vector for each clip."""
        frames = tokens.by_body(lambda maps: maps.amax(dim=(2, 3))).amax(dim=1)
        joints = tokens.other(_JOINT_TOKENS).amax(dim=(1, 2))
        return torch.cat([frames, joints], dim=1)


class USDRLModel(SkeletonModel):
    """A classifier of tokens of frames, and of joints of all bodies."""

    def forward_features(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> Tokens:
        """The tokens of frames, the same for every body; those of joints stand beside them.

        Raises:
            ModelError: The clips have other channels, joints or bodies than the model, or a length
                that it does not take.
        """
        given = as_input(x)
        self._check_frames(given.joints)
        self.input_norm(given.joints)  # for its check of the shape
        frames, joints = self.backbone(given.joints)
        bodies = given.joints.shape[4]
        rows = frames.transpose(1, 2).unsqueeze(3).repeat_interleave(bodies, dim=0)
        by_body = joints.unflatten(1, (bodies, -1)).flatten(0, 1)  # N*M V D
        return Tokens(rows, given, self.stride, extras={_JOINT_TOKENS: by_body})


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    _, slots, width = theirs["backbone.spe"].shape
    in_channels = theirs["backbone.ske_emb.t_embedding.0.weight"].shape[1] // slots
    usual = (get_layout(name).num_joints for name in ("ntu25", "coco17"))
    num_joints = next((joints for joints in usual if slots % joints == 0), None)
    return {
        "num_classes": theirs["fc.weight"].shape[0],
        "num_joints": num_joints,
        "in_channels": in_channels,
        "max_bodies": slots // num_joints if num_joints else 2,
        "width": width,
        "frames": theirs["backbone.ske_emb.s_embedding.0.weight"].shape[1] // in_channels,
    }


_ORDER = ("spe", "ske_emb.t", "ske_emb.s", "tpe", "t_tr.", "s_tr.", "t_tr1.", "s_tr1.")
_PARTS = ("CA.attn", "CA.", "DSA.wt1", "DSA.wt2", "DSA.attn", "DSA.")


def _rank(key: str) -> tuple[int, ...]:
    """The first layer of both branches before the second; the shared attention in both places."""
    if not key.startswith("backbone."):
        return (len(_ORDER),)
    rest = key.removeprefix("backbone.")
    part = re.search(r"(CA|DSA)\.\w+", rest)
    place = next(place for place, start in enumerate(_ORDER) if rest.startswith(start))
    return (place, next((n for n, p in enumerate(_PARTS) if part and part[0].startswith(p)), 0))


def _layer_name(match: re.Match[str]) -> str:
    return f"backbone.{match[1][0]}_tr{'1' if match[2] == '1' else ''}."


_AUTHORS = AuthorsFormat(
    names=(
        (r"^backbone\.places$", "backbone.spe"),
        (r"^backbone\.waves$", "backbone.tpe.pe"),
        (r"^backbone\.of_frames\.embed\.", "backbone.ske_emb.t_embedding."),
        (r"^backbone\.of_joints\.embed\.", "backbone.ske_emb.s_embedding."),
        (r"^backbone\.of_frames\.", "backbone.t."),
        (r"^backbone\.of_joints\.", "backbone.s."),
        (r"^backbone\.(t|s)\.layers\.(\d)\.", _layer_name),
        (r"\.convolution\.", ".CA."),
        (r"\.shift\.", ".DSA."),
        (r"\.attention\.project\.", ".CA.attn.in_proj_"),
        (r"\.attention\.merge\.", ".CA.attn.out_proj."),
        (r"\.conv\.", ".conv1."),
        (r"\.norm_in\.", ".norm1."),
        (r"\.norm_between\.", ".norm2."),
        (r"\.mlp\.widen\.", ".mlp.fc1."),
        (r"\.mlp\.narrow\.", ".mlp.fc2."),
        (r"\.shift_in\.", ".wt1."),
        (r"\.shift_out\.", ".wt2."),
        (r"^classifier\.", "fc."),
    ),
    build_arguments=_build_arguments,
    rank=_rank,
    second_names=((r"\.CA\.attn\.", ".DSA.attn."),),
    usual_layout="coco17",
)

_JOINT_AXES = JointAxes(
    {
        r"^backbone\.places$": ORDER,
        r"^backbone\.of_frames\.embed\.0\.weight$": ORDER,
        r"^backbone\.of_joints\.layers\.\d\.shift\.shift_(in|out)\.": ORDER,
    }
)


@register_model(USDRL, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def usdrl(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    heads: int,
    frames: int,
    drop_path: float,
) -> SkeletonModel:
    """USDRL's encoder with a classifier, for clips N C T V M of one length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2412.09220; layer sizes and initialisation of wengwanjiang/FoundSkelModel@945fe91,
    from a description of it.
    """
    check_whole("usdrl", "heads", heads)
    if width < 2 or width % heads or width % 2:
        raise ModelError(f"usdrl: width: expected an even multiple of heads, found {width!r}")
    if not 1 <= frames <= _POSITIONS:
        raise ModelError(
            f"usdrl: frames: expected a whole number from 1 to {_POSITIONS}, found {frames!r}"
        )
    check_probability("usdrl", "drop_path", drop_path)
    backbone = DenseEncoder(
        in_channels,
        width,
        slots=layout.num_joints * max_bodies,
        frames=frames,
        heads=heads,
        drop_path=drop_path,
    )
    return USDRLModel(
        backbone,
        num_features=2 * width,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        pooling=LargestOfTokens(),
        input_norm=BodySplit(in_channels, layout.num_joints, max_bodies, per_body=False),
    )
