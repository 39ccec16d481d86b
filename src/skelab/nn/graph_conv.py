"""Graph convolutions, which mix the joints of a frame."""

from functools import reduce

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from skelab.nn.residual import projection


class ChannelTopologyConv(nn.Module):
    """Graph convolution whose topology is refined per channel (CTR-GC).

    C channels come in and D go out; R channels carry the relation between two joints.

    Source: arXiv:2107.12213, equations 5 to 9. The time mean is taken before the 1x1
    convolutions, not after: they are linear, so the result is the same and costs T times less.
    """

    def __init__(self, in_channels: int, out_channels: int, *, relation_channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(in_channels, relation_channels, kernel_size=1)
        self.key = nn.Conv2d(in_channels, relation_channels, kernel_size=1)
        self.value = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        self.refine = nn.Conv2d(relation_channels, out_channels, kernel_size=1)

    def forward(
        self,
        x: Float[Tensor, "N C T V"],
        topology: Float[Tensor, "V V"],
        strength: Float[Tensor, ""],
    ) -> Float[Tensor, "N D T V"]:
        """Mix joints by the shared topology plus ``strength`` times the clip's refinement."""
        average = x.mean(dim=2, keepdim=True)  # N C 1 V
        query, key = self.query(average), self.key(average)  # N R 1 V
        relation = (query.transpose(2, 3) - key).tanh()  # N R V V, pairs of joints
        refined = topology + strength * self.refine(relation)  # N D V V
        mixed: Tensor = torch.einsum("nduv,ndtv->ndtu", refined, self.value(x))
        return mixed


class ChannelTopologyUnit(nn.Module):
    """Sum of channel-refined graph convolutions, one per subset of the topology, with a residual.

    The topologies (one V x V matrix per subset) are learned; ``strength``, the weight of the
    refinement, is shared by all subsets and starts at 0.

    Source: arXiv:2107.12213, section 3.3.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, topology: Float[Tensor, "K V V"]
    ) -> None:
        super().__init__()
        relation_channels = max(8, in_channels // 8)
        self.topology = nn.Parameter(topology.clone())
        self.strength = nn.Parameter(torch.zeros(1))
        self.subsets = nn.ModuleList(
            ChannelTopologyConv(in_channels, out_channels, relation_channels=relation_channels)
            for _ in topology
        )
        self.residual = projection(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """Mix the joints in each subset, sum, normalise and apply ReLU."""
        strength = self.strength.squeeze(0)
        pairs = zip(self.subsets, self.topology, strict=True)
        mixed = reduce(torch.add, (conv(x, topology, strength) for conv, topology in pairs))
        return torch.relu(self.norm(mixed) + self.residual(x))


class PartitionedGraphConv(nn.Module):
    """Graph convolution with separate weights for each of K subsets of a joint's neighbours.

    C channels come in and D go out. The topology is an argument: the family decides which
    part of it is learned.

    Source: arXiv:1801.07455.
    """

    def __init__(self, in_channels: int, out_channels: int, *, num_subsets: int) -> None:
        super().__init__()
        self.num_subsets = num_subsets
        self.conv = nn.Conv2d(in_channels, num_subsets * out_channels, kernel_size=1)

    def forward(
        self, x: Float[Tensor, "N C T V"], topology: Float[Tensor, "K V V"]
    ) -> Float[Tensor, "N D T V"]:
        """Joint w receives ``topology[k, v, w]`` times the k-th transform of each joint v."""
        parts = self.conv(x).unflatten(1, (self.num_subsets, -1))  # N K D T V
        mixed: Tensor = torch.einsum("nkdtv,kvw->ndtw", parts, topology)
        return mixed


class AdaptiveGraphConv(nn.Module):
    """Graph convolution whose topology is learned freely, plus the similarity of a clip's joints.

    C channels come in and D go out; the similarity uses D / 4 channels over all frames.

    Source: arXiv:1912.06971; the similarity, the tanh of a mean product, of
    kennymckormick/pyskl@3f6795f.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, topology: Float[Tensor, "K V V"]
    ) -> None:
        super().__init__()
        self.topology = nn.Parameter(topology.clone())
        self.strength = nn.Parameter(torch.zeros(1))

        def per_subset(channels: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(in_channels, channels, kernel_size=1) for _ in topology)

        self.value = per_subset(out_channels)
        self.query = per_subset(out_channels // 4)
        self.key = per_subset(out_channels // 4)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        """Sum the graph convolutions of all subsets."""
        subsets = zip(self.topology, self.value, self.query, self.key, strict=True)
        return reduce(torch.add, (self._mix(x, *subset) for subset in subsets))

    def _mix(
        self,
        x: Float[Tensor, "N C T V"],
        topology: Float[Tensor, "V V"],
        value: nn.Module,
        query: nn.Module,
        key: nn.Module,
    ) -> Float[Tensor, "N D T V"]:
        a, b = query(x).flatten(1, 2), key(x).flatten(1, 2)  # N R*T V
        likeness = (a.transpose(1, 2) @ b / a.shape[1]).tanh()  # N V V
        refined = topology + self.strength * likeness
        mixed: Tensor = value((x.flatten(1, 2) @ refined).view_as(x))
        return mixed


class MultiScaleGraphConv(nn.Module):
    """Graph convolution over S neighbourhoods at once, inside windows of w frames.

    The W = w * V nodes of a window are the joints of its frames, node number = frame * V + joint.
    Each scale has a fixed adjacency plus a learned ``refinement`` that starts near zero; a 1x1
    convolution then maps all scales (S * C channels, scale by scale) to D channels.
    Windows are centred on every ``stride``-th frame, with zeros beyond the clip:
    L = ceil(T / stride).

    Source: arXiv:2003.14111, sections 3.2 and 3.3. Two departures that change no result: the
    mixture of nodes over time is a convolution whose channels are the nodes, so that no window is
    copied; and the 1x1 comes first unless it widens the channels, so that it runs on V nodes per
    frame instead of W.

    Args:
        in_channels: C.
        out_channels: D.
        adjacency: One W x W matrix per scale; a buffer outside the state dict.
        window: w, odd; 1 mixes the joints of single frames.
        stride: Frames between two windows.
    """

    adjacency: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        adjacency: Float[Tensor, "S W W"],
        window: int = 1,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.window, self.stride = window, stride
        self.narrows = out_channels <= in_channels
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.refinement = nn.Parameter(torch.empty_like(adjacency).uniform_(-1e-6, 1e-6))
        self.transform = nn.Conv2d(len(adjacency) * in_channels, out_channels, kernel_size=1)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D W L"]:
        """Mix the nodes of each window; nodes precede frames in the result."""
        series = x.transpose(2, 3).contiguous()  # N C V T
        return self._transform_first(series) if self.narrows else self._mix_first(series)

    def _transform_first(self, x: Float[Tensor, "N C V T"]) -> Float[Tensor, "N D W L"]:
        n, c, v, t = x.shape
        scales, nodes, _ = self.refinement.shape
        weight, bias = self.transform.weight, self.transform.bias
        kernel = self._taps(v).transpose(0, 1).reshape(nodes, scales * v, self.window)
        parts = F.conv2d(x, weight.view(-1, c, 1, 1))  # N D*S V T
        mixed = self._over_time(parts.reshape(-1, scales * v, t), kernel)  # N*D W L
        mixed = mixed.reshape(n, len(weight), nodes, -1)  # N D W L
        return mixed if bias is None else mixed + bias.view(-1, 1, 1)

    def _mix_first(self, x: Float[Tensor, "N C V T"]) -> Float[Tensor, "N D W L"]:
        n, c, v, t = x.shape
        scales, nodes, _ = self.refinement.shape
        weight, bias = self.transform.weight, self.transform.bias
        kernel = self._taps(v).reshape(scales * nodes, v, self.window)
        mixed = self._over_time(x.view(n * c, v, t), kernel)  # N*C S*W L
        parts = mixed.reshape(n, c * scales, nodes, -1)  # N C*S W L
        weight = weight.view(-1, scales, c).transpose(1, 2)  # D C S
        return F.conv2d(parts, weight.reshape(-1, c * scales, 1, 1), bias)

    def _taps(self, num_joints: int) -> Float[Tensor, "S W V w"]:
        """The weight from each joint of each frame in a window to each of its nodes."""
        scales, nodes, _ = self.refinement.shape
        topology = self.adjacency + self.refinement  # S W W
        return topology.view(scales, nodes, self.window, num_joints).transpose(2, 3).contiguous()

    def _over_time(
        self, x: Float[Tensor, "B A T"], kernel: Float[Tensor, "D A w"]
    ) -> Float[Tensor, "B D L"]:
        return F.conv1d(x, kernel, stride=self.stride, padding=self.window // 2)
