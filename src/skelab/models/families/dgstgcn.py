"""DG-STGCN: no graph is given; all topologies are learned, and refined by each clip."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from skelab.models.authors import AuthorsFormat
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.dgstgcn import DGSTGCN
from skelab.models.dynamic_graph import DYNAMIC_AXES, DYNAMIC_NAMES, MIN_WIDTH, DynamicBlocks
from skelab.models.options import check_whole
from skelab.models.pyskl import (
    init_pyskl_classifier,
    pyskl_arguments,
)
from skelab.models.registry import register_model
from skelab.skeleton import Layout


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    arguments = pyskl_arguments(theirs, "backbone.gcn.0.gcn.conv1.weight")
    return {**arguments, "one_strength": True}


_AUTHORS = AuthorsFormat(names=DYNAMIC_NAMES, build_arguments=_build_arguments)

_JOINT_AXES = JointAxes({BODY_NORM: "(V C)", **DYNAMIC_AXES})


@register_model(DGSTGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def dgstgcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    one_strength: bool,
) -> SkeletonModel:
    """DG-STGCN for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2210.05895; layer sizes and initialisation of kennymckormick/pyskl@3f6795f, from a
    description of it.
    """
    check_whole("dgstgcn", "width", width, least=MIN_WIDTH)
    backbone = DynamicBlocks(
        in_channels, width=width, num_joints=layout.num_joints, one_strength=one_strength
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
        norm_per_body=False,
    )
    init_pyskl_classifier(model.classifier)
    return model
