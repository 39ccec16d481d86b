"""What the networks of PYSKL have in common: hands, names, and how their classifiers start."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jaxtyping import Shaped
from torch import Tensor, nn

from skelab.models.authors import COMMON_NAMES, Replacement
from skelab.skeleton import Layout

_CLASSIFIER_STD = 0.01

# The authors' names of what these families share; a family's own pairs come before them.
PYSKL_NAMES: tuple[tuple[str, Replacement], ...] = (
    (r"^input_norm\.norm\.", "backbone.data_bn."),
    (r"^classifier\.", "cls_head.fc_cls."),
    (r"^backbone\.(\d+)\.", r"backbone.gcn.\1."),
    (r"\.spatial\.residual\.conv\.", ".gcn.down.0."),
    (r"\.spatial\.residual\.norm\.", ".gcn.down.1."),
    (r"\.spatial\.norm\.", ".gcn.bn."),
    (r"\.spatial\.mix\.", ".gcn."),
    (r"\.temporal\.norm\.", ".tcn.bn."),
    (r"\.temporal\.", ".tcn."),
    *COMMON_NAMES,
)


def with_pyskl_hands(layout: Layout) -> Layout:
    """The layout with both ends of a hand, tip and thumb, tied to the hand itself.

    Elsewhere the tip of NTU's hands hangs on the thumb. A layout without tips stays as it is.

    Source: kennymckormick/pyskl@3f6795f, the graph of ``nturgb+d``.
    """
    parents = dict(layout.bones)

    def tie(joint: int, parent: int) -> tuple[int, int]:
        on_thumb = "tip of" in layout.joints[joint] and "thumb" in layout.joints[parent]
        return joint, parents[parent] if on_thumb else parent

    return replace(layout, bones=tuple(tie(joint, parent) for joint, parent in layout.bones))


def pyskl_arguments(
    theirs: Mapping[str, Shaped[Tensor, " ..."]], first_conv: str
) -> dict[str, Any]:
    """What a network was built with, read off its shapes; ``first_conv`` is its first layer."""
    return {
        "num_classes": theirs["cls_head.fc_cls.weight"].shape[0],
        "num_joints": theirs["backbone.gcn.0.gcn.A"].shape[-1],
        "in_channels": theirs[first_conv].shape[1],
        "width": theirs["backbone.gcn.0.gcn.bn.weight"].shape[0],
    }


def init_pyskl_classifier(layer: nn.Linear) -> None:
    """Give a classifier small normal weights, standard deviation 0.01, and no bias."""
    nn.init.normal_(layer.weight, std=_CLASSIFIER_STD)
    nn.init.zeros_(layer.bias)
