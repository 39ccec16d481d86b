"""Residual connections: the identity, or a projection where the shape changes."""

from collections import OrderedDict

from torch import nn


def projection(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Module:
    """The residual connection around a block, for inputs N C T V.

    The identity if channels and frames are unchanged; otherwise a strided 1x1 convolution with
    batch norm, without activation.
    """
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=(stride, 1))
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(out_channels)))
