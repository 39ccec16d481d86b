"""What carries a block's input past it."""

import pytest
import torch
from module_kit import normed, randomised
from torch import nn

from skelab.nn import projection


def test_an_input_of_the_right_shape_is_carried_as_it_is() -> None:
    carry = projection(4, 4)

    x = torch.randn(1, 4, 3, 2)

    assert isinstance(carry, nn.Identity)
    assert carry(x) is x


@pytest.mark.parametrize(("out_channels", "stride"), [(6, 1), (6, 2), (4, 2)])
def test_another_shape_is_projected_and_normed(out_channels: int, stride: int) -> None:
    carry = randomised(projection(4, out_channels, stride=stride))
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)

    conv, norm = carry.get_submodule("conv"), carry.get_submodule("norm")
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    mixed = torch.einsum("dc,nctv->ndtv", conv.weight[:, :, 0, 0], x[:, :, ::stride])
    expected = normed(norm, mixed + conv.bias.view(-1, 1, 1))

    torch.testing.assert_close(carry(x), expected)
