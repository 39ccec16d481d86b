"""The branches over time meet their equation, written as loops over frames and taps."""

import pytest
import torch
from module_kit import normed, randomised
from torch import Tensor, nn

from skelab.nn import (
    BodyAwareTemporalConv,
    MergingTemporalConv,
    MultiBranchTemporalConv,
    PlainTemporalConv,
)


def pointwise(conv: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 convolution without its stride, written out."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    return torch.einsum("dc,nctv->ndtv", conv.weight[:, :, 0, 0], x) + conv.bias.view(-1, 1, 1)


def over_time(conv: nn.Module, x: Tensor, *, dilation: int, stride: int) -> Tensor:
    """A centred convolution over time with zeros around the clip, written as loops."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    frames, taps = x.shape[2], conv.weight.shape[2]
    steps = range(0, frames, stride)
    mixed = conv.bias.view(1, -1, 1, 1).repeat(len(x), 1, len(steps), x.shape[3])
    for step, centre in enumerate(steps):
        for tap in range(taps):
            frame = centre + (tap - taps // 2) * dilation
            if 0 <= frame < frames:
                mixed[:, :, step] += conv.weight[:, :, tap, 0] @ x[:, :, frame]
    return mixed


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("kernel_size", "dilations"), [(5, (1, 2)), (3, (1, 2, 3, 4))])
def test_every_branch_equals_its_equation_and_they_follow_one_another(
    kernel_size: int, dilations: tuple[int, ...], stride: int
) -> None:
    share, frames = 2, 7
    width = share * (len(dilations) + 2)
    unit = randomised(
        MultiBranchTemporalConv(
            3, width, kernel_size=kernel_size, dilations=dilations, stride=stride
        )
    )
    x = torch.randn(2, 3, frames, 4, dtype=torch.float64)
    steps = range(0, frames, stride)

    outputs = []
    for branch, dilation in zip(unit.branches, dilations, strict=False):
        reduced = torch.relu(
            normed(
                branch.get_submodule("reduce_norm"), pointwise(branch.get_submodule("reduce"), x)
            )
        )
        conv = branch.get_submodule("dilated")
        mixed = over_time(conv, reduced, dilation=dilation, stride=stride)
        outputs.append(normed(branch.get_submodule("dilated_norm"), mixed))
    pooling, plain = unit.branches[-2], unit.branches[-1]
    reduced = torch.relu(
        normed(pooling.get_submodule("reduce_norm"), pointwise(pooling.get_submodule("reduce"), x))
    )
    highest = [reduced[:, :, max(t - 1, 0) : t + 2].amax(dim=2) for t in steps]
    outputs.append(normed(pooling.get_submodule("pool_norm"), torch.stack(highest, dim=2)))
    straight = pointwise(plain.get_submodule("reduce"), x)[:, :, ::stride]
    outputs.append(normed(plain.get_submodule("reduce_norm"), straight))

    torch.testing.assert_close(unit(x), torch.cat(outputs, dim=1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [12, 15])
def test_merging_branches_are_normalised_together_and_mixed(width: int, stride: int) -> None:
    dilations, share, frames = (1, 2, 3, 4), width // 6, 7
    unit = randomised(
        MergingTemporalConv(3, width, kernel_size=3, dilations=dilations, stride=stride)
    )
    x = torch.randn(2, 3, frames, 4, dtype=torch.float64)

    outputs = []
    for branch, dilation in zip(unit.branches, dilations, strict=False):
        norm, reduce = branch.get_submodule("reduce_norm"), branch.get_submodule("reduce")
        reduced = torch.relu(normed(norm, pointwise(reduce, x)))
        conv = branch.get_submodule("dilated")
        outputs.append(over_time(conv, reduced, dilation=dilation, stride=stride))
    pooling, plain = unit.branches[-2], unit.branches[-1]
    norm, reduce = pooling.get_submodule("reduce_norm"), pooling.get_submodule("reduce")
    reduced = torch.relu(normed(norm, pointwise(reduce, x)))
    steps = range(0, frames, stride)
    highest = [reduced[:, :, max(t - 1, 0) : t + 2].amax(dim=2) for t in steps]
    outputs.append(torch.stack(highest, dim=2))
    outputs.append(pointwise(plain, x)[:, :, ::stride])
    together = torch.relu(normed(unit.branch_norm, torch.cat(outputs, dim=1)))
    expected = normed(unit.norm, pointwise(unit.merge, together))

    assert [output.shape[1] for output in outputs] == [width - 5 * share, *[share] * 5]
    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_plain_convolution_is_normalised_and_drops_numbers_in_training_only(stride: int) -> None:
    unit = randomised(PlainTemporalConv(3, 4, kernel_size=5, stride=stride, dropout=0.999))
    x = torch.randn(2, 3, 7, 4, dtype=torch.float64)

    conv, norm = unit.get_submodule("conv"), unit.get_submodule("norm")
    expected = normed(norm, over_time(conv, x, dilation=1, stride=stride))

    torch.testing.assert_close(unit(x), expected)
    torch.manual_seed(0)
    assert int((unit.train()(x) != 0).sum()) < expected.numel() / 20


def test_repeated_ends_make_a_still_clip_still() -> None:
    torch.manual_seed(0)
    unit = MultiBranchTemporalConv(3, 8, kernel_size=5, dilations=(1, 2), repeats_ends=True).eval()
    still = torch.randn(2, 3, 1, 4).expand(-1, -1, 6, -1)

    mixed = unit(still)

    torch.testing.assert_close(mixed, mixed[:, :, :1].expand_as(mixed))


@pytest.mark.parametrize("stride", [1, 2])
def test_every_joint_takes_its_share_of_the_mean_of_all(stride: int) -> None:
    unit = randomised(BodyAwareTemporalConv(4, 12, num_joints=5, stride=stride))
    x = torch.randn(2, 4, 7, 5, dtype=torch.float64)
    body = x.mean(dim=3, keepdim=True)

    branches = torch.cat([branch(x) for branch in unit.branches], dim=1)
    of_body = torch.cat([branch(body) for branch in unit.branches], dim=1)
    shared = branches + of_body * unit.shares
    activated = normed(unit.branch_norm, shared).clamp(min=0)
    expected = normed(unit.norm, pointwise(unit.merge, activated))

    torch.testing.assert_close(unit(x), expected)
