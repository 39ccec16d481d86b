"""The authors' weights become checkpoints that can be used, and come out again unchanged."""

from pathlib import Path
from typing import Any

import pytest
import torch
from module_kit import SMALL
from safetensors.torch import load_file
from tiny_clips import CLASSES, tiny_store
from torch import Tensor

from skelab.data.recordings.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.errors import DataError, RecipeError, SplitError, WeightsError
from skelab.evaluation import Scores, fuse
from skelab.inference.checkpoint import load_checkpoint, read_checkpoint
from skelab.models import create_model, export_weights, get_card, list_models
from skelab.recipes import Protocol, list_recipes, parse_recipe
from skelab.runs.evaluate import evaluate_run
from skelab.runs.weights import (
    UNKNOWN_EPOCH,
    export_weights_file,
    import_weights_file,
    read_class_names,
)


def weights_file(path: Path, name: str = "ctrgcn", **arguments: Any) -> dict[str, Tensor]:
    """A file of a small new network's weights by the authors' names; returns them, too."""
    torch.manual_seed(0)
    model = create_model(name, **{"num_classes": 60, **SMALL[name], **arguments})
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(-1e-7, 1e-7)
    weights = export_weights(model)
    torch.save({f"module.{key}": tensor for key, tensor in weights.items()}, path)
    return weights


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        *[(card.name, ".pt") for card in list_models()],
        *[("stgcn", ".pth"), ("stgcn", ".safetensors")],
    ],
)
def test_weights_come_out_as_they_went_in_bit_for_bit(
    name: str, suffix: str, tmp_path: Path
) -> None:
    weights = weights_file(tmp_path / "theirs.pt", name)
    checkpoint, again = tmp_path / "net.safetensors", tmp_path / f"again{suffix}"

    import_weights_file(name, tmp_path / "theirs.pt", checkpoint)
    count = export_weights_file(checkpoint, again)

    found = load_file(again) if suffix == ".safetensors" else torch.load(again, weights_only=True)
    assert count == len(weights)
    assert set(found) == set(weights)
    for key, tensor in weights.items():
        assert found[key].dtype == tensor.dtype, key
        assert torch.equal(found[key], tensor), key


@pytest.mark.parametrize("name", [card.name for card in list_models()])
def test_a_family_has_a_recipe_whose_settings_its_weights_are_taken_to_have(
    name: str, tmp_path: Path
) -> None:
    weights_file(tmp_path / "theirs.pt", name)
    recipe = next(recipe for recipe in list_recipes() if recipe.name == name)

    made = import_weights_file(name, tmp_path / "theirs.pt", tmp_path / "net.safetensors")

    found = read_checkpoint(made.path)
    assert found.inputs.feeder == recipe.data.feeder
    assert found.inputs.pipeline == get_card(name).pipeline
    assert found.inputs.classes == NTU60_CLASSES
    assert (found.epoch, found.protocol, found.trainer) == (UNKNOWN_EPOCH, "paper", None)
    written = parse_recipe(found.recipe)
    assert (written.name, written.protocol) == (name, Protocol.PAPER)
    assert written.model.options == found.model.options
    assert written.training == recipe.training


@pytest.mark.parametrize(
    ("name", "nearest"), [("stgcn_official", "msg3d"), ("posec3d", "as-given")]
)
def test_a_preprocessing_that_is_not_ours_is_said_so_unless_one_is_named(
    name: str, nearest: str, tmp_path: Path
) -> None:
    weights_file(tmp_path / "theirs.pt", name)
    out = tmp_path / "net.safetensors"

    assumed = import_weights_file(name, tmp_path / "theirs.pt", out)
    named = import_weights_file(name, tmp_path / "theirs.pt", out, pipeline="ctrgcn", force=True)

    assert f"{nearest} is closest" in assumed.notes[0]
    assert named.notes == ()
    assert named.checkpoint.inputs.pipeline == "ctrgcn"


def test_what_is_said_of_the_weights_goes_before_the_recipe(tmp_path: Path) -> None:
    weights_file(tmp_path / "theirs.pt", "stgcn", num_classes=3, layout="kinect20")

    import_weights_file(
        "stgcn",
        tmp_path / "theirs.pt",
        tmp_path / "net.safetensors",
        layout="kinect20",
        classes=CLASSES,
        pipeline="ctrgcn",
        stream="bone-motion",
        window=52,
        max_bodies=1,
    )

    found = read_checkpoint(tmp_path / "net.safetensors")
    assert (found.model.layout.name, found.model.max_bodies) == ("kinect20", 1)
    assert (found.inputs.classes, found.inputs.pipeline) == (CLASSES, "ctrgcn")
    assert (found.inputs.feeder.stream.value, found.inputs.feeder.window) == ("bone-motion", 52)
    assert parse_recipe(found.recipe).data.feeder == found.inputs.feeder


def test_the_actions_of_ntu_120_come_by_their_number(tmp_path: Path) -> None:
    weights_file(tmp_path / "theirs.pt", num_classes=120)

    made = import_weights_file("ctrgcn", tmp_path / "theirs.pt", tmp_path / "net.safetensors")

    assert made.checkpoint.inputs.classes == NTU120_CLASSES
    assert made.checkpoint.inputs.dataset == "ntu"


def test_coordinates_that_are_not_in_space_are_taken_as_given(tmp_path: Path) -> None:
    weights_file(tmp_path / "theirs.pt", layout="coco17")

    made = import_weights_file(
        "ctrgcn", tmp_path / "theirs.pt", tmp_path / "net.safetensors", layout="coco17"
    )

    assert made.checkpoint.inputs.pipeline == "as-given"


def test_an_imported_network_can_be_evaluated(tmp_path: Path) -> None:
    weights_file(tmp_path / "theirs.pt", "shiftgcn", num_classes=3, layout="sbu15")
    store = tiny_store(tmp_path / "clips.arrow")
    out = tmp_path / "net.safetensors"
    import_weights_file(
        "shiftgcn",
        tmp_path / "theirs.pt",
        out,
        layout="sbu15",
        classes=CLASSES,
        pipeline="ctrgcn",
        window=8,
    )

    result = evaluate_run(out, store, split="subject:1-3/4")

    assert len(result.scores.names) == 6
    assert result.scores.info.protocol == "paper"
    assert "Training part unknown" in result.report_file.read_text()


def imported(folder: Path, **arguments: Any) -> Path:
    """Weights of a small network for the clips of :func:`tiny_store`, imported."""
    weights_file(folder / "theirs.pt", "shiftgcn", num_classes=3, layout="sbu15")
    made = import_weights_file(
        *("shiftgcn", folder / "theirs.pt", folder / "net.safetensors"),
        layout="sbu15",
        classes=CLASSES,
        pipeline="ctrgcn",
        window=8,
        **arguments,
    )
    return made.path


def test_imported_weights_carry_the_split_that_they_were_trained_on(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    net = imported(tmp_path, split="subject:1-3/4")

    result = evaluate_run(net, store)

    assert read_checkpoint(net).inputs.split == "subject:1-3/4"
    assert (result.scores.info.split, len(result.scores.names)) == ("subject:1-3/4", 6)
    assert not result.scores.info.unknown_training
    page = result.report_file.read_text()
    assert "Imported weights, said to be trained on split subject:1-3/4." in page
    assert "Training part unknown" not in page


def test_clips_that_trained_imported_weights_are_no_test(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    net = imported(tmp_path, split="subject:1-3/4")

    with pytest.raises(SplitError, match=r"18 of 18 clips of split subject:4/1-3 are among those"):
        evaluate_run(net, store, split="subject:4/1-3")


def test_scores_of_weights_without_a_split_say_that_the_training_part_is_unknown(
    tmp_path: Path,
) -> None:
    store = tiny_store(tmp_path / "clips.arrow")

    result = evaluate_run(imported(tmp_path), store, split="subject:1-3/4")

    kept = Scores.load(result.scores_file)
    assert kept.info.unknown_training
    assert kept.info.chosen_by == "paper; training part unknown"
    assert fuse([kept, kept], (1.0, 1.0)).info.unknown_training


def test_a_split_that_there_is_not_is_refused_at_the_import(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown split 'xsup'"):
        imported(tmp_path, split="xsup")


def test_the_network_is_that_of_the_weights(tmp_path: Path) -> None:
    weights = weights_file(tmp_path / "theirs.pt", "stgcnpp")

    import_weights_file("stgcnpp", tmp_path / "theirs.pt", tmp_path / "net.safetensors")

    found = export_weights(load_checkpoint(tmp_path / "net.safetensors"))
    assert all(torch.equal(found[key], tensor) for key, tensor in weights.items())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dataset": "ntu12"}, WeightsError, "unknown data set 'ntu12', did you mean 'ntu120'"),
        ({"dataset": "ntu120"}, WeightsError, "theirs.pt: expected 60 class names, .* found 120"),
        ({"classes": ("a", "b")}, WeightsError, "theirs.pt: expected 60 class names, .* found 2"),
        ({"pipeline": "msg3"}, DataError, "unknown pipeline 'msg3', did you mean 'msg3d'"),
        ({"stream": "bones"}, RecipeError, "data.stream: .* 'bones'"),
        ({"window": 2}, RecipeError, "data.window: .* 2"),
        ({"window": 50}, WeightsError, "shiftgcn: expected a window of a multiple of 4 .* 50"),
        ({"max_bodies": 3}, WeightsError, "misshapen: data_bn.weight"),
        ({"layout": "sbu15"}, WeightsError, "expected the 15 joints of sbu15, found 25"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    arguments: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    weights_file(tmp_path / "theirs.pt", "shiftgcn")
    out = tmp_path / "net.safetensors"

    with pytest.raises(error, match=message):
        import_weights_file("shiftgcn", tmp_path / "theirs.pt", out, **arguments)

    assert not out.exists()


def test_classes_without_a_usual_number_must_be_named(tmp_path: Path) -> None:
    weights_file(tmp_path / "theirs.pt", num_classes=27)

    with pytest.raises(WeightsError, match=r"27 classes; name them in a file, .* --classes FILE"):
        import_weights_file("ctrgcn", tmp_path / "theirs.pt", tmp_path / "net.safetensors")


def test_weights_are_not_written_under_a_name_that_does_not_say_what_they_are(
    tmp_path: Path,
) -> None:
    with pytest.raises(WeightsError, match=r"ends with .safetensors, .pt, .pth, found '.bin'"):
        export_weights_file(tmp_path / "net.safetensors", tmp_path / "weights.bin")
    with pytest.raises(WeightsError, match="found 'none of them'"):
        export_weights_file(tmp_path / "net.safetensors", tmp_path / "weights")


def test_class_names_stand_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("wave\n\n sit down \nfall\n")

    assert read_class_names(path) == ("wave", "sit down", "fall")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "classes.txt: the class names cannot be read: No such file"),
        (b"\xff\xfe\x00", "classes.txt: the class names cannot be read: it is not UTF-8 text"),
        (b"\n \n", "classes.txt: expected the name of a class on each line, found none"),
    ],
)
def test_a_file_without_class_names_is_refused(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "classes.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(WeightsError, match=message):
        read_class_names(path)
