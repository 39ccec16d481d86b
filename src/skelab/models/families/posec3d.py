"""PoseC3D: a pose is drawn as heat maps, and a 3D convolutional network looks at the film."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.authors import AuthorsFormat, Replacement
from skelab.models.axes import ORDER, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.posec3d import POSEC3D
from skelab.models.inputs import ModelInput, as_input
from skelab.models.options import check_whole
from skelab.models.pyskl import init_pyskl_classifier
from skelab.models.registry import register_model
from skelab.models.tokens import Tokens
from skelab.nn import Block, BodySplit, fit_to_box, joint_maps, limb_maps
from skelab.skeleton import Layout, get_layout

HEAT_MAPS = "heat maps"
"""The sidecar that holds maps N P T H W which somebody else has drawn."""

_SCORE = "score"
_STRIDES = (2, 2, 2)  # of the pictures, at the start of each stage
_FRAME_STRIDES = (1, 1, 2)
_OVER_TIME = (1, 3, 3)  # frames under the first convolution of each block of a stage
_COCO_LIMBS = (
    *((0, 5), (0, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (11, 13), (13, 15)),
    *((6, 12), (12, 14), (14, 16), (0, 1), (0, 2), (1, 3), (2, 4), (11, 12)),
)


class Bottleneck(Block):
    """Narrow, look around, widen, and add the input: a residual block of 3D convolutions.

    Source: arXiv:1512.03385, as arXiv:2104.13586 uses it; the stride on the middle convolution.
    """

    def __init__(
        self, in_channels: int, width: int, *, over_time: int, stride: tuple[int, int, int]
    ) -> None:
        super().__init__()
        out_channels = 4 * width
        self.narrow = _normed_conv(in_channels, width, (over_time, 1, 1))
        self.look = _normed_conv(width, width, (1, 3, 3), stride=stride)
        self.widen = _normed_conv(width, out_channels, (1, 1, 1))
        same = in_channels == out_channels and stride == (1, 1, 1)
        self.residual = (
            None if same else _normed_conv(in_channels, out_channels, (1, 1, 1), stride=stride)
        )

    def transform(self, x: Float[Tensor, "N C T H W"]) -> Float[Tensor, "N D L I J"]:
        """What the three convolutions make of x, plus x itself, rectified."""
        mixed = self.widen(torch.relu(self.look(torch.relu(self.narrow(x)))))
        return torch.relu(mixed + (x if self.residual is None else self.residual(x)))


def _normed_conv(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int, int],
    *,
    stride: tuple[int, int, int] = (1, 1, 1),
) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    conv = nn.Conv3d(in_channels, out_channels, kernel, stride, padding, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm3d(out_channels)))


def slow_only(num_maps: int, *, width: int, blocks: tuple[int, ...]) -> nn.Sequential:
    """A stem and three stages: N P T H W to N F L I J, with L = ceil(T / 2) and F = 16 * width.

    Source: arXiv:2104.13586 (SlowOnly with three stages).
    """
    stem = OrderedDict(
        look=_normed_conv(num_maps, width, (1, 7, 7)),
        activation=nn.ReLU(),
        pool=nn.MaxPool3d((1, 3, 3), stride=1, padding=(0, 1, 1)),
    )
    stages: list[nn.Module] = [nn.Sequential(stem)]
    in_channels = width
    for stage, depth in enumerate(blocks):
        channels = width * 2**stage
        strides = [(_FRAME_STRIDES[stage], _STRIDES[stage], _STRIDES[stage])]
        strides += [(1, 1, 1)] * (depth - 1)
        made = []
        for stride in strides:
            over_time = _OVER_TIME[stage]
            made.append(Bottleneck(in_channels, channels, over_time=over_time, stride=stride))
            in_channels = 4 * channels
        stages.append(nn.Sequential(*made))
    backbone = nn.Sequential(*stages)
    for layer in backbone.modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        if isinstance(layer, Bottleneck):
            nn.init.zeros_(layer.widen.get_parameter("norm.weight"))
    return backbone


class PoseC3DModel(SkeletonModel):
    """A classifier of clips that are drawn as one film of heat maps, all bodies together.

    The first two channels of a joint are its place in the picture, which is cut so that all
    bodies of the clip fill it. A channel called ``score`` says how surely a joint was seen; without
    one, all joints that are not zero were. Maps that somebody else has drawn are taken from the
    sidecar ``heat maps``.

    Args:
        size: H and W of the maps.
        sigma: Standard deviation of a joint, in pixels.
        aspect: Width over height of the image whose halves x and y are counted in.
        score_channel: Which channel is the score.
        limbs: Draw limbs, not joints.
        **arguments: Those of ``SkeletonModel``.
    """

    def __init__(
        self,
        *,
        size: int,
        sigma: float,
        aspect: float,
        score_channel: int | None,
        limbs: tuple[tuple[int, int], ...] | None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.size, self.sigma, self.aspect = size, sigma, aspect
        self.score_channel, self.limbs = score_channel, limbs

    def forward_features(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> Tokens:
        """Features of each place of the pictures; the same for every body of a clip.

        Raises:
            ModelError: The clips have other channels, joints or bodies than the model.
        """
        given = as_input(x)
        maps = given.sidecars.get(HEAT_MAPS)
        features = self.backbone(self.draw(given.joints) if maps is None else maps)
        rows = features.flatten(3).repeat_interleave(given.joints.shape[4], dim=0)
        return Tokens(rows, given, self.stride)

    def draw(self, joints: Float[Tensor, "N C T V M"]) -> Float[Tensor, "N P T H W"]:
        """The heat maps of each clip."""
        bodies: Tensor = self.input_norm(joints)  # for its check of the shape
        n, _, t, v, m = joints.shape
        points = bodies.view(n, m, -1, t, v)[:, :, :2].permute(0, 3, 4, 1, 2)  # N T V M 2
        if points.shape[4] < 2:
            points = torch.cat([points, torch.zeros_like(points)], dim=4)
        present = points.any(dim=4)
        scores = present.to(points.dtype)
        if self.score_channel is not None:
            scores = scores * joints[:, self.score_channel]
        if self.aspect != 1.0:
            points = points * points.new_tensor([self.aspect, 1.0])
        fitted = fit_to_box(points, present, size=self.size)
        size = (self.size, self.size)
        if self.limbs is None:
            return joint_maps(fitted, scores, size=size, sigma=self.sigma)
        return limb_maps(fitted, scores, limbs=self.limbs, size=size, sigma=self.sigma)


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    found = [re.match(r"backbone\.layer(\d)\.(\d+)\.", key) for key in theirs]
    depths = {(int(match[1]), int(match[2])) for match in found if match}
    blocks = [max(block for stage, block in depths if stage == wanted) + 1 for wanted in (1, 2, 3)]
    first = theirs["backbone.conv1.conv.weight"]
    return {
        "num_classes": theirs["cls_head.fc_cls.weight"].shape[0],
        "num_joints": first.shape[1],
        "width": first.shape[0],
        "blocks": "-".join(map(str, blocks)),
    }


_PARTS: tuple[tuple[str, Replacement], ...] = tuple(
    (rf"\.{ours}\.", f".{theirs}.")
    for ours, theirs in (
        *(("narrow", "conv1"), ("look", "conv2"), ("widen", "conv3")),
        *(("residual", "downsample"), ("norm", "bn")),
    )
)

_AUTHORS = AuthorsFormat(
    names=(
        (r"^backbone\.0\.look\.norm\.", "backbone.conv1.bn."),
        (r"^backbone\.0\.look\.", "backbone.conv1."),
        (r"^backbone\.(\d+)\.", r"backbone.layer\1."),
        *_PARTS,
        (r"^classifier\.", "cls_head.fc_cls."),
    ),
    build_arguments=_build_arguments,
    usual_layout="coco17",
)


def _limbs(layout: Layout) -> tuple[tuple[int, int], ...]:
    """The limbs of COCO's joints in the authors' order, or the bones of another layout."""
    same = layout.joints == get_layout("coco17").joints
    return _COCO_LIMBS if same else layout.bones


_JOINT_AXES = JointAxes({r"^backbone\.0\.look\.conv\.weight$": ORDER})  # a map of each


@register_model(POSEC3D, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def posec3d(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    blocks: str,
    size: int,
    sigma: float,
    aspect: float,
    limbs: bool,
) -> SkeletonModel:
    """PoseC3D for clips N C T V M of any length, of 2D poses or of the x and y of 3D ones.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2104.13586; layer sizes and initialisation of kennymckormick/pyskl@3f6795f, from a
    description of it.
    """
    if not re.fullmatch(r"[1-9]\d?-[1-9]\d?-[1-9]\d?", blocks):
        raise ModelError(f"posec3d: blocks: expected three numbers, say 4-6-3, found {blocks!r}")
    check_whole("posec3d", "width", width)
    check_whole("posec3d", "size", size, least=8)
    if not 0.0 < sigma < size:
        raise ModelError(f"posec3d: sigma: expected a number above 0, found {sigma!r}")
    if not 0.1 <= aspect <= 10.0:
        raise ModelError(f"posec3d: aspect: expected a number from 0.1 to 10, found {aspect!r}")
    has_score = _SCORE in layout.axes and layout.axes.index(_SCORE) < in_channels
    backbone = slow_only(
        len(_limbs(layout)) if limbs else layout.num_joints,
        width=width,
        blocks=tuple(map(int, blocks.split("-"))),
    )
    model = PoseC3DModel(
        size=size,
        sigma=sigma,
        aspect=aspect if _SCORE in layout.axes else 1.0,
        score_channel=layout.axes.index(_SCORE) if has_score else None,
        limbs=_limbs(layout) if limbs else None,
        backbone=backbone,
        num_features=16 * width,
        stride=2,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        input_norm=BodySplit(in_channels, layout.num_joints, max_bodies, per_body=False),
    )
    init_pyskl_classifier(model.classifier)
    return model
