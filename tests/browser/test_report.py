"""The report in a real browser: from a wrong square to the clips behind it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_kit import PHONE, chromium, quiet_page
from made_scores import made_scores
from viewer_kit import a_scene

from skelab.report import Report, clips_to_show, write_report
from skelab.report.confused_clips import names_by_pair


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of this file."""
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that holds the first six of its confused clips."""
    scores = made_scores(60, lean=1.0)
    scenes = {name: a_scene(12, name=name) for name in clips_to_show(scores)[:6]}
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, Report("a report", scores, clips=scenes, clips_source="clips.arrow"))
    return path


def test_a_click_on_a_wrong_square_shows_its_clips(browser: Any, file: Path) -> None:
    (truth, prediction), names = next(iter(names_by_pair(made_scores(60, lean=1.0)).items()))
    with quiet_page(browser) as page:
        page.goto(file.as_uri())

        page.locator(f'rect[data-pair="{truth}-{prediction}"]').click()
        player = page.locator("#confused-clips .skv")
        player.get_by_role("button", name="One frame on").click()

        heading = page.locator("#confused-clips h3").inner_text()
        assert heading.startswith(
            f"action {truth}, predicted as action {prediction}: {len(names)} clips"
        )
        assert player.get_attribute("data-frame") == "1"
        assert player.get_attribute("aria-label") == f"Clip {names[0]}"


def test_keys_alone_lead_from_the_table_to_the_clips(browser: Any, file: Path) -> None:
    with quiet_page(browser, viewport=PHONE) as page:
        page.goto(file.as_uri())

        page.locator("#confusion .see").first.focus()
        page.keyboard.press("Enter")
        focused = page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")

        assert "predicted as" in focused
        pressed = page.locator("#confused-clips [aria-pressed=true]").inner_text()
        assert pressed == page.evaluate("document.activeElement.textContent")
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_clip_that_the_page_does_not_hold_is_named_with_its_command(
    browser: Any, file: Path
) -> None:
    with quiet_page(browser) as page:
        page.goto(file.as_uri())

        page.locator("#confusion .see").first.click()
        page.locator("#confused-clips .names button").last.click()

        name = page.locator("#confused-clips [aria-pressed=true]").inner_text()
        text = page.locator("#confused-clips .shown").inner_text()
        assert text.endswith(f"skelab view clips.arrow --clip {name}")


def test_a_square_that_is_right_leads_nowhere(browser: Any, file: Path) -> None:
    with quiet_page(browser) as page:
        page.goto(file.as_uri())

        page.locator('rect[data-pair="0-0"]').click()

        assert not page.locator("#confused-clips").is_visible()
