"""Forged descriptions of checkpoints and exported networks are refused before they are used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from skelab.errors import CheckpointError, ExportError
from skelab.inference.checkpoint import _digest, read_checkpoint
from skelab.inference.spec import NetworkSpec

Change = Callable[[dict[str, Any]], object]


def forged(source: Path, target: Path, change: Change) -> Path:
    """A checkpoint with a changed description, and the digest that fits it."""
    with safe_open(str(source), framework="pt") as file:
        described = json.loads(file.metadata()["skelab"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    described.pop("digest")
    change(described)
    described["digest"] = _digest(described, tensors)
    save_file(tensors, target, {"skelab": json.dumps(described)})
    return target


FORGED: list[tuple[Change, str]] = [
    (lambda it: it["model"].update(num_classes=10**9), "model.num_classes: expected less than"),
    (lambda it: it["model"].update(num_classes="3"), "model.num_classes: expected a valid integer"),
    (lambda it: it["model"].update(max_bodies=10**9), "model.max_bodies: expected less than"),
    (lambda it: it["model"].update(options=[]), "model.options: expected an object, found a list"),
    (lambda it: it["model"].update(name=None), "model.name: expected a valid string, found None"),
    (lambda it: it["model"].update(nosuch=1), "model.nosuch: extra inputs are not permitted"),
    (lambda it: it["model"]["layout"].update(joints=["j"] * 2000), "joints: tuple should have"),
    (lambda it: it["model"]["layout"].update(bones=[[0, 10**9]]), "bones.0.1: expected less than"),
    (
        lambda it: it["model"]["layout"].update(bones=[]),
        "model.layout: layout .*exactly one parent",
    ),
    (lambda it: it["inputs"].update(classes=[]), "inputs.classes: tuple should have at least 1"),
    (lambda it: it["inputs"].update(classes=["a"]), "expected the names of . classes, found 1"),
    (lambda it: it["inputs"].update(classes=[["a"]]), "inputs.classes.0: expected a valid string"),
    (lambda it: it["inputs"]["feeder"].update(window=10**9), "inputs.feeder.window: expected less"),
    (lambda it: it.update(protocol="mine"), "protocol: expected 'honest' or 'paper', found 'mine'"),
    (lambda it: it.update(epoch=-1), "epoch: expected greater than or equal to 0, found -1"),
    (lambda it: it.update(recipe="x" * 2_000_000), "recipe: string should have at most"),
    (lambda it: it.update(task=[]), "task: expected an object, found a list of 0"),
]


@pytest.mark.parametrize(("change", "message"), FORGED)
def test_a_forged_checkpoint_says_which_entry_is_wrong(
    checkpoint: Path, tmp_path: Path, change: Change, message: str
) -> None:
    path = forged(checkpoint, tmp_path / "forged.safetensors", change)

    with pytest.raises(CheckpointError, match=rf"its description is damaged: .*{message}") as error:
        read_checkpoint(path)

    assert "\n" not in str(error.value)


def test_deep_json_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with safe_open(str(checkpoint), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path = tmp_path / "deep.safetensors"
    save_file(tensors, path, {"skelab": "[" * 100_000})

    with pytest.raises(CheckpointError, match="damaged: invalid JSON: recursion limit exceeded"):
        read_checkpoint(path)


@pytest.mark.parametrize(("change", "message"), FORGED[:-1])
def test_a_forged_export_says_which_entry_is_wrong(
    checkpoint: Path, change: Change, message: str
) -> None:
    described = json.loads(NetworkSpec.of_checkpoint(read_checkpoint(checkpoint)).to_json())
    change(described)

    with pytest.raises(ExportError, match=rf"net.onnx: expected the description .*{message}"):
        NetworkSpec.from_json(json.dumps(described), "net.onnx")
