"""A fused run: its controls, its checkpoints, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from side_car_kit import SIZE, fused_recipe, write_tiny_side_cars
from tiny_clips import tiny_store
from tiny_run import same_tensors, tiny_recipe

from skelab.data.clips.store import ClipStore
from skelab.errors import (
    ExportError,
    NetworkError,
    OutputError,
    RecipeError,
    SideCarError,
    SkelabError,
)
from skelab.export.write import export_checkpoint
from skelab.fusion import FUSERS, FusionSpec
from skelab.inference import open_network, predict
from skelab.inference.checkpoint import read_checkpoint
from skelab.recipes import parse_recipe
from skelab.runs.controls import CONTROLS
from skelab.runs.evaluate import evaluate_run
from skelab.runs.train import train_recipe
from skelab.training.watch import Watcher


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return tiny_store(tmp_path_factory.mktemp("clips") / "clips.arrow")


@pytest.fixture(scope="module")
def side_cars(tmp_path_factory: pytest.TempPathFactory, store: ClipStore) -> Path:
    return write_tiny_side_cars(tmp_path_factory.mktemp("cars") / "imu.arrow", store, leave_out=5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, store: ClipStore, side_cars: Path) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    train_recipe(fused_recipe(side_cars), store, folder)
    return folder


class Listener(Watcher):
    def __init__(self) -> None:
        self.said: list[str] = []

    def on_message(self, text: str) -> None:
        self.said.append(text)


class StoppedError(Exception):
    """Ends a run."""


class Stopper(Watcher):
    def on_epoch(self, record: object) -> None:
        raise StoppedError


def test_a_fused_run_is_shown_beside_all_of_its_controls(run: Path, store: ClipStore) -> None:
    made = evaluate_run(run, store)

    assert made.controls is not None
    assert [row.name for row in made.controls.rows] == [
        "skeleton only",
        "side-car only",
        "fused (gated)",
        "fused, shuffled in class",
        "fused, shuffled across",
        "fused, removed",
    ]
    assert made.controls.rows[0].against_skeleton is None
    assert all(row.against_skeleton for row in made.controls.rows[1:])
    kept = json.loads((run / "scores-test-controls.json").read_text())
    assert len(kept["rows"]) == 6
    page = made.report_file.read_text()
    assert "Side-cars and their controls" in page
    assert "fused, shuffled across" in page


def test_the_controls_are_the_same_recipe_without_one_of_the_two(run: Path) -> None:
    fused = parse_recipe((run / "recipe.yaml").read_text())
    skeleton = parse_recipe((run / CONTROLS / "skeleton" / "recipe.yaml").read_text())
    alone = parse_recipe((run / CONTROLS / "side-car" / "recipe.yaml").read_text())

    assert fused.fusion is not None
    assert skeleton == fused.model_copy(update={"fusion": None})
    assert alone.fusion == fused.fusion.model_copy(update={"kind": "side-car"})


def test_a_recipe_without_side_cars_is_written_as_before(run: Path) -> None:
    assert "fusion" not in (run / CONTROLS / "skeleton" / "recipe.yaml").read_text()
    assert "fusion" not in tiny_recipe().to_yaml()


def test_the_checkpoint_says_what_side_cars_it_was_trained_with(run: Path) -> None:
    checkpoint = read_checkpoint(run)

    assert checkpoint.fusion == FusionSpec("gated", SIZE, "imu", "1", width=8)
    assert read_checkpoint(run / CONTROLS / "skeleton").fusion is None


@pytest.mark.parametrize("kind", FUSERS)
def test_a_run_that_was_stopped_ends_with_the_same_weights(
    kind: str, tmp_path: Path, store: ClipStore, side_cars: Path
) -> None:
    recipe = fused_recipe(side_cars, kind)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"

    train_recipe(recipe, store, whole)
    with pytest.raises(StoppedError):
        train_recipe(recipe, store, stopped, watcher=Stopper())
    train_recipe(recipe, store, stopped, resume=True)

    for folder in (".", "controls/skeleton", "controls/side-car"):
        found, expected = read_checkpoint(stopped / folder), read_checkpoint(whole / folder)
        assert same_tensors(found.weights, expected.weights)


def test_late_fusion_fits_its_weight_on_validation(
    tmp_path: Path, store: ClipStore, side_cars: Path
) -> None:
    listener = Listener()

    made = train_recipe(
        fused_recipe(side_cars, "late", 3), store, tmp_path / "run", watcher=listener
    )

    share = made.weights["classifier.share"].item()
    said = [line for line in listener.said if line.startswith("late fusion")]
    assert said == [
        f"late fusion: weight of the side-car {share:.2f}, fitted on 6 validation clips"
    ]
    assert read_checkpoint(tmp_path / "run").weights["classifier.share"].item() == share


def test_late_fusion_without_validation_clips_says_so(
    tmp_path: Path, store: ClipStore, side_cars: Path
) -> None:
    listener = Listener()
    recipe = fused_recipe(side_cars, "late", 1)
    data = recipe.data.model_copy(update={"validation_subjects": 0})

    train_recipe(
        recipe.model_copy(update={"data": data}), store, tmp_path / "run", watcher=listener
    )

    assert any("equal weights" in line for line in listener.said)


def test_clips_are_predicted_with_and_without_their_side_cars(
    run: Path, store: ClipStore, side_cars: Path
) -> None:
    clip = store.clip(1)

    with_it = predict(run, clip, side_cars=side_cars)[0]
    without = predict(run, clip)[0]
    missing = predict(run, store.clip(0), side_cars=side_cars)[0]

    assert with_it.top != without.top
    assert missing == predict(run, store.clip(0))[0]


def test_what_a_batch_of_clips_is_told_is_what_scores_say(
    run: Path, store: ClipStore, side_cars: Path
) -> None:
    made = evaluate_run(run, store, out=run.parent / "out")
    row = store.index.rows_by_name[made.scores.names[0]]

    found = predict(run, store.clip(row), side_cars=side_cars)[0]

    logits = getattr(made.scores, "logits")[0].astype(float)  # noqa: B009
    expected = np.exp(logits - logits.max())
    assert found.top[0][1] == pytest.approx(expected.max() / expected.sum(), abs=1e-5)


def test_only_pytorch_runs_a_fused_network_and_none_is_exported(run: Path, tmp_path: Path) -> None:
    assert open_network(run, engine="fastest").engine == "torch"
    with pytest.raises(NetworkError, match="engine native does not run files of kind checkpoint"):
        open_network(run, engine="native")
    with pytest.raises(ExportError, match="is fused with side-cars, which exported networks do"):
        export_checkpoint(run, tmp_path / "x.onnx", to="onnx")


def test_a_fused_network_is_never_shown_without_its_controls(
    run: Path, store: ClipStore, tmp_path: Path
) -> None:
    copy = tmp_path / "best.safetensors"
    copy.write_bytes((run / "checkpoints" / "best.safetensors").read_bytes())

    with pytest.raises(SideCarError, match="is shown beside its controls only"):
        evaluate_run(copy, store, out=tmp_path)

    assert not list(tmp_path.glob("scores*"))


def test_side_cars_of_another_encoder_or_of_no_clip_are_refused(
    run: Path, store: ClipStore, tmp_path: Path
) -> None:
    other = write_tiny_side_cars(tmp_path / "o.arrow", store, encoder="hog")

    with pytest.raises(SideCarError, match=r"trained with side-cars of encoder imu, but .* hog"):
        evaluate_run(run, store, side_car=other)
    with pytest.raises(SideCarError, match="there is no side-car store"):
        evaluate_run(run, store, side_car=tmp_path / "none.arrow")
    with pytest.raises(SideCarError, match="takes no side-cars, as it was trained on skeletons"):
        evaluate_run(run / CONTROLS / "skeleton", store, side_car=other)
    with pytest.raises(NetworkError, match="was trained on skeletons alone and takes no side-cars"):
        predict(run / CONTROLS / "skeleton", store.clip(0), side_cars=other)


def test_side_cars_that_are_gone_are_asked_for(tmp_path: Path, store: ClipStore) -> None:
    path = write_tiny_side_cars(tmp_path / "s.arrow", store)
    train_recipe(fused_recipe(path, epochs=1), store, tmp_path / "run")
    path.unlink()

    with pytest.raises(SideCarError, match="the side-cars of training are not there any more"):
        evaluate_run(tmp_path / "run", store)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transforms": ["reverse-time"]}, "reverse-time turns time round"),
        ({"transforms": ["mix"]}, "mix mixes two clips into one"),
    ],
)
def test_transforms_that_side_cars_do_not_follow_are_refused(
    changes: dict[str, object], message: str, tmp_path: Path, store: ClipStore, side_cars: Path
) -> None:
    recipe = fused_recipe(side_cars)
    data = type(recipe.data).model_validate({**recipe.data.model_dump(), **changes})

    with pytest.raises(RecipeError, match=message):
        train_recipe(recipe.model_copy(update={"data": data}), store, tmp_path / "run")


def test_a_family_without_tokens_is_refused(
    tmp_path: Path, store: ClipStore, side_cars: Path
) -> None:
    recipe = fused_recipe(side_cars, model={"name": "tiny"})

    with pytest.raises(SkelabError, match="expected a network that gives tokens"):
        train_recipe(recipe, store, tmp_path / "run")


def test_a_folder_that_cannot_be_written_is_an_error(run: Path, store: ClipStore) -> None:
    with pytest.raises(OutputError):
        evaluate_run(run, store, out=Path("/proc/nowhere"))
