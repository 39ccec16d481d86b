"""Arithmetic, bytes and kernels of operators, against what can be counted by hand."""

import numpy as np
import torch
from torch.nn import functional as F

from skelab.fit.operators import OperatorLog, Operators, moved_bytes

CLIPS = 101


def test_a_product_is_counted_by_hand() -> None:
    a, b = torch.ones(CLIPS, 6), torch.ones(6, 5)
    with OperatorLog(CLIPS) as log:
        a @ b

    found = log.operators()

    assert found.names == ("aten::mm",)
    assert found.flops[0] == 2 * CLIPS * 6 * 5
    assert found.clip_bytes[0] == 4 * CLIPS * (6 + 5)
    assert found.fixed_bytes[0] == 4 * 6 * 5
    assert not found.is_half[0]


def test_a_convolution_and_its_gradients_are_counted_by_hand() -> None:
    x = torch.ones(CLIPS, 3, 8, 5, requires_grad=True)
    weight = torch.ones(4, 3, 3, 1, requires_grad=True)
    with OperatorLog(CLIPS) as log:
        torch.autograd.backward(F.conv2d(x, weight, padding=(1, 0)).sum())

    found = log.operators()
    flops = dict(zip(found.names, found.flops, strict=True))
    kernels = dict(zip(found.names, found.kernels, strict=True))

    forward = 2 * CLIPS * 4 * 8 * 5 * 3 * 3
    assert flops["aten::convolution"] == forward
    assert flops["aten::convolution_backward"] == 2 * forward
    assert kernels["aten::convolution_backward"] == 3
    assert list(found.is_convolution) == ["convolution" in name for name in found.names]


def test_views_and_empty_tensors_cost_nothing() -> None:
    x = torch.ones(CLIPS, 6)
    with OperatorLog(CLIPS) as log:
        x.t().reshape(2, 3, CLIPS)[0].unsqueeze(1).detach()
        torch.empty_like(x)
        x.add(1)

    assert log.operators().names == ("aten::add",)


def test_sixteen_bits_move_half_and_are_marked() -> None:
    x = torch.ones(CLIPS, 6)
    with OperatorLog(CLIPS) as log, torch.autocast("cpu", dtype=torch.bfloat16):
        F.linear(x, torch.ones(5, 6))

    found = log.operators()
    product = found.names.index("aten::mm" if "aten::mm" in found.names else "aten::addmm")

    assert found.is_half[product]
    assert found.clip_bytes[product] == 2 * CLIPS * (6 + 5)


def test_an_expanded_tensor_moves_what_is_there() -> None:
    assert moved_bytes(torch.ones(3, 1).expand(3, 100)) == 12


def test_clips_scale_and_weights_do_not() -> None:
    found = Operators(
        ("aten::mm", "aten::add"),
        flops=np.array([CLIPS * 10.0, 0.0]),
        fixed_bytes=np.array([8.0, 16.0]),
        clip_bytes=np.array([CLIPS * 4.0, 0.0]),
        kernels=np.array([1, 1]),
        is_half=np.array([False, False]),
    ).scaled(3, CLIPS)

    assert list(found.flops) == [30, 0]
    assert list(found.bytes) == [20, 16]


def test_nothing_logged_is_no_operator() -> None:
    assert OperatorLog().operators().names == ()
