"""The clips behind a wrong square: the worst pairs first, the surest errors first."""

import json
import re

import numpy as np
from made_scores import made_scores, scores_of
from viewer_kit import a_scene

from skelab.report import Report, clips_to_show, render_report
from skelab.report.confused_clips import MOST_CLIPS, MOST_NAMES, confused_data, names_by_pair

LOGITS = np.array(
    [[3, 0, 0], [0, 2, 0], [0, 4, 0], [0, 0, 1], [1, 0, 0], [0, 3, 0], [0, 0, 5]], float
)
LABELS = [0, 0, 0, 0, 0, 1, 2]  # clips 1 and 2 are taken for class 1, clip 3 for class 2


def test_clips_are_named_by_pair_the_surest_error_first() -> None:
    pairs = names_by_pair(scores_of(LOGITS, LABELS))

    assert pairs == {(0, 1): ("S0002", "S0001"), (0, 2): ("S0003",)}
    assert list(pairs) == [(0, 1), (0, 2)]


def test_every_pair_is_shown_before_a_second_clip_of_any() -> None:
    scores = scores_of(LOGITS, LABELS)

    assert clips_to_show(scores) == ("S0002", "S0003", "S0001")
    assert clips_to_show(scores, most=2) == ("S0002", "S0003")
    assert len(clips_to_show(made_scores(400, lean=0.1))) == MOST_CLIPS


def test_the_page_gets_the_clips_that_it_holds_and_the_names_of_others() -> None:
    scores = scores_of(LOGITS, LABELS)
    held = {"S0001": a_scene(3, name="S0001")}

    data = confused_data(scores, held, "skelab view clips.arrow --clip")

    assert data is not None
    assert data["pairs"]["0-1"] == {"count": 2, "names": ["S0001", "S0002"]}
    assert list(data["clips"]) == ["S0001"]
    assert data["command"] == "skelab view clips.arrow --clip"


def test_a_pair_names_a_few_clips_only() -> None:
    scores = made_scores(600, classes=2, lean=0.0)
    name = clips_to_show(scores)[0]

    data = confused_data(scores, {name: a_scene(2)}, "skelab view STORE --clip")

    assert data is not None
    assert all(len(pair["names"]) == MOST_NAMES < pair["count"] for pair in data["pairs"].values())


def test_without_errors_or_clips_the_page_stays_as_it_was() -> None:
    right = scores_of(LOGITS[-2:], LABELS[-2:])
    wrong = scores_of(LOGITS, LABELS)

    assert confused_data(right, {"S0000": a_scene(2)}, "") is None
    assert confused_data(wrong, {}, "") is None
    page = render_report(Report("a report", wrong))
    assert "mountPlayer" not in page
    assert page.count("<script") == 1


def test_a_report_with_clips_still_runs_one_script() -> None:
    scenes = {"S0002": a_scene(3, name="</script>")}

    page = render_report(
        Report("a report", scores_of(LOGITS, LABELS), clips=scenes, clips_source="a.arrow")
    )

    found = re.findall(r"<script( type=\"application/json\")?[^>]*>(.*?)</script>", page, re.DOTALL)
    assert [bool(kind) for kind, _ in found] == [True, False]
    assert json.loads(found[0][1])["clips"]["S0002"]["name"] == "</script>"
    assert 'class="see" data-pair="0-1" aria-controls="confused-clips"' in page
    assert "skelab view a.arrow --clip" in page
