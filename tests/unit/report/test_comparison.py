"""Several runs side by side."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_scores import made_scores, scores_of

from skelab.errors import OutputError, ScoresError
from skelab.evaluation import Scores, evaluate_scores, paired_bootstrap
from skelab.report import ComparedRun, Figure, compare_runs, render_comparison, write_comparison
from skelab.report.comparison import (
    FACTS,
    ClassChange,
    ClassChanges,
    cost_rows,
    letter,
    p_value,
    points,
    result_rows,
    setting,
    setting_rows,
)

GOOD = made_scores(200, 6, lean=3.0, part="test")
POOR = made_scores(200, 6, lean=1.0, noise_seed=9, part="test", stream="bone")
HISTORY = [
    {"epoch": epoch, "train_loss": 2 / epoch, "validation_top1": 0.5, "learning_rate": 0.1}
    for epoch in range(1, 4)
]


def compared(name: str, *scores: Scores, **changes: Any) -> ComparedRun:
    """A run of these scores, one a seed; without any, one that was never evaluated."""
    if not scores:
        return ComparedRun(name, **{"remedy": "never evaluated: skelab evaluate it"} | changes)
    info, found = scores[0].info, evaluate_scores(scores[0])
    plain: dict[str, Any] = {
        **{name: getattr(info, name) for name in FACTS},
        "seeds": len(scores),
        "scores": scores,
        "figures": {
            "top1": Figure(found.top1.value, found.top1.low, found.top1.high),
            "top5": Figure(found.top5.value),
            "macro_f1": Figure(found.macro_f1),
            "calibration_error": Figure(found.calibration_error),
        },
    }
    return ComparedRun(name, **plain | changes)


# Significance


def test_single_runs_are_compared_by_the_paired_bootstrap() -> None:
    (difference,) = compare_runs([compared("a", POOR), compared("b", GOOD)]).differences

    expected = paired_bootstrap(GOOD, POOR, seed=0)
    assert (difference.difference, difference.low, difference.high, difference.p_value) == (
        expected.difference,
        expected.low,
        expected.high,
        expected.p_value,
    )
    assert difference.difference > 0
    assert difference.significant
    assert difference.samples == 200


def test_seeds_are_compared_by_what_each_clip_gains_on_average() -> None:
    more = made_scores(200, 6, lean=3.0, noise_seed=11, part="test")

    (difference,) = compare_runs([compared("a", POOR), compared("b", GOOD, more)]).differences

    gain = ((GOOD.ranks == 0).mean() + (more.ranks == 0).mean()) / 2 - (POOR.ranks == 0).mean()
    assert difference.difference == pytest.approx(gain)
    assert difference.low < gain < difference.high
    spread = ((GOOD.ranks == 0) * 0.5 + (more.ranks == 0) * 0.5 - (POOR.ranks == 0)).std()
    half = 1.96 * spread / math.sqrt(200)  # the normal interval, which the bootstrap comes near
    assert difference.high - difference.low == pytest.approx(2 * half, rel=0.1)


def test_a_seed_twice_is_the_single_run() -> None:
    (once,) = compare_runs([compared("a", POOR), compared("b", GOOD)]).differences
    (twice,) = compare_runs([compared("a", POOR), compared("b", GOOD, GOOD)]).differences

    assert twice.difference == pytest.approx(once.difference)
    assert twice.low == pytest.approx(once.low, abs=0.011)  # a step of the bootstrap, two clips
    assert twice.high == pytest.approx(once.high, abs=0.011)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (made_scores(150, 6, part="test"), "cover different samples: 50 only in the first"),
        (made_scores(200, 6, part="test", split="xview"), "split 'xsub' and 'xview'"),
        (made_scores(200, 5, part="test"), "have different classes: 6 and 5 of them"),
    ],
)
def test_what_cannot_be_compared_says_why(other: Scores, reason: str) -> None:
    (difference,) = compare_runs([compared("a", GOOD), compared("b", other)]).differences

    assert reason in difference.reason
    assert not difference.significant


def test_a_run_without_scores_is_named_on_either_side() -> None:
    first = compare_runs([compared("a"), compared("b", GOOD)])
    last = compare_runs([compared("a", GOOD), compared("b")])

    assert first.differences[0].reason == "a has no scores of the test part"
    assert last.differences[0].reason == "b has no scores of the test part"
    assert first.classes[0].reason == last.classes[0].reason.replace("b", "a", 1)


# Classes


def test_classes_are_ordered_from_the_largest_gain_to_the_largest_loss() -> None:
    before = scores_of(np.eye(3, dtype=np.float32)[[0, 0, 1, 0]], [0, 0, 1, 2])
    after = scores_of(np.eye(3, dtype=np.float32)[[0, 1, 1, 2]], [0, 0, 1, 2])

    (changes,) = compare_runs([compared("a", before), compared("b", after)]).classes

    assert changes.changes == (
        ClassChange("action 2", 1, 0.0, 1.0),
        ClassChange("action 1", 1, 1.0, 1.0),
        ClassChange("action 0", 2, 1.0, 0.5),
    )
    assert [entry.name for entry in changes.gains] == ["action 2"]
    assert [entry.name for entry in changes.losses] == ["action 0"]


def test_six_classes_at_most_are_shown_of_each_and_the_worst_first() -> None:
    entries = tuple(ClassChange(str(k), 1, 0.5, 0.5 + k / 100) for k in range(20, -21, -1))

    changes = ClassChanges("b", changes=entries)

    assert [entry.name for entry in changes.gains] == ["20", "19", "18", "17", "16", "15"]
    assert [entry.name for entry in changes.losses] == ["-20", "-19", "-18", "-17", "-16", "-15"]


def test_a_class_without_clips_is_left_out() -> None:
    scores = scores_of(np.eye(3, dtype=np.float32)[[0, 1]], [0, 1])

    (changes,) = compare_runs([compared("a", scores), compared("b", scores)]).classes

    assert [entry.name for entry in changes.changes] == ["action 0", "action 1"]


# Settings and facts


def test_only_settings_that_differ_are_told() -> None:
    one = {"name": "x", "summary": "this", "training.epochs": 65, "seeds": 1}
    two = {"name": "x", "summary": "that", "training.epochs": 30, "seeds": 1, "data.new": True}

    comparison = compare_runs(
        [compared("a", GOOD, recipe=one), compared("file", POOR), compared("b", recipe=two)]
    )

    assert comparison.settings == {
        "training.epochs": (65, None, 30),
        "data.new": (None, None, True),
    }
    assert setting_rows(comparison) == (
        ["setting", "A", "C"],
        [("training.epochs", "65", "30"), ("data.new", "\u2013", "true")],
    )


def test_facts_are_told_once_where_all_agree() -> None:
    comparison = compare_runs([compared("a", GOOD), compared("b", POOR)])

    assert comparison.other_facts == ("stream",)
    assert comparison.shared_facts == {
        "model": "ctrgcn",
        "dataset": "made",
        "split": "xsub",
        "protocol": "honest",
    }


def test_no_run_and_two_of_one_name_are_refused() -> None:
    with pytest.raises(ScoresError, match="expected at least one run, found none"):
        compare_runs([])
    with pytest.raises(ScoresError, match="expected every run once, found 'a' twice"):
        compare_runs([compared("a", GOOD), compared("a", POOR)])


# Rows and words


def test_a_run_that_was_never_evaluated_has_dashes() -> None:
    run = compared("b", histories=(HISTORY,), chosen_epochs=(2,), planned_epochs=65, synthetic=True)
    comparison = compare_runs([compared("a", GOOD), run])

    columns, rows = result_rows(comparison)

    assert columns[-5:] == ["top-1", "95 %", "top-5", "macro F1", "calibration error"]
    assert rows[1][:2] == ("B", "b SYNTHETIC")
    assert set(rows[1][-5:]) == {"\u2013"}
    assert cost_rows(comparison)[1] == [("B", "3 of 65", "2", *["\u2013"] * 4)]


def test_figures_are_worded_for_people() -> None:
    words = (points(0.0321), points(-0.005), points(-1e-9), p_value(0.0312), p_value(0.0002))
    letters = [letter(place) for place in (0, 25, 26, 52)]

    assert words == ("+3.21", "\u22120.50", "0.00", "p = 0.031", "p < 0.001")
    assert letters == ["A", "Z", "AA", "BA"]
    assert [setting(value) for value in (None, True, 0.1, "a, b")] == [
        "\u2013",
        "true",
        "0.1",
        "a, b",
    ]


def test_the_plain_form_has_no_number_that_json_does_not_know() -> None:
    run = compared("b", histories=(HISTORY,), chosen_epochs=(None,))

    plain = compare_runs([compared("a", GOOD), run]).to_dict()

    assert [entry["name"] for entry in plain["runs"]] == ["a", "b"]
    assert plain["runs"][0]["top1"] == evaluate_scores(GOOD).top1.value
    assert plain["runs"][0]["samples"] == 200
    assert plain["runs"][1]["top1"] is None
    assert plain["runs"][1]["epochs"] == [3]
    assert plain["differences"][0]["p_value"] is None
    assert plain["against"] == "a"


# The page


def test_the_page_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    run = compared(
        "b <i>",
        POOR,
        histories=(HISTORY,),
        chosen_epochs=(2,),
        recipe={"training.epochs": 3},
        synthetic=True,
    )
    comparison = compare_runs([compared("a", GOOD, recipe={"training.epochs": 5}), run])

    write_comparison(tmp_path / "page.html", comparison)

    html = (tmp_path / "page.html").read_text()
    assert html == render_comparison(comparison)
    assert "b &lt;i&gt;" in html
    assert "<i>" not in html.replace("b &lt;i&gt;", "")
    for text in ("SYNTHETIC DATA", "Significance", "Training loss", "training.epochs", "worse"):
        assert text in html
    assert not re.search(r"(src|href)=\"(?!#|data:)", html)
    for anchor in re.findall(r'href="#([\w-]+)"', html):
        assert f'id="{anchor}"' in html


def test_a_single_run_and_a_run_of_nothing_have_a_page_too() -> None:
    alone = render_comparison(compare_runs([compared("a", GOOD)]))
    empty = render_comparison(compare_runs([compared("a")]))

    assert 'id="significance"' not in alone
    assert 'id="training"' not in empty
    assert "never evaluated: skelab evaluate it" in empty


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match=re.escape(str(tmp_path / "file"))):
        write_comparison(tmp_path / "file" / "page.html", compare_runs([compared("a", GOOD)]))
