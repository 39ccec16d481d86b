"""Attention that scales a block's joints, frames or channels depending on the clip."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class JointAttention(nn.Module):
    """Scale each joint by 1 plus a gate in (0, 1) computed from its neighbours in joint order.

    The gate is a convolution over the joints' mean over time; its kernel spans all joints (one
    fewer where their number is even), so the result depends on the order of the joints.

    Source: arXiv:1912.06971; kernel sizes of kennymckormick/pyskl@3f6795f.
    """

    def __init__(self, channels: int, num_joints: int) -> None:
        super().__init__()
        kernel_size = num_joints - 1 + num_joints % 2
        self.conv = nn.Conv1d(channels, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N C T V"]:
        """Scale each joint by its gate."""
        gate: Tensor = self.conv(x.mean(dim=2)).sigmoid()  # N 1 V
        return x * (1 + gate.unsqueeze(2))


class FrameAttention(nn.Module):
    """Scale each frame by 1 plus a gate in (0, 1) computed from the frames around it.

    Source: arXiv:1912.06971; kernel size of kennymckormick/pyskl@3f6795f.
    """

    def __init__(self, channels: int, *, kernel_size: int = 9) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N C T V"]:
        """Scale each frame by its gate."""
        gate: Tensor = self.conv(x.mean(dim=3)).sigmoid()  # N 1 T
        return x * (1 + gate.unsqueeze(3))


class ChannelAttention(nn.Module):
    """Scale each channel by 1 plus a gate in (0, 1) computed from all channels.

    Source: arXiv:1912.06971, after arXiv:1709.01507.
    """

    def __init__(self, channels: int, *, reduction: int = 2) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction)
        self.expand = nn.Linear(channels // reduction, channels)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N C T V"]:
        """Scale each channel by its gate."""
        hidden = torch.relu(self.reduce(x.mean(dim=(2, 3))))
        gate: Tensor = self.expand(hidden).sigmoid()  # N C
        return x * (1 + gate[:, :, None, None])
