"""ProtoGCN: DG-STGCN's network, trained to build its topologies out of shared prototypes."""

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from skelab.models.authors import AuthorsFormat
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.protogcn import PROTOGCN
from skelab.models.dynamic_graph import DYNAMIC_AXES, DYNAMIC_NAMES, MIN_WIDTH, DynamicBlocks
from skelab.models.options import check_multiple, check_whole
from skelab.models.pyskl import init_pyskl_classifier, pyskl_arguments
from skelab.models.registry import register_model
from skelab.models.tokens import BackboneOutput, Tokens
from skelab.nn import DynamicTopologyUnit
from skelab.skeleton import Layout

_RELATION = "relation"  # the extra output: what the last block's clips add to its topologies


class ProtoGCNBackbone(DynamicBlocks):
    """Ten blocks of DG-STGCN that also give, in training, what the last one adds to its topologies.

    Source: arXiv:2411.18941.
    """

    def forward(self, x: Float[Tensor, "B C T V"]) -> Float[Tensor, "B F L V"] | BackboneOutput:
        """The features; in training with the extra output ``relation``, B C V V."""
        features, relation = self.with_relation(x)
        if not self.training:
            return features
        return BackboneOutput(features, extras={_RELATION: relation})

    def with_relation(
        self, x: Float[Tensor, "B C T V"]
    ) -> tuple[Float[Tensor, "B F L V"], Float[Tensor, "B D V V"]]:
        """The features, and what the last block adds to the topology of each of its D channels."""
        *others, last = self
        for block in others:
            x = block(x)
        unit = cast(DynamicTopologyUnit, last.get_submodule("spatial"))
        relation = unit.refinement(x)
        return last(x), relation.flatten(1, 2)


class PrototypeNetwork(nn.Module):
    """Rebuild the D numbers that tie each pair of joints as a mixture of P prototypes of such.

    Each pair of joints attends to the prototypes; a convolution, a norm and the mean over
    the channels make one number a pair of the mixtures.

    Source: arXiv:2411.18941 (the prototype reconstruction network).
    """

    def __init__(self, channels: int, *, num_prototypes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.merge = nn.Conv2d(channels, channels, kernel_size=1)
        self.norm = nn.BatchNorm2d(channels)
        self.query = nn.Linear(channels, num_prototypes, bias=False)
        self.memory = nn.Linear(num_prototypes, channels, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, relation: Float[Tensor, "N D V V"]) -> Float[Tensor, "N E"]:
        """The rebuilt graph, one number for each of the E = V * V pairs of joints."""
        share = self.query(relation.permute(0, 2, 3, 1)).softmax(dim=3)  # N V V P
        rebuilt = self.dropout(self.memory(share)).permute(0, 3, 1, 2)  # N D V V
        return torch.relu(self.norm(self.merge(rebuilt))).mean(dim=1).flatten(1)


class ClassContrast(nn.Module):
    """Cross entropy of how near a clip's graph lies to the running centre of each class.

    A centre moves towards the mean of the clips of its class that were classified rightly. The
    authors' weights have no centres; here they are saved, so that a run can go on.

    Attributes:
        centres: H numbers for each of K classes.

    Source: arXiv:2411.18941; momentum and temperature of firework8/ProtoGCN@ddf7f27.
    """

    centres: Tensor

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        hidden: int = 256,
        momentum: float = 0.9,
        temperature: float = 0.125,
    ) -> None:
        super().__init__()
        self.momentum, self.temperature = momentum, temperature
        self.project = nn.Linear(in_features, hidden)
        self.register_buffer("centres", torch.randn(hidden, num_classes))

    def forward(
        self,
        graph: Float[Tensor, "N E"],
        logits: Float[Tensor, "N K"],
        labels: Int64[Tensor, " N"],
    ) -> Float[Tensor, ""]:
        """The loss of a batch, whose rightly classified clips move the centres first."""
        projected = self.project(graph)  # N H
        is_right = logits.argmax(dim=1) == labels
        members = F.one_hot(labels, self.centres.shape[1]) * is_right.unsqueeze(1)  # N K
        members = members.to(projected.dtype)
        counts = members.sum(dim=0)
        means = projected.T @ members / counts.clamp(min=1)  # H K
        moved = self.momentum * self.centres + (1 - self.momentum) * means
        centres = torch.where(counts > 0, moved, self.centres)
        with torch.no_grad():
            self.centres.copy_(centres)
        scores = F.normalize(projected, dim=1) @ F.normalize(centres, dim=0)
        return F.cross_entropy(scores / self.temperature, labels)


class ProtoGCNModel(SkeletonModel):
    """A classifier whose loss also asks that graphs of a class can be told by their prototypes.

    The loss term is called ``contrast``. The authors weigh it 0.2.
    """

    prototypes: PrototypeNetwork
    contrast: ClassContrast

    def output_losses(
        self, tokens: Tokens, features: Float[Tensor, "N F"], logits: Float[Tensor, "N ..."]
    ) -> Mapping[str, Tensor]:
        """The contrast of the classes, if the labels are known."""
        labels = tokens.given.labels
        if labels is None or logits.ndim != 2:
            return {}
        graph = self.prototypes(tokens.other(_RELATION).mean(dim=1))
        return {"contrast": self.contrast(graph, logits, labels)}


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    arguments = pyskl_arguments(theirs, "backbone.gcn.0.gcn.conv1.weight")
    prototypes = theirs["backbone.prn.query_matrix.weight"].shape[0]
    return {**arguments, "num_prototypes": prototypes, "one_strength": True}


def _rank(key: str) -> tuple[int, ...]:
    """The backbone first, the classifier last."""
    return (not key.startswith("backbone."), key.startswith("cls_head.fc_cls"))


_AUTHORS = AuthorsFormat(
    names=(
        (r"^prototypes\.merge\.", "backbone.post."),
        (r"^prototypes\.norm\.", "backbone.bn."),
        (r"^prototypes\.query\.", "backbone.prn.query_matrix."),
        (r"^prototypes\.memory\.", "backbone.prn.memory_matrix."),
        (r"^contrast\.project\.", "cls_head.csc_loss.cl_fc."),
        *DYNAMIC_NAMES,
    ),
    build_arguments=_build_arguments,
    rank=_rank,
    unsaved=r"^contrast\.centres$",
)

_JOINT_AXES = JointAxes(
    {BODY_NORM: "(V C)", **DYNAMIC_AXES, r"^contrast\.project\.weight$": "H (V V)"}
)


@register_model(PROTOGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def protogcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    num_prototypes: int,
    one_strength: bool,
) -> SkeletonModel:
    """ProtoGCN for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2411.18941; layer sizes, losses and initialisation of firework8/ProtoGCN@ddf7f27,
    from a description of it.
    """
    check_multiple("protogcn", "width", width, of=MIN_WIDTH)
    check_whole("protogcn", "num_prototypes", num_prototypes)
    backbone = ProtoGCNBackbone(
        in_channels, width=width, num_joints=layout.num_joints, one_strength=one_strength
    )
    model = ProtoGCNModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        norm_per_body=False,
    )
    model.prototypes = PrototypeNetwork(backbone.num_features, num_prototypes=num_prototypes)
    model.contrast = ClassContrast(layout.num_joints**2, num_classes)
    init_pyskl_classifier(model.classifier)
    return model
