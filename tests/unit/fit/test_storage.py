"""Storages from birth to death."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from skelab.fit.storage import Category, Lives, StorageWatch

FLOATS = 1000
BYTES = 4 * FLOATS


def lives(*given: tuple[int, int, int, Category], events: int = 10) -> Lives:
    sizes, born, died, parts = zip(*given, strict=True)
    return Lives(np.array(sizes), np.array(born), np.array(died), parts, events)


def test_what_is_dropped_is_no_longer_held() -> None:
    watch = StorageWatch()
    with watch:
        a = torch.zeros(FLOATS)
        b = a + 1
        del b
        c = a + 2

    found = watch.lives()

    assert found.at_peak().activations == 2 * BYTES
    assert int(found.live()[-1]) == 2 * BYTES
    assert c.numel() == FLOATS


def test_views_and_results_in_place_share_a_storage() -> None:
    watch = StorageWatch()
    with watch:
        a = torch.zeros(FLOATS)
        a.view(10, -1).t().unsqueeze(0).add_(1)
        a[3:].mul_(2)

    assert watch.lives().at_peak().total == BYTES


def test_tensors_made_before_are_followed_when_they_are_held() -> None:
    weight, moment = torch.ones(FLOATS), torch.ones(2 * FLOATS)
    watch = StorageWatch()
    watch.hold([weight, weight.view(-1, 1)], Category.WEIGHTS)
    watch.hold([moment], Category.OPTIMISER)
    watch.start()
    with watch:
        weight.add(1)

    parts = watch.lives().at_peak()

    assert (parts.weights, parts.optimiser, parts.activations) == (BYTES, 2 * BYTES, BYTES)


def test_what_is_kept_for_the_backward_pass_lives_until_it_is_used() -> None:
    x = torch.randn(FLOATS, requires_grad=True)
    watch = StorageWatch()
    watch.hold([x], Category.WEIGHTS)
    with watch:
        torch.autograd.backward(x.exp().exp().sum())  # each keeps its result; the gradients follow
    watch.hold([gradient for gradient in [x.grad] if gradient is not None], Category.GRADIENTS)

    found = watch.lives()

    assert found.at_peak().weights == BYTES
    assert found.at_peak().total >= 4 * BYTES
    assert int(found.live()[-1]) == 2 * BYTES
    assert Category.GRADIENTS in found.parts


def test_the_start_forgets_the_past_and_what_died_in_it() -> None:
    watch = StorageWatch()
    with watch:
        a = torch.zeros(FLOATS)
        b = torch.zeros(5 * FLOATS)
        del b
        watch.start()
        c = a + 1

    found = watch.lives()

    assert found.at_peak().total == 2 * BYTES
    assert list(found.born) == [0, 1]
    assert c.numel() == FLOATS


def test_fake_tensors_are_counted_like_real_ones() -> None:
    counts = []
    for mode in (None, FakeTensorMode()):
        watch = StorageWatch()
        if mode is not None:
            mode.__enter__()
        with watch:
            x = torch.randn(8, 3, 10, requires_grad=True)
            torch.autograd.backward(F.conv1d(x, torch.ones(4, 3, 3)).relu().sum())
        if mode is not None:
            mode.__exit__(None, None, None)
        counts.append((watch.lives().at_peak().total, watch.lives().events))

    assert counts[0] == counts[1]


def test_what_an_operator_may_need_beside_its_results_is_added_where_it_runs() -> None:
    def load(name: str, taken: list[Tensor], given: list[Tensor]) -> tuple[int, ...]:
        return tuple(4 * x.numel() for x in (*taken, *given)) if name == "aten::exp" else ()

    watch = StorageWatch(load)
    with watch:
        a = torch.zeros(FLOATS)
        b = a.exp()
        c = torch.zeros(FLOATS)

    found = watch.lives()

    assert found.at_peak().total == 3 * BYTES
    assert found.peak_with_loads() == 4 * BYTES
    assert found.peak_with_loads(max) == 3 * BYTES
    assert len(b) == len(c)


def test_a_prime_number_of_clips_scales_to_any_other() -> None:
    traced = lives((101 * 40, 0, 5, Category.ACTIVATIONS), (1000, 0, 10, Category.WEIGHTS))

    scaled = traced.scaled(3, 101)

    assert list(scaled.sizes) == [120, 1000]
    assert scaled.at_peak().total == 1120


def test_loads_scale_tensor_by_tensor() -> None:
    traced = Lives(
        np.array([8]), np.array([0]), np.array([1]), (Category.WEIGHTS,), 1, ((0, (202, 7)),)
    )

    assert traced.scaled(10, 101).loads == ((0, (20, 7)),)


def test_the_peak_may_move_as_the_clips_become_more() -> None:
    clips = (101 * 10, 0, 2, Category.ACTIVATIONS)
    update = (500, 3, 5, Category.OPTIMISER)
    traced = lives(clips, update)

    parts = [traced.scaled(count, 101).at_peak() for count in (1, 100)]

    assert [part.optimiser for part in parts] == [500, 0]
    assert [part.activations for part in parts] == [0, 1000]


def test_granules_round_every_storage_up() -> None:
    rounded = lives((1, 0, 2, Category.WEIGHTS), (512, 0, 2, Category.WEIGHTS)).rounded(512)

    assert list(rounded.sizes) == [512, 512]


def test_changes_come_in_order_with_loads_in_between() -> None:
    found = Lives(
        np.array([10, 20]),
        np.array([1, 3]),
        np.array([5, 4]),
        (Category.ACTIVATIONS, Category.ACTIVATIONS),
        5,
        ((3, (7, 1)),),
    )

    assert list(found.changes()) == [(0, 10), (1, 20), (2, 8), (2, 0), (1, 0), (0, 0)]


def test_nothing_watched_is_nothing_held() -> None:
    with pytest.raises(ValueError, match="unpack"):
        lives()

    assert StorageWatch().lives().at_peak().total == 0
