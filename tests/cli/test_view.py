"""`skelab view`: pages, pictures and films; every mistake is one line and exit 2."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import Outcome, SmallSet
from viewer_kit import standing

Command = Callable[..., Outcome]


@pytest.fixture
def recording(small_set: SmallSet) -> Path:
    """One synthetic recording."""
    return sorted(small_set.skeletons.glob("*.skeleton"))[0]


def test_a_recording_becomes_a_page(skelab: Command, recording: Path, tmp_path: Path) -> None:
    done = skelab("view", recording, "--out", tmp_path / "clip.html")

    assert done.status == 0
    assert "SYNTHETIC" in done.out
    assert done.out.splitlines()[-1] == f"view {tmp_path / 'clip.html'}"
    page = (tmp_path / "clip.html").read_text()
    assert "As recorded" in page
    assert len(page.encode()) <= 100_000


def test_without_a_name_the_page_is_made_anew_every_time(
    skelab: Command, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    first, second = skelab("view", recording), skelab("view", recording)

    assert (first.status, second.status) == (0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.html"]


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_clip_of_a_store_becomes_a_picture_and_a_film(
    suffix: str, skelab: Command, small_set: SmallSet, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"clip.{suffix}"
    options = ["--clip", recording.stem, "--out", out, "--height", "160", "--theme", "dark"]

    done = skelab("view", small_set.store, *options, "--frames", "0:10")

    assert (done.status, done.err) == (0, "")
    assert out.stat().st_size > 1000


def test_a_network_says_what_it_sees_and_why(
    skelab: Command, small_set: SmallSet, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clip.html"

    done = skelab("view", recording, "--network", small_set.run, "--out", out)

    assert done.status == 0
    assert "CTR-GCN says" in done.out
    assert "the two methods agree by" in done.out
    assert '"evidence":[{"title":"Gradient times input"' in out.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch.skeleton"], "nosuch.skeleton: there is no such file; expected .skeleton"),
        (["{store}"], "holds 48 clips; choose one by --clip NAME, say --clip"),
        (["{store}", "--clip", "nobody"], "unknown clip 'nobody'"),
        (["{file}", "--clip", "x"], "holds one clip; --clip is for files that hold several"),
        (["{file}", "--out", "clip.txt"], "ends with .html, .gif, .mp4, .png, found '.txt'"),
        (["{file}", "--frames", "5"], "expected FIRST:END, say 30:90, found '5'"),
        (["{file}", "--frames", "5:9999"], "expected frames within 0:"),
        (["{file}", "--fps", "0"], "expected 1 to 1000 frames a second, found 0"),
        (["{file}", "--theme", "pink"], "unknown theme 'pink'"),
        (["{file}", "--height", "3"], "expected a height of 120 to 2160 pixels, found 3"),
        (["{file}", "--layout", "nosuch"], "unknown layout 'nosuch'"),
        (["{file}", "--pipeline", "nosuch"], "unknown pipeline 'nosuch'"),
        (["{file}", "--network", "nosuch"], "nosuch: there is no checkpoint"),
        (["{file}", "--class", "wave"], "needs a network; --network names one"),
        (["{file}", "--network", "{run}", "--class", "jump"], "unknown class 'jump'"),
        (["nan.npy"], "nan.npy: expected finite numbers, found nan"),
        (["empty.npy"], "empty.npy: expected a body in at least one frame, found none"),
        (["one.npy", "--out", "one.gif"], "one: has one frame, of which no film can be made"),
        (["{file}", "--out", "{file}"], "ends with .html"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    words: list[str],
    message: str,
    skelab: Command,
    small_set: SmallSet,
    recording: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("nan.npy", np.full((3, 25, 3), np.nan))
    np.save("empty.npy", np.zeros((3, 25, 3)))
    np.save("one.npy", standing(1))
    before = sorted(path.name for path in tmp_path.iterdir())

    places = {"store": small_set.store, "file": recording, "run": small_set.run}
    done = skelab("view", *(word.format(**places) for word in words))

    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_what_is_there_is_replaced_with_force_only(
    skelab: Command, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clip.html"
    out.write_text("<!doctype html>mine")

    refused = skelab("view", recording, "--out", out)
    kept = out.read_text()
    forced = skelab("view", recording, "--out", out, "--force")

    assert (refused.status, kept) == (2, "<!doctype html>mine")
    assert "--force replaces it" in refused.err
    assert forced.status == 0
