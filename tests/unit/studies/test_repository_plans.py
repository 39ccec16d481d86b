"""The plans that come with the repository, and the page of results that names them."""

from pathlib import Path

import pytest

from skelab.studies.grid import list_runs
from skelab.studies.plan import load_plan

PLANS = sorted((Path(__file__).parents[3] / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_of_the_repository_can_be_carried_out(path: Path) -> None:
    plan = load_plan(path)

    runs = list_runs(plan, path.parent)

    assert plan.name == path.stem
    assert len(runs) == plan.num_runs


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_page_of_results_names_each_plan(path: Path, repository: Path) -> None:
    results = (repository / "docs" / "results.md").read_text(encoding="utf-8")

    assert f"skelab study studies/{path.name} " in results


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_no_plan_tests_what_is_kept_back(path: Path) -> None:
    plan = load_plan(path)

    for run in list_runs(plan, path.parent):
        assert run.split not in {"utd", "ucla", "sbu-fold5"}
        _, _, tested = run.split.rpartition("/")
        if run.split.startswith("subject:"):
            assert int(tested) % 2 == 1
        if run.split.startswith("camera:"):
            assert tested in {"1", "2"}
