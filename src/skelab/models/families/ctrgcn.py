"""CTR-GCN: graph convolutions whose topology is refined channel by channel."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.authors import COMMON_NAMES, NUMBERED_BLOCKS, AuthorsFormat
from skelab.models.axes import BODY_NORM, JointAxes
from skelab.models.base import SkeletonModel
from skelab.models.cards.ctrgcn import CTRGCN
from skelab.models.causal import as_causal
from skelab.models.options import check_multiple
from skelab.models.plan import TenBlocks
from skelab.models.registry import register_model
from skelab.nn import (
    Block,
    ChannelTopologyUnit,
    FrameMemory,
    MultiBranchTemporalConv,
    init_classifier,
    init_convs_by_fan_out,
    init_norms_near_one,
    projection,
    step_with_residual,
)
from skelab.skeleton import Layout, spatial_partition

_NORM_SCALE_BEFORE_RESIDUAL = 1e-6  # a new block adds next to nothing to its residual


class CTRGCNBlock(Block):
    """Mix the joints, then the frames, and add the block's input.

    Source: arXiv:2107.12213, figure 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        topology: Float[Tensor, "K V V"],
        stride: int = 1,
        has_residual: bool = True,
    ) -> None:
        super().__init__()
        self.spatial = ChannelTopologyUnit(in_channels, out_channels, topology=topology)
        self.temporal = MultiBranchTemporalConv(
            out_channels, out_channels, kernel_size=5, dilations=(1, 2), stride=stride
        )
        self.residual = (
            projection(in_channels, out_channels, stride=stride) if has_residual else None
        )
        self._initialise()

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """ReLU of what the convolutions make of x, plus x itself."""
        mixed = self.temporal(self.spatial(x))
        if self.residual is not None:
            mixed = mixed + self.residual(x)
        return torch.relu(mixed)

    def step(
        self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
    ) -> Float[Tensor, "N D 1 V"] | None:
        """Output for the newest frame, in a causal network."""
        mixed = step_with_residual((self.spatial, self.temporal), self.residual, x, memory)
        return None if mixed is None else torch.relu(mixed)

    def _initialise(self) -> None:
        init_convs_by_fan_out(self)
        init_norms_near_one(self.temporal)
        nn.init.constant_(self.spatial.norm.weight, _NORM_SCALE_BEFORE_RESIDUAL)


class CTRGCNBackbone(TenBlocks):
    """Ten blocks on single bodies, B C T V to B F L V, with L = ceil(ceil(T / 2) / 2).

    F is ``4 * width``; the first block has no residual.

    Source: arXiv:2107.12213, section 3.4.
    """

    def __init__(self, in_channels: int, *, width: int, topology: Float[Tensor, "K V V"]) -> None:
        def make_block(
            in_channels: int, out_channels: int, stride: int, is_first: bool
        ) -> CTRGCNBlock:
            return CTRGCNBlock(
                in_channels,
                out_channels,
                topology=topology,
                stride=stride,
                has_residual=not is_first,
            )

        super().__init__(in_channels, width=width, make_block=make_block)


def _build_arguments(theirs: Mapping[str, Tensor]) -> dict[str, int]:
    num_joints = theirs["l1.gcn1.PA"].shape[-1]
    width, in_channels = theirs["l1.gcn1.convs.0.conv3.weight"].shape[:2]
    return {
        "num_classes": theirs["fc.weight"].shape[0],
        "num_joints": num_joints,
        "in_channels": in_channels,
        "max_bodies": theirs["data_bn.weight"].shape[0] // (num_joints * in_channels),
        "width": width,
    }


_AUTHORS = AuthorsFormat(
    names=(
        NUMBERED_BLOCKS,
        (r"\.spatial\.residual\.conv\.", ".gcn1.down.0."),
        (r"\.spatial\.residual\.norm\.", ".gcn1.down.1."),
        (r"\.spatial\.norm\.", ".gcn1.bn."),
        (r"\.spatial\.topology$", ".gcn1.PA"),
        (r"\.spatial\.strength$", ".gcn1.alpha"),
        (r"\.spatial\.subsets\.(\d+)\.", r".gcn1.convs.\1."),
        (r"\.query\.", ".conv1."),
        (r"\.key\.", ".conv2."),
        (r"\.value\.", ".conv3."),
        (r"\.refine\.", ".conv4."),
        (r"\.temporal\.", ".tcn1."),
        *COMMON_NAMES,
    ),
    build_arguments=_build_arguments,
)

_JOINT_AXES = JointAxes({BODY_NORM: "(M V C)", r"\.spatial\.topology$": "K V V"})


@register_model(CTRGCN, authors=_AUTHORS, joint_axes=_JOINT_AXES)
def ctrgcn(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: float,
    width: int,
    causal: bool,
    horizon: int,
) -> SkeletonModel:
    """CTR-GCN for clips N C T V M of any length.

    The network averages over all frames of a clip to relate joints. A causal network averages over
    the latest ``horizon`` frames at each frame, so that this layer needs T times the memory in
    training; ``memory.activations: recompute`` saves most of it.

    Raises:
        ModelError: An option is out of range.

    Source: arXiv:2107.12213; layer sizes and initialisation of the authors' code, from a
    description of it.
    """
    check_multiple("ctrgcn", "width", width, of=4)
    topology = torch.from_numpy(spatial_partition(layout)).float()
    backbone = CTRGCNBackbone(in_channels, width=width, topology=topology)
    model = SkeletonModel(
        backbone,
        num_features=backbone.num_features,
        stride=backbone.stride,
        num_classes=num_classes,
        in_channels=in_channels,
        num_joints=layout.num_joints,
        max_bodies=max_bodies,
        dropout=dropout,
    )
    init_classifier(model.classifier)
    return as_causal(model, horizon) if causal else model
