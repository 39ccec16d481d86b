"""A row that is counted as often as it stands for others gives what the whole batch gives."""

import copy

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.nn import (
    Block,
    Multiplicities,
    WeightedBatchNorm1d,
    WeightedBatchNorm2d,
    current_multiplicities,
    keeps_duplicates_identical,
    multiplicities,
    takes_batch_statistics,
    with_weighted_norms,
)

COUNTS = Multiplicities(torch.tensor([1.0, 3.0, 2.0]), 6)
WHOLE = torch.tensor([0, 1, 1, 1, 2, 2])  # the rows that the three stand for
OPTIONS: list[dict[str, bool | None]] = [
    {},
    {"momentum": None},
    {"affine": False},
    {"track_running_stats": False},
]


class Small(Block):
    """A block with a norm inside."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, kernel_size=1)
        self.norm = nn.BatchNorm2d(4)

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D T V"]:
        return torch.relu(self.norm(self.conv(x))).square()


def step(
    module: nn.Module, x: Tensor, weights: Tensor, counts: Multiplicities | None
) -> tuple[Tensor, Tensor]:
    """The outputs, and the gradient of the rows; gradients of weights are left in the module."""
    x = x.clone().requires_grad_()
    with multiplicities(module, counts):
        output: Tensor = module(x)
    torch.autograd.backward((output.tanh() * weights).sum())
    assert x.grad is not None
    return output.detach(), x.grad


def check_counted_equals_whole(module: nn.Module, x: Tensor, whole: Tensor, *, rtol: float) -> None:
    """``whole`` says for each row of the whole batch which row of ``x`` stands for it."""
    plain, counted = copy.deepcopy(module), with_weighted_norms(copy.deepcopy(module))
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)

    expected, gradients = step(plain, x[whole], weights[whole], None)
    summed = torch.zeros_like(weights).index_add(0, whole, weights[whole])
    output, gradient = step(counted, x, summed, COUNTS)

    def close(found: object, wanted: object, name: str) -> None:
        torch.testing.assert_close(found, wanted, rtol=rtol, atol=rtol, msg=name)

    close(output[whole], expected, "outputs")
    close(gradient, torch.zeros_like(x).index_add(0, whole, gradients), "gradient of the rows")
    for (key, ours), theirs in zip(counted.named_parameters(), plain.parameters(), strict=True):
        close(ours.grad, theirs.grad, key)
    for (key, seen), wanted in zip(counted.named_buffers(), plain.buffers(), strict=True):
        close(seen, wanted, key)


def randomised_norm(norm: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The norm with scales and shifts that matter."""
    torch.manual_seed(1)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm.to(dtype)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_maps_of_counted_rows_equal_those_of_the_whole_batch(
    options: dict[str, bool | None], dtype: torch.dtype, rtol: float
) -> None:
    norm = randomised_norm(nn.BatchNorm2d(4, **options), dtype)  # type: ignore[arg-type]
    x = 3 + 2 * torch.randn(3, 4, 5, 6, dtype=dtype)

    check_counted_equals_whole(norm, x, WHOLE, rtol=rtol)


def test_frames_of_counted_rows_equal_those_of_the_whole_batch() -> None:
    norm = randomised_norm(nn.BatchNorm1d(4), torch.float64)
    x = torch.randn(3 * 5, 4, dtype=torch.float64)  # five frames a row
    frames = (WHOLE.unsqueeze(1) * 5 + torch.arange(5)).flatten()

    check_counted_equals_whole(norm, x, frames, rtol=1e-12)


def test_series_of_counted_rows_equal_those_of_the_whole_batch() -> None:
    norm = randomised_norm(nn.BatchNorm1d(4), torch.float64)
    x = torch.randn(3, 4, 7, dtype=torch.float64)

    check_counted_equals_whole(norm, x, WHOLE, rtol=1e-12)


@pytest.mark.parametrize("recomputes", [False, True], ids=["kept", "recomputed"])
def test_a_block_that_recomputes_counts_the_rows_again(recomputes: bool) -> None:
    torch.manual_seed(0)
    block = Small().double()
    block.recomputes = recomputes

    check_counted_equals_whole(block, torch.randn(3, 4, 5, 6).double(), WHOLE, rtol=1e-12)


def test_numbers_of_16_bits_are_summed_in_32() -> None:
    norm = with_weighted_norms(nn.BatchNorm2d(4))
    x = (100 + torch.randn(3, 4, 50, 20)).bfloat16()

    with multiplicities(norm, COUNTS):
        output = norm(x)

    expected = nn.BatchNorm2d(4)(x[WHOLE].float())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output[WHOLE].float(), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("kind", [WeightedBatchNorm1d, WeightedBatchNorm2d])
def test_without_counts_and_in_eval_mode_it_is_the_plain_norm(
    kind: type[WeightedBatchNorm1d] | type[WeightedBatchNorm2d],
) -> None:
    counted = kind(4)
    plain = kind.__mro__[2](4)
    x = torch.randn(3, 4, 5) if kind is WeightedBatchNorm1d else torch.randn(3, 4, 5, 6)

    assert torch.equal(counted(x), plain(x))
    counted.eval()
    plain.eval()

    with multiplicities(counted, COUNTS):
        assert torch.equal(counted(x), plain(x))
    torch.testing.assert_close(counted.running_var, plain.running_var, rtol=0, atol=0)


def test_norms_keep_keys_weights_and_statistics_when_they_learn_to_count() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ModuleDict({"a": nn.ReLU()}))
    before = module.state_dict()

    counted = with_weighted_norms(module)

    assert counted is module
    assert type(counted[1]) is WeightedBatchNorm2d
    assert isinstance(counted[1], nn.BatchNorm2d)
    after = counted.state_dict()
    assert list(after) == list(before)
    assert all(after[key] is before[key] or torch.equal(after[key], before[key]) for key in after)


def test_counts_hold_inside_only_even_if_something_fails() -> None:
    module = with_weighted_norms(nn.Sequential(nn.BatchNorm2d(4)))
    assert current_multiplicities(module) is None

    with multiplicities(module, COUNTS), multiplicities(module, None):
        assert current_multiplicities(module) is None
    with multiplicities(module, COUNTS):
        assert current_multiplicities(module) is COUNTS
    with pytest.raises(ValueError, match="expected 4D input"), multiplicities(module, COUNTS):
        module(torch.zeros(3, 4))

    assert current_multiplicities(module) is None


@pytest.mark.parametrize(
    ("layer", "in_training", "in_eval"),
    [
        (with_weighted_norms(nn.BatchNorm2d(3)), True, True),
        (nn.BatchNorm2d(3), False, True),
        (nn.BatchNorm2d(3, track_running_stats=False), False, False),
        (nn.BatchNorm3d(3), False, True),
        (nn.SyncBatchNorm(3), False, True),
        (nn.InstanceNorm2d(3), True, True),
        (nn.InstanceNorm2d(3, track_running_stats=True), False, True),
        (nn.GroupNorm(1, 3), True, True),
        (nn.Dropout(0.0), True, True),
        (nn.Dropout(0.1), False, True),
        (nn.Dropout2d(0.1), False, True),
        (nn.RReLU(), False, True),
        (nn.Conv2d(3, 3, 1), True, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_layers_that_tell_equal_rows_apart_are_known(
    layer: nn.Module, in_training: bool, in_eval: bool
) -> None:
    module = nn.Sequential(nn.Identity(), layer)

    assert keeps_duplicates_identical(module.train()) == in_training
    assert keeps_duplicates_identical(module.eval()) == in_eval


def test_a_norm_without_running_statistics_always_takes_those_of_the_batch() -> None:
    tracked, untracked = nn.BatchNorm2d(3), nn.BatchNorm2d(3, track_running_stats=False)

    assert takes_batch_statistics(tracked.train())
    assert not takes_batch_statistics(tracked.eval())
    assert takes_batch_statistics(untracked.eval())
