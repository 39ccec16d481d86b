"""Whoever follows a tutorial to the letter ends in success."""

import re
from pathlib import Path
from typing import Any

import pytest
from docs.pages import REPOSITORY, read_page
from docs.test_blocks import run_bash, run_python

from skelab.evaluation import Scores

OWN = "docs/tutorials/your-own-dataset.md"


def walk(name: str, folder: Path) -> str:
    """Run every block of a page in a folder; returns what its commands printed."""
    names: dict[str, Any] = {"__name__": "__page__"}
    printed = ""
    for block in read_page(REPOSITORY / name).blocks:
        where = f"{name}, line {block.line}"
        if block.language == "python":
            run_python(block, names, where)
        elif block.language == "bash":
            printed += run_bash(block.text, folder, where)
    return printed


@pytest.mark.slow
def test_the_first_run_ends_with_a_network_that_knows_the_actions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    walk("docs/tutorials/first-run.md", tmp_path)

    assert Scores.load(tmp_path / "runs/first/scores-test.npz").top(1) >= 0.95


@pytest.mark.slow
def test_labels_from_one_and_subjects_in_words_end_in_a_report_with_the_sets_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    printed = walk(OWN, tmp_path)

    scores = Scores.load(tmp_path / "runs/mine/scores-test.npz")
    assert scores.top(1) >= 0.95
    assert scores.classes == ("wave", "bow")
    assert {name.split("-")[0] for name in scores.names} == {"eva", "finn"}
    report = (tmp_path / "runs/mine/report.html").read_text()
    assert "ctrgcn on waving and bowing, subject:1-4/5,6 test" in report
    answer = printed[printed.index("rank") :].splitlines()[2].split()
    assert answer[:3] == ["new", "1", "bow"]


@pytest.mark.parametrize(
    "answered",
    [
        *("labels_from: 1", "axes: [x, y, z, score]", "ctrgcn-small", "data.validation_subjects"),
        *("subject:1-4/5,6", "numbered from 1 in alphabetical order", "units: millimetres"),
        *("transpose(3, 1, 2, 0)", "skelab predict runs/mine new.csv", "title of your reports"),
    ],
)
def test_the_page_on_own_data_answers_what_it_was_silent_about(answered: str) -> None:
    text = (REPOSITORY / OWN).read_text()

    assert answered in re.sub(r"\s+", " ", text)
    assert len(text.splitlines()) <= 140
