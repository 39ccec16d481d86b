import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_scores import made_info, made_scores

from skelab.errors import OutputError, ScoresError
from skelab.evaluation import Scores, evaluate_scores
from skelab.report import (
    Report,
    Section,
    Table,
    figure_svg,
    new_figure,
    render_report,
    write_report,
)
from skelab.report.report import cost_rows
from skelab.report.tables import interval, percent

HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 3 / epoch,
        "train_top1": 1 - 1 / epoch,
        "validation_top1": 0.9 - 0.5 / epoch,
        "learning_rate": 0.1,
        "seconds": 40.0,
        "data_seconds": 1.0,
        "clips_per_second": 80.0 + epoch,
        "peak_memory_bytes": 2**30,
    }
    for epoch in range(1, 4)
]
RECIPE = "model:\n  name: ctrgcn  # <b>not bold</b>\n"


class _Page(HTMLParser):
    """What a page holds: its tags, and every address that it names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "path", "use", "rect", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag not in ("path", "use", "rect"):
            self.unbalanced.append(tag)


@pytest.fixture(scope="module")
def report() -> Report:
    figure, axes = new_figure()
    axes.plot([10, 100], [20, 90])
    return Report(
        title="CTR-GCN on <made-up> clips",
        scores=made_scores(200, 12, part="test"),
        history=HISTORY,
        recipe=RECIPE,
        environment={"torch": "2.13.0", "device": {"name": "cpu", "cores": 2}, "gpus": ["a", "b"]},
        notes=("A note & a half.",),
        validation=made_scores(50, 12, seed=5),
        chosen_epoch=2,
        sections=(
            Section(
                "Early recognition",
                text="Protocol P1 <first>.",
                figures=(figure_svg(figure, name="early", description="early"),),
                tables=(Table(("observed", "top-1"), (("10%", 41.5), ("<all>", 92)), "By share"),),
            ),
        ),
    )


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return render_report(report)


def test_the_page_holds_the_figures(report: Report, html: str) -> None:
    assert isinstance(report.scores, Scores)
    assert isinstance(report.validation, Scores)
    evaluation = evaluate_scores(report.scores)

    assert percent(evaluation.top1.value) in html
    assert interval(evaluation.top1) in html
    assert percent(evaluation.top5.value) in html
    assert percent(evaluation.mean_class_accuracy) in html
    assert percent(evaluation.calibration_error) in html
    assert percent(report.validation.top(1)) in html
    for result in evaluation.per_class:
        assert f">{result.name}</th>" in html
        assert percent(result.recall, digits=1) in html
    for pair in evaluation.confused:
        assert f"<td>{pair.prediction}</td>" in html
    for text in ("2.13.0", "device.cores", "a, b", "1,024 MiB", "2 min 00 s", "2.50%", "82.0"):
        assert text in html


def test_the_page_shows_every_part_that_was_given(html: str) -> None:
    anchors = re.findall(r'<section id="([\w-]+)"', html)

    assert anchors == [
        *("result", "training", "classes", "confusion", "groups", "calibration"),
        *("section-1", "cost", "environment", "recipe"),
    ]
    assert re.findall(r'<li><a href="#([\w-]+)"', html) == anchors
    assert html.count('class="plot"') == 4 + 2 + 1 + 1  # curves, groups, calibration, section


def test_the_page_asks_the_network_for_nothing(html: str) -> None:
    page = _Page(html)

    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert not re.search(r"@import|url\(", style[1])
    assert set(re.findall(r'https?://[^"\s<]+', html)) == {"http://www.w3.org/1999/xlink"}
    assert "default-src 'none'" in html


def test_the_only_script_is_the_one_that_the_page_allows(html: str) -> None:
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)

    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert len(scripts) == 1
    assert f"script-src 'sha256-{digest}'" in html
    assert _Page(html).handlers == []


def test_every_tag_is_closed(html: str) -> None:
    page = _Page(html)

    assert page.open == []
    assert page.unbalanced == []


def test_texts_are_escaped(html: str) -> None:
    assert "CTR-GCN on &lt;made-up&gt; clips" in html
    assert "&lt;b&gt;not bold&lt;/b&gt;" in html
    assert "A note &amp; a half." in html
    assert "Protocol P1 &lt;first&gt;." in html
    assert "<td>&lt;all&gt;</td>" in html


def test_real_scores_carry_no_banner(html: str) -> None:
    assert "synthetic" not in html.lower().replace(".synthetic", "")


@pytest.mark.parametrize("place", ["scores", "validation"])
def test_synthetic_scores_are_labelled_wherever_they_are_shown(report: Report, place: str) -> None:
    made = {place: made_scores(60, 12, synthetic=True)}

    html = render_report(replace(report, **made))  # type: ignore[arg-type]

    assert html.count("SYNTHETIC DATA") == 1
    assert "<title>SYNTHETIC \u00b7 " in html
    assert "<h2>Result (synthetic)</h2>" in html
    assert html.index("SYNTHETIC DATA") < html.index("<h1>")
    assert "All figures are from synthetic data." in html


@pytest.mark.parametrize(
    ("protocol", "words"),
    [("honest", "Nothing was chosen"), ("paper", "was chosen by looking at the test part")],
)
def test_the_protocol_is_told_and_explained(protocol: str, words: str) -> None:
    html = render_report(Report("title", made_scores(protocol=protocol)))

    assert f"<dd>{protocol}</dd>" in html
    assert words in html


def test_the_least_report_has_no_empty_parts() -> None:
    scores = replace(made_scores(20), groups={})

    html = render_report(Report("least", scores))

    assert re.findall(r'<section id="([\w-]+)"', html) == [
        "result",
        "classes",
        "confusion",
        "calibration",
    ]


def test_a_perfect_run_has_nothing_confused() -> None:
    html = render_report(Report("perfect", made_scores(30, lean=99.0)))

    assert "No clip was misclassified." in html


def test_the_same_report_is_the_same_bytes(report: Report, tmp_path: Path) -> None:
    first, second = tmp_path / "a.html", tmp_path / "b.html"

    write_report(first, report)
    write_report(second, report)

    assert first.read_bytes() == second.read_bytes()


def test_a_report_that_cannot_be_written_says_so(report: Report, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    with pytest.raises(OutputError, match="cannot be written"):
        write_report(blocked / "report.html", report)


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ("<p>no figure</p>", "'Bad': expected a figure as inline SVG, found '<p>no figure</p>'"),
        ("<svg><script>1</script></svg>", "neither acts nor fetches, found '<script'"),
        ("<svg onload='x'></svg>", "found 'onload="),
        ("<svg><image/></svg>", "found '<image'"),
        ("<svg><a href='http://x'/></svg>", 'found "href=\'"'),
        ("<svg style='fill:url(http://x)'></svg>", r"found 'url\('"),
    ],
)
def test_a_section_takes_plain_pictures_only(figure: str, message: str) -> None:
    with pytest.raises(ScoresError, match=message):
        Section("Bad", figures=(figure,))


def test_a_table_with_a_short_row_is_refused() -> None:
    with pytest.raises(ScoresError, match=r"table 'c', row 2: expected 2 cells, found 1"):
        Table(("a", "b"), (("x", 1), ("y",)), "c")


def test_validation_scores_tell_what_a_temperature_would_do(report: Report, html: str) -> None:
    assert report.calibration is not None

    said = (
        f"divided by {report.calibration.temperature:.2f}, a temperature fitted on the validation"
        f" part, it would be {percent(report.calibration.error)}"
    )
    assert said in html
    assert Report("none", report.scores).calibration is None


def test_validation_over_other_classes_is_refused() -> None:
    with pytest.raises(ScoresError, match="have different classes: 6 and 5 of them"):
        Report("title", made_scores(10, 6), validation=made_scores(10, 5))


def test_the_cost_tells_what_was_recorded_and_no_more() -> None:
    assert cost_rows([]) == []
    assert cost_rows([{"epoch": 1, "seconds": 30.0}]) == [
        ("epochs", "1"),
        ("time in all", "30.0 s"),
        ("time per epoch, mean", "30.0 s"),
    ]


def test_a_class_that_never_occurs_gets_a_dash() -> None:
    scores = made_scores(8, 12)
    assert np.unique(scores.labels).size < 12

    html = render_report(Report("few", scores))

    assert 'data-value="-1">\u2013</td>' in html
    assert made_info().checkpoint in html
