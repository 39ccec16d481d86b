"""Debian's Chromium, driven by playwright: pages that must neither complain nor reach out."""

import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

CHROMIUM: Final = shutil.which("chromium")
DESKTOP: Final = {"width": 1280, "height": 860}
PHONE: Final = {"width": 390, "height": 844}


def skip_without_browser() -> Any:
    """The playwright package; skips, by name, where it or Chromium is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    return playwright


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of its own; as root it has no sandbox."""
    with skip_without_browser().sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def quiet_page(browser: Any, **options: Any) -> Iterator[Any]:
    """A page; at the end it has complained of nothing and asked no host for anything."""
    context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []


def open_page(page: Any, file: Path) -> None:
    """Open a file and wait for its player."""
    page.goto(file.as_uri())
    page.locator(".skv").first.wait_for()


def wait_until(page: Any, expression: str, *, seconds: float = 10.0) -> None:
    """Ask until an expression is true; the page's policy lets playwright ask in no other way."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not true within {seconds:g} s: {expression}"
        page.wait_for_timeout(20)


def colours(picture: bytes) -> int:
    """How many colours a screenshot has: few on a page that shows nothing."""
    with Image.open(io.BytesIO(picture)) as image:
        return len(image.convert("RGB").getcolors(1 << 24) or [])
