"""What each family declares of itself is what its network does."""

import pytest
import torch
from module_kit import SMALL, STICK

from skelab.models import check_traits, create_model, list_models
from skelab.skeleton import Layout, get_layout

LAYOUTS = [STICK, get_layout("sbu15")]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("name", [card.name for card in list_models()])
def test_the_traits_of_a_family_are_true(name: str, layout: Layout) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=4, layout=layout, **SMALL.get(name, {}))

    assert check_traits(model) == ()
