"""Shifts meet their equations, written as loops over joints, frames and channels."""

from itertools import product
from math import floor

import pytest
import torch
from module_kit import normed, randomised

from skelab.nn import ShiftGraphConv, TemporalShift, joint_shift_table


@pytest.mark.parametrize("backwards", [False, True])
def test_channel_c_of_a_joint_comes_from_the_joint_c_further_on_counted_round(
    backwards: bool,
) -> None:
    table = joint_shift_table(5, 7, backwards=backwards).tolist()

    for joint, channel in product(range(5), range(7)):
        source = (joint - channel if backwards else joint + channel) % 5
        assert table[joint * 7 + channel] == source * 7 + channel


@pytest.mark.parametrize("out_channels", [3, 4])
def test_joints_are_shifted_masked_mixed_shifted_back_normalised_and_added(
    out_channels: int,
) -> None:
    joints, frames = 5, 2
    conv = randomised(ShiftGraphConv(3, out_channels, num_joints=joints))
    x = torch.randn(2, 3, frames, joints, dtype=torch.float64)

    mixed = torch.zeros(2, out_channels, frames, joints, dtype=torch.float64)
    for joint, out in product(range(joints), range(out_channels)):
        value = conv.bias[out]
        for channel in range(3):
            seen = x[:, channel, :, (joint + channel) % joints]
            masked = seen * (1 + torch.tanh(conv.mask[joint, channel]))
            value = value + masked * conv.weight[channel, out]
        mixed[:, out, :, joint] = value
    returned = torch.zeros(2, joints * out_channels, frames, dtype=torch.float64)
    for joint, out in product(range(joints), range(out_channels)):
        returned[:, joint * out_channels + out] = mixed[:, out, :, (joint - out) % joints]
    flat = normed(conv.norm, returned)
    carried = x
    if out_channels != 3:
        layer, norm = conv.residual.get_submodule("conv"), conv.residual.get_submodule("norm")
        carried = normed(norm, layer(x))
    expected = flat.view(2, joints, out_channels, frames).permute(0, 2, 3, 1) + carried

    torch.testing.assert_close(conv(x), expected.clamp(min=0))


@pytest.mark.parametrize("frames", [1, 2, 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_channel_is_taken_at_its_offset_between_the_two_frames_around_it(
    stride: int, frames: int
) -> None:
    shift = TemporalShift(6, stride=stride).double()
    offsets = torch.tensor([0.0, 1.0, -0.25, 2.75, -9.5, 40.0], dtype=torch.float64)
    with torch.no_grad():
        shift.offset.copy_(offsets)
    x = torch.randn(2, 6, frames, 3, dtype=torch.float64)

    expected = torch.zeros(2, 6, frames // stride, 3, dtype=torch.float64)
    for channel, step in product(range(6), range(frames // stride)):
        position = step * stride + offsets[channel].item() + (0.5 if stride == 2 else 0.0)
        for near in (floor(position), floor(position) + 1):
            if 0 <= near < frames:
                share = 1 - abs(position - near)
                expected[:, channel, step] += share * x[:, channel, near]

    torch.testing.assert_close(shift(x), expected)


def test_an_offset_learns_by_its_true_gradient() -> None:
    shift = TemporalShift(4).double()
    with torch.no_grad():
        shift.offset.copy_(torch.tensor([0.3, -1.4, 2.2, 0.6]))
    x = torch.randn(2, 4, 6, 3, dtype=torch.float64)

    def weighed(offset: torch.Tensor) -> torch.Tensor:
        moved: torch.Tensor = torch.func.functional_call(shift, {"offset": offset}, (x,))
        return moved.square().sum()

    assert torch.autograd.gradcheck(weighed, (shift.offset.detach().requires_grad_(),))


def test_or_by_its_sign_alone_as_in_the_authors_code() -> None:
    true, by_sign = TemporalShift(4).double(), TemporalShift(4, sign_gradients=True).double()
    by_sign.load_state_dict(true.state_dict())
    x = torch.randn(2, 4, 6, 3, dtype=torch.float64)
    x[:, 3] = 0  # nothing to learn from

    for shift in (true, by_sign):
        torch.autograd.backward(shift(x).square().sum())

    assert true.offset.grad is not None
    expected = 0.01 * true.offset.grad.sign()
    expected[3] = 0.0001
    assert by_sign.offset.grad is not None
    torch.testing.assert_close(by_sign.offset.grad, expected)


def test_the_offset_between_joints_never_learns() -> None:
    shift = TemporalShift(1000)

    assert not shift.joint_offset.requires_grad
    assert 0 < float(shift.joint_offset.abs().max()) <= 1e-8
