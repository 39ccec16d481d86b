"""Times at best, and the range around them."""

from dataclasses import replace

import numpy as np
import pytest

from skelab.fit.figures import Span
from skelab.fit.operators import Operators
from skelab.fit.roofline import Roofline

ROOFLINE = Roofline(
    flops=10e12,
    half_flops=40e12,
    convolution_flops=20e12,
    bandwidth=500e9,
    half_bandwidth=250e9,
    launch=1e-6,
    slower=Span(1.0, 2.0, 3.0),
    launch_slower=Span(1.0, 1.5, 5.0),
)


def operators(*rows: tuple[str, float, float, bool]) -> Operators:
    names, flops, moved, is_half = zip(*rows, strict=True)
    return Operators(
        names,
        flops=np.array(flops, dtype=np.float64),
        fixed_bytes=np.zeros(len(rows)),
        clip_bytes=np.array(moved, dtype=np.float64),
        kernels=np.full(len(rows), 2),
        is_half=np.array(is_half),
    )


@pytest.mark.parametrize(
    ("row", "seconds"),
    [
        (("aten::mm", 10e12, 1.0, False), 1.0),
        (("aten::mm", 10e12, 1.0, True), 0.25),
        (("aten::convolution", 10e12, 1.0, False), 0.5),
        (("aten::convolution", 10e12, 1.0, True), 0.25),
        (("aten::add", 0.0, 500e9, False), 1.0),
        (("aten::add", 0.0, 500e9, True), 2.0),
        (("aten::mm", 10e12, 1000e9, False), 2.0),
    ],
)
def test_an_operator_computes_or_moves_whichever_takes_longer(
    row: tuple[str, float, float, bool], seconds: float
) -> None:
    assert ROOFLINE.best(operators(row))[0] == pytest.approx(seconds)


def test_a_processor_has_rates_of_its_own_for_convolutions_in_16_bits_and_their_gradients() -> None:
    roofline = replace(ROOFLINE, half_convolution_flops=5e12, half_gradient_flops=20e12)
    names = ("aten::convolution", "aten::convolution_backward", "aten::mm")

    halves = roofline.best(operators(*[(name, 10e12, 1.0, True) for name in names]))
    whole = roofline.best(operators(*[(name, 10e12, 1.0, False) for name in names]))

    assert list(halves) == pytest.approx([2.0, 0.5, 0.25])
    assert list(whole) == pytest.approx([0.5, 0.5, 1.0])


def test_operators_follow_one_another_and_a_range_is_given() -> None:
    found = ROOFLINE.seconds(
        operators(("aten::add", 0, 500e9, False), ("aten::mm", 1e13, 1, False))
    )

    assert (found.low, found.typical, found.high) == pytest.approx((2, 4, 6))


def test_small_operators_wait_for_their_launch() -> None:
    small = operators(*[("aten::add", 0.0, 4.0, False)] * 10)

    found = ROOFLINE.seconds(small)

    assert (found.low, found.typical, found.high) == pytest.approx((20e-6, 30e-6, 100e-6))
    assert ROOFLINE.is_launch_bound(small)
    assert not ROOFLINE.is_launch_bound(operators(("aten::add", 0, 500e9, False)))
