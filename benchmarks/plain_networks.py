"""CTR-GCN and MS-G3D computed as their authors describe it: the yardstick of memory and time.

Same weights, same numbers, straightforward steps. In CTR-GCN the mean over time comes after the
1x1 convolutions of the relation. In MS-G3D windows of frames are copied out of the clip (unfold),
their nodes are mixed for all scales at once, and only then a 1x1 brings S * C channels to D; the
window is collapsed by a 3D convolution. Written from a description of the networks, with no code
of their authors.
"""

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skelab.models import SkeletonModel, set_activation_policy, set_skip_absent
from skelab.models.families.msg3d import FrameUnit, WindowUnit
from skelab.nn import ChannelTopologyConv, MultiScaleGraphConv


def plain_twin(model: SkeletonModel) -> SkeletonModel:
    """A copy that computes the same in the plain way, every body and every window."""
    twin = copy.deepcopy(model)
    set_skip_absent(twin, False)
    set_activation_policy(twin, "keep")
    plain = {
        ChannelTopologyConv: _PlainTopologyConv,
        FrameUnit: _PlainFrameUnit,
        WindowUnit: _PlainWindowUnit,
    }
    for layer in twin.modules():
        if type(layer) in plain:
            layer.__class__ = plain[type(layer)]  # weights and keys stay
    return twin


class _PlainTopologyConv(ChannelTopologyConv):
    def forward(self, x: Tensor, topology: Tensor, strength: Tensor) -> Tensor:
        """Relations from the time means of what the 1x1 convolutions give."""
        query, key = self.query(x).mean(dim=2), self.key(x).mean(dim=2)  # N R V
        relation = torch.tanh(query.unsqueeze(3) - key.unsqueeze(2))  # N R V V
        refined = self.refine(relation) * strength + topology  # N D V V
        mixed: Tensor = torch.einsum("nduv,ndtv->ndtu", refined, self.value(x))
        return mixed


class _PlainFrameUnit(FrameUnit):
    def transform(self, x: Tensor) -> Tensor:
        """Every joint of all scales first, then the 1x1."""
        return torch.relu(self.norm(_mix_then_transform(self.mix, x)))


class _PlainWindowUnit(WindowUnit):
    def transform(self, x: Tensor) -> Tensor:
        """Copy each window, mix its nodes for all scales, transform, collapse."""
        n, c, _, v = x.shape
        w, stride = self.window, self.mix.stride
        taps = F.unfold(x, (w, 1), stride=(stride, 1), padding=(w // 2, 0))  # N C*w L*V
        windows = taps.view(n, c, w, -1, v).transpose(2, 3).reshape(n, c, -1, w * v)  # N C L W
        nodes = torch.relu(self.norm(_mix_then_transform(self.mix, windows)))  # N E L W
        cubes = nodes.view(n, nodes.shape[1], -1, w, v)  # N E L w V
        weight = self.collapse.weight.view(len(self.collapse.weight), -1, 1, w, 1)
        collapsed = F.conv3d(cubes, weight, self.collapse.bias).squeeze(3)  # N D L V
        normed: Tensor = self.collapse_norm(collapsed)
        return normed


def _mix_then_transform(mix: MultiScaleGraphConv, x: Tensor) -> Tensor:
    """S * C channels, scale by scale, from all nodes; then the 1x1 to D channels."""
    topology = mix.adjacency + mix.refinement  # S W W
    scales, nodes, _ = topology.shape
    mixed = torch.einsum("au,nctu->ncta", topology.view(scales * nodes, nodes), x)  # N C L S*W
    parts = mixed.view(*x.shape[:3], scales, nodes).permute(0, 3, 1, 2, 4)  # N S C L W
    return cast(Tensor, mix.transform(parts.reshape(len(x), -1, x.shape[2], nodes)))


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, each storage counted once.

    Weights and the clips themselves are not counted.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), x)}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that none is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(x)
    return sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in own)
