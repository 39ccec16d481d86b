"""The documentation as a reader opens it: from the disk, in the dark, on a phone."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_kit import PHONE, chromium, quiet_page, skip_without_browser, wait_until

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built away from the repository."""
    skip_without_browser()
    pytest.importorskip("zensical", reason="zensical is not installed")
    folder = tmp_path_factory.mktemp("pages")
    for name in ("docs", "docs_theme"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copy(REPOSITORY / "zensical.toml", folder)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of this module."""
    with chromium() as found:
        yield found


def test_search_finds_a_word_on_a_page_that_is_opened_from_the_disk(
    browser: Any, site: Path
) -> None:
    with quiet_page(browser) as page:
        page.goto((site / "index.html").as_uri())
        page.locator(".md-search__button").first.click()
        page.locator("input:visible").first.wait_for()
        page.wait_for_timeout(1000)

        page.keyboard.type("compactness", delay=30)

        wait_until(page, "document.body.innerText.includes('Scrambled joints')")


@pytest.mark.parametrize(
    ("scheme", "first", "then"), [("light", "default", "slate"), ("dark", "slate", "default")]
)
def test_the_palette_follows_the_reader_and_can_be_switched(
    browser: Any, site: Path, scheme: str, first: str, then: str
) -> None:
    shown = "document.body.getAttribute('data-md-color-scheme')"
    with quiet_page(browser, color_scheme=scheme) as page:
        page.goto((site / "index.html").as_uri())
        wait_until(page, f"{shown} === '{first}'")

        page.locator("[data-md-component=palette] label:visible").first.click()

        wait_until(page, f"{shown} === '{then}'")


@pytest.mark.parametrize(
    "name", ["tutorials/your-own-dataset.html", "reference/commands.html", "reference/api.html"]
)
def test_on_a_phone_commands_wrap_and_no_page_is_wider_than_the_screen(
    browser: Any, site: Path, name: str
) -> None:
    with quiet_page(browser, viewport=PHONE) as page:
        page.goto((site / name).as_uri())

        blocks = "[...document.querySelectorAll('pre > code')]"
        assert page.evaluate(f"{blocks}.filter(e => e.scrollWidth > e.clientWidth + 1)") == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
