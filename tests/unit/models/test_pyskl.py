"""What PYSKL's networks share."""

import pytest
import torch
from torch import nn

from skelab.models.pyskl import init_pyskl_classifier, with_pyskl_hands
from skelab.skeleton import get_layout, list_layouts


def test_both_ends_of_a_hand_are_tied_to_the_hand() -> None:
    layout = get_layout("ntu25")

    tied = with_pyskl_hands(layout)

    changed = set(tied.bones) - set(layout.bones)
    names = {(layout.joints[a], layout.joints[b]) for a, b in changed}
    assert names == {("tip of left hand", "left hand"), ("tip of right hand", "right hand")}


@pytest.mark.parametrize(
    "name", [layout.name for layout in list_layouts() if layout.name != "ntu25"]
)
def test_a_layout_without_tips_of_hands_stays_as_it_is(name: str) -> None:
    layout = get_layout(name)

    assert with_pyskl_hands(layout) == layout


def test_a_classifier_starts_small() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(256, 60)

    init_pyskl_classifier(layer)

    assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.03)
    assert not layer.bias.any()
