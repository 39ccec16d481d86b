"""The authors' weights go in and out; a file that does not fit is refused by key."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_kit import golden_weights, kit_of
from module_kit import SMALL
from safetensors.torch import save_file
from torch import Tensor, nn

from skelab.errors import LayoutError, ModelError, WeightsError
from skelab.models import (
    create_model,
    export_weights,
    import_weights,
    list_models,
    model_spec,
    read_state_dict,
)

# Nothing in them depends on the bodies.
SHARED_NORM = ("stgcn", "stgcn_official", "stgcnpp", "dgstgcn", "protogcn")
# Their joints and bodies are told for one layout only.
SIDE_BY_SIDE = ("skateformer", "lstc_mda", "posec3d", "usdrl")


def small_weights(name: str = "ctrgcn", layout: str = "ntu25", **options: int) -> dict[str, Tensor]:
    """Exported weights of a small new model."""
    arguments: dict[str, Any] = {"num_classes": 5, "layout": layout, **SMALL[name], **options}
    return export_weights(create_model(name, **arguments))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("layout", ["ntu25", "kinect20", "coco17"])
def test_what_the_model_was_made_with_is_read_off_the_shapes(name: str, layout: str) -> None:
    weights = small_weights(name, layout, in_channels=2, max_bodies=3)

    bodies = 3 if name in (*SHARED_NORM, *SIDE_BY_SIDE) else None
    model = import_weights(name, weights, layout=layout, max_bodies=bodies)

    spec = model_spec(model)
    channels = 3 if name == "posec3d" else 2  # which draws whatever it is given
    assert (spec.num_classes, spec.in_channels, spec.max_bodies) == (5, channels, 3)
    assert spec.layout.name == layout
    again = export_weights(model)
    assert list(again) == list(weights)
    assert all(torch.equal(again[key], tensor) for key, tensor in weights.items())


@pytest.mark.parametrize("name", SHARED_NORM)
def test_where_shapes_say_nothing_of_bodies_there_are_two(name: str) -> None:
    model = import_weights(name, small_weights(name))

    assert model_spec(model).max_bodies == 2


def test_bodies_that_the_shapes_contradict_are_refused() -> None:
    weights = small_weights()

    with pytest.raises(
        WeightsError, match=r"misshapen: data_bn.weight \(expected 225, found 150\)"
    ):
        import_weights("ctrgcn", weights, max_bodies=3)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("shiftgcn", "sign_gradients"),
        ("stgcn", "near_sighted_partition"),
        ("stgcn_official", "near_sighted_partition"),
        ("dgstgcn", "one_strength"),
        ("protogcn", "one_strength"),
        ("blockgcn", "batch_topology"),
        ("lstc_mda", "scale_by_heads"),
        ("skeletonagent", "one_strength"),
        ("skateformer", "bias_by_joint"),
        ("skateformer", "scale_by_heads"),
    ],
)
def test_imported_weights_go_on_as_in_the_authors_code(name: str, option: str) -> None:
    new = create_model(name, num_classes=5, **SMALL[name])

    imported = import_weights(name, export_weights(new))

    assert model_spec(new).options[option] is False
    assert model_spec(imported).options[option] is True


def test_offsets_between_joints_that_would_move_something_are_refused() -> None:
    weights = small_weights("shiftgcn")
    weights["l3.tcn1.shift_in.xpos"][1] = 0.25

    with pytest.raises(
        WeightsError, match=r"Shift-GCN: l3.tcn1.shift_in.xpos: expected .* found 0.25"
    ):
        import_weights("shiftgcn", weights)


def test_the_prefix_of_parallel_training_is_dropped() -> None:
    weights = small_weights()

    model = import_weights("ctrgcn", {f"module.{key}": weights[key] for key in weights})

    again = export_weights(model)
    assert all(torch.equal(again[key], weights[key]) for key in weights)


def test_an_import_leaves_the_random_generator_as_it_was() -> None:
    weights = small_weights()
    torch.manual_seed(3)
    expected = torch.rand(2)

    torch.manual_seed(3)
    import_weights("ctrgcn", weights)

    assert torch.equal(torch.rand(2), expected)


def test_exported_weights_are_copies() -> None:
    model = create_model("ctrgcn", num_classes=2, width=8)
    weights = export_weights(model)

    weights["fc.bias"].fill_(7.0)

    assert not torch.equal(export_weights(model)["fc.bias"], weights["fc.bias"])


def damage(kind: str) -> Callable[[dict[str, Tensor]], None]:
    """What spoils a state dict, by kind."""

    def lose_many(weights: dict[str, Tensor]) -> None:
        for key in [key for key in weights if key.startswith("l3.")]:
            del weights[key]

    def lose_what_shapes_are_read_off(weights: dict[str, Tensor]) -> None:
        del weights["l1.gcn1.PA"]

    def add(weights: dict[str, Tensor]) -> None:
        weights["l11.gcn1.PA"] = torch.zeros(3, 25, 25)

    def reshape(weights: dict[str, Tensor]) -> None:
        weights["l2.gcn1.alpha"] = torch.zeros(3)

    def empty(weights: dict[str, Tensor]) -> None:
        weights["l1.gcn1.PA"] = torch.zeros(())

    def rename(weights: dict[str, Tensor]) -> None:
        weights["head.weight"] = weights.pop("fc.weight")

    local: dict[str, Any] = locals()
    spoil: Callable[[dict[str, Tensor]], None] = local[kind]
    return spoil


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("lose_many", r"CTR-GCN: 78 missing: l3.gcn1.PA, l3.gcn1.alpha, .* and 73 more$"),
        ("lose_what_shapes_are_read_off", "CTR-GCN: 1 missing: l1.gcn1.PA$"),
        ("add", "CTR-GCN: 1 unexpected: l11.gcn1.PA$"),
        ("reshape", r"CTR-GCN: 1 misshapen: l2.gcn1.alpha \(expected 1, found 3\)$"),
        ("empty", r"1 misshapen: l1.gcn1.PA \(expected 3x25x25, found a single number\)$"),
        ("rename", "CTR-GCN: 1 missing: fc.weight; 1 unexpected: head.weight$"),
    ],
)
def test_keys_that_do_not_fit_are_named(kind: str, message: str) -> None:
    weights = small_weights()
    damage(kind)(weights)

    with pytest.raises(WeightsError, match=message):
        import_weights("ctrgcn", weights)


def test_weights_of_another_family_are_refused() -> None:
    weights = small_weights("msg3d")

    with pytest.raises(WeightsError, match=r"CTR-GCN: \d+ missing: l1.gcn1.PA.*unexpected: gcn3d1"):
        import_weights("ctrgcn", weights)


def test_an_entry_that_is_no_tensor_is_named() -> None:
    weights: dict[str, Any] = {"fc.weight": [1, 2]}

    with pytest.raises(WeightsError, match=r"CTR-GCN, entry 'fc.weight': expected a tensor, found"):
        import_weights("ctrgcn", weights)


def test_a_number_of_joints_without_a_usual_layout_asks_for_one() -> None:
    weights = small_weights(layout="kinect20")

    with pytest.raises(WeightsError, match=r"20 joints; say in which layout.*kinect20, utd20\)"):
        import_weights("ctrgcn", weights)


def test_a_layout_with_other_joints_is_refused() -> None:
    weights = small_weights()

    with pytest.raises(WeightsError, match="expected the 20 joints of kinect20, found 25"):
        import_weights("ctrgcn", weights, layout="kinect20")
    with pytest.raises(LayoutError, match="unknown layout 'kinect2'"):
        import_weights("ctrgcn", weights, layout="kinect2")


@pytest.mark.parametrize(
    ("name", "theirs", "title"),
    [
        ("ctrgcn", "shiftgcn", "Shift-GCN"),
        ("stgcnpp", "dgstgcn", "DG-STGCN"),
        ("dgstgcn", "protogcn", "ProtoGCN"),
        ("skateformer", "lstc_mda", "LSTC-MDA"),
    ],
)
def test_weights_of_another_family_are_called_by_its_name(
    name: str, theirs: str, title: str
) -> None:
    with pytest.raises(
        WeightsError,
        match=rf"; the keys are those of {title}: skelab import-weights {theirs}",
    ):
        import_weights(name, small_weights(theirs))


def test_a_model_made_in_another_way_cannot_be_exported() -> None:
    with pytest.raises(ModelError, match="expected a model made by create_model"):
        export_weights(nn.Linear(1, 1))


@pytest.mark.parametrize("name", [card.name for card in list_models()])
def test_a_file_of_the_authors_weights_goes_in_and_out(name: str, tmp_path: Path) -> None:
    weights = golden_weights(kit_of(name))
    torch.save({f"module.{key}": tensor for key, tensor in weights.items()}, tmp_path / "a.pt")

    again = export_weights(import_weights(name, read_state_dict(tmp_path / "a.pt")))

    assert list(again) == list(weights)
    assert all(torch.equal(again[key], tensor) for key, tensor in weights.items())


def save_legacy(content: dict[str, Tensor], path: Path) -> None:
    """As torch wrote before version 1.6, and many authors with it."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    "write",
    [
        torch.save,
        save_legacy,
        save_file,
        lambda content, path: torch.save({"epoch": 3, "state_dict": content}, path),
    ],
    ids=["torch", "torch before 1.6", "safetensors", "checkpoint"],
)
def test_files_of_weights_are_told_by_content(
    write: Callable[[dict[str, Tensor], Path], None], tmp_path: Path
) -> None:
    weights = {"fc.weight": torch.randn(2, 3), "fc.bias": torch.randn(2)}
    path = tmp_path / "weights.bin"
    write(weights, path)

    found = read_state_dict(path)

    assert found.keys() == weights.keys()
    assert all(torch.equal(found[key], weights[key]) for key in weights)


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.sprung,)


@pytest.mark.parametrize("write", [torch.save, save_legacy], ids=["torch", "torch before 1.6"])
def test_a_file_that_would_run_code_is_refused_in_one_line_and_runs_none(
    write: Callable[[object, Path], None], tmp_path: Path
) -> None:
    path, sprung = tmp_path / "trap.pt", tmp_path / "sprung"
    write({"fc.weight": Trap(sprung)}, path)

    with pytest.raises(WeightsError) as refusal:
        read_state_dict(path)

    assert str(refusal.value).startswith(f"{path}: refused, expected tensors only")
    assert "\n" not in str(refusal.value)
    assert not sprung.exists()


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.pkl"
    path.write_bytes(pickle.dumps({"a": [1, 2]}))

    with pytest.raises(WeightsError, match=r"scores.pkl: "):
        read_state_dict(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 cut short",
        b"\x10\0\0\0\0\0\0\0{broken",
        b"not weights at all",
        b"some text\n",
    ],
)
def test_a_damaged_file_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)

    with pytest.raises(WeightsError) as refusal:
        read_state_dict(path)

    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none.pt: cannot be read: No such file"):
        read_state_dict(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "expected tensors by key, found list"),
        ({}, "expected tensors by key, found dict"),
        ({"epoch": 3}, "entry 'epoch': expected a tensor, found int"),
    ],
)
def test_a_file_of_something_else_is_refused(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")

    with pytest.raises(WeightsError, match=message):
        read_state_dict(tmp_path / "other.pt")


def test_a_file_of_another_kind_is_refused_without_advice_to_load_it_unsafely(
    tmp_path: Path,
) -> None:
    path = tmp_path / "notes.pt"
    path.write_bytes(b"nonsense")

    with pytest.raises(WeightsError) as refusal:
        read_state_dict(path)

    assert str(refusal.value) == (
        f"{path}: refused, expected tensors only, found a damaged file or one of another kind"
    )
