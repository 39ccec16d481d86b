"""SkeletonAgent: DG-STGCN's blocks on embedded joints, trained with texts about classes."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.authors import AuthorsFormat, embedded_arguments
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.skeletonagent import SKELETONAGENT
from skelab.models.dynamic_graph import DYNAMIC_AXES, DYNAMIC_NAMES, MIN_WIDTH, DynamicBlocks
from skelab.models.options import check_whole
from skelab.models.pyskl import init_pyskl_classifier
from skelab.models.registry import register_model
from skelab.models.tokens import Tokens
from skelab.nn import EmbeddedBodyNorm
from skelab.skeleton import Layout

TEXTS = "texts"
"""The sidecar that says what a text about each clip means, N x 512."""

_PLAN = ((1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (4, 1))
_TEXT_FEATURES = 512
_STARTING_SCALE = math.log(1 / 0.07)
_SHARPNESS = 10.0


class TopologyConstraint(nn.Module):
    """Logits of how well the joints' features go with an example topology of each class.

    Attributes:
        exemplar: A topology of each class, which nobody trains. New networks have zeros, the
            authors' weights those of one data set and stream.

    Source: the code of firework8/SkeletonAgent@2440fda, from a description of it.
    """

    exemplar: Tensor

    def __init__(self, channels: int, *, num_joints: int, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("exemplar", torch.zeros(num_classes, num_joints, num_joints))
        self.weigh = nn.Linear(channels, 1)

    def forward(self, maps: Float[Tensor, "R F L V"]) -> Float[Tensor, "R K"]:
        """One logit for each class."""
        by_joint = self.weigh(maps.mean(dim=2).transpose(1, 2)).squeeze(2)  # R V
        bias = self.weigh.bias
        logits: Tensor = (by_joint - bias) @ self.exemplar.mean(dim=2).T + bias
        return logits


def alignment_loss(
    skeletons: Float[Tensor, "N D"],
    texts: Float[Tensor, "N D"],
    labels: Tensor,
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """How far clips and texts are from being alike just where their classes are equal.

    Source: the code of firework8/SkeletonAgent@2440fda, from a description of it.
    """
    scores = scale * F.normalize(skeletons, dim=1) @ F.normalize(texts, dim=1).T  # N N
    same = (labels.unsqueeze(1) == labels).to(scores.dtype)
    target = (_SHARPNESS * same).softmax(dim=1)
    divergences = [
        F.kl_div(way.log_softmax(dim=1), target, reduction="sum") for way in (scores, scores.T)
    ]
    return (divergences[0] + divergences[1]) / (2 * len(labels))


class TextHead(nn.Module):
    """Takes the features of a clip to those of texts.

    Attributes:
        scale: What the cosines between clips and texts are multiplied by, as it is.

    Source: the code of firework8/SkeletonAgent@2440fda, from a description of it.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, 1), _STARTING_SCALE))
        self.linear = nn.Linear(in_features, _TEXT_FEATURES)
        nn.init.normal_(self.linear.weight, std=math.sqrt(2 / _TEXT_FEATURES))
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Float[Tensor, "N F"]) -> Float[Tensor, "N D"]:
        """What each clip means, not normalised."""
        meaning: Tensor = self.linear(features)
        return meaning


class SkeletonAgentModel(SkeletonModel):
    """A classifier with two more heads in training: example topologies, and texts.

    The loss terms are ``constraint`` and, if the clips come with a sidecar ``texts``,
    ``alignment``. The authors weigh them 0.2 and 0.5.
    """

    constraint: TopologyConstraint
    semantics: TextHead

    def constraint_logits(self, tokens: Tokens) -> Float[Tensor, "N K"]:
        """How well each clip goes with the example of each class."""
        return tokens.by_body(self.constraint).mean(dim=1)

    def output_losses(
        self, tokens: Tokens, features: Float[Tensor, "N F"], logits: Float[Tensor, "N ..."]
    ) -> Mapping[str, Tensor]:
        """What both heads lack, if the labels are known."""
        labels, texts = tokens.given.labels, tokens.given.sidecars.get(TEXTS)
        if labels is None or logits.ndim != 2:
            return {}
        terms = {"constraint": F.cross_entropy(self.constraint_logits(tokens), labels)}
        if texts is not None:
            skeletons = self.semantics(features)
            scale = self.semantics.scale.squeeze()
            terms["alignment"] = alignment_loss(skeletons, texts, labels, scale)
        return terms


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    arguments = embedded_arguments(theirs, classifier="cls_head.fc_cls", prefix="backbone.")
    return {**arguments, "one_strength": True}


def _as_authors(key: str, tensor: Tensor) -> Tensor:
    """What weighs the channels is a 1x1 convolution."""
    return tensor.view(1, -1, 1, 1) if key == "constraint.weigh.weight" else tensor


_FIRST = (
    *("backbone.examplar", "backbone.pos_embedding", "backbone.logit_scale", "backbone.data_bn."),
    *("backbone.to_joint_embedding.", "backbone.direct_fc.", "backbone.linear_head."),
    *("backbone.gcn.", "cls_head."),
)


def _rank(key: str) -> tuple[int, ...]:
    return (next(place for place, start in enumerate(_FIRST) if key.startswith(start)),)


_AUTHORS = AuthorsFormat(
    names=(
        (r"^constraint\.exemplar$", "backbone.examplar"),
        (r"^constraint\.weigh\.", "backbone.direct_fc."),
        (r"^semantics\.linear\.", "backbone.linear_head.ViT-B/32."),
        (r"^semantics\.scale$", "backbone.logit_scale"),
        (r"^input_norm\.position$", "backbone.pos_embedding"),
        (r"^input_norm\.embed\.", "backbone.to_joint_embedding."),
        *DYNAMIC_NAMES,
    ),
    build_arguments=_build_arguments,
    as_authors=_as_authors,
    rank=_rank,
)

_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(M V W)",
        r"^input_norm\.position$": "1 V W",
        r"^constraint\.exemplar$": "O V V",
        **DYNAMIC_AXES,
    }
)


@register_model(SKELETONAGENT, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def skeletonagent(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    one_strength: bool,
) -> SkeletonModel:
    """SkeletonAgent's network for clips N C T V M of any length, without what makes texts.

    Raises:
        ModelError: An option is out of range.

    Source: layer sizes, losses and initialisation of firework8/SkeletonAgent@2440fda, from a
    description of it.
    """
    check_whole("skeletonagent", "width", width, least=MIN_WIDTH)
    backbone = DynamicBlocks(
        width,
        width=width,
        num_joints=layout.num_joints,
        one_strength=one_strength,
        plan=_PLAN,
        first_residual=True,
    )
    model = SkeletonAgentModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        input_norm=EmbeddedBodyNorm(in_channels, layout.num_joints, max_bodies, channels=width),
    )
    model.constraint = TopologyConstraint(
        backbone.num_features, num_joints=layout.num_joints, num_classes=num_classes
    )
    model.semantics = TextHead(backbone.num_features)
    init_pyskl_classifier(model.classifier)
    return model
