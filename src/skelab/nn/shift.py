"""Shift operations: channels move to other joints or frames before a 1x1 layer mixes them."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from skelab.nn.residual import projection

_POSITION_STEP = 0.01  # the gradient that the authors' code gives each position, up to its sign
_POSITION_STEP_AT_ZERO = 0.0001  # and the one where the true gradient is exactly 0
_JOINT_OFFSET_RANGE = 1e-8


def joint_shift_table(
    num_joints: int, channels: int, *, backwards: bool = False
) -> Int64[Tensor, " S"]:
    """Gather indices of the joint shift: channel c of joint v comes from joint v + c, modulo V.

    ``backwards`` takes it from joint v - c. Both index the flat features of a frame, joint * C +
    channel.

    Source: the non-local shift of Cheng et al., CVPR 2020 (Shift-GCN).
    """
    channel = torch.arange(channels)
    joint = torch.arange(num_joints).unsqueeze(1)
    source = (joint - channel if backwards else joint + channel) % num_joints  # V C
    return (source * channels + channel).flatten()


class ShiftGraphConv(nn.Module):
    """Graph convolution without a graph: shift channels between joints, mix them, shift back.

    C channels come in and D go out. The shifted features are scaled by 1 + tanh of a learned
    ``mask``, multiplied by ``weight``, shifted back and normalised per joint and channel; then the
    (projected) input is added and ReLU applied. The order of the joints matters; the bones do not.

    Source: Cheng et al., CVPR 2020 (Shift-GCN).
    """

    shift_in: Tensor
    shift_out: Tensor

    def __init__(self, in_channels: int, out_channels: int, *, num_joints: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(in_channels, out_channels) * math.sqrt(1 / out_channels)
        )
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.mask = nn.Parameter(torch.zeros(num_joints, in_channels))
        self.register_buffer("shift_in", joint_shift_table(num_joints, in_channels))
        self.register_buffer(
            "shift_out", joint_shift_table(num_joints, out_channels, backwards=True)
        )
        self.residual = projection(in_channels, out_channels)
        self.norm = nn.BatchNorm1d(num_joints * out_channels)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """Each joint receives every other joint through a different share of the channels."""
        n, c, t, v = x.shape
        frames = x.permute(0, 2, 3, 1).reshape(n * t, v * c)
        shifted = frames.index_select(1, self.shift_in).view(n * t, v, c)
        mixed = (shifted * (1 + self.mask.tanh())) @ self.weight + self.bias  # N*T V D
        returned = mixed.flatten(1).index_select(1, self.shift_out)
        normed = self.norm(returned).view(n, t, v, -1).permute(0, 3, 1, 2)  # N D T V
        return torch.relu(normed + self.residual(x))


class TemporalShift(nn.Module):
    """Shift each channel in time by a learned, fractional number of frames, with zero padding.

    Frame t of the output is read at t * ``stride`` + offset (plus 0.5 for stride 2): a positive
    offset looks into the future. L = floor(T / stride).

    Args:
        channels: C.
        stride: Temporal stride, 1 or 2.
        sign_gradients: Replace the gradient of each offset by 0.01 times its sign (0.0001 where it
            is exactly 0), as the authors' code does; otherwise it is the true one, as in the paper.

    Source: the adaptive temporal shift of Cheng et al., CVPR 2020 (Shift-GCN);
    kchengiva/Shift-GCN@20276b6 for the gradient. Departure: the authors' code interpolates between
    joints, too, by a ``joint_offset`` that is drawn within 1e-8 and gets no gradient. It is kept,
    for their weights, and not used: it moves results by about 1e-9 of their size.
    """

    def __init__(self, channels: int, *, stride: int = 1, sign_gradients: bool = False) -> None:
        super().__init__()
        self.stride, self.sign_gradients = stride, sign_gradients
        self.lead = 0.5 * (stride - 1)
        drawn = torch.empty(channels).uniform_(-_JOINT_OFFSET_RANGE, _JOINT_OFFSET_RANGE)
        self.joint_offset = nn.Parameter(drawn, requires_grad=False)
        self.offset = nn.Parameter(torch.empty(channels).uniform_(-1.0, 1.0))

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N C L V"]:
        """Read each channel ``offset`` frames later."""
        position = self.offset + self.lead
        if self.sign_gradients and position.requires_grad:
            position.register_hook(_step_by_sign)  # type: ignore[no-untyped-call]
        before = position.floor()
        share = (position - before).to(x.dtype).unsqueeze(1)  # C 1, of the later of two frames
        steps = torch.arange(x.shape[2] // self.stride, device=x.device) * self.stride
        frame = before.detach().long().unsqueeze(1) + steps  # C L
        return _take(x, frame, 1 - share) + _take(x, frame + 1, share)


def _take(
    x: Float[Tensor, "N C T V"], frame: Int64[Tensor, "C L"], share: Float[Tensor, "C 1"]
) -> Float[Tensor, "N C L V"]:
    """One frame per channel and step, times its share; zero where there is no such frame."""
    n, c, t, v = x.shape
    inside = (frame >= 0) & (frame < t)
    first = torch.arange(c, device=x.device).unsqueeze(1) * t
    rows = (first + frame.clamp(0, t - 1)).flatten()
    taken = x.reshape(n, c * t, v).index_select(1, rows).view(n, c, -1, v)
    return taken * (share * inside).unsqueeze(2)


def _step_by_sign(gradient: Float[Tensor, " C"]) -> Float[Tensor, " C"]:
    return torch.where(gradient == 0, _POSITION_STEP_AT_ZERO, _POSITION_STEP * gradient.sign())
