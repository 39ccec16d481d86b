"""The yardstick: a training clip is cropped, resized and turned alone, as is usual.

Not part of the package. Written from a description of CTR-GCN's feeder, without its code at hand.
"""

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

NUM_JOINTS = 25
WINDOW = 64


def feed(row: ndarray, generator: torch.Generator) -> Tensor:
    """One training sample from a padded row (frames, 150): crop, resize, turn; C T V M."""
    frames = len(row)
    sample = row.reshape(frames, 2, NUM_JOINTS, 3).transpose(3, 0, 2, 1)
    valid = int(np.sum(sample.sum(0).sum(-1).sum(-1) != 0))
    share = np.random.rand() * 0.5 + 0.5
    length = int(np.minimum(np.maximum(int(np.floor(valid * share)), WINDOW), valid))
    start = np.random.randint(0, valid - length + 1)
    data = torch.tensor(sample[:, start : start + length], dtype=torch.float)
    channels, _, joints, bodies = data.shape
    data = data.permute(0, 2, 3, 1).reshape(channels * joints * bodies, length)[None]
    data = torch.nn.functional.interpolate(data, size=WINDOW, mode="linear", align_corners=False)
    data = data[0].reshape(channels, joints, bodies, WINDOW).permute(0, 3, 1, 2)
    return _turn(data.contiguous(), generator)


def _turn(data: Tensor, generator: torch.Generator) -> Tensor:
    channels, frames, joints, bodies = data.shape
    angles = torch.empty(3).uniform_(-0.3, 0.3, generator=generator)
    matrices = _rotation(angles.expand(frames, 3))
    flat = data.permute(1, 0, 2, 3).reshape(frames, channels, joints * bodies)
    turned = torch.matmul(matrices, flat)
    return turned.reshape(frames, channels, joints, bodies).permute(1, 0, 2, 3).contiguous()


def _rotation(angles: Tensor) -> Tensor:
    cos, sin = angles.cos(), angles.sin()  # each T 3
    zero, one = torch.zeros_like(cos[:, :1]), torch.ones_like(cos[:, :1])

    def rows(*entries: Tensor) -> Tensor:
        return torch.cat(entries, dim=-1).reshape(-1, 3, 3)

    (cx, cy, cz), (sx, sy, sz) = torch.split(cos, 1, dim=-1), torch.split(sin, 1, dim=-1)
    about_x = rows(one, zero, zero, zero, cx, sx, zero, -sx, cx)
    about_y = rows(cy, zero, -sy, zero, one, zero, sy, zero, cy)
    about_z = rows(cz, sz, zero, -sz, cz, zero, zero, zero, one)
    return about_z.matmul(about_y).matmul(about_x)
