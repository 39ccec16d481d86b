"""The plan of ten blocks that families share."""

from torch import nn

from skelab.models.plan import TenBlocks
from skelab.nn import Block


def test_ten_blocks_widen_and_shorten_twice_and_the_first_is_told_so() -> None:
    asked = []

    def make_block(in_channels: int, out_channels: int, stride: int, is_first: bool) -> Block:
        asked.append((in_channels, out_channels, stride, is_first))
        return Block()

    backbone = TenBlocks(3, width=8, make_block=make_block)

    assert asked == [
        (3, 8, 1, True),
        *[(8, 8, 1, False)] * 3,
        *[(8, 16, 2, False), (16, 16, 1, False), (16, 16, 1, False)],
        *[(16, 32, 2, False), (32, 32, 1, False), (32, 32, 1, False)],
    ]
    assert isinstance(backbone, nn.Sequential)
    assert (len(backbone), backbone.num_features) == (10, 32)
