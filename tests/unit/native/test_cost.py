"""The operations of a program, against those that PyTorch counts and a sum by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from skelab.inference.folding import fold
from skelab.models import SkeletonModel, create_model
from skelab.native.cost import count_operations


@pytest.mark.parametrize("family", ["stgcn", "stgcnpp"])
def test_networks_without_algebra_need_what_pytorch_counts(family: str) -> None:
    model = create_model(family, num_classes=2, layout="coco17", max_bodies=1).requires_grad_(False)
    assert isinstance(model, SkeletonModel)

    found = count_operations(fold(model.eval(), 1).plan, 24)

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.ones(1, 3, 24, 17, 1))
    assert found == pytest.approx(counter.get_total_flops(), rel=0.06)


@pytest.mark.parametrize(("family", "low", "high"), [("ctrgcn", 0.9, 1.05), ("msg3d", 0.6, 1.0)])
def test_folding_does_not_add_work(family: str, low: float, high: float) -> None:
    model = create_model(family, num_classes=2, layout="ntu25", max_bodies=1).requires_grad_(False)
    assert isinstance(model, SkeletonModel)

    found = count_operations(fold(model.eval(), 1).plan, 64)

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.ones(1, 3, 64, 25, 1))
    assert low * counter.get_total_flops() < found < high * counter.get_total_flops()


def test_lanes_that_pad_vectors_count() -> None:
    model = create_model("ctrgcn", num_classes=2, layout="ntu25", max_bodies=1, width=20)
    assert isinstance(model, SkeletonModel)

    assert count_operations(fold(model, 16).plan, 8) > count_operations(fold(model, 1).plan, 8)
