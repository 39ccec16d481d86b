"""Batch norms folded into convolutions, against the layers themselves."""

import torch
from torch import nn

from skelab.inference.folding.norms import linear_of, norm_of, side_by_side


def a_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels).double()
    norm.running_mean, norm.running_var = (
        torch.randn(channels).double(),
        torch.rand(channels).double(),
    )
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm.eval()


def test_a_norm_is_a_factor_and_an_offset() -> None:
    torch.manual_seed(0)
    norm, x = a_norm(4), torch.randn(2, 4, 3, 5, dtype=torch.float64)

    affine = norm_of(norm)

    found = x.permute(0, 2, 3, 1).numpy() * affine.factor + affine.offset
    torch.testing.assert_close(torch.from_numpy(found).permute(0, 3, 1, 2), norm(x))


def test_pointwise_convolutions_with_their_norms_become_one_matrix() -> None:
    torch.manual_seed(0)
    convs = [nn.Conv2d(3, out, 1).double() for out in (2, 4)]
    norms = [a_norm(2), a_norm(4)]
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    expected = torch.cat([norm(conv(x)) for conv, norm in zip(convs, norms, strict=True)], dim=1)

    linear = side_by_side([linear_of(*pair) for pair in zip(convs, norms, strict=True)])

    found = x.permute(0, 2, 3, 1).numpy() @ linear.matrix + linear.bias
    torch.testing.assert_close(torch.from_numpy(found).permute(0, 3, 1, 2), expected.detach())
