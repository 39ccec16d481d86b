"""MS-G3D: graph convolutions over many scales, in single frames and across windows of frames."""

import re
from collections.abc import Mapping
from functools import reduce
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.authors import COMMON_NAMES, AuthorsFormat
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.msg3d import MSG3D
from skelab.models.causal import as_causal
from skelab.models.options import check_multiple
from skelab.models.registry import register_model
from skelab.nn import (
    Block,
    FrameMemory,
    MultiBranchTemporalConv,
    MultiScaleGraphConv,
    projection,
    step,
    step_with_residual,
)
from skelab.skeleton import Layout, adjacency, hop_distance, k_adjacency, window_adjacency

_WINDOWS = (3, 5)  # frames
_PLAN = ((1, 1), (2, 2), (4, 2))  # output channels in widths, temporal stride, of each stage
_NUM_SCALES, _NUM_WINDOW_SCALES = 13, 6
_NUM_BRANCHES = 6


class FrameUnit(Block):
    """Mix the joints of each frame over all scales; normalise and rectify.

    Source: arXiv:2003.14111, section 3.2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, scales: Float[Tensor, "S V V"]
    ) -> None:
        super().__init__()
        self.mix = MultiScaleGraphConv(in_channels, out_channels, adjacency=scales)
        self.norm = nn.BatchNorm2d(out_channels)

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """One new vector a joint, from joints near and far."""
        return torch.relu(self.norm(self.mix(x))).transpose(2, 3)


class WindowUnit(Block):
    """Mix the joints of each window of frames over all scales; collapse the window to one frame.

    C channels come in, E are used inside the window, D go out.

    Source: arXiv:2003.14111, section 3.3.
    """

    def __init__(
        self,
        in_channels: int,
        window_channels: int,
        out_channels: int,
        *,
        scales: Float[Tensor, "S W W"],
        window: int,
        stride: int,
    ) -> None:
        super().__init__()
        self.window = window
        self.mix = MultiScaleGraphConv(
            in_channels, window_channels, adjacency=scales, window=window, stride=stride
        )
        self.norm = nn.BatchNorm2d(window_channels)
        self.collapse = nn.Conv2d(window_channels * window, out_channels, kernel_size=1)
        self.collapse_norm = nn.BatchNorm2d(out_channels)

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """One new vector a joint, from the joints of the window around it."""
        return self._collapsed(self.mix(x), x.shape[3])

    def step(
        self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
    ) -> Float[Tensor, "N D 1 V"] | None:
        """Output for the window that ends with the newest frame, in a causal network."""
        mixed = self.mix.step(x, memory)
        return None if mixed is None else self._collapsed(mixed, x.shape[3])

    def _collapsed(self, mixed: Float[Tensor, "N E W L"], joints: int) -> Float[Tensor, "N D L V"]:
        nodes = torch.relu(self.norm(mixed))  # N E w*V L
        n, _, _, length = nodes.shape
        frames = nodes.reshape(n, -1, joints, length)  # N E*w V L
        collapsed: Tensor = self.collapse_norm(self.collapse(frames))  # N D V L
        return collapsed.transpose(2, 3)


class TemporalUnit(Block):
    """Mix the frames of each joint and add the input; rectify unless told otherwise.

    Source: arXiv:2003.14111, figure 3.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, rectify: bool = True
    ) -> None:
        super().__init__()
        self.rectify = rectify
        self.mix = MultiBranchTemporalConv(
            in_channels, out_channels, kernel_size=3, dilations=(1, 2, 3, 4), stride=stride
        )
        self.residual = projection(in_channels, out_channels, stride=stride)

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """The branches' outputs plus the input."""
        mixed = self.mix(x) + self.residual(x)
        return torch.relu(mixed) if self.rectify else mixed

    def step(
        self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
    ) -> Float[Tensor, "N D 1 V"] | None:
        """Output for the newest frame, in a causal network."""
        mixed = step_with_residual((self.mix,), self.residual, x, memory)
        return torch.relu(mixed) if mixed is not None and self.rectify else mixed


class MSG3DStage(nn.Module):
    """Two ways through space and time, added: frame by frame, and in windows of frames.

    Source: arXiv:2003.14111, figure 3. Inner channels are those that come in, but at least
    ``width``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        stride: int,
        scales: Float[Tensor, "S V V"],
        window_scales: Mapping[int, Tensor],
    ) -> None:
        super().__init__()
        inner = max(in_channels, width)
        self.windows = nn.ModuleList(
            WindowUnit(
                in_channels, inner, out_channels, scales=matrices, window=window, stride=stride
            )
            for window, matrices in window_scales.items()
        )
        self.frames = nn.Sequential(
            FrameUnit(in_channels, inner, scales=scales),
            TemporalUnit(inner, out_channels, stride=stride),
            TemporalUnit(out_channels, out_channels, rectify=False),
        )
        self.temporal = TemporalUnit(out_channels, out_channels)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """The sum of both ways, rectified, then mixed over time once more."""
        mixed: Tensor = reduce(torch.add, (unit(x) for unit in self.windows), self.frames(x))
        output: Tensor = self.temporal(torch.relu(mixed))
        return output

    def step(
        self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
    ) -> Float[Tensor, "N D 1 V"] | None:
        """Output for the newest frame, in a causal network."""
        ways = [step(way, x, memory) for way in (*self.windows, self.frames)]
        frames = [frame for frame in ways if frame is not None]
        if not frames:
            return None
        return step(self.temporal, torch.relu(reduce(torch.add, frames)), memory)


class MSG3DBackbone(nn.Sequential):
    """Three stages on single bodies, B C T V to B F L V, with L = ceil(ceil(T / 2) / 2).

    F is ``4 * width``.

    Args:
        in_channels: C.
        width: Channels of the first stage.
        layout: Gives the graph.
        num_scales: Scales of the mixture within frames.
        num_window_scales: Scales of the mixture within windows.

    Source: arXiv:2003.14111, figure 3.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        width: int,
        layout: Layout,
        num_scales: int,
        num_window_scales: int,
    ) -> None:
        bones = adjacency(layout)
        scales = torch.from_numpy(k_adjacency(bones, num_scales))
        window_scales = {
            window: torch.from_numpy(
                k_adjacency(window_adjacency(bones, window), num_window_scales)
            )
            for window in _WINDOWS
        }
        stages = []
        for widths, stride in _PLAN:
            stages.append(
                MSG3DStage(
                    in_channels,
                    widths * width,
                    width=width,
                    stride=stride,
                    scales=scales,
                    window_scales=window_scales,
                )
            )
            in_channels = widths * width
        super().__init__(*stages)
        self.num_features = in_channels
        self.stride = prod(stride for _, stride in _PLAN)


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, int]:
    rows, num_joints = theirs["sgcn1.0.A_res"].shape
    window_rows, window_nodes = theirs["gcn3d1.gcn3d.0.gcn3d.1.A_res"].shape
    width, scaled_channels = theirs["sgcn1.0.mlp.layers.0.weight"].shape[:2]
    num_scales = rows // num_joints
    in_channels = scaled_channels // num_scales
    return {
        "num_classes": theirs["fc.weight"].shape[0],
        "num_joints": num_joints,
        "in_channels": in_channels,
        "max_bodies": theirs["data_bn.weight"].shape[0] // (num_joints * in_channels),
        "width": width,
        "num_scales": num_scales,
        "num_window_scales": window_rows // window_nodes,
    }


def _as_authors(key: str, tensor: Tensor) -> Tensor:
    """Scales of a graph stand below one another; the collapse is a 3D convolution."""
    if key.endswith(".refinement"):
        return tensor.flatten(0, 1)  # S W W to S*W W
    if key.endswith(".collapse.weight"):
        window = _WINDOWS[int(key.split(".windows.")[1].split(".")[0])]
        return tensor.view(len(tensor), -1, 1, window, 1)  # D E*w 1 1 to D E 1 w 1
    return tensor


def _stage_name(match: re.Match[str]) -> str:
    part = {"windows": "gcn3d", "frames": "sgcn", "temporal": "tcn"}[match[2]]
    inside = ".gcn3d" if match[2] == "windows" else ""
    return f"{part}{int(match[1]) + 1}{inside}."


_AUTHORS = AuthorsFormat(
    names=(
        (r"^backbone\.(\d+)\.(\w+)\.", _stage_name),
        (r"(gcn3d\.\d+)\.collapse\.", r"\1.out_conv."),
        (r"(gcn3d\.\d+)\.collapse_norm\.", r"\1.out_bn."),
        (r"(gcn3d\.\d+)\.(mix|norm)\.", r"\1.gcn3d.1.\2."),
        (r"\.mix\.branches\.", ".branches."),
        (r"^(tcn\d)\.mix\.", r"\1."),
        (r"\.mix\.refinement$", ".A_res"),
        (r"\.mix\.transform\.", ".mlp.layers.0."),
        (r"(sgcn\d\.0|gcn3d\.1)\.norm\.", r"\1.mlp.layers.1."),
        *COMMON_NAMES,
    ),
    build_arguments=_build_arguments,
    as_authors=_as_authors,
)


def _scale_counts(layout: Layout, options: Mapping[str, Any]) -> dict[str, int]:
    """Scales within frames, S, and within windows, R; fewer by default where paths are short."""
    longest = int(hop_distance(adjacency(layout)).max())
    defaults = {"num_scales": _NUM_SCALES, "num_window_scales": _NUM_WINDOW_SCALES}
    return {
        letter: _scales(option, options[option], min(default, longest + 1))
        for letter, (option, default) in zip("SR", defaults.items(), strict=True)
    }


_JOINT_AXES = JointAxes(
    {
        BODY_NORM: "(M V C)",
        r"\.frames\.0\.mix\.refinement$": "S V V",
        r"\.frames\.0\.mix\.transform\.weight$": "D (S E) 1 1",
        r"\.windows\.\d\.mix\.refinement$": "R (w V) (w V)",
        r"\.windows\.\d\.mix\.transform\.weight$": "D (R E) 1 1",
    },
    sizes=_scale_counts,
)


@register_model(MSG3D, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def msg3d(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    num_scales: int | None,
    num_window_scales: int | None,
    causal: bool,
    horizon: int,
) -> SkeletonModel:
    """MS-G3D for clips N C T V M of any length.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2003.14111; layer sizes and initialisation (PyTorch's own) of the authors' code,
    from a description of it.
    """
    check_multiple("msg3d", "width", width, of=_NUM_BRANCHES)
    scales = _scale_counts(
        layout, {"num_scales": num_scales, "num_window_scales": num_window_scales}
    )
    backbone = MSG3DBackbone(
        in_channels,
        width=width,
        layout=layout,
        num_scales=scales["S"],
        num_window_scales=scales["R"],
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
    )
    return as_causal(model, horizon) if causal else model


def _scales(option: str, given: int | None, default: int) -> int:
    if given is None:
        return default
    if not isinstance(given, int) or given < 1:
        raise ModelError(f"msg3d: {option}: expected a whole number from 1, found {given!r}")
    return given
