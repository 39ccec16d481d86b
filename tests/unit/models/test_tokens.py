"""Tokens lie by row and are laid out by clip and body, whoever was spared."""

from itertools import product

import pytest
import torch
from torch import Tensor

from skelab.errors import ModelError
from skelab.models import MeanPooling, ModelInput, Tokens
from skelab.nn import find_absent


def clips(frames: int = 6) -> Tensor:
    """Three clips of two bodies; the second body of clips 0 and 2 is absent."""
    x = torch.randn(3, 3, frames, 5, 2, dtype=torch.float64)
    x[[0, 2], ..., 1] = 0
    return x


def spared(x: Tensor, maps: Tensor, *, constant: bool) -> Tokens:
    """Tokens as a network gives them that has spared two absent bodies."""
    absent = find_absent(x, alike=False)
    assert absent is not None
    if constant:
        return Tokens(maps[absent.present], ModelInput(x), 1, absent, (maps[absent.first],))
    rows = torch.cat([absent.present, absent.first])
    return Tokens(maps[rows], ModelInput(x), 1, absent)


@pytest.mark.parametrize("constant", [False, True])
def test_the_one_that_stands_for_absent_bodies_is_copied_to_each(constant: bool) -> None:
    x = clips()
    maps = torch.randn(6, 4, 6, 5, dtype=torch.float64)  # row n * M + m
    tokens = spared(x, maps, constant=constant)

    dense = tokens.dense()

    assert dense.shape == (3, 2, 4, 6, 5)
    for clip, body in product(range(3), range(2)):
        row = 1 if body == 1 and clip in (0, 2) else clip * 2 + body
        assert torch.equal(dense[clip, body], maps[row])


def test_without_anybody_spared_rows_are_clips_times_bodies() -> None:
    maps = torch.randn(6, 4, 6, 5, dtype=torch.float64)
    tokens = Tokens(maps, ModelInput(clips()))

    assert torch.equal(tokens.dense(), maps.view(3, 2, 4, 6, 5))
    assert torch.equal(
        tokens.by_body(lambda rows: rows.amax(dim=(1, 2, 3))), maps.amax(dim=(1, 2, 3)).view(3, 2)
    )


@pytest.mark.parametrize("constant", [None, False, True])
def test_pooling_is_the_mean_over_frames_and_joints_then_over_the_bodies_of_a_clip(
    constant: bool | None,
) -> None:
    x = clips()
    maps = torch.randn(6, 4, 6, 5, dtype=torch.float64)
    tokens = Tokens(maps, ModelInput(x)) if constant is None else spared(x, maps, constant=constant)

    pooled = MeanPooling()(tokens)

    dense = tokens.dense()
    for clip in range(3):
        expected = sum(dense[clip, body].mean(dim=(1, 2)) for body in range(2)) / 2
        torch.testing.assert_close(pooled[clip], expected)


def test_gradients_reach_the_row_that_stands_for_several() -> None:
    x = clips()
    maps = torch.randn(6, 4, 6, 5, dtype=torch.float64, requires_grad=True)

    torch.autograd.backward(spared(x, maps, constant=False).dense().sum())

    assert maps.grad is not None
    assert maps.grad.amax(dim=(1, 2, 3)).tolist() == [1, 2, 1, 1, 1, 0]


@pytest.mark.parametrize(("frames", "stride", "length"), [(6, 1, 6), (8, 4, 2), (9, 4, 3)])
def test_a_token_is_valid_where_its_body_is_present_in_one_of_its_frames(
    frames: int, stride: int, length: int
) -> None:
    x = clips(frames)
    x[1, :, 1:, :, 0] = 0
    tokens = Tokens(torch.zeros(6, 4, length, 5), ModelInput(x), stride)

    valid = tokens.valid()

    for clip, body, token in product(range(3), range(2), range(length)):
        piece = x[clip, :, token * stride : (token + 1) * stride, :, body]
        assert valid[clip, body, token] == bool(piece.any())


def test_a_stride_that_does_not_fit_is_refused() -> None:
    tokens = Tokens(torch.zeros(6, 4, 5, 5), ModelInput(clips(9)), 4)

    with pytest.raises(ModelError, match=r"tokens: expected 3 for 9 frames at stride 4, found 5"):
        tokens.valid()
