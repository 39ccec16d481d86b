"""Run folders and score files, read for a comparison."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_scores import made_scores

from skelab.errors import RecipeError, ScoresError, SkelabError, TrainingError
from skelab.evaluation import evaluate_scores
from skelab.runs.compare import compare_paths, read_run
from skelab.runs.seeds import mean_over_seeds

RECIPE = """\
name: ctrgcn
model: {name: ctrgcn, width: 8}
data: {stream: bone, split: xsub}
training: {epochs: 3, steps: [35, 55]}
protocol: honest
"""


def made_run(folder: Path, *, noise: int | None = 5, epochs: int = 3, **columns: Any) -> Path:
    """A run folder as `skelab train` and, with scores, `skelab evaluate` leave it."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    data = {"dataset": "made", "synthetic": True}
    (folder / "environment.json").write_text(json.dumps({"skelab": "0", "data": data}))
    records = [
        {
            "epoch": epoch,
            "train_loss": 1.0,
            "seconds": 10.0,
            "data_seconds": 1.0,
            "clips_per_second": 5.0 + epoch,
            "peak_memory_bytes": 2**20 * (epoch + 1),
            **{name: values[epoch] for name, values in columns.items()},
        }
        for epoch in range(epochs)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    if noise is not None:
        scores = made_scores(60, noise_seed=noise, part="test", split="xview", synthetic=True)
        scores.save(folder / "scores-test.npz")
    return folder


def test_a_run_is_read_from_its_folder(tmp_path: Path) -> None:
    path = made_run(tmp_path / "run", validation_top1=[0.5, 0.75, 0.75])

    run = read_run(path, "run")

    assert (run.model, run.stream, run.dataset, run.protocol) == (
        "ctrgcn",
        "bone",
        "made",
        "honest",
    )
    assert run.split == "xview"  # what was scored, not what the recipe says
    assert run.synthetic
    assert run.remedy == ""
    assert run.recipe["training.steps"] == "35, 55"
    assert (run.planned_epochs, run.chosen_epochs) == (3, (2,))
    assert [record["epoch"] for record in run.histories[0]] == [1, 2, 3]
    assert run.cost == {
        "seconds": 30.0,
        "data_share": pytest.approx(0.1),
        "clips_per_second": 6.0,
        "peak_memory_bytes": 3 * 2**20,
    }
    expected = evaluate_scores(run.scores[0])
    assert run.figures["top1"].value == expected.top1.value
    assert run.figures["top1"].low == expected.top1.low
    assert math.isnan(run.figures["top5"].low)


def test_without_validation_the_last_epoch_is_the_chosen_one_once_it_is_there(
    tmp_path: Path,
) -> None:
    ended = read_run(made_run(tmp_path / "ended"), "ended")
    stopped = read_run(made_run(tmp_path / "stopped", epochs=2), "stopped")

    assert ended.chosen_epochs == (3,)
    assert stopped.chosen_epochs == (None,)


def test_several_seeds_are_one_run_with_a_mean_and_an_interval(tmp_path: Path) -> None:
    made_run(tmp_path / "run", noise=None, epochs=0)
    seeds = [made_run(tmp_path / f"run/seed-{seed}", noise=seed) for seed in (1, 2, 10)]
    (tmp_path / "run/metrics.jsonl").unlink()

    run = read_run(tmp_path / "run", "run")

    top1 = [read_run(seed, "seed").figures["top1"].value for seed in seeds]
    mean = mean_over_seeds(top1)
    assert (run.seeds, len(run.scores), len(run.histories)) == (3, 3, 3)
    assert run.figures["top1"].value == mean.mean
    assert run.figures["top1"].low == max(mean.low, 0.0)
    assert run.cost["seconds"] == 30.0
    assert run.chosen_epochs == (3, 3, 3)


def test_a_run_that_was_never_evaluated_says_what_would_do_it(tmp_path: Path) -> None:
    path = made_run(tmp_path / "run", noise=None)

    run = read_run(path, "run")

    assert run.figures == {}
    assert run.scores == ()
    assert run.dataset == "made"
    assert run.remedy == f"never evaluated: skelab evaluate {path} --data STORE"


def test_seeds_that_were_not_evaluated_are_counted(tmp_path: Path) -> None:
    made_run(tmp_path / "run", noise=None, epochs=0)
    made_run(tmp_path / "run/seed-1")
    made_run(tmp_path / "run/seed-2", noise=None)

    run = read_run(tmp_path / "run", "run")

    assert run.remedy.startswith("1 of 2 seeds never evaluated: skelab evaluate")


def test_the_clips_that_a_run_has_made_itself_are_named(tmp_path: Path) -> None:
    path = made_run(tmp_path / "run", noise=None)
    made = path / "synthetic" / "synthetic.arrow"
    made.parent.mkdir()
    made.touch()

    assert read_run(path, "run").remedy.endswith(f"--data {made}")


def test_a_run_that_has_no_epoch_yet_says_how_to_go_on(tmp_path: Path) -> None:
    path = made_run(tmp_path / "run", noise=None, epochs=0)

    run = read_run(path, "run")

    assert run.histories == ()
    assert run.cost == {}
    assert run.remedy == f"not trained yet: skelab train RECIPE --data STORE --out {path} --resume"


def test_a_score_file_is_a_run_without_a_history(tmp_path: Path) -> None:
    scores = made_scores(60, part="test")
    scores.save(tmp_path / "fused" / "scores-test.npz")

    file = read_run(tmp_path / "fused" / "scores-test.npz", "fused")
    folder = read_run(tmp_path / "fused", "fused")

    assert (file.model, file.stream, file.dataset) == ("ctrgcn", "joint", "made")
    assert (file.recipe, file.histories, file.remedy) == ({}, (), "")
    assert folder.figures["top1"] == file.figures["top1"]


def test_names_are_as_short_as_tells_the_runs_apart(tmp_path: Path) -> None:
    paths = [made_run(tmp_path / name) for name in ("one/a", "one/b", "two/a")]

    short = compare_paths(paths[:2])
    longer = compare_paths(paths)
    mixed = compare_paths([paths[0], paths[0] / "scores-test.npz", made_run(paths[1] / "seed-1")])

    assert [run.name for run in short.runs] == ["a", "b"]
    assert [run.name for run in longer.runs] == ["one/a", "one/b", "two/a"]
    assert [run.name for run in mixed.runs] == ["a", "a/scores-test.npz", "b/seed-1"]


def test_an_old_recipe_with_keys_of_its_own_is_read(tmp_path: Path) -> None:
    path = made_run(tmp_path / "run")
    (path / "recipe.yaml").write_text(RECIPE + "dropped_since: true\n")

    assert read_run(path, "run").recipe["dropped_since"] is True


def test_a_folder_whose_environment_was_lost_is_read(tmp_path: Path) -> None:
    path = made_run(tmp_path / "run", noise=None)
    (path / "environment.json").unlink()

    run = read_run(path, "run")

    assert (run.dataset, run.synthetic) == ("", False)


@pytest.mark.parametrize(
    ("file", "text", "error", "message"),
    [
        ("recipe.yaml", "[", RecipeError, "recipe.yaml: the recipe cannot be read"),
        ("recipe.yaml", "- 1\n", RecipeError, "recipe.yaml: expected a recipe, found list"),
        ("environment.json", "{", TrainingError, "environment.json: expected a JSON object"),
        ("metrics.jsonl", "{", TrainingError, "metrics.jsonl, line 1: expected the JSON record"),
        ("scores-test.npz", "x", ScoresError, "scores-test.npz: expected a score file"),
    ],
)
def test_a_damaged_file_is_named(
    file: str, text: str, error: type[SkelabError], message: str, tmp_path: Path
) -> None:
    path = made_run(tmp_path / "run")
    (path / file).write_text(text)

    with pytest.raises(error) as caught:
        compare_paths([path])

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ScoresError, match=r"expected a run folder .*without recipe"):
        compare_paths([tmp_path / "empty"])
    with pytest.raises(ScoresError, match=r"expected a run folder .*found nothing"):
        compare_paths([tmp_path / "absent"])


def test_the_same_run_twice_is_refused_and_a_copy_of_it_is_not(tmp_path: Path) -> None:
    path = made_run(tmp_path / "run")
    shutil.copytree(path, tmp_path / "copy")

    comparison = compare_paths([path, tmp_path / "copy"])

    assert comparison.differences[0].difference == 0
    assert comparison.settings == {}
    with pytest.raises(ScoresError, match="is given twice"):
        compare_paths([path, tmp_path / "copy" / ".." / "run"])


def test_the_protocol_of_the_scores_is_the_one_shown(tmp_path: Path) -> None:
    path = made_run(tmp_path / "run", noise=None)
    scores = made_scores(60, part="test")
    replace(scores, info=replace(scores.info, protocol="paper")).save(path / "scores-test.npz")

    assert read_run(path, "run").protocol == "paper"
