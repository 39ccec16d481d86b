"""Checkpoints: what comes back, and what a damaged or foreign file is met with."""

import errno
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_clips import CLASSES, SBU15
from tiny_run import FEEDER, same_tensors
from torch import nn

from skelab.data.feeding.feeder import FeederConfig
from skelab.data.feeding.streams import Stream
from skelab.errors import CheckpointError, ModelError, OutputError
from skelab.inference import checkpoint as checkpoint_module
from skelab.inference.checkpoint import (
    Checkpoint,
    EpochTotals,
    InputSpec,
    TrainerState,
    build_model,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
)
from skelab.models import ModelSpec

SPEC = ModelSpec("tiny", len(CLASSES), SBU15, 3, 2, {"dropout": 0.25})
INPUTS = InputSpec("ctrgcn", "metres", "made-up", CLASSES, FEEDER, "d1ge57", synthetic=True)


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and an optimiser that have taken two steps."""
    torch.manual_seed(0)
    model = build_model(SPEC)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(4, 3, 8, 15, 2)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def a_checkpoint(**changes: Any) -> Checkpoint:
    model, optimizer = trained()
    state = TrainerState(
        epoch=7,
        best_epoch=4,
        best_value=0.75,
        optimizer=optimizer_tensors(optimizer),
        step=11,
        totals=EpochTotals(loss=2.5, sums={"top1": 30.0}, clips=44, seconds=1.5, data_seconds=0.25),
        micro_batch=8,
        average={name: value * 2 for name, value in model.state_dict().items()},
        average_steps=29,
        scaler={"scale": 65536.0, "_growth_tracker": 3},
    )
    usual: dict[str, Any] = {
        "model": SPEC,
        "inputs": INPUTS,
        "recipe": "name: tiny\n",
        "weights": model.state_dict(),
        "epoch": 7,
        "protocol": "honest",
        "trainer": state,
    }
    return Checkpoint(**{**usual, **changes})


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def redescribed(path: Path, change: dict[str, Any]) -> None:
    """Write a checkpoint again with another description, its digest fitting it."""
    with safe_open(str(path), framework="pt") as file:
        described = json.loads(file.metadata()["skelab"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    described.pop("digest")
    described |= change
    described = {name: value for name, value in described.items() if value is not None}
    digest = checkpoint_module._digest(described, tensors)
    save_file(tensors, str(path), {"skelab": json.dumps({**described, "digest": digest})})


def test_weights_and_what_they_belong_to_come_back(tmp_path: Path) -> None:
    path = tmp_path / "epoch.safetensors"
    saved = a_checkpoint(epoch=6, protocol="paper")

    digest = saved.save(path)

    found = read_checkpoint(path)
    assert found.digest == digest
    assert (found.model, found.inputs) == (saved.model, saved.inputs)
    assert (found.recipe, found.epoch, found.protocol) == ("name: tiny\n", 6, "paper")
    assert same_tensors(found.weights, saved.weights)


def test_the_state_of_the_training_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "epoch.safetensors"
    saved = a_checkpoint()
    assert saved.trainer is not None

    saved.save(path)

    found = read_checkpoint(path).trainer
    assert found is not None
    assert (found.epoch, found.best_epoch, found.best_value) == (7, 4, 0.75)
    assert found.scaler == saved.trainer.scaler
    assert same_tensors(found.average, saved.trainer.average)
    assert replace(found, optimizer={}, average={}) == replace(
        saved.trainer, optimizer={}, average={}
    )
    assert same_tensors(found.optimizer, saved.trainer.optimizer)


def test_a_checkpoint_that_is_only_used_has_no_state_of_the_training(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"

    a_checkpoint(trainer=None).save(path)

    with safe_open(str(path), framework="pt") as file:
        names = set(file.keys())
    assert read_checkpoint(path).trainer is None
    assert {name.split(".")[0] for name in names} == {"model"}


def test_where_the_weights_came_from_comes_back(tmp_path: Path) -> None:
    origin = {"file": "run/checkpoints/best.safetensors", "digest": "0123", "notes": ["none"]}

    a_checkpoint(origin=origin).save(tmp_path / "from.safetensors")
    a_checkpoint().save(tmp_path / "drawn.safetensors")

    assert read_checkpoint(tmp_path / "from.safetensors").origin == origin
    assert read_checkpoint(tmp_path / "drawn.safetensors").origin == {}
    with safe_open(str(tmp_path / "drawn.safetensors"), framework="pt") as file:
        assert "from" not in json.loads(file.metadata()["skelab"])


def test_a_stream_other_than_the_usual_comes_back(tmp_path: Path) -> None:
    feeder = FeederConfig(stream=Stream.BONE_MOTION, window=32, train_crop=(0.25, 0.5), rotation=0)
    saved = a_checkpoint(inputs=replace(INPUTS, feeder=feeder))

    saved.save(tmp_path / "epoch.safetensors")

    assert read_checkpoint(tmp_path / "epoch.safetensors").inputs.feeder == feeder


def test_the_transforms_of_training_come_back_with_their_options(tmp_path: Path) -> None:
    listed = ["mirror", {"name": "mask-time", "freeze": True}, "mask-time", "mix"]
    feeder = FeederConfig.model_validate({"transforms": listed})
    saved = a_checkpoint(inputs=replace(INPUTS, feeder=feeder))

    saved.save(tmp_path / "epoch.safetensors")

    found = read_checkpoint(tmp_path / "epoch.safetensors").inputs.feeder
    assert found == feeder
    assert [entry.name for entry in found.transforms] == ["mirror", "mask-time", "mask-time", "mix"]


def test_a_checkpoint_from_before_there_was_a_list_of_transforms_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped = FeederConfig.model_dump

    def without_transforms(self: FeederConfig, **options: Any) -> dict[str, Any]:
        return {name: v for name, v in dumped(self, **options).items() if name != "transforms"}

    with monkeypatch.context() as older:
        older.setattr(FeederConfig, "model_dump", without_transforms)
        a_checkpoint().save(tmp_path / "older.safetensors")

    content = (tmp_path / "older.safetensors").read_bytes()
    assert b"transforms" not in content
    assert read_checkpoint(tmp_path / "older.safetensors").inputs == INPUTS


def test_the_network_is_built_with_its_weights_and_ready_for_use(tmp_path: Path) -> None:
    model, _ = trained()
    a_checkpoint().save(tmp_path / "epoch.safetensors")
    clips = torch.randn(2, 3, 8, 15, 2)

    built = read_checkpoint(tmp_path / "epoch.safetensors").build()

    assert not built.training
    assert torch.equal(built(clips), model.eval()(clips))


def test_an_optimiser_goes_on_as_if_it_had_never_stopped() -> None:
    model, optimizer = trained()
    torch.manual_seed(5)
    other = build_model(SPEC)
    other.load_state_dict(model.state_dict())
    fresh = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    clips = torch.randn(4, 3, 8, 15, 2)

    kept = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()}
    restore_optimizer(fresh, kept)

    for network, steps in ((model, optimizer), (other, fresh)):
        steps.zero_grad()
        network.eval()(clips).square().sum().backward()
        steps.step()
    assert same_tensors(other.state_dict(), model.state_dict())


def test_an_optimiser_without_momentum_has_nothing_to_keep() -> None:
    model = build_model(SPEC)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(4, 3, 8, 15, 2)).sum().backward()

    optimizer.step()

    assert optimizer_tensors(optimizer) == {}


def test_equal_checkpoints_have_equal_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]

    digests = [a_checkpoint().save(path) for path in paths]

    assert digests[0] == digests[1]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_missing_checkpoint_says_what_writes_them(tmp_path: Path) -> None:
    missing = "a folder without checkpoints/best.safetensors"
    for path, found in ((tmp_path / "best.safetensors", "nothing"), (tmp_path, missing)):
        message = refusal(path)

        assert message == (
            f"{path}: there is no checkpoint: expected a run folder or a checkpoint, found {found};"
            " `skelab train` makes one"
        )


def test_a_run_folder_means_the_checkpoint_that_it_has_chosen(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()

    digest = a_checkpoint().save(tmp_path / "checkpoints" / "best.safetensors")

    assert read_checkpoint(tmp_path).digest == digest


def test_one_flipped_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "epoch.safetensors"
    a_checkpoint().save(path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    unused = {place for place in range(header) if whole[place : place + 1] == b" "}  # may be any
    places = {*range(0, header, 17), *range(header, len(whole), 97)} - unused

    for place in sorted(places):
        damaged = bytearray(whole)
        damaged[place] ^= 0x11
        path.write_bytes(damaged)
        refusal(path)


def test_a_changed_weight_does_not_match_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "epoch.safetensors"
    a_checkpoint().save(path)
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)

    message = refusal(path)

    assert message == f"{path}: damaged: its content does not match its digest"


def test_a_changed_description_does_not_match_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "epoch.safetensors"
    a_checkpoint().save(path)
    path.write_bytes(path.read_bytes().replace(b"wave", b"wove"))

    message = refusal(path)

    assert message == f"{path}: damaged: its content does not match its digest"


def test_a_checkpoint_that_ends_early_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "epoch.safetensors"
    a_checkpoint().save(path)
    whole = path.read_bytes()

    for length in [*range(40), *range(40, len(whole), 131), len(whole) - 1]:
        path.write_bytes(whole[:length])
        message = refusal(path)
        assert "expected a checkpoint, found a damaged or foreign file" in message


def test_weights_of_another_program_are_told_from_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file({"fc.weight": torch.ones(2)}, str(path))

    message = refusal(path)

    assert "a safetensors file, but not a checkpoint of ours" in message
    assert "`skelab import-weights` takes the authors' weights" in message


@pytest.mark.parametrize("description", ["5", "[1, 2]", "null", "{", '"text"', "{}"])
def test_a_description_that_is_none_is_refused(tmp_path: Path, description: str) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file({"model.weight": torch.ones(2)}, str(path), {"skelab": description})

    message = refusal(path)

    assert "damaged" in message


class Trap:
    """Would make a file if it were unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_pickle_under_the_name_of_a_checkpoint_is_refused_and_never_run(tmp_path: Path) -> None:
    path, target = tmp_path / "epoch.safetensors", tmp_path / "it ran"
    path.write_bytes(pickle.dumps(Trap(target)))

    message = refusal(path)

    assert "expected a checkpoint, found a damaged or foreign file" in message
    assert not target.exists()


def test_a_torch_file_under_the_name_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "epoch.safetensors"
    torch.save({"weight": torch.ones(2)}, path)

    message = refusal(path)

    assert "expected a checkpoint, found a damaged or foreign file" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "expected format 1, found 2"),
        ({"format": None}, "format"),
        ({"inputs": None}, "inputs"),
        ({"inputs": {"classes": []}}, "inputs.pipeline: expected, found nothing (and 4 more)"),
        ({"model": {"name": "tiny", "layout": {}}}, "model.num_classes: expected, found nothing"),
        ({"trainer": {"epoch": 1}}, "trainer.step: expected, found nothing"),
    ],
)
def test_a_description_that_lacks_something_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "epoch.safetensors"
    a_checkpoint().save(path)
    redescribed(path, change)

    message = refusal(path)

    assert "its description is damaged: " in message
    assert said in message


def test_weights_that_do_not_fit_their_network_are_refused() -> None:
    weights = dict(a_checkpoint().weights)
    weights["classifier.weight"] = torch.ones(5, 90)

    with pytest.raises(CheckpointError, match=r"do not fit tiny: .*size mismatch") as caught:
        a_checkpoint(weights=weights).build()

    assert "\n" not in str(caught.value)


def test_a_network_that_is_not_known_is_refused() -> None:
    with pytest.raises(ModelError, match="unknown model 'tinny', did you mean 'tiny'"):
        a_checkpoint(model=replace(SPEC, name="tinny")).build()


def test_a_full_disk_leaves_the_checkpoint_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "epoch.safetensors"
    a_checkpoint().save(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"epoch\.safetensors: the disk is full"):
        a_checkpoint(epoch=8).save(path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
