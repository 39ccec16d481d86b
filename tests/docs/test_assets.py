"""The player on the documentation's pages is the one that the code writes today."""

import re
from pathlib import Path

from docs.pages import REPOSITORY
from PIL import Image

from skelab.cli.main import run

ASSETS = REPOSITORY / "docs" / "assets"
CLIP = "S011C001P010R001A027"


def parts_of(page: str) -> list[str]:
    """The style, the clip and the script in a page; not the version that wrote it."""
    return re.findall(r"<(?:style|script)[^>]*>(.*?)</(?:style|script)>", page, re.DOTALL)


def test_the_page_in_the_documentation_is_what_the_command_writes(tmp_path: Path) -> None:
    assert run(["synth", str(tmp_path / "skeletons"), "--clips", "24"]) == 0
    recording, page = tmp_path / "skeletons" / f"{CLIP}.skeleton", tmp_path / "clip.html"

    assert run(["view", str(recording), "--out", str(page)]) == 0

    # Otherwise: `skelab view skeletons/S011C001P010R001A027.skeleton --out docs/assets/clip.html
    # --force`, with the recordings of `skelab synth skeletons --clips 24`.
    assert parts_of((ASSETS / "clip.html").read_text()) == parts_of(page.read_text())


def test_the_moving_picture_of_the_readme_is_small() -> None:
    path = ASSETS / "clip.gif"

    with Image.open(path) as film:
        frames = getattr(film, "n_frames", 0)

    assert path.stat().st_size < 300_000
    assert frames > 20
