"""Graph convolutions whose whole topology is learned, and refined by each clip."""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.nn.residual import projection

_START_MEAN, _START_STD = 0.04, 0.02


class DynamicTopologyUnit(nn.Module):
    """K graph convolutions on C' channels each, their topologies refined by clip, with a residual.

    No graph is given: the K topologies start as small random numbers. A clip adds two things:
    how two joints differ in each channel, and which joints attend to each other. The strengths of
    both are learned and start at 0. K * C' channels are then merged to D; C' is D // K.

    Args:
        in_channels: C.
        out_channels: D, at least K.
        num_joints: V.
        num_subsets: K.
        one_strength: The first of the K strengths counts for all subsets, as in the authors' code.

    Source: arXiv:2210.05895 (DG-GCN); the softmax over the sending joint of
    kennymckormick/pyskl@3f6795f.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_joints: int,
        num_subsets: int = 8,
        one_strength: bool = False,
    ) -> None:
        super().__init__()
        hidden = num_subsets * (out_channels // num_subsets)
        start = torch.empty(num_subsets, num_joints, num_joints)
        self.num_subsets = num_subsets
        self.one_strength = one_strength
        self.topology = nn.Parameter(start.normal_(_START_MEAN, _START_STD))
        self.channel_strength = nn.Parameter(torch.zeros(num_subsets))
        self.joint_strength = nn.Parameter(torch.zeros(num_subsets))
        conv, norm = nn.Conv2d(in_channels, hidden, kernel_size=1), nn.BatchNorm2d(hidden)
        self.reduce = nn.Sequential(OrderedDict(conv=conv, norm=norm, activation=nn.ReLU()))
        self.merge = nn.Conv2d(hidden, out_channels, kernel_size=1)
        self.query = nn.Conv2d(in_channels, hidden, kernel_size=1)
        self.key = nn.Conv2d(in_channels, hidden, kernel_size=1)
        self.residual = projection(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """Each subset's mixture of the joints, merged, normalised and rectified."""
        topology = self.topology.unsqueeze(1) + self.refinement(x)  # N K C' V V
        parts = self.reduce(x).unflatten(1, (self.num_subsets, -1))  # N K C' T V
        mixed = (parts @ topology).flatten(1, 2)  # to joint w goes topology[v, w] of joint v
        return torch.relu(self.norm(self.merge(mixed)) + self.residual(x))

    def refinement(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N K E V V"]:
        """What each clip adds to the topology of each of the K * E channels; E is C'."""
        average = x.mean(dim=2, keepdim=True)  # the mean of a 1x1 is the 1x1 of the mean
        a = self.query(average).squeeze(2).unflatten(1, (self.num_subsets, -1))  # N K C' V
        b = self.key(average).squeeze(2).unflatten(1, (self.num_subsets, -1))
        by_channel = (a.unsqueeze(-1) - b.unsqueeze(-2)).tanh()  # N K C' V V
        by_joint = (a.transpose(2, 3) @ b).softmax(dim=2).unsqueeze(2)  # N K 1 V V
        refinement: Tensor = (
            self._strength(self.channel_strength) * by_channel
            + self._strength(self.joint_strength) * by_joint
        )
        return refinement

    def _strength(self, strengths: Float[Tensor, " K"]) -> Float[Tensor, "J 1 1 1"]:
        return (strengths[:1] if self.one_strength else strengths).view(-1, 1, 1, 1)
