"""A block that recomputes its activations gives what one that keeps them gives."""

import copy

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.nn import Block, ResidualBlock


class Doubler(Block):
    """A convolution, a norm and a dropout, which counts how often it runs."""

    def __init__(self, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, kernel_size=1)
        self.norm = nn.BatchNorm2d(6, momentum=momentum)
        self.dropout = nn.Dropout(0.5)
        self.runs = 0

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        self.runs += 1
        output: Tensor = self.dropout(torch.relu(self.norm(self.conv(x))))
        return output


def step(block: Block, x: Tensor) -> Tensor:
    """One forward and backward pass, with the same dropout each time."""
    torch.manual_seed(1)
    output: Tensor = block(x)
    torch.autograd.backward(output.square().sum())
    return output


@pytest.mark.parametrize("momentum", [0.1, None], ids=["moving average", "plain average"])
def test_recomputing_changes_neither_outputs_nor_gradients_nor_statistics(
    momentum: float | None,
) -> None:
    keeping = Doubler(momentum).double()
    recomputing = copy.deepcopy(keeping)
    recomputing.recomputes = True
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64)

    for _ in range(2):
        kept, recomputed = step(keeping, x), step(recomputing, x)

        assert torch.equal(kept, recomputed)
    assert recomputing.runs == 2 * keeping.runs
    for (name, expected), found in zip(
        keeping.named_parameters(), recomputing.parameters(), strict=True
    ):
        assert expected.grad is not None
        assert found.grad is not None
        assert torch.equal(expected.grad, found.grad), name
    buffers = zip(keeping.named_buffers(), recomputing.buffers(), strict=True)
    for (name, before), after in buffers:
        assert torch.equal(before, after), name


def test_nothing_is_recomputed_where_no_gradient_is_wanted() -> None:
    block = Doubler()
    block.recomputes = True

    with torch.no_grad():
        block(torch.randn(2, 3, 4, 5))

    assert block.runs == 1


def test_a_norm_that_is_frozen_in_eval_mode_stays_as_it_is() -> None:
    block = Doubler()
    block.recomputes = True
    block.norm.eval()
    before = copy.deepcopy(block.norm.state_dict())

    step(block, torch.randn(2, 3, 4, 5))

    assert all(torch.equal(before[name], now) for name, now in block.norm.state_dict().items())


def test_a_block_without_a_transform_says_so() -> None:
    block = Block()

    with pytest.raises(NotImplementedError):
        block(torch.zeros(1, 1, 1, 1))


@pytest.mark.parametrize("has_residual", [True, False])
def test_a_residual_block_mixes_joints_then_frames_and_adds_its_input(has_residual: bool) -> None:
    spatial, temporal = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, (3, 1), padding=(1, 0))
    residual = nn.Conv2d(3, 4, 1) if has_residual else None
    block = ResidualBlock(spatial=spatial, temporal=temporal, residual=residual)
    x = torch.randn(2, 3, 5, 4)

    expected = temporal(spatial(x))
    if residual is not None:
        expected = expected + residual(x)

    assert torch.equal(block(x), expected.clamp(min=0))
