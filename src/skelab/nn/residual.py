"""Residual connections: the input itself, or its projection where the shape changes."""

from collections import OrderedDict

from torch import nn


def projection(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Module:
    """What carries a block's input N C T V past it to the shape of its output.

    The identity where channels and frames stay; otherwise a 1x1 convolution that takes every
    ``stride``-th frame, batch-normalised, without activation.
    """
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=(stride, 1))
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(out_channels)))
