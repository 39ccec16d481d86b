"""Families are found by name, and everything that does not fit is refused in words."""

from dataclasses import replace
from typing import Annotated, Any

import pytest
import torch
from module_kit import STICK
from torch import nn

from skelab.data.preprocessing import get_pipeline
from skelab.errors import LayoutError, ModelError
from skelab.models import (
    ModelCard,
    ModelOption,
    Option,
    SkeletonModel,
    create_model,
    get_card,
    list_models,
    model_spec,
    register_model,
    registry,
)
from skelab.models.registry import authors_format
from skelab.skeleton import Layout, get_layout


@pytest.fixture
def spare_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Families that a test registers are forgotten after it."""
    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))


Depth = Annotated[int, Option("layers")]


def build_linear(
    *, num_classes: int, layout: Layout, in_channels: int, max_bodies: int, depth: Depth = 1
) -> nn.Module:
    """A family of a user's own."""
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))


LINEAR = ModelCard(name="linear", title="Linear")


FAMILIES = [
    "aagcn",
    "blockgcn",
    "ctrgcn",
    "dgstgcn",
    "freqmixformer",
    "hdgcn",
    "hypergcn",
    "infogcn",
    "lstc_mda",
    "msg3d",
    "posec3d",
    "protogcn",
    "shiftgcn",
    "skateformer",
    "skeletonagent",
    "stgcn",
    "stgcn_official",
    "stgcnpp",
    "usdrl",
]
# In no archive.
NOWHERE = ("shiftgcn", "infogcn", "blockgcn", "skeletonagent")


def test_the_families_are_listed_by_name_with_where_they_come_from() -> None:
    cards = list_models()

    assert [card.name for card in cards] == FAMILIES
    for card in cards:
        assert get_card(card.name) is card
        assert card.arxiv or card.name in NOWHERE
        assert "@" in card.code
        assert card.code_licence
        assert "clean-room" in card.licence
        assert all(0 < accuracy.top1 < 100 and accuracy.source for accuracy in card.reported)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_card_counts_the_parameters_rightly(name: str) -> None:
    model = create_model(name, num_classes=60)

    counted = sum(parameter.numel() for parameter in model.parameters())

    assert counted == get_card(name).num_parameters


def test_a_model_remembers_what_it_was_made_with() -> None:
    model = create_model(
        "ctrgcn", num_classes=7, layout="sbu15", in_channels=2, max_bodies=1, width=8
    )

    spec = model_spec(model)

    assert (spec.name, spec.num_classes, spec.in_channels, spec.max_bodies) == ("ctrgcn", 7, 2, 1)
    assert spec.layout is get_layout("sbu15")
    assert spec.options == {"dropout": 0.0, "width": 8, "skip_absent": True}


def test_a_model_made_in_another_way_has_no_spec() -> None:
    with pytest.raises(ModelError, match="Linear: expected a model made by create_model, found"):
        model_spec(nn.Linear(1, 1))


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")  # until torch 2.4
@pytest.mark.usefixtures("spare_registry")
def test_a_family_of_ones_own_is_made_by_name_with_its_options() -> None:
    register_model(LINEAR)(build_linear)

    model = create_model("linear", num_classes=4, layout=STICK, depth=2)

    assert model(torch.zeros(2, 3, 6, 5, 2)).shape == (2, 4)
    assert model_spec(model).options == {"depth": 2, "skip_absent": True}


@pytest.mark.usefixtures("spare_registry")
def test_a_name_taken_twice_is_refused() -> None:
    register_model(LINEAR)(build_linear)

    with pytest.raises(ModelError, match="model name 'linear' is taken by Linear; choose another"):
        register_model(LINEAR)(build_linear)


@pytest.mark.usefixtures("spare_registry")
def test_options_are_read_off_the_builder() -> None:
    register_model(LINEAR)(build_linear)

    assert get_card("linear").options == (ModelOption("depth", 1, "layers"),)


@pytest.mark.usefixtures("spare_registry")
def test_a_card_may_list_the_options_with_their_defaults() -> None:
    card = ModelCard(name="bare", title="Bare", options=(ModelOption("depth", 3, "layers"),))

    register_model(card)(build_linear)

    assert get_card("bare") is card


@pytest.mark.usefixtures("spare_registry")
def test_a_card_that_lists_other_options_than_its_builder_takes_is_refused() -> None:
    card = ModelCard(name="bare", title="Bare", options=(ModelOption("width", 1, "channels"),))

    with pytest.raises(
        ModelError, match=r"'bare': expected the options .* takes \(depth\), found width"
    ):
        register_model(card)(build_linear)


@pytest.mark.usefixtures("spare_registry")
def test_a_card_of_the_lab_is_taken_by_its_own_module_only() -> None:
    with pytest.raises(ModelError, match="model name 'ctrgcn' is taken by CTR-GCN"):
        register_model(replace(get_card("ctrgcn"), options=()))(build_linear)


def test_a_module_that_does_not_register_its_card_is_named() -> None:
    family = registry._Family(LINEAR, "skelab.models.families.ctrgcn")

    with pytest.raises(ModelError, match=r"families\.ctrgcn: expected @register_model .* 'linear'"):
        family.build  # noqa: B018


@pytest.mark.parametrize("name", FAMILIES)
def test_every_option_says_what_it_does_and_every_pipeline_exists(name: str) -> None:
    card = get_card(name)

    assert all(option.meaning for option in card.options)
    assert get_pipeline(card.pipeline).name == card.pipeline


@pytest.mark.usefixtures("spare_registry")
def test_a_model_has_the_traits_of_its_card() -> None:
    model = create_model("shiftgcn", num_classes=2, width=4)

    assert isinstance(model, SkeletonModel)
    assert model.traits is get_card("shiftgcn").traits
    assert model.traits.frames_multiple_of == 4


@pytest.mark.usefixtures("spare_registry")
def test_a_builder_that_does_not_take_the_common_keywords_is_refused() -> None:
    def build(*, num_classes: int, layout: Layout) -> nn.Module:
        return nn.Identity()

    card = ModelCard(name="narrow", title="Narrow")
    with pytest.raises(ModelError, match="found none called in_channels, max_bodies"):
        register_model(card)(build)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "ctr-gcn",
            {},
            "unknown model 'ctr-gcn', did you mean 'ctrgcn'[?] Known: aagcn, blockgcn, ctrgcn",
        ),
        ("ctrgcn", {"widht": 8}, "unknown option of ctrgcn 'widht', did you mean 'width'[?]"),
        ("ctrgcn", {"width": 10}, "ctrgcn: width: expected a multiple of 4, found 10"),
        ("ctrgcn", {"width": "8"}, "ctrgcn: width: expected a whole number, found '8'"),
        ("ctrgcn", {"width": True}, "ctrgcn: width: expected a whole number, found True"),
        ("ctrgcn", {"dropout": "no"}, "ctrgcn: dropout: expected a number, found 'no'"),
        ("ctrgcn", {"dropout": 1}, r"dropout: expected a number in \[0, 1\), found 1.0"),
        ("ctrgcn", {"num_classes": 0}, "ctrgcn: num_classes: expected a whole number from 1, fou"),
        ("ctrgcn", {"max_bodies": -1}, "max_bodies: expected a whole number from 1, found -1"),
        ("ctrgcn", {"in_channels": 0}, "in_channels: expected a whole number from 1, found 0"),
        ("msg3d", {"width": 64}, "msg3d: width: expected a multiple of 6, found 64"),
        ("aagcn", {"width": 6}, "aagcn: width: expected a multiple of 4, found 6"),
        ("shiftgcn", {"width": 0}, "shiftgcn: width: expected a whole number from 1, found 0"),
        ("stgcn", {"width": 0}, "stgcn: width: expected a whole number from 1, found 0"),
        ("stgcnpp", {"width": 5}, "stgcnpp: width: expected a whole number from 6, found 5"),
        (
            "stgcn_official",
            {"temporal_dropout": 1.5},
            r"stgcn_official: temporal_dropout: expected a number in \[0, 1\), found 1.5",
        ),
        ("msg3d", {"num_scales": 0}, "msg3d: num_scales: expected a whole number from 1, found 0"),
        ("msg3d", {"num_window_scales": -2}, "num_window_scales: expected a whole number from 1"),
    ],
)
def test_what_a_family_does_not_take_is_refused(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        create_model(name, **{"num_classes": 2, **arguments})


@pytest.mark.parametrize("width", [10**9, 10**400])
def test_an_option_beyond_all_bounds_is_refused_at_once(width: int) -> None:
    with pytest.raises(ModelError, match=r"ctrgcn: width: expected a whole number up to 1,048,576"):
        create_model("ctrgcn", num_classes=2, width=width)


def test_a_network_larger_than_the_memory_is_refused_before_it_takes_any() -> None:
    before = torch.get_rng_state()

    with pytest.raises(
        ModelError, match=r"expected a network that fits into .*lower width 200,000"
    ):
        create_model("ctrgcn", num_classes=2, width=200_000)

    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(LayoutError, match="unknown layout 'ntu'"):
        create_model("ctrgcn", num_classes=2, layout="ntu")


@pytest.mark.usefixtures("spare_registry")
def test_a_family_without_weights_of_authors_says_which_have_some() -> None:
    register_model(LINEAR)(build_linear)

    with pytest.raises(ModelError, match=r"linear: weights .* they can for: aagcn, blockgcn"):
        authors_format("linear")
