"""Graph convolutions, which mix the joints of a frame."""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from skelab.nn.causal import FrameMemory, running_mean
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
        return self.mix(x, x.mean(dim=2, keepdim=True), topology, strength)

    def mix(
        self,
        x: Float[Tensor, "N C T V"],
        average: Float[Tensor, "N C 1 V"],
        topology: Float[Tensor, "V V"],
        strength: Float[Tensor, ""],
    ) -> Float[Tensor, "N D T V"]:
        """Mix joints as in ``forward``, with a given average over time."""
        refined = self.refined_topology(average, topology, strength)
        mixed: Tensor = torch.einsum("nduv,ndtv->ndtu", refined, self.value(x))
        return mixed

    def refined_topology(
        self,
        average: Float[Tensor, "N C 1 V"],
        topology: Float[Tensor, "V V"],
        strength: Float[Tensor, ""],
    ) -> Float[Tensor, "N D V V"]:
        """The topology of each clip and channel; row u says how much of each joint reaches u.

        Args:
            average: Features, averaged over time.
            topology: The shared topology.
            strength: Weight of the clip's refinement.
        """
        query, key = self.query(average), self.key(average)  # N R 1 V
        relation = (query.transpose(2, 3) - key).tanh()  # N R V V, pairs of joints
        refined: Tensor = topology + strength * self.refine(relation)
        return refined

    def mix_frame(
        self,
        x: Float[Tensor, "N C 1 V"],
        average: Float[Tensor, "N C 1 V"],
        topology: Float[Tensor, "V V"],
        strength: Float[Tensor, ""],
    ) -> Float[Tensor, "N D 1 V"]:
        """The same as ``mix`` for one frame, in fewer passes over the topologies."""
        query, key = self.query(average), self.key(average)  # N R 1 V
        relation = (query.transpose(2, 3) - key).tanh_()  # N R V V
        weight = strength * self.refine.weight.flatten(1)  # D R
        refined = (weight @ relation.flatten(2)).unflatten(2, relation.shape[2:])  # N D V V
        if self.refine.bias is not None:
            topology = topology + strength * self.refine.bias.view(-1, 1, 1)
        refined += topology
        mixed: Tensor = refined @ self.value(x).transpose(2, 3)  # N D V 1
        return mixed.transpose(2, 3)

    def mix_per_frame(
        self,
        x: Float[Tensor, "N C T V"],
        averages: Float[Tensor, "N C T V"],
        topology: Float[Tensor, "V V"],
        strength: Float[Tensor, ""],
    ) -> Float[Tensor, "N D T V"]:
        """Mix joints with an average, and so a topology, per frame.

        Needs T times the memory.
        """
        query, key = self.query(averages), self.key(averages)  # N R T V
        relation = (query.unsqueeze(-1) - key.unsqueeze(-2)).tanh()  # N R T V V
        added = self.refine(relation.flatten(2, 3)).unflatten(2, relation.shape[2:4])  # N D T V V
        refined = topology + strength * added
        mixed: Tensor = torch.einsum("ndtuv,ndtv->ndtu", refined, self.value(x))
        return mixed


class ChannelTopologyUnit(nn.Module):
    """Sum of channel-refined graph convolutions, one per subset of the topology, with a residual.

    The topologies (one V x V matrix per subset) are learned; ``strength``, the weight of the
    refinement, is shared by all subsets and starts at 0.

    In a causal unit each frame has its own topology, refined by the average over the latest
    ``horizon`` frames instead of the whole clip.

    Source: arXiv:2107.12213, section 3.3.
    """

    horizon: int | None = None

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
        if self.horizon is not None:
            averages = running_mean(x, self.horizon)
            return self._joined(
                x, [conv.mix_per_frame(x, averages, *how) for conv, how in self._ways()]
            )
        return self._joined(x, [conv(x, *how) for conv, how in self._ways()])

    def look_back(self, horizon: int) -> None:
        """Average over the latest ``horizon`` frames instead of the clip."""
        self.horizon = horizon

    def step(self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory) -> Float[Tensor, "N D 1 V"]:
        """Output for the newest frame.

        Raises:
            RuntimeError: The unit is not causal.
        """
        if self.horizon is None:
            raise RuntimeError("the unit averages over whole clips; make it look back first")
        ring, before = memory.ring(self, x, self.horizon)
        seen = min(before + 1, self.horizon)
        average = ring.sum(dim=2, keepdim=True) / seen  # places that are not filled yet are zeros
        return self._joined(x, [conv.mix_frame(x, average, *how) for conv, how in self._ways()])

    def _ways(self) -> Iterator[tuple[ChannelTopologyConv, tuple[Tensor, Tensor]]]:
        """The convolution of each subset with its topology and the strength."""
        strength = self.strength.squeeze(0)
        for conv, topology in zip(self.subsets, self.topology, strict=True):
            yield cast(ChannelTopologyConv, conv), (topology, strength)

    def _joined(
        self, x: Float[Tensor, "N C T V"], parts: Sequence[Float[Tensor, "N D T V"]]
    ) -> Float[Tensor, "N D T V"]:
        return torch.relu(self.norm(reduce(torch.add, parts)) + self.residual(x))


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
    looks_back: bool = False
    """Whether windows end with their frame instead of being centred on it."""

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
        if self.looks_back:
            series = F.pad(series, (self.window - 1, 0))
        return self._mixed(series)

    def look_back(self, horizon: int) -> None:
        """Let each window end with its frame; ``horizon`` is unused, since nothing is averaged."""
        self.looks_back = True

    def step(
        self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
    ) -> Float[Tensor, "N D W 1"] | None:
        """Mix the nodes of the window that ends with the newest frame.

        Returns None if the stride skips the frame.

        Raises:
            RuntimeError: The layer is not causal.
        """
        if not self.looks_back:
            raise RuntimeError("the windows are centred on their frames; make them look back first")
        ring, before = memory.ring(self, x, self.window)
        if before % self.stride:
            return None
        ordered = ring.roll(self.window - 1 - before % self.window, dims=2)
        return self._mixed(ordered.transpose(2, 3).contiguous())

    def _mixed(self, series: Float[Tensor, "N C V T"]) -> Float[Tensor, "N D W L"]:
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
        padding = 0 if self.looks_back else self.window // 2
        return F.conv1d(x, kernel, stride=self.stride, padding=padding)
