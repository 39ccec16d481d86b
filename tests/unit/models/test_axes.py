"""Every family declares exactly those tensors that the layout shapes, axis by axis."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from skelab.errors import ModelError
from skelab.models import JointAxes, create_model, joint_axes, list_models, model_spec
from skelab.models.axes import GRAPH, ORDER, factor_sizes, parse_axes
from skelab.skeleton import Layout, get_layout, list_layouts

FAMILIES = [card.name for card in list_models()]


# Nine joints, no two more than two bones apart: fewer scales of every kind than NTU's skeleton has.
STAR = Layout(
    name="star",
    title="Nine joints around one",
    joints=tuple(f"joint {number}" for number in range(9)),
    bones=tuple((number, 0) for number in range(1, 9)),
    pairs=(),
    centre=0,
    origin=0,
)


def shapes(name: str, layout: str | Layout, *, max_bodies: int = 2) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = create_model(name, num_classes=5, layout=layout, max_bodies=max_bodies)
    state: Mapping[str, Tensor] = model.state_dict()
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def declared(name: str) -> JointAxes:
    axes = joint_axes(name)
    assert axes is not None
    return axes


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_family_declares_is_what_another_number_of_joints_reshapes(name: str) -> None:
    here, there = shapes(name, "ntu25"), shapes(name, STAR)

    reshaped = {key for key in here if here[key] != there[key]}
    found = {key for key in here if declared(name).find(key) is not None}

    assert found == reshaped


@pytest.mark.parametrize("name", FAMILIES)
def test_no_shipped_layout_reshapes_what_a_family_does_not_declare(name: str) -> None:
    here = shapes(name, "ntu25")

    for layout in list_layouts():
        there = shapes(name, layout)
        reshaped = {key for key in here if here[key] != there[key]}
        assert all(declared(name).find(key) is not None for key in reshaped), layout.name


@pytest.mark.parametrize("name", FAMILIES)
def test_the_declared_axes_have_the_sizes_that_they_say(name: str) -> None:
    for layout, bodies in (("ntu25", 2), ("sbu15", 3)):
        with torch.device("meta"):
            spec = model_spec(create_model(name, num_classes=5, layout=layout, max_bodies=bodies))
        axes, known = declared(name), {"V": spec.layout.num_joints, "M": bodies, "C": 3}
        sizes = {**known, **axes.sizes(spec.layout, spec.options)}

        for key, shape in shapes(name, layout, max_bodies=bodies).items():
            said = axes.find(key)
            if said is None or said in (GRAPH, ORDER):
                continue
            letters = [letter for axis in parse_axes(said) for letter in axis]
            counts = factor_sizes(parse_axes(said), shape, sizes)
            assert all(
                count == sizes[letter]
                for letter, count in zip(letters, counts, strict=True)
                if letter in sizes
            ), key


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pattern_that_no_tensor_has_is_declared_nowhere(name: str) -> None:
    keys = shapes(name, "sbu15")

    used = {axes for axes in map(declared(name).find, keys) if axes is not None}

    assert used == set(declared(name).tensors.values())


def test_scales_of_msg3d_follow_the_longest_path_of_a_layout() -> None:
    sizes = declared("msg3d").sizes
    default = {"num_scales": None, "num_window_scales": None}

    assert sizes(get_layout("ntu25"), default) == {"S": 13, "R": 6}
    assert sizes(get_layout("sbu15"), default)["S"] == 8
    assert sizes(get_layout("sbu15"), {**default, "num_scales": 4})["S"] == 4


def test_axes_are_read_letter_by_letter() -> None:
    assert parse_axes("K V V") == (("K",), ("V",), ("V",))
    assert parse_axes("R (w V) (w V)") == (("R",), ("w", "V"), ("w", "V"))


@pytest.mark.parametrize("text", ["", "K V, V", "(M V", "K [V]"])
def test_axes_written_in_another_way_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match="expected letters and groups, say 'K V V'"):
        JointAxes({r"\.topology$": text})


def test_one_unknown_size_of_an_axis_follows_from_the_rest() -> None:
    axes = parse_axes("R (w V) (w V)")

    assert factor_sizes(axes, (6, 45, 45), {"V": 15}) == (6, 3, 15, 3, 15)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((6, 45), "expected 3 axes, found 2"), ((6, 45, 50), "expected an axis of w x V, found 50")],
)
def test_a_shape_that_is_none_of_these_axes_is_refused(
    shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        factor_sizes(parse_axes("R (w V) (w V)"), shape, {"V": 15})
