"""Backbones that are blocks in a row, among them ST-GCN's ten, which many families kept."""

from collections.abc import Callable, Sequence
from math import prod

from torch import nn

from skelab.nn import Block

# Output channels, in widths of the network, and temporal stride of the ten blocks.
TEN_BLOCKS = ((1, 1), (1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (4, 1))


MakeBlock = Callable[[int, int, int, bool], Block]
"""From C, D, a temporal stride, and whether it is the first: a block N C T V to N D L V."""


class PlannedBlocks(nn.Sequential):
    """Blocks on single bodies in a row, B C T V to B F L V.

    F is the channels of the last block; L is T halved, rounded up, once for each stride of 2.

    Args:
        in_channels: C.
        width: The plan counts output channels in widths.
        plan: Output channels and temporal stride of each block.
        make_block: The family's block.

    Source: arXiv:1801.07455, with the plan of each family.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        width: int,
        plan: Sequence[tuple[int, int]],
        make_block: MakeBlock,
    ) -> None:
        blocks = []
        for index, (widths, stride) in enumerate(plan):
            out_channels = widths * width
            blocks.append(make_block(in_channels, out_channels, stride, index == 0))
            in_channels = out_channels
        super().__init__(*blocks)
        self.num_features = in_channels
        self.stride = prod(stride for _, stride in plan)


class TenBlocks(PlannedBlocks):
    """Ten blocks on single bodies, B C T V to B F L V, with L = ceil(ceil(T / 2) / 2).

    F is ``4 * width``.

    Args:
        in_channels: C.
        width: Channels of the first four blocks; then come twice and four times as many.
        make_block: The family's block.

    Source: arXiv:1801.07455; the widths and strides of yysijie/st-gcn@221c0e1.
    """

    def __init__(self, in_channels: int, *, width: int, make_block: MakeBlock) -> None:
        super().__init__(in_channels, width=width, plan=TEN_BLOCKS, make_block=make_block)
