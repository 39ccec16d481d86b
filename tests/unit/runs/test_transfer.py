"""Runs that start from trained weights: what they may start from, what they record, resuming."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_clips import CLASSES, tiny_clip, tiny_info, tiny_store
from tiny_run import CONFIG, same_tensors, tiny_recipe, what_training_computed
from transfer_kit import draw_weights
from transfer_run import transfer_recipe

from skelab.data.clips.store import ClipStore, open_store
from skelab.data.clips.write import write_store
from skelab.errors import CheckpointError, SkelabError, TrainingError
from skelab.inference.checkpoint import Checkpoint, read_checkpoint
from skelab.models import create_model, export_weights, model_spec
from skelab.recipes import Recipe, parse_recipe
from skelab.runs.plan import plan_training
from skelab.runs.seeds import train_seeds
from skelab.runs.train import train_recipe
from skelab.runs.transfer import open_weights, origin_notes, with_source
from skelab.runs.weights import import_weights_file
from skelab.training.config import MemoryConfig
from skelab.training.run_folder import TRANSFER
from skelab.training.transfer import MappedWeights, map_weights
from skelab.training.watch import Watcher

TESTS = Path(__file__).parents[2]
BEST = "checkpoints/best.safetensors"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return tiny_store(tmp_path_factory.mktemp("clips") / "clips.arrow")


@pytest.fixture
def other_store(tmp_path: Path) -> ClipStore:
    """Clips of two other classes."""
    clips = [tiny_clip(row, label=row % 2) for row in range(24)]
    write_store(tmp_path / "other.arrow", clips, tiny_info(classes=("jump", "run")))
    return open_store(tmp_path / "other.arrow")


@pytest.fixture
def source(store: ClipStore, tmp_path: Path) -> Path:
    """A run that has ended."""
    train_recipe(tiny_recipe(), store, tmp_path / "source")
    return tmp_path / "source"


class StoppedError(Exception):
    """Raised by a watcher to end a run."""


class Stopper(Watcher):
    """Ends a run at its first step, or after its first epoch; keeps what it was told."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.told: list[tuple[str, MappedWeights]] = []

    def on_initial(self, source: str, weights: MappedWeights) -> None:
        self.told.append((source, weights))

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        if self.at_once:
            raise StoppedError

    def on_epoch(self, record: Mapping[str, int | float]) -> None:
        raise StoppedError


def refusal(error: type[SkelabError], call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def began_with(run: Path) -> Checkpoint:
    """The checkpoint before the first step."""
    return read_checkpoint(run / "checkpoints/epoch-0000.safetensors")


def stopped(recipe: Recipe, store: ClipStore, run: Path, **options: Any) -> Stopper:
    watcher = Stopper(at_once=True)
    with pytest.raises(StoppedError):
        train_recipe(recipe, store, run, watcher=watcher, **options)
    return watcher


# What a run may start from


def test_a_run_that_has_ended_gives_its_chosen_weights(source: Path) -> None:
    found = open_weights(source)

    chosen = read_checkpoint(source / BEST)
    assert same_tensors(found.weights, chosen.weights)
    assert (found.name, found.digest) == (f"source/{BEST}", chosen.digest)
    assert (found.model, found.classes) == (chosen.model, CLASSES)
    assert found.facts["split"] == "subject:1-3/4"


def test_a_checkpoint_alone_is_called_by_its_file(source: Path, tmp_path: Path) -> None:
    shutil.copy(source / BEST, tmp_path / "network.safetensors")

    found = open_weights(tmp_path / "network.safetensors")

    assert found.name == "network.safetensors"
    assert found.digest == open_weights(source).digest


def test_a_checkpoint_within_a_run_gives_the_average_that_is_validated(
    store: ClipStore, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"ema": 0.9})
    train_recipe(tiny_recipe(training=config.model_dump()), store, tmp_path / "run")
    newest = max((tmp_path / "run/checkpoints").glob("epoch-*"))

    found = open_weights(newest)

    state = read_checkpoint(newest).trainer
    assert state is not None
    assert same_tensors(found.weights, state.average)


def test_a_run_that_still_trains_is_refused_with_the_file_to_give_instead(
    store: ClipStore, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train_recipe(tiny_recipe(), store, run, watcher=Stopper())
    chosen = run / BEST

    said = refusal(CheckpointError, open_weights, run)
    found = open_weights(chosen)

    assert said == (
        f"{run}: this run has not ended, 1 of its 4 epochs are done; to start from what it has,"
        f" give {chosen}"
    )
    assert found.facts["epoch"] == 1


def test_a_run_without_any_checkpoint_is_refused(source: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(source / "recipe.yaml", begun)

    nothing = refusal(CheckpointError, open_weights, empty)
    early = refusal(CheckpointError, open_weights, begun)

    assert f"{empty}: there is no checkpoint: expected a run folder or a checkpoint" in nothing
    assert early == f"{begun}: this run has not ended, 0 of its 4 epochs are done"


def test_a_run_of_several_seeds_is_refused_with_one_of_them(
    store: ClipStore, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"epochs": 1})
    train_seeds(tiny_recipe(training=config.model_dump(), seeds=2), store, tmp_path / "run")

    said = refusal(CheckpointError, open_weights, tmp_path / "run")

    assert said == (
        f"{tmp_path / 'run'}: holds a run for each of 2 seeds; give one of them, say"
        f" {tmp_path / 'run' / 'seed-3'}"
    )


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_weights_alone_are_refused_with_the_command_that_imports_them(
    suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"theirs{suffix}"
    weights = {"module.fc.weight": torch.zeros(3, 4)}
    save_file(weights, file) if suffix == ".safetensors" else torch.save(weights, file)

    said = refusal(CheckpointError, open_weights, file)

    assert said == (
        f"{file}: weights alone, which do not say what they belong to; `skelab import-weights MODEL"
        " FILE OUT` makes a checkpoint of weights alone"
    )


def test_imported_weights_move_to_another_layout(tmp_path: Path) -> None:
    theirs = create_model("shiftgcn", num_classes=3, width=4, sign_gradients=True)
    save_file(export_weights(theirs), tmp_path / "theirs.safetensors")
    import_weights_file(
        "shiftgcn", tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors", classes=CLASSES
    )
    with torch.device("meta"):
        target = model_spec(
            create_model("shiftgcn", num_classes=3, width=4, layout="kinect20", max_bodies=1)
        )

    start = open_weights(tmp_path / "ours.safetensors")
    found = map_weights(start, target, CLASSES, draw_weights(target, 1))

    key = "backbone.2.spatial.weight"
    assert torch.equal(found.weights[key], theirs.state_dict()[key])
    assert found.notes == ("option sign_gradients was True, is False, as the recipe has it",)
    assert "20 of the 20 joints of kinect20 are in ntu25" in found.summary()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "missing"])
def test_a_damaged_file_is_refused(damage: str, source: Path, tmp_path: Path) -> None:
    content = (source / BEST).read_bytes()
    file = tmp_path / "network.safetensors"
    spoiled = {
        "truncated": content[: len(content) // 2],
        "flipped": content[:-9] + bytes([content[-9] ^ 255]) + content[-8:],
        "text": b"no network at all",
    }
    if damage in spoiled:
        file.write_bytes(spoiled[damage])

    said = refusal(CheckpointError, open_weights, file)

    expected = {
        "truncated": "expected a checkpoint, found a damaged or foreign file",
        "flipped": "damaged: its content does not match its digest",
        "text": "expected a checkpoint, found a damaged or foreign file",
        "missing": "there is no checkpoint: expected a run folder or a checkpoint, found nothing",
    }
    assert said.startswith(f"{file}: {expected[damage]}")


# Which weights a recipe means


def test_the_recipe_of_a_run_names_file_and_digest(source: Path, tmp_path: Path) -> None:
    start = open_weights(source)

    found = with_source(tiny_recipe(), start)

    assert (found.transfer.source, found.transfer.digest) == (f"source/{BEST}", start.digest)
    assert parse_recipe(found.to_yaml()) == found


def test_a_recipe_that_starts_from_drawn_weights_says_nothing_of_it() -> None:
    assert "transfer" not in tiny_recipe().to_yaml()


def test_a_recipe_that_names_weights_wants_these_and_no_others(
    source: Path, store: ClipStore, tmp_path: Path
) -> None:
    recipe = with_source(tiny_recipe(), open_weights(source))
    config = CONFIG.model_copy(update={"seed": 9})
    train_recipe(tiny_recipe(training=config.model_dump()), store, tmp_path / "another")

    missing = refusal(TrainingError, with_source, recipe, None)
    wrong = refusal(TrainingError, with_source, recipe, open_weights(tmp_path / "another"))

    assert missing == (
        f"the recipe starts from the weights source/{BEST}; say where they are: --from RUN or"
        " --from CHECKPOINT"
    )
    assert wrong.startswith(f"another/{BEST}: expected the weights source/{BEST} with the digest")


def test_settings_of_what_a_run_starts_from_need_something_to_start_from(
    store: ClipStore, tmp_path: Path
) -> None:
    said = refusal(TrainingError, train_recipe, transfer_recipe(), store, tmp_path / "run")

    assert said == (
        "--freeze and the settings under transfer are for runs that start from trained weights:"
        " say which, --from RUN or --from CHECKPOINT"
    )
    assert not (tmp_path / "run").exists()


# What it starts with


def test_the_first_step_starts_from_the_trained_weights(
    source: Path, store: ClipStore, tmp_path: Path
) -> None:
    watcher = stopped(tiny_recipe(), store, tmp_path / "run", start=open_weights(source))

    assert same_tensors(began_with(tmp_path / "run").weights, open_weights(source).weights)
    ((name, weights),) = watcher.told
    assert name == f"source/{BEST}"
    assert weights.summary() == "7 tensors taken (634 numbers)"


def test_other_classes_keep_all_but_the_head_which_the_seed_draws(
    source: Path, other_store: ClipStore, tmp_path: Path
) -> None:
    start = open_weights(source)
    drawn = plan_training(tiny_recipe(), other_store, tmp_path / "plain")

    stopped(tiny_recipe(), other_store, tmp_path / "run", start=start)
    stopped(tiny_recipe(), other_store, tmp_path / "drawn")

    found = began_with(tmp_path / "run").weights
    assert torch.equal(found["norm.weight"], start.weights["norm.weight"])
    assert torch.equal(found["norm.running_mean"], start.weights["norm.running_mean"])
    assert found["classifier.weight"].shape[0] == 2
    assert drawn.start is None


def test_it_is_written_down_what_was_taken_and_from_where(
    source: Path, other_store: ClipStore, tmp_path: Path
) -> None:
    run, start = tmp_path / "run", open_weights(source)

    checkpoint = train_recipe(tiny_recipe(), other_store, run, start=start)

    record = json.loads((run / TRANSFER).read_text())
    assert record["from"] == checkpoint.origin == read_checkpoint(run / BEST).origin
    assert record["from"]["file"] == f"source/{BEST}"
    assert record["from"]["digest"] == start.digest
    assert record["from"]["taken"] == record["summary"]
    assert {tensor["name"]: tensor["how"] for tensor in record["tensors"]} == {
        "norm.weight": "taken",
        "norm.bias": "taken",
        "norm.running_mean": "taken",
        "norm.running_var": "taken",
        "norm.num_batches_tracked": "taken",
        "classifier.weight": "fresh",
        "classifier.bias": "fresh",
    }
    texts = [(run / TRANSFER).read_text(), (run / "recipe.yaml").read_text()]
    assert not any(str(tmp_path) in text for text in [*texts, json.dumps(checkpoint.origin)])
    (note, *_) = origin_notes(checkpoint.origin)
    assert note.startswith(
        f"Training began from the weights source/{BEST} (digest {start.digest[:12]}), trained on"
        " SYNTHETIC clips of made-up, split subject:1-3/4: 5 tensors taken"
    )
    assert origin_notes({}) == []


def test_what_differs_from_the_clips_of_the_source_is_told(
    source: Path, store: ClipStore, tmp_path: Path
) -> None:
    start = open_weights(source)
    foreign = {"pipeline": "msg3d", "units": "pixels", "stream": "bone"}
    start = replace(start, facts={**start.facts, **foreign, "split": "subject:4/1-3"})

    watcher = stopped(tiny_recipe(), store, tmp_path / "run", start=start)

    assert watcher.told[0][1].notes == (
        "they were trained on pipeline msg3d, here it is ctrgcn",
        "they were trained on units pixels, here it is metres",
        "they were trained on stream bone, here it is joint",
        "they were trained on clips of made-up under split subject:4/1-3, so that test clips of"
        " split subject:1-3/4 may be among those that they know",
    )


def test_weights_chosen_on_this_test_part_or_made_of_synthetic_clips_are_told(
    source: Path, store: ClipStore, tmp_path: Path
) -> None:
    start = open_weights(source)
    start = replace(start, facts={**start.facts, "protocol": "paper"})
    write_store(
        tmp_path / "real.arrow",
        [tiny_clip(row + 50, label=row % 3) for row in range(24)],
        tiny_info(synthetic=False, dataset="real"),
    )

    same = stopped(tiny_recipe(), store, tmp_path / "same", start=start)
    real = stopped(
        tiny_recipe(), open_store(tmp_path / "real.arrow"), tmp_path / "run", start=start
    )

    assert same.told[0][1].notes == ("their epoch was chosen on the test part of this split",)
    assert real.told[0][1].notes == ("they were trained on SYNTHETIC clips",)


# Freezing


def test_frozen_parameters_and_statistics_end_as_they_began(
    source: Path, store: ClipStore, tmp_path: Path
) -> None:
    start = open_weights(source)

    trained = train_recipe(transfer_recipe(), store, tmp_path / "run", start=start)

    frozen = {key for key in trained.weights if key.startswith("norm.")}
    assert all(torch.equal(trained.weights[key], start.weights[key]) for key in frozen)
    assert not torch.equal(trained.weights["classifier.weight"], start.weights["classifier.weight"])


@pytest.mark.parametrize(
    ("transfer", "message"),
    [
        ({"freeze": ["nrom"]}, "--freeze nrom: matches no parameter name"),
        (
            {"freeze": ["classifier"]},
            "--freeze classifier: 2 of the frozen parameters are new here",
        ),
        (
            {"freeze": ["norm"], "statistics": "fresh"},
            "transfer.statistics=fresh: 1 batch norms are frozen, norm the first of them",
        ),
        (
            {"freeze": ["norm", "class"]},
            "--freeze norm class: every parameter is frozen, nothing is left to train",
        ),
    ],
)
def test_freezing_what_makes_no_sense_is_refused_before_anything_is_written(
    transfer: dict[str, Any], message: str, source: Path, other_store: ClipStore, tmp_path: Path
) -> None:
    recipe = tiny_recipe(transfer=transfer)

    said = refusal(
        TrainingError,
        train_recipe,
        recipe,
        other_store,
        tmp_path / "run",
        start=open_weights(source),
    )

    assert said.startswith(message)
    assert not (tmp_path / "run").exists()


# Resuming


@pytest.mark.parametrize(
    ("what", "number"), [("step", 1), ("step", 2), ("step", 9), ("write", 8), ("write", 17)]
)
def test_a_run_that_was_killed_goes_on_without_its_source_bit_for_bit(
    what: str, number: int, source: Path, store: ClipStore, tmp_path: Path
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    train_recipe(transfer_recipe(), store, whole, start=open_weights(source))
    script = [sys.executable, str(TESTS / "transfer_run.py"), str(store.path), str(source)]

    killed = subprocess.run(
        [*script, str(run), "0.25", what, str(number)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        check=False,
    )
    shutil.rmtree(source)
    train_recipe(transfer_recipe(), store, run, resume=True)

    assert killed.returncode == -9
    assert (run / BEST).read_bytes() == (whole / BEST).read_bytes()
    assert what_training_computed(run) == what_training_computed(whole)
    assert (run / TRANSFER).read_bytes() == (whole / TRANSFER).read_bytes()


def test_a_run_without_a_checkpoint_needs_its_source_once_more(
    source: Path, store: ClipStore, tmp_path: Path
) -> None:
    run, recipe = tmp_path / "run", transfer_recipe()
    stopped(recipe, store, run, start=open_weights(source))
    shutil.rmtree(run / "checkpoints")

    said = refusal(TrainingError, train_recipe, recipe, store, run, resume=True)
    train_recipe(recipe, store, run, resume=True, start=open_weights(source))

    train_recipe(recipe, store, tmp_path / "whole", start=open_weights(source))
    assert said == (
        f"{run}: there is no checkpoint yet, so the run would start again from source/{BEST};"
        " give its place, --from RUN or --from CHECKPOINT"
    )
    assert (run / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()


def test_a_source_that_moved_resumes_and_another_one_does_not(
    source: Path, store: ClipStore, tmp_path: Path
) -> None:
    run, recipe = tmp_path / "run", transfer_recipe()
    start = open_weights(source)
    stopped(recipe, store, run, start=start)
    moved = Path(shutil.copy(source / BEST, tmp_path / "moved.safetensors"))

    other = replace(start, digest="0" * 32)
    said = refusal(TrainingError, train_recipe, recipe, store, run, resume=True, start=other)
    train_recipe(recipe, store, run, resume=True, start=open_weights(moved))

    assert f"expected the weights source/{BEST} with the digest {start.digest}, found 0000" in said
    assert read_checkpoint(run / BEST).origin["file"] == f"source/{BEST}"


# Seeds and processes


def test_all_seeds_start_from_the_same_weights_and_draw_their_own_heads(
    source: Path, other_store: ClipStore, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"epochs": 1})
    recipe = tiny_recipe(training=config.model_dump(), seeds=2, transfer={"freeze": ["norm"]})

    folders = train_seeds(recipe, other_store, tmp_path / "run", start=open_weights(source))

    first, second = (began_with(folder).weights for folder in folders)
    assert torch.equal(first["norm.weight"], second["norm.weight"])
    assert torch.equal(first["norm.running_mean"], second["norm.running_mean"])
    assert not torch.equal(first["classifier.weight"], second["classifier.weight"])


def test_seeds_that_had_not_begun_need_no_source_either(
    source: Path, other_store: ClipStore, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"epochs": 1})
    recipe = tiny_recipe(training=config.model_dump(), seeds=2)
    train_seeds(recipe, other_store, tmp_path / "whole", start=open_weights(source))
    train_seeds(recipe, other_store, tmp_path / "run", start=open_weights(source))
    shutil.rmtree(tmp_path / "run" / "seed-4")
    shutil.rmtree(source)

    train_seeds(recipe, other_store, tmp_path / "run", resume=True)

    found, expected = (
        (tmp_path / name / "seed-4" / BEST).read_bytes() for name in ("run", "whole")
    )
    assert found == expected


@pytest.mark.slow
def test_two_processes_start_from_the_same_weights_as_one(
    source: Path, store: ClipStore, tmp_path: Path
) -> None:
    run, alone = tmp_path / "run", tmp_path / "alone"

    shared = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(str(TESTS / "transfer_run.py"), str(store.path), str(source), str(run), "0.0"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    memory = MemoryConfig(micro_batch=2).model_dump()
    train_recipe(transfer_recipe(0.0, memory=memory), store, alone, start=open_weights(source))

    assert shared.returncode == 0, shared.stderr[-3000:]
    for name, found in read_checkpoint(run / BEST).weights.items():
        torch.testing.assert_close(found, read_checkpoint(alone / BEST).weights[name])
