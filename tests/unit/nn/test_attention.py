"""Each attention meets its equation, written as loops."""

from itertools import product

import pytest
import torch
from module_kit import randomised

from skelab.nn import ChannelAttention, FrameAttention, JointAttention


@pytest.mark.parametrize(("num_joints", "kernel_size"), [(5, 5), (6, 5), (1, 1)])
def test_joints_are_scaled_by_what_their_neighbours_in_the_order_show(
    num_joints: int, kernel_size: int
) -> None:
    attention = randomised(JointAttention(3, num_joints))
    x = torch.randn(2, 3, 4, num_joints, dtype=torch.float64)

    weight, bias = attention.conv.weight, attention.conv.bias
    assert bias is not None
    assert weight.shape == (1, 3, kernel_size)
    expected = torch.zeros_like(x)
    for clip, joint in product(range(2), range(num_joints)):
        gate = bias[0]
        for tap, channel in product(range(kernel_size), range(3)):
            near = joint + tap - kernel_size // 2
            if 0 <= near < num_joints:
                gate = gate + weight[0, channel, tap] * x[clip, channel, :, near].mean()
        expected[clip, :, :, joint] = x[clip, :, :, joint] * (1 + torch.sigmoid(gate))

    torch.testing.assert_close(attention(x), expected)


def test_frames_are_scaled_by_what_the_frames_around_them_show() -> None:
    attention = randomised(FrameAttention(3, kernel_size=3))
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)

    weight, bias = attention.conv.weight, attention.conv.bias
    assert bias is not None
    expected = torch.zeros_like(x)
    for clip, frame in product(range(2), range(5)):
        gate = bias[0]
        for tap, channel in product(range(3), range(3)):
            near = frame + tap - 1
            if 0 <= near < 5:
                gate = gate + weight[0, channel, tap] * x[clip, channel, near].mean()
        expected[clip, :, frame] = x[clip, :, frame] * (1 + torch.sigmoid(gate))

    torch.testing.assert_close(attention(x), expected)


def test_channels_are_scaled_by_what_all_channels_show() -> None:
    attention = randomised(ChannelAttention(4))
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)

    reduce, expand = attention.reduce, attention.expand
    assert reduce.out_features == 2
    expected = torch.zeros_like(x)
    for clip, channel in product(range(2), range(4)):
        hidden = torch.zeros(2, dtype=torch.float64)
        for unit in range(2):
            total = reduce.bias[unit]
            for other in range(4):
                total = total + reduce.weight[unit, other] * x[clip, other].mean()
            hidden[unit] = total.clamp(min=0)
        gate = expand.bias[channel] + (expand.weight[channel] * hidden).sum()
        expected[clip, channel] = x[clip, channel] * (1 + torch.sigmoid(gate))

    torch.testing.assert_close(attention(x), expected)
