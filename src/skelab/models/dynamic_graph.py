"""What DG-STGCN and the networks that grew out of it have in common: blocks and names."""

from collections.abc import Mapping, Sequence

from skelab.models.authors import Replacement
from skelab.models.plan import TEN_BLOCKS, PlannedBlocks
from skelab.models.pyskl import PYSKL_NAMES
from skelab.nn import Block, BodyAwareTemporalConv, DynamicTopologyUnit, ResidualBlock, projection

MIN_WIDTH = 8
"""The fewest channels of a block: one for each topology."""

DYNAMIC_NAMES: tuple[tuple[str, Replacement], ...] = (
    (r"\.spatial\.topology$", ".gcn.A"),
    (r"\.spatial\.channel_strength$", ".gcn.alpha"),
    (r"\.spatial\.joint_strength$", ".gcn.beta"),
    (r"\.spatial\.reduce\.conv\.", ".gcn.pre.0."),
    (r"\.spatial\.reduce\.norm\.", ".gcn.pre.1."),
    (r"\.spatial\.merge\.", ".gcn.post."),
    (r"\.spatial\.query\.", ".gcn.conv1."),
    (r"\.spatial\.key\.", ".gcn.conv2."),
    (r"\.temporal\.shares$", ".tcn.add_coeff"),
    (r"\.temporal\.branch_norm\.", ".tcn.transform.0."),
    (r"\.temporal\.merge\.", ".tcn.transform.2."),
    *PYSKL_NAMES,
)
"""The authors' names of what these families share."""

DYNAMIC_AXES: Mapping[str, str] = {
    r"\.spatial\.topology$": "K V V",
    r"\.temporal\.shares$": "V",
}
"""Which axes of these families' weights are joints."""


class DynamicBlocks(PlannedBlocks):
    """Blocks whose topologies are learned and refined by clip, B C T V to B F L V.

    Args:
        in_channels: C.
        width: Channels of the first blocks, at least ``MIN_WIDTH``.
        num_joints: V.
        one_strength: As in ``DynamicTopologyUnit``.
        plan: Output channels, in widths, and temporal stride of each block.
        first_residual: The first block has a residual, too.

    Source: arXiv:2210.05895.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        width: int,
        num_joints: int,
        one_strength: bool,
        plan: Sequence[tuple[int, int]] = TEN_BLOCKS,
        first_residual: bool = False,
    ) -> None:
        def make_block(in_channels: int, out_channels: int, stride: int, is_first: bool) -> Block:
            return ResidualBlock(
                spatial=DynamicTopologyUnit(
                    in_channels, out_channels, num_joints=num_joints, one_strength=one_strength
                ),
                temporal=BodyAwareTemporalConv(
                    out_channels, out_channels, num_joints=num_joints, stride=stride
                ),
                residual=None
                if is_first and not first_residual
                else projection(in_channels, out_channels, stride=stride),
            )

        super().__init__(in_channels, width=width, plan=plan, make_block=make_block)
