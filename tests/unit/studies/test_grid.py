"""The runs of a plan, and their names."""

from pathlib import Path

import pytest
from study_kit import SMALL, write_plan

from skelab.errors import StudyError
from skelab.recipes import load_recipe
from skelab.studies.grid import list_runs
from skelab.studies.plan import load_plan


def test_the_runs_are_the_product_of_all_that_a_plan_lists(tmp_path: Path) -> None:
    path = write_plan(
        tmp_path / "plan.yaml", seeds=[1, 2], splits=["xsub", "subject:1,3/5"], settings=None
    )

    runs = list_runs(load_plan(path), tmp_path)

    assert [run.name for run in runs] == [
        "made_ctrgcn_joint_xsub_seed1",
        "made_ctrgcn_joint_xsub_seed2",
        "made_ctrgcn_joint_subject.1,3.5_seed1",
        "made_ctrgcn_joint_subject.1,3.5_seed2",
        "made_ctrgcn_bone_xsub_seed1",
        "made_ctrgcn_bone_xsub_seed2",
        "made_ctrgcn_bone_subject.1,3.5_seed1",
        "made_ctrgcn_bone_subject.1,3.5_seed2",
    ]


def test_what_a_run_sets_makes_the_recipe_that_its_name_says(tmp_path: Path) -> None:
    path = write_plan(tmp_path / "plan.yaml", seeds=[7], splits=["subject:1,3/5"])
    _, run = list_runs(load_plan(path), tmp_path)

    recipe = load_recipe(run.recipe, run.overrides)

    assert (str(recipe.data.stream), recipe.data.split) == ("bone", "subject:1,3/5")
    assert (recipe.training.seed, recipe.seeds, recipe.training.epochs) == (7, 1, 2)
    assert run.setting == "small"


def test_what_a_plan_does_not_list_is_named_as_the_recipe_has_it(tmp_path: Path) -> None:
    path = write_plan(tmp_path / "plan.yaml", streams=None, settings=None)

    (run,) = list_runs(load_plan(path), tmp_path)

    assert run.name == "made_ctrgcn_joint_xsub_seed1"
    assert run.overrides == ("training.seed=1", "seeds=1")


def test_two_runs_of_one_name_are_refused_with_both(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.yaml").write_text("extends: ctrgcn\nname: mine\n")
    path = write_plan(
        tmp_path / "plan.yaml", recipes=["a/mine.yaml", "b/mine.yaml"], settings={"s": [*SMALL]}
    )

    with pytest.raises(StudyError) as caught:
        list_runs(load_plan(path), tmp_path)

    message = "two runs have the name made_mine_joint_xsub_s_seed1: made · a/mine.yaml · joint"
    assert message in str(caught.value)
    assert "and made · b/mine.yaml" in str(caught.value)
