"""The branches over time meet their equation, written as loops over frames and taps."""

import pytest
import torch
from module_kit import normed, randomised
from torch import Tensor, nn

from skelab.nn import MultiBranchTemporalConv


def pointwise(conv: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 convolution without its stride, written out."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    return torch.einsum("dc,nctv->ndtv", conv.weight[:, :, 0, 0], x) + conv.bias.view(-1, 1, 1)


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
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        mixed = conv.bias.view(1, -1, 1, 1).repeat(2, 1, len(steps), 4)
        for step, centre in enumerate(steps):
            for tap in range(kernel_size):
                frame = centre + (tap - kernel_size // 2) * dilation
                if 0 <= frame < frames:
                    mixed[:, :, step] += conv.weight[:, :, tap, 0] @ reduced[:, :, frame]
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
