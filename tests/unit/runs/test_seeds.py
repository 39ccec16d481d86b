"""A recipe with several seeds: its runs, its refusals, and the mean of what they gave."""

import math
from pathlib import Path

import pytest
from tiny_clips import tiny_store
from tiny_run import CONFIG, same_tensors, tiny_recipe

from skelab.data.clips.store import ClipStore
from skelab.data.feeding import DrawLog, read_draws
from skelab.errors import TrainingError
from skelab.inference.checkpoint import read_checkpoint
from skelab.recipes import Recipe, parse_recipe
from skelab.runs.progress import find_seed_runs
from skelab.runs.seeds import mean_over_seeds, train_seeds
from skelab.runs.train import train_recipe


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return tiny_store(tmp_path / "clips.arrow")


def three_seeds() -> Recipe:
    return tiny_recipe(training=CONFIG.model_copy(update={"epochs": 1}).model_dump(), seeds=3)


def test_each_seed_is_a_run_of_its_own(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"

    folders = train_seeds(three_seeds(), store, run)

    assert folders == find_seed_runs(run) == [run / f"seed-{seed}" for seed in (3, 4, 5)]
    weights = [
        read_checkpoint(folder / "checkpoints/best.safetensors").weights for folder in folders
    ]
    assert not same_tensors(weights[0], weights[1])
    for seed, folder in zip((3, 4, 5), folders, strict=True):
        recipe = parse_recipe((folder / "recipe.yaml").read_text())
        assert (recipe.training.seed, recipe.seeds) == (seed, 1)


def test_a_seed_gives_what_a_single_run_with_it_gives(store: ClipStore, tmp_path: Path) -> None:
    train_seeds(three_seeds(), store, tmp_path / "run")
    training = CONFIG.model_copy(update={"epochs": 1, "seed": 4})
    single = train_recipe(tiny_recipe(training=training.model_dump()), store, tmp_path / "single")

    found = read_checkpoint(tmp_path / "run/seed-4/checkpoints/best.safetensors")

    assert same_tensors(found.weights, single.weights)


def test_resuming_begins_the_seeds_that_are_missing(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first, _, last = train_seeds(three_seeds(), store, run)
    before = (first / "checkpoints/best.safetensors").read_bytes()
    for path in sorted(last.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    last.rmdir()

    train_seeds(three_seeds(), store, run, resume=True)

    assert (first / "checkpoints/best.safetensors").read_bytes() == before
    assert (last / "checkpoints/best.safetensors").is_file()


def test_a_folder_that_holds_seeds_is_not_trained_over(store: ClipStore, tmp_path: Path) -> None:
    train_seeds(three_seeds(), store, tmp_path / "run")

    with pytest.raises(TrainingError, match="holds a run already"):
        train_seeds(three_seeds(), store, tmp_path / "run")


def test_another_recipe_cannot_resume_the_seeds(store: ClipStore, tmp_path: Path) -> None:
    train_seeds(three_seeds(), store, tmp_path / "run")
    other = three_seeds().model_copy(update={"seeds": 4})

    with pytest.raises(TrainingError, match="started with another recipe"):
        train_seeds(other, store, tmp_path / "run", resume=True)


def test_there_must_be_a_run_to_resume(store: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no run to resume"):
        train_seeds(three_seeds(), store, tmp_path / "run", resume=True)


def test_the_interval_is_students() -> None:
    found = mean_over_seeds([0.90, 0.92, 0.94])

    # t(0.975, 2) = 4.302653; s = 0.02; 4.302653 * 0.02 / sqrt(3) = 0.049683
    assert found.mean == pytest.approx(0.92)
    assert (found.low, found.high) == pytest.approx((0.92 - 0.049683, 0.92 + 0.049683), abs=1e-6)
    assert found.values == (0.90, 0.92, 0.94)


def test_one_run_has_no_interval() -> None:
    found = mean_over_seeds([0.9])

    assert found.mean == 0.9
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_seeds_of_a_recipe_share_a_log_of_draws(store: ClipStore, tmp_path: Path) -> None:
    log = DrawLog(tmp_path / "draws.jsonl")

    recipe = three_seeds()
    alike = recipe.data.model_copy(update={"held_out": (1,)})  # else each seed holds out others

    train_seeds(recipe.model_copy(update={"data": alike}), store, tmp_path / "run", draw_log=log)

    drawn = [read_draws(log.path, epoch=0, seed=seed).drawn for seed in (3, 4, 5)]
    assert drawn[0].keys() == drawn[1].keys() == drawn[2].keys()
    assert drawn[0] != drawn[1] != drawn[2]
