"""What kind of poses a network was trained on; told without PyTorch."""

from typing import Final

from skelab.data.datasets import find_datasets
from skelab.inference.spec import NetworkSpec
from skelab.pose.source import VIDEO_KIND
from skelab.skeleton import get_layout

SYNTHETIC_POSES: Final = "SYNTHETIC, made by a program"
VIDEO_POSES: Final = "estimated in videos"
IMAGE_POSES: Final = "estimated in images"
UNKNOWN_POSES: Final = "unknown"

_IN_SPACE: Final = ("x", "y", "z")


def kind_of_poses(spec: NetworkSpec) -> str:
    """What recorded the poses that a network was trained on, as far as its file tells.

    ``SYNTHETIC, made by a program``; ``estimated in videos``; the sensor of the data set, say
    ``Kinect v2``; or ``unknown``.
    """
    inputs = spec.inputs
    if inputs.synthetic:
        return SYNTHETIC_POSES
    if inputs.dataset == VIDEO_KIND:
        return VIDEO_POSES
    if spec.layout.axes != _IN_SPACE:
        return IMAGE_POSES
    for card in find_datasets(inputs.dataset):
        return get_layout(card.layout).title.partition(":")[0]
    return UNKNOWN_POSES
