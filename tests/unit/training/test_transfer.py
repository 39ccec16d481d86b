"""Trained weights in a network of other classes, another skeleton, more bodies."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations, product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transfer_kit import draw_weights

from skelab.errors import CheckpointError, LayoutError, SkelabError, WeightsError
from skelab.inference.checkpoint import build_model
from skelab.models import ModelSpec, create_model, get_card, list_models, model_spec
from skelab.skeleton import Layout, get_layout, list_layouts, match_joints
from skelab.tasks import ClassificationTask, TaskSpec, registry
from skelab.training.transfer import MappedWeights, SourceWeights, map_weights

WIDTHS = {
    "msg3d": 6,
    "stgcnpp": 6,
    "aagcn": 8,
    "blockgcn": 8,
    "dgstgcn": 8,
    "hdgcn": 16,
    "lstc_mda": 32,
    "skeletonagent": 8,
    "freqmixformer": 20,
    "skateformer": 32,
    "hypergcn": 32,
    "infogcn": 8,
    "protogcn": 8,
}
FAMILIES = [card.name for card in list_models()]
PAIRS = list(permutations([layout.name for layout in list_layouts()], 2))


def spec(name: str = "ctrgcn", layout: str | Layout = "ntu25", **changes: Any) -> ModelSpec:
    """A small network of a family, for three classes unless told otherwise."""
    usual: dict[str, Any] = {"num_classes": 3, "width": WIDTHS.get(name, 4), "max_bodies": 2}
    chosen = get_layout(layout) if isinstance(layout, str) else layout
    usual["in_channels"] = len(chosen.axes)
    with torch.device("meta"):
        return model_spec(create_model(name, layout=chosen, **{**usual, **changes}))


def trained(model: ModelSpec, classes: tuple[str, ...] = ("wave", "sit", "fall")) -> SourceWeights:
    """Weights that differ from all that is drawn anew: every number is another one."""
    generator = torch.Generator().manual_seed(5)
    weights = {
        key: torch.rand(tensor.shape, generator=generator) + 0.5
        if tensor.is_floating_point()
        else tensor + 7 * key.endswith("num_batches_tracked")
        for key, tensor in draw_weights(model, 0).items()
    }
    return SourceWeights("old.safetensors", model, classes[: model.num_classes], weights)


def mapped(
    source: SourceWeights,
    target: ModelSpec,
    classes: tuple[str, ...] = ("wave", "sit", "fall"),
    **options: Any,
) -> MappedWeights:
    return map_weights(source, target, classes, draw_weights(target, 1), **options)


def names(group: tuple[Any, ...]) -> set[str]:
    return {tensor.name for tensor in group}


def refusal(error: type[SkelabError], *arguments: Any) -> str:
    with pytest.raises(error) as caught:
        mapped(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def train_step(model: nn.Module, joints: Tensor) -> dict[str, Tensor]:
    """The weights after a step of SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss = nn.functional.cross_entropy(model(joints), torch.tensor([0, 1]))
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert torch.isfinite(loss)
    state: Mapping[str, Tensor] = model.state_dict()
    return {key: tensor.clone() for key, tensor in state.items()}


# The same network


@pytest.mark.parametrize("name", FAMILIES)
def test_all_of_the_same_network_is_taken_as_it_is(name: str) -> None:
    source = trained(spec(name))

    found = mapped(source, source.model)

    assert not found.mapped
    assert not found.fresh
    assert not found.notes
    assert all(torch.equal(found.weights[key], source.weights[key]) for key in source.weights)


def test_statistics_can_stay_as_a_new_network_has_them() -> None:
    source = trained(spec())

    found = mapped(source, source.model, statistics="fresh")

    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    assert {key.rpartition(".")[2] for key in names(found.fresh)} == statistics
    assert {tensor.why for tensor in found.fresh} == {"statistics"}
    assert torch.equal(found.weights["input_norm.norm.running_mean"], torch.zeros(150))
    assert torch.equal(
        found.weights["input_norm.norm.weight"], source.weights["input_norm.norm.weight"]
    )


# Classes


def test_other_classes_get_a_new_head_and_the_rest_is_taken() -> None:
    source = trained(spec())
    target = spec(num_classes=2)

    found = mapped(source, target, ("jump", "run"))

    assert names(found.fresh) == {"classifier.weight", "classifier.bias"}
    assert not found.mapped
    drawn = draw_weights(target, 1)
    assert torch.equal(found.weights["classifier.weight"], drawn["classifier.weight"])
    assert "2 fresh (34 numbers: new head)" in found.summary()


def test_as_many_classes_of_other_names_get_a_new_head() -> None:
    source = trained(spec())

    found = mapped(source, source.model, ("wave", "sit", "jump"))

    assert names(found.fresh) == {"classifier.weight", "classifier.bias"}


def test_classes_in_another_order_keep_their_rows() -> None:
    source = trained(spec())

    found = mapped(source, source.model, ("fall", "wave", "sit"))

    assert names(found.mapped) == {"classifier.weight", "classifier.bias"}
    assert torch.equal(
        found.weights["classifier.weight"], source.weights["classifier.weight"][[2, 0, 1]]
    )
    assert torch.equal(
        found.weights["classifier.bias"], source.weights["classifier.bias"][[2, 0, 1]]
    )


class TwoNumbers(ClassificationTask):
    """A task whose head gives two numbers through a layer that no other task has."""

    def attach_head(self, model: nn.Module) -> None:
        assert isinstance(model.classifier, nn.Linear)
        model.classifier = nn.Sequential(nn.Linear(model.classifier.in_features, 2))


def test_another_task_gets_a_new_head_and_the_rest_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_TASKS", {**registry._TASKS, "two": TwoNumbers})
    source, task = trained(spec()), TaskSpec("two")

    fresh = draw_weights(source.model, 1, task)
    there = map_weights(source, source.model, source.classes, fresh, task=task)
    back = mapped(replace(source, weights=there.weights, task=task), source.model)

    assert names(there.fresh) == {"classifier.0.weight", "classifier.0.bias"}
    assert names(back.fresh) == {"classifier.weight", "classifier.bias"}
    assert {tensor.why for tensor in (*there.fresh, *back.fresh)} == {"another task"}
    assert not there.mapped


# Another layout: each axis against loops over names


def counterparts(there: Layout, here: Layout) -> dict[int, int]:
    return {pair.target: pair.source for pair in match_joints(there, here).pairs}


def test_a_topology_is_moved_entry_by_entry() -> None:
    source, target = trained(spec("ctrgcn")), spec("ctrgcn", "kinect20")
    key = "backbone.3.spatial.topology"

    found = mapped(source, target).weights[key]

    expected = draw_weights(target, 1)[key]
    places = counterparts(source.model.layout, target.layout)
    for k, u, v in product(range(3), range(20), range(20)):
        expected[k, u, v] = source.weights[key][k, places[u], places[v]]
    assert torch.equal(found, expected)


def test_what_only_the_new_layout_has_stays_as_drawn() -> None:
    source, target = trained(spec("ctrgcn", "sbu15")), spec("ctrgcn", "ntu25")
    key = "backbone.0.spatial.topology"

    found = mapped(source, target)

    drawn, thumb = draw_weights(target, 1)[key], target.layout.joint("left thumb")
    assert torch.equal(found.weights[key][:, thumb], drawn[:, thumb])
    entry = next(tensor for tensor in found.mapped if tensor.name == key)
    assert (entry.numbers, entry.kept) == (3 * 25 * 25, 3 * 15 * 15)
    assert "15 of the 25 joints of ntu25 are in sbu15" in found.summary()


@pytest.mark.parametrize("part", ["weight", "bias", "running_mean", "running_var"])
def test_the_input_norm_is_moved_body_by_body_joint_by_joint(part: str) -> None:
    source = trained(spec("aagcn", "ntu25", max_bodies=2))
    target = spec("aagcn", "utd20", max_bodies=3)
    key = f"input_norm.norm.{part}"

    found = mapped(source, target).weights[key]

    expected = draw_weights(target, 1)[key]
    places = counterparts(source.model.layout, target.layout)
    for m, v, c in product(range(2), range(20), range(3)):
        expected[(m * 20 + v) * 3 + c] = source.weights[key][(m * 25 + places[v]) * 3 + c]
    assert torch.equal(found, expected)


def test_a_norm_that_bodies_share_is_moved_joint_by_joint() -> None:
    source, target = trained(spec("stgcn", "ntu25")), spec("stgcn", "sbu15", max_bodies=1)
    key = "input_norm.norm.weight"

    found = mapped(source, target).weights[key]

    places = counterparts(source.model.layout, target.layout)
    for v, c in product(range(15), range(3)):
        assert found[v * 3 + c] == source.weights[key][places[v] * 3 + c]


def test_windows_and_scales_of_msg3d_are_moved_scale_by_scale_frame_by_frame() -> None:
    source, target = trained(spec("msg3d", "ntu25")), spec("msg3d", "sbu15")
    key = "backbone.1.windows.0.mix.refinement"  # a window of three frames
    scales = "backbone.1.frames.0.mix.refinement"
    transform = "backbone.1.frames.0.mix.transform.weight"

    found = mapped(source, target).weights

    places = counterparts(source.model.layout, target.layout)
    for k, f, u, g, v in product(range(6), range(3), range(15), range(3), range(15)):
        theirs = source.weights[key][k, f * 25 + places[u], g * 25 + places[v]]
        assert found[key][k, f * 15 + u, g * 15 + v] == theirs
    assert found[scales].shape == (8, 15, 15)
    assert source.weights[scales].shape == (13, 25, 25)
    for k, u, v in product(range(8), range(15), range(15)):
        assert found[scales][k, u, v] == source.weights[scales][k, places[u], places[v]]
    channels = found[transform].shape[1] // 8
    assert torch.equal(found[transform], source.weights[transform][:, : 8 * channels])


def test_masks_and_norms_of_shift_gcn_are_moved_joint_by_joint() -> None:
    source, target = trained(spec("shiftgcn", "ntu25")), spec("shiftgcn", "kinect20")
    mask, norm = "backbone.4.spatial.mask", "backbone.4.spatial.norm.running_var"

    found = mapped(source, target)

    places = counterparts(source.model.layout, target.layout)
    width = found.weights[mask].shape[1]
    wide = found.weights[norm].shape[0] // 20
    for v in range(20):
        assert torch.equal(found.weights[mask][v], source.weights[mask][places[v]])
        here = found.weights[norm][v * wide : (v + 1) * wide]
        there = source.weights[norm][places[v] * wide : (places[v] + 1) * wide]
        assert torch.equal(here, there)
    assert width == 4
    assert "backbone.4.spatial.shift_in" in names(found.fresh)


def test_bones_are_the_new_layouts_and_kernels_over_the_order_of_joints_are_fresh() -> None:
    source, target = trained(spec("aagcn", "kinect20")), spec("aagcn", "utd20")

    found = mapped(source, target)  # the same joints in another order: no shape differs

    drawn = draw_weights(target, 1)
    kernel = "backbone.2.spatial.joint_attention.conv.weight"
    assert torch.equal(found.weights["backbone.topology"], drawn["backbone.topology"])
    assert torch.equal(found.weights[kernel], drawn[kernel])
    assert {tensor.why for tensor in found.fresh} == {"the graph", "hangs on joint order"}


@pytest.mark.parametrize("name", FAMILIES)
def test_there_and_back_between_layouts_of_the_same_joints_changes_nothing(name: str) -> None:
    source = trained(spec(name, "kinect20"))

    there = mapped(source, spec(name, "utd20"))
    back = mapped(replace(source, model=spec(name, "utd20"), weights=there.weights), source.model)

    lost = names(there.fresh)
    assert all(
        torch.equal(back.weights[key], source.weights[key])
        for key in source.weights
        if key not in lost
    )


@pytest.mark.parametrize("name", ["stgcn", pytest.param("ctrgcn", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("there", "here"), PAIRS)
def test_any_two_shipped_layouts_run_forwards_and_take_a_step(
    name: str, there: str, here: str
) -> None:
    source, target = trained(spec(name, there)), spec(name, here)

    found = mapped(source, target)

    model = build_model(target)
    model.load_state_dict(dict(found.weights))
    joints = torch.randn(2, 3, 8, target.layout.num_joints, 2)
    after = train_step(model, joints)
    assert torch.isfinite(model(joints)).all()
    assert not torch.equal(after["classifier.weight"], found.weights["classifier.weight"])


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_goes_from_ntu_to_kinect_to_sbu(name: str) -> None:
    weights = trained(spec(name, "ntu25"))
    frames = get_card(name).traits.nearest(8)

    for layout in ("kinect20", "sbu15"):
        target = spec(name, layout)
        found = mapped(weights, target)
        model = build_model(target)
        model.load_state_dict(dict(found.weights))
        weights = replace(
            weights,
            model=target,
            weights=train_step(model, torch.randn(2, 3, frames, target.layout.num_joints, 2)),
        )

        assert found.taken
        # in these, joints are told apart by their order alone
        assert found.mapped or name in ("skateformer", "lstc_mda", "posec3d", "usdrl")


# Channels


def test_other_channels_leave_all_that_reads_them_fresh() -> None:
    source, target = trained(spec("ctrgcn", "kinect20")), spec("ctrgcn", "coco17")

    found = mapped(source, target)

    fresh = names(found.fresh)
    assert {tensor.why for tensor in found.fresh} == {"other channels"}
    assert "input_norm.norm.weight" in fresh
    assert "backbone.0.spatial.subsets.0.value.weight" in fresh
    assert "backbone.0.spatial.topology" in names(found.mapped)
    assert "backbone.1.spatial.subsets.0.value.weight" in names(found.taken)


def test_another_number_of_channels_does_too() -> None:
    plane = replace(get_layout("coco17"), name="plane", axes=("x", "y"))
    source, target = trained(spec("ctrgcn", "coco17")), spec("ctrgcn", plane)

    found = mapped(source, target)

    assert "backbone.0.spatial.subsets.0.value.weight" in names(found.fresh)
    assert not found.mapped


# Options


def test_options_that_change_no_shape_are_the_recipes_and_are_told() -> None:
    source = trained(spec("stgcn", near_sighted_partition=True))
    target = spec("stgcn", dropout=0.25)

    found = mapped(source, target)

    assert found.notes == (
        "option dropout was 0.0, is 0.25, as the recipe has it",
        "option near_sighted_partition was True, is False, as the recipe has it",
    )
    key = "backbone.1.spatial.topology"
    assert torch.equal(found.weights[key], draw_weights(target, 1)[key])


def test_a_graph_that_is_the_same_counts_as_taken_whatever_the_options() -> None:
    found = mapped(
        SourceWeights("old", spec("stgcn"), ("a", "b", "c"), draw_weights(spec("stgcn"), 0)),
        spec("stgcn", dropout=0.25),
        ("a", "b", "c"),
    )

    assert not found.fresh
    assert found.notes == ("option dropout was 0.0, is 0.25, as the recipe has it",)


def test_another_width_is_refused_with_the_tensors_and_the_option() -> None:
    said = refusal(WeightsError, trained(spec()), spec(width=8))

    assert "old.safetensors: " in said
    assert "tensors do not fit the ctrgcn of the recipe: backbone.0." in said
    assert "there, " in said
    assert said.endswith("more; width was 4, is 8")


def test_another_number_of_scales_is_mapped_and_other_tensors_are_refused() -> None:
    source, target = trained(spec("msg3d")), spec("msg3d", num_scales=5)
    weights = {**source.weights, "extra": torch.zeros(1)}
    del weights["classifier.bias"]

    found = mapped(source, target)
    said = refusal(WeightsError, replace(source, weights=weights), source.model)

    assert found.weights["backbone.0.frames.0.mix.refinement"].shape[0] == 5
    assert "2 tensors do not fit" in said
    assert "classifier.bias (missing), extra (unknown here)" in said


def test_another_family_is_refused_with_both_names() -> None:
    said = refusal(CheckpointError, trained(spec("stgcn")), spec("ctrgcn"))

    assert said == (
        "old.safetensors: weights of a stgcn, but the recipe trains a ctrgcn; give a recipe of"
        " the family stgcn"
    )


def few_joints(count: int) -> Layout:
    """The first joints of kinect20 from its centre on, and others that nobody knows."""
    known = get_layout("kinect20").joints[:count]
    joints = (*known, *(f"marker {number}" for number in range(12 - count)))
    bones = tuple((joint, 0) for joint in range(1, len(joints)))
    return Layout("markers", "Markers", joints, bones, (), centre=0, origin=0)


def test_layouts_with_seven_joints_in_common_are_refused_and_with_eight_are_not() -> None:
    source = trained(spec())

    said = refusal(LayoutError, source, spec(layout=few_joints(7)))
    found = mapped(source, spec(layout=few_joints(8)))

    assert said == (
        "old.safetensors: trained on the layout ntu25, of whose joints markers has 7, and 8 are"
        " needed; see skelab layouts --map ntu25 markers"
    )
    assert len(found.joints.pairs) == 8


def test_a_family_that_declares_no_axes_takes_only_its_own_layout() -> None:
    tiny = ModelSpec("tiny", 3, get_layout("kinect20"), 3, 2, {"dropout": 0.5})
    source = trained(tiny)

    same = mapped(source, tiny)
    said = refusal(WeightsError, source, replace(tiny, layout=get_layout("utd20")))

    assert not same.fresh
    assert "the family tiny does not say which axes of its weights are joints" in said


# What is drawn, and what is recorded


def test_the_record_counts_what_it_lists() -> None:
    source, target = trained(spec("aagcn")), spec("aagcn", "sbu15", num_classes=2)

    record = mapped(source, target, ("jump", "run")).to_dict()

    for how in ("taken", "mapped", "fresh"):
        listed = [tensor for tensor in record["tensors"] if tensor["how"] == how]
        assert record[how]["tensors"] == len(listed) > 0
        assert record[how]["kept"] == sum(tensor["kept"] for tensor in listed)
    assert record["layouts"] == ["ntu25", "sbu15"]
    assert ["middle of spine", "torso"] in record["joints"]
    assert record["fresh"]["kept"] == 0
