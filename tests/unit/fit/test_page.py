"""The page and its figures, from a report of made-up costs."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fit_kit import GIB, small_recipe

from skelab.fit.demand import data_needs
from skelab.fit.figures import Cost, MemoryParts, Span
from skelab.fit.outcome import (
    FitReport,
    InferenceFit,
    ModelFit,
    OptionFit,
    Settings,
    Verdict,
)
from skelab.fit.page import render_fit_page, write_fit_page
from skelab.fit.plots import epoch_figure, memory_figures, parts_figure
from skelab.fit.tables import fit_summary_rows, notes, option_rows, short_rows

SPAN = Span(0.5, 1.0, 2.0)
MEMORY = MemoryParts(GIB // 8, GIB // 16, GIB // 8, 3 * GIB, GIB // 4, GIB // 2)
OWN = OptionFit(
    "fp32",
    "keep",
    largest_micro_batch=5,
    micro_batch=4,
    memory=MEMORY,
    points=((1, GIB), (4, 4 * GIB), (5, 5 * GIB)),
    step=SPAN,
    epoch=SPAN.times(600),
    recipe=SPAN.times(36_000),
    note="times are guesses",
)
FAILED = OptionFit("bf16", "keep", note="it has no bf16")
RECIPE = small_recipe()
MODEL = ModelFit(
    "small",
    "Small <b>net</b>",
    RECIPE,
    data_needs(RECIPE),
    Verdict.WORKABLE,
    "as it is, 5 of 8 clips fit",
    Settings("fp32", "keep", 4),
    (OWN, FAILED),
    InferenceFit("fp32", SPAN.times(0.01), SPAN.times(0.02)),
)
REPORT = FitReport(
    measured=False,
    thorough=False,
    device={"name": "a card", "memory_limit": 6 * GIB},
    machine={},
    models=(MODEL,),
    answer="Yes.",
    recommended="small",
)


def test_the_page_shows_answer_figures_tables_and_recipe() -> None:
    html = render_fit_page(REPORT)

    assert html.count("<svg") == 3
    assert "Yes. Recommended: small." in html
    assert "Small &lt;b&gt;net&lt;/b&gt;" in html
    assert "micro_batch: 4" in html
    assert "As it is, 5 of 8 clips fit." in html
    assert "it has no bf16" in html


def test_the_page_fetches_nothing_and_is_the_same_every_time(tmp_path: Path) -> None:
    write_fit_page(tmp_path / "one.html", REPORT)
    write_fit_page(tmp_path / "two.html", REPORT)

    html = (tmp_path / "one.html").read_text()
    assert html == (tmp_path / "two.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", html.replace("xlink:href", ""))


def test_measured_and_predicted_stand_side_by_side() -> None:
    beside = replace(OWN, predicted=Cost(MEMORY, SPAN.times(0.1)))
    report = replace(REPORT, measured=True, models=(replace(MODEL, options=(beside,)),))

    html = render_fit_page(report)

    assert "Measured and predicted" in html
    assert "outside" in html


def test_a_report_without_figures_is_a_page_still() -> None:
    bare = replace(MODEL, settings=None, options=(FAILED,), verdict=Verdict.UNKNOWN)
    report = replace(REPORT, models=(bare,), recommended="")

    html = render_fit_page(report)

    assert memory_figures(report) == []
    assert epoch_figure(report) is None
    assert parts_figure(report) is None
    assert "no recipe is recommended" in html


def test_the_limit_is_drawn_where_it_is_near() -> None:
    near, far = REPORT, replace(REPORT, device={"name": "a card", "memory_limit": 99 * GIB})

    assert "6 GiB" in memory_figures(near)[0]
    assert "99 GiB" not in memory_figures(far)[0]


def test_rows_tell_ranges_of_predictions_and_medians_of_measurements() -> None:
    (predicted,) = fit_summary_rows(REPORT)
    (measured,) = fit_summary_rows(replace(REPORT, measured=True))

    assert predicted[4:6] == ("5.0\N{EN DASH}20 min", "5.0\N{EN DASH}20 h")
    assert measured[4:6] == ("10 min", "10 h")
    assert predicted[6:] == ("10 / 20 ms", "1 person")
    assert short_rows(REPORT)[0][2:5] == ("fp32", "4", "4.1")


def test_an_option_that_failed_has_a_row_of_dashes() -> None:
    _, failed = option_rows(REPORT.models)

    assert set(failed[3:]) == {"\N{EN DASH}"}


def test_a_note_names_the_networks_that_it_is_about() -> None:
    assert notes(REPORT) == [
        "small fp32 keep: times are guesses",
        "small bf16 keep: it has no bf16",
    ]


@pytest.mark.parametrize("seconds", [0.002, 0.02])
def test_real_time_is_told_by_the_slower_end(seconds: float) -> None:
    use = InferenceFit("fp32", two_people=Span(0.001, seconds, 2 * seconds))
    report = replace(REPORT, models=(replace(MODEL, inference=use),))

    assert fit_summary_rows(report)[0][-1] == ("yes" if seconds == 0.002 else "1 in 2")
