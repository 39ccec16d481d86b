"""InfoGCN: attention between joints, and a code of the clip that keeps little but its class."""

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.authors import COMMON_NAMES, NUMBERED_BLOCKS, AuthorsFormat, embedded_arguments
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.infogcn import INFOGCN
from skelab.models.options import check_multiple, check_whole
from skelab.models.plan import MakeBlock, PlannedBlocks
from skelab.models.pooling import MeanPooling
from skelab.models.registry import register_model
from skelab.models.tokens import Tokens
from skelab.nn import (
    Block,
    EmbeddedBodyNorm,
    MultiBranchTemporalConv,
    ResidualBlock,
    init_classifier,
    init_convs_by_fan_out,
    projection,
)
from skelab.skeleton import Layout, ancestor_difference, rooted_at

_PLAN = ((1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (4, 1))
_NUM_HEADS = 3
_NORM_SCALE_BEFORE_RESIDUAL = 1e-6  # a new block adds next to nothing to its residual
_CODE = 256
_LARGEST_STD = 100.0


class SelfAttentionGraphUnit(nn.Module):
    """Mix the joints of each frame by attention, which a learned topology scales; add the input.

    Source: Chi et al., InfoGCN, CVPR 2022 (SA-GC).
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, num_joints: int, num_heads: int = _NUM_HEADS
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.topology = nn.Parameter(torch.eye(num_joints).repeat(num_heads, 1, 1))
        self.value = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, kernel_size=1) for _ in range(num_heads)
        )
        self.residual = projection(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.query_key = nn.Linear(in_channels, 2 * num_heads * (in_channels // 8))
        self.input_norm = nn.LayerNorm(in_channels)
        self._initialise()

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """The sum of what each head makes of the joints that it attends to, normalised."""
        by_head = self.attention(x).transpose(3, 4).unbind(dim=2)  # N T W V of each head
        frames = x.transpose(1, 2)  # N T C V
        mixed = reduce(
            torch.add,
            (
                value((frames @ attention).transpose(1, 2))
                for value, attention in zip(self.value, by_head, strict=True)
            ),
        )
        return torch.relu(self.norm(mixed) + self.residual(x))

    def attention(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N T H V V"]:
        """How much joint w of each frame counts for joint v, by head; scaled by the topology."""
        both = self.query_key(self.input_norm(x.permute(0, 2, 3, 1)))  # N T V 2*H*d
        query, key = both.unflatten(3, (2, self.num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
        scores = query @ key.transpose(3, 4) / math.sqrt(query.shape[-1])  # N T H V V
        attention: Tensor = scores.softmax(dim=4) * self.topology
        return attention

    def _initialise(self) -> None:
        init_convs_by_fan_out(self)
        for name, weight in self.value.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(weight, std=math.sqrt(2 / (weight.numel() * self.num_heads)))
        nn.init.constant_(self.norm.weight, _NORM_SCALE_BEFORE_RESIDUAL)
        nn.init.normal_(self.query_key.weight)


class RectifiedTemporalConv(MultiBranchTemporalConv):
    """The temporal convolutions of CTR-GCN with a ReLU after them.

    Source: stnoah1/infogcn@873feaa.
    """

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """The branches' outputs, one after the other along the channels, rectified."""
        return torch.relu(super().forward(x))


class CodePooling(nn.Module):
    """The mean of a clip's tokens, then a code of it: a mean and, in training, noise around it.

    Args:
        in_features: F.
        noise: How much of the noise is added, 1 for all.
        noise_ratio: The noise has the standard deviation exp(``noise_ratio`` * s), where s is what
            the network makes of the clip; at most 100.

    Source: Chi et al., InfoGCN, CVPR 2022.
    """

    def __init__(self, in_features: int, *, noise: float, noise_ratio: float) -> None:
        super().__init__()
        self.noise, self.noise_ratio = noise, noise_ratio
        self.mean_of_tokens = MeanPooling()
        self.reduce = nn.Linear(in_features, _CODE)
        self.mean = nn.Linear(_CODE, _CODE)
        self.log_spread = nn.Linear(_CODE, _CODE)
        for layer in (self.reduce, self.mean, self.log_spread):
            nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(2))

    def forward(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """The code of each clip."""
        hidden = torch.relu(self.reduce(self.mean_of_tokens(tokens)))
        mean: Tensor = self.mean(hidden)
        if not self.training:
            return mean
        scaled = self.noise_ratio * self.log_spread(hidden)
        spread = scaled.clamp(max=math.log(_LARGEST_STD)).exp()
        code: Tensor = mean + self.noise * torch.randn_like(spread) * spread
        return code


class InfoGCNModel(SkeletonModel):
    """A classifier of codes, which are drawn towards a prior: a random direction for each class.

    The loss terms are ``mmd``, how far the mean code of a class lies from its prior, and ``norm``,
    the length of the mean code of a batch. The authors weigh them 0.1 and 0.0001. The authors'
    weights have no prior; here it is saved, so that a run can go on.

    Attributes:
        prior: K codes.
    """

    prior: Tensor

    def output_losses(
        self, tokens: Tokens, features: Float[Tensor, "N F"], logits: Float[Tensor, "N ..."]
    ) -> Mapping[str, Tensor]:
        """The length of the mean code, and the distance to the prior if the labels are known."""
        terms = {"norm": features.mean(dim=0).norm()}
        if tokens.given.labels is not None:
            terms["mmd"] = prior_distance(features, tokens.given.labels, self.prior)
        return terms


def prior_distance(
    codes: Float[Tensor, "N F"], labels: Tensor, prior: Float[Tensor, "K F"]
) -> Float[Tensor, ""]:
    """Mean squared difference between the mean code of each class of the batch and its prior.

    Source: Chi et al., InfoGCN, CVPR 2022.
    """
    members = nn.functional.one_hot(labels, len(prior)).to(codes.dtype)  # N K
    counts = members.sum(dim=0)
    means = members.T @ codes / counts.clamp(min=1).unsqueeze(1)  # K F
    squares = (means - prior).square().mean(dim=1)
    present = (counts > 0).to(codes.dtype)
    return (squares * present).sum() / present.sum()


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    return embedded_arguments(theirs, classifier="decoder")


_AUTHORS = AuthorsFormat(
    names=(
        NUMBERED_BLOCKS,
        (r"^pooling\.reduce\.", "fc."),
        (r"^pooling\.mean\.", "fc_mu."),
        (r"^pooling\.log_spread\.", "fc_logvar."),
        (r"^classifier\.", "decoder."),
        (r"\.spatial\.residual\.conv\.", ".agcn.down.0."),
        (r"\.spatial\.residual\.norm\.", ".agcn.down.1."),
        (r"\.spatial\.topology$", ".agcn.shared_topology"),
        (r"\.spatial\.value\.", ".agcn.conv_d."),
        (r"\.spatial\.query_key\.", ".agcn.attn.to_qk."),
        (r"\.spatial\.input_norm\.", ".agcn.attn.ln."),
        (r"\.spatial\.norm\.", ".agcn.bn."),
        (r"\.temporal\.", ".tcn."),
        *COMMON_NAMES,
    ),
    build_arguments=_build_arguments,
    unsaved=r"^prior$",
)

_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(M V W)",
        r"^input_norm\.position$": "1 V W",
        r"\.spatial\.topology$": "K V V",
    }
)


def _block_maker(num_joints: int) -> MakeBlock:
    """How the blocks are made."""

    def make_block(in_channels: int, out_channels: int, stride: int, is_first: bool) -> Block:
        residual = projection(in_channels, out_channels, stride=stride)
        init_convs_by_fan_out(residual)
        return ResidualBlock(
            spatial=SelfAttentionGraphUnit(in_channels, out_channels, num_joints=num_joints),
            temporal=RectifiedTemporalConv(
                out_channels, out_channels, kernel_size=5, dilations=(1, 2), stride=stride
            ),
            residual=residual,
        )

    return make_block


@register_model(INFOGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def infogcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    hops: int,
    noise: float,
    noise_ratio: float,
    prior_gain: float,
) -> SkeletonModel:
    """InfoGCN for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: Chi et al., CVPR 2022; layer sizes, losses and initialisation of
    stnoah1/infogcn@873feaa, from a description of it.
    """
    check_multiple("infogcn", "width", width, of=8)
    check_whole("infogcn", "hops", hops)
    for name, value in (("noise", noise), ("noise_ratio", noise_ratio), ("prior_gain", prior_gain)):
        if not 0.0 <= value < math.inf:
            raise ModelError(f"infogcn: {name}: expected a number from 0, found {value!r}")

    tree = rooted_at(layout, layout.origin)
    backbone = PlannedBlocks(
        width, width=width, plan=_PLAN, make_block=_block_maker(layout.num_joints)
    )
    model = InfoGCNModel(
        backbone,
        num_features=_CODE,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        pooling=CodePooling(backbone.num_features, noise=noise, noise_ratio=noise_ratio),
        input_norm=EmbeddedBodyNorm(
            in_channels,
            layout.num_joints,
            max_bodies,
            channels=width,
            mix=torch.from_numpy(ancestor_difference(tree, hops)).float(),
        ),
    )
    prior = torch.empty(num_classes, _CODE)
    model.register_buffer("prior", nn.init.orthogonal_(prior, gain=prior_gain or 1.0))
    init_classifier(model.classifier)
    return model
