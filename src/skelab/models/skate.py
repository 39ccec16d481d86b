"""What SkateFormer and LSTC-MDA have in common: places of joints, embedding, stages, names."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.authors import Replacement
from skelab.models.axes import ORDER
from skelab.models.base import SkeletonModel
from skelab.models.inputs import ModelInput, as_input
from skelab.models.options import check_multiple, check_probability, check_whole
from skelab.models.tokens import Tokens
from skelab.nn import BodySplit, PartitionTransformerBlock
from skelab.skeleton import Layout

PHASE = "phase"
"""The sidecar that says where in its recording each frame stands, N T, from -1 to 1."""

NUM_STAGES = 4
WIDTH_MULTIPLE = 32
_WAVES = 10_000.0
_STARTING_STD = 0.02
_GROUP = 4  # joints of a part of the body

_HAND = ("{} wrist", "{} hand", "tip of {} hand", "{} thumb")
_LEG = ("{} hip", "{} knee", "{} ankle", "{} foot")
_KINECT2_ORDER = (
    *(part.format(side) for limb in (_HAND, _LEG) for side in ("left", "right") for part in limb),
    *("left shoulder", "right shoulder", "left elbow", "right elbow"),
    *("middle of spine", "neck", "base of spine", "head"),
)


def body_parts(layout: Layout) -> tuple[int, ...]:
    """The joints in an order in which each four are a part of the body.

    For Kinect v2 it is the authors', without the joint between the shoulders. Other layouts are
    walked through limb by limb, from the centre on, which is repeated to fill the last four.

    Source: arXiv:2403.09508; the order of KAIST-VICLab/SkateFormer@1f1d9ff.
    """
    if all(name in layout.joints for name in _KINECT2_ORDER):
        return tuple(map(layout.joint, _KINECT2_ORDER))
    children: dict[int, list[int]] = {joint: [] for joint in range(layout.num_joints)}
    for joint, parent in layout.bones:
        children[parent].append(joint)
    order: list[int] = []
    waiting = [layout.centre]
    while waiting:
        joint = waiting.pop()
        order.append(joint)
        waiting += sorted(children[joint], key=lambda child: layout.joints[child], reverse=True)
    return (*order, *[layout.centre] * (-len(order) % _GROUP))


class PartEmbedding(BodySplit):
    """Embed the joints of all bodies side by side, and add who each is, times when it was seen.

    Args:
        in_channels: C.
        layout: Gives the joints.
        max_bodies: M.
        channels: D.

    Source: arXiv:2403.09508 (Skate-Embedding).
    """

    order: Tensor

    def __init__(self, in_channels: int, layout: Layout, max_bodies: int, *, channels: int) -> None:
        super().__init__(in_channels, layout.num_joints, max_bodies)
        order = torch.tensor(body_parts(layout))
        self.num_slots = len(order) * max_bodies
        self.register_buffer("order", order, persistent=False)
        self.position = nn.Parameter(torch.empty(channels, self.num_slots))
        nn.init.trunc_normal_(self.position, std=_STARTING_STD)
        widths = (in_channels, 2 * in_channels, 3 * in_channels, channels)
        convs = [nn.Conv2d(before, after, kernel_size=1) for before, after in pairwise(widths)]
        self.stem = nn.Sequential(convs[0], nn.GELU(), convs[1], nn.GELU(), convs[2])

    def embed(
        self, x: Float[Tensor, "N C T V M"], phase: Float[Tensor, "N T"]
    ) -> Float[Tensor, "N D T S"]:
        """All slots of a clip: the joints of the first body, then those of the next.

        Raises:
            ModelError: Channels, joints or bodies are not those that the model was made for.
        """
        self._check_shape(x)
        slots = x[:, :, :, self.order].transpose(3, 4).flatten(3)  # N C T M*U
        features: Tensor = self.stem(slots)
        return features + self.position.unsqueeze(1) * self._waves(phase).unsqueeze(3)

    def _waves(self, phase: Float[Tensor, "N T"]) -> Float[Tensor, "N D T"]:
        channels = len(self.position)
        number = torch.arange(0, channels, 2, dtype=phase.dtype, device=phase.device)
        angles = phase.unsqueeze(2) * torch.exp(number * (-math.log(_WAVES) / channels))
        both = torch.stack([angles.sin(), angles.cos()], dim=3)  # N T D/2 2
        return both.flatten(2).transpose(1, 2)


class SkateModel(SkeletonModel):
    """A classifier in which the joints of all bodies of a clip stand side by side.

    With a sidecar ``phase``, it knows where in its recording each frame stands; without one,
    frames are taken to be spread evenly over it.
    """

    def forward_features(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> Tokens:
        """Features of every clip, body, frame and joint; the joints in the order of body parts.

        Raises:
            ModelError: The clips have other channels, joints or bodies than the model, or a length
                that it does not take.
        """
        given = as_input(x)
        joints = given.joints
        self._check_frames(joints)
        phase = given.sidecars.get(PHASE)
        if phase is None:
            number = torch.arange(joints.shape[2], dtype=joints.dtype, device=joints.device)
            phase = (2 * number / joints.shape[2] - 1).expand(joints.shape[0], -1)
        embedding = cast(PartEmbedding, self.input_norm)
        features = self.backbone(embedding.embed(joints, phase.to(joints.dtype)))
        n, c, t, _ = features.shape
        by_body = features.reshape(n, c, t, self.max_bodies, -1).permute(0, 3, 1, 2, 4)
        return Tokens(by_body.flatten(0, 1), given, self.stride)


def _check_options(
    name: str, width: int, depth: int, attention_dropout: float, drop_path: float
) -> None:
    """Refuse options that are out of range.

    Raises:
        ModelError: The message says what was expected.
    """
    check_multiple(name, "width", width, of=WIDTH_MULTIPLE)
    check_whole(name, "depth", depth)
    rates = {"attention_dropout": attention_dropout, "drop_path": drop_path}
    for option, rate in rates.items():
        check_probability(name, option, rate)


Reduction = Callable[[int, int, int], nn.Module]
"""From C, D and the number of the stage: N C T V to N D T/2 V."""


def skate_stages(
    channels: Sequence[int],
    depths: Sequence[int],
    *,
    num_slots: int,
    reduction: Reduction,
    dropout: float,
    drop_path: float,
    bias_by_joint: bool,
    scale_by_heads: bool,
) -> nn.Sequential:
    """Stages of blocks; all but the first begin with a reduction that halves the frames."""
    last = max(sum(depths) - 1, 1)
    rates = [drop_path * block / last for block in range(sum(depths))]
    before = [channels[0], *channels]
    stages = []
    for stage, depth in enumerate(depths):
        blocks = []
        for index in range(depth):
            starts = stage > 0 and index == 0
            blocks.append(
                PartitionTransformerBlock(
                    channels[stage],
                    num_slots=num_slots,
                    reduction=reduction(before[stage], channels[stage], stage) if starts else None,
                    dropout=dropout,
                    drop_path=rates.pop(0),
                    bias_by_joint=bias_by_joint,
                    scale_by_heads=scale_by_heads,
                )
            )
        stages.append(nn.Sequential(*blocks))
    return nn.Sequential(*stages)


def build_skate(
    name: str,
    embedding: PartEmbedding,
    *,
    layout: Layout,
    num_classes: int,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    depth: int,
    attention_dropout: float,
    drop_path: float,
    bias_by_joint: bool,
    scale_by_heads: bool,
    reduction: Reduction,
) -> SkateModel:
    """The network of the family ``name``, of whose options those that both families have.

    Raises:
        ModelError: An option is out of range.
    """
    _check_options(name, width, depth, attention_dropout, drop_path)
    channels = [width, *[2 * width] * (NUM_STAGES - 1)]
    backbone = skate_stages(
        channels,
        [depth] * NUM_STAGES,
        num_slots=embedding.num_slots,
        reduction=reduction,
        dropout=attention_dropout,
        drop_path=drop_path,
        bias_by_joint=bias_by_joint,
        scale_by_heads=scale_by_heads,
    )
    return SkateModel(
        backbone,
        num_features=channels[-1],
        stride=2 ** (NUM_STAGES - 1),
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
        input_norm=embedding,
    )


def skate_arguments(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a network was built with, read off its shapes."""
    width, num_slots = theirs["joint_person_embedding"].shape
    blocks = {key.split(".transformer.")[0] for key in theirs if ".transformer." in key}
    return {
        "num_classes": theirs["head.weight"].shape[0],
        "in_channels": theirs["stem.0.weight"].shape[1],
        "max_bodies": max(1, num_slots // len(_KINECT2_ORDER)),
        "width": width,
        "depth": len(blocks) // NUM_STAGES,
        "bias_by_joint": True,
        "scale_by_heads": True,
    }


SKATE_NAMES: tuple[tuple[str, Replacement], ...] = (
    (r"^backbone\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2.transformer."),
    (r"\.transformer\.reduction\.conv\.", ".downsample.reduction."),
    (r"\.transformer\.reduction\.norm\.", ".downsample.bn."),
    (r"\.transformer\.reduction\.", ".downsample."),
    (r"\.joint_weights$", ".gconv"),
    (r"\.norm_in\.", ".norm_1."),
    (r"\.norm_between\.", ".norm_2."),
    (r"\.expand\.", ".mapping."),
    (r"\.over_time\.", ".tconv."),
    (r"\.attentions\.(\d+)\.bias$", r".attention.\1.relative_position_bias_table"),
    (r"\.attentions\.(\d+)\.relative_frames$", r".attention.\1.relative_position_index"),
    (r"\.merge\.", ".proj."),
    (r"\.mlp\.widen\.", ".mlp.fc1."),
    (r"\.mlp\.narrow\.", ".mlp.fc2."),
    (r"^input_norm\.position$", "joint_person_embedding"),
    (r"^input_norm\.stem\.", "stem."),
    (r"^classifier\.", "head."),
)
"""The authors' names."""


def skate_rank(key: str) -> tuple[int, ...]:
    """A block's reduction stands before the block itself."""
    if not key.startswith("stages."):
        return (key.startswith("head."),) if key.startswith("head.") else (-1,)
    _, stage, _, block, part, *_ = key.split(".")
    return (0, int(stage), int(block), part != "downsample")


SKATE_AXES: Mapping[str, str] = {
    r"^input_norm\.position$": ORDER,
    r"\.joint_weights$": ORDER,
    r"\.attentions\.[13]\.bias$": ORDER,
}
"""The tensors whose places are those of joints in the order of body parts."""
