"""The plan of a study: what it may say, and how each slip is worded."""

from pathlib import Path
from typing import Any

import pytest
from study_kit import SMALL, write_plan

from skelab.errors import StudyError
from skelab.studies.plan import load_plan, slug
from skelab.studies.study import check_size


def test_a_plan_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = write_plan(tmp_path / "plan.yaml")

    plan = load_plan(path)

    assert plan.name == "streams"
    assert plan.data["made"].path == "clips.arrow"
    assert [str(stream) for stream in plan.streams] == ["joint", "bone"]
    assert plan.num_runs == 2
    assert not plan.folds


def test_data_may_have_splits_of_their_own(tmp_path: Path) -> None:
    path = write_plan(
        tmp_path / "plan.yaml",
        data={"a": {"path": "a.arrow", "splits": ["xview"]}, "b": "b.arrow"},
        splits=["xsub", "xview"],
    )

    plan = load_plan(path)

    assert (plan.splits_of("a"), plan.splits_of("b")) == (("xview",), ("xsub", "xview"))
    assert plan.num_runs == 2 * (1 + 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipes": ["ctrgcnn"]}, "unknown recipe 'ctrgcnn', did you mean 'ctrgcn'"),
        ({"recipes": []}, "recipes: tuple should have at least 1 item"),
        ({"recipe": ["ctrgcn"]}, "unknown key 'recipe', did you mean 'recipes'"),
        ({"recipes": ["ctrgcn", "ctrgcn"]}, "recipes: ctrgcn stands twice"),
        ({"seeds": [1, 1]}, "seeds: 1 stands twice"),
        ({"streams": ["joints"]}, "streams.0: input should be 'joint', 'bone'"),
        ({"splits": ["nosuch"]}, "splits: unknown split 'nosuch'"),
        ({"data": {"made": {"path": "x", "store": "y"}}}, "unknown key of data.made 'store'"),
        ({"data": {}}, "data: dictionary should have at least 1 item"),
        ({"settings": {"a": ["epochs"]}}, "settings: a: expected KEY=VALUE, found 'epochs'"),
        ({"settings": {"a": ["training.seed=3"]}}, "training.seed is set by the plan itself"),
        ({"settings": {"a": ["data.split=xsub"]}}, "data.split is set by the plan itself"),
        (
            {"settings": {"a": ["training.epoch=3"]}},
            "setting a: ctrgcn: unknown key of training 'epoch'",
        ),
        ({"fuse": {"two": {"streams": ["joint"]}}}, "expected two or more streams, recipes or"),
        (
            {"fuse": {"two": {"streams": ["joint", "bone-motion"]}}},
            "fuse: two: unknown stream of the plan 'bone-motion'",
        ),
        (
            {"fuse": {"two": {"streams": ["joint", "bone"], "weights": [1.0]}}},
            "expected 2 weights, one each, found 1",
        ),
        (
            {"fuse": {"two": {"streams": ["joint", "bone"], "weights": [0.0, 0.0]}}},
            "expected weights that are not all 0",
        ),
        ({"baseline": {"setting": "big"}}, "baseline: unknown setting of the plan 'big'"),
        ({"name": "../up"}, "name: string should match pattern"),
    ],
)
def test_a_slip_in_a_plan_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_plan(tmp_path / "plan.yaml", **changes)

    with pytest.raises(StudyError) as caught:
        load_plan(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_plan_that_is_no_mapping_or_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("- a list\n")

    with pytest.raises(StudyError, match="expected keys and values, found list"):
        load_plan(path)
    with pytest.raises(StudyError, match="the plan cannot be read: No such file"):
        load_plan(tmp_path / "nosuch.yaml")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.validation_subjects=0", "fitted weights need a validation part, and recipe ctrgcn"),
        ("protocol=paper", "fitted weights and recipe ctrgcn of protocol paper: its validation"),
    ],
)
def test_weights_are_fitted_on_held_out_people_only(
    setting: str, message: str, tmp_path: Path
) -> None:
    path = write_plan(
        tmp_path / "plan.yaml",
        settings={"a": [setting]},
        fuse={"two": {"streams": ["joint", "bone"], "weights": "fitted"}},
    )

    with pytest.raises(StudyError, match=message):
        load_plan(path)


SEARCH = {"trials": 3, "space": {"training.learning_rate": {"low": 0.01, "high": 0.1}}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part": "test"}, "a search is judged on the validation part alone, found 'test'"),
        ({"trials": 0}, "greater than or equal to 1"),
        ({"space": {}}, "should have at least 1 item"),
        ({"space": {"data.split": ["xsub", "xview"]}}, "data.split is set by the plan itself"),
        ({"space": {"a": {"low": 2, "high": 1}}}, "expected low < high, found 2 and 1"),
        ({"space": {"a": {"low": 0, "high": 1, "log": True}}}, "logarithmic scale begins above 0"),
        ({"space": {"a": {"low": 0.5, "high": 2, "whole": True}}}, "expected whole numbers as low"),
    ],
)
def test_a_slip_in_a_search_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_plan(
        tmp_path / "plan.yaml", settings=None, streams=None, search={**SEARCH, **changes}
    )

    with pytest.raises(StudyError, match="search") as caught:
        load_plan(path)

    assert message in str(caught.value)


def test_a_search_makes_its_own_settings_for_one_recipe(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"

    with pytest.raises(StudyError, match="search: expected one entry of streams, found several"):
        load_plan(write_plan(path, search=SEARCH))
    with pytest.raises(StudyError, match="search: makes its own settings, found settings beside"):
        load_plan(write_plan(path, streams=None, search=SEARCH))
    with pytest.raises(StudyError, match="a search need a validation part, and recipe ctrgcn-utd"):
        load_plan(
            write_plan(path, recipes=["ctrgcn-utd"], streams=None, settings=None, search=SEARCH)
        )


def test_a_plan_of_many_runs_is_carried_out_only_if_that_is_said(tmp_path: Path) -> None:
    path = write_plan(
        tmp_path / "plan.yaml", seeds=list(range(100)), settings={"a": [*SMALL], "b": []}
    )
    plan = load_plan(path)

    with pytest.raises(StudyError, match="stands for 400 runs, more than 100; --yes carries them"):
        check_size(plan, path, agreed=False)
    check_size(plan, path, agreed=True)


def test_a_slug_is_a_part_of_a_file_name() -> None:
    assert slug("subject:1,3,5/7") == "subject.1,3,5.7"
    assert slug("../..") == "-"
