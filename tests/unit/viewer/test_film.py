"""Films of a clip: as long as the clip, and refused in a line where none can be made."""

import sys
from pathlib import Path

import pytest
from PIL import Image
from viewer_kit import a_scene

from skelab.errors import DataError, OutputError
from skelab.viewer.film import MOST_FRAMES, check_film, write_film


def test_a_gif_is_as_long_as_the_clip(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"

    write_film(path, a_scene(24), height=160)

    with Image.open(path) as film:
        assert getattr(film, "n_frames", 0) == 12
        assert film.info["duration"] == 70
        assert film.info["loop"] == 0
        assert film.size[1] == 160


def test_a_slow_clip_keeps_all_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"

    write_film(path, a_scene(8, frames_per_second=10.0), height=160)

    with Image.open(path) as film:
        assert getattr(film, "n_frames", 0) == 8
        assert film.info["duration"] == 100


def test_an_mp4_has_every_frame(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"

    write_film(path, a_scene(24), height=161)

    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
    assert len(frames) == 24
    assert frames[0].height == 162  # even, as the codec wants it
    assert float(stream.average_rate) == 30


def test_one_frame_makes_no_film() -> None:
    with pytest.raises(DataError, match=r"clip: has one frame, of which no film .* --out clip.png"):
        check_film(Path("clip.gif"), a_scene(1))


def test_a_film_has_an_end() -> None:
    scene = a_scene(MOST_FRAMES + 1)

    with pytest.raises(DataError, match=r"at most 3,000 frames for a film, found 3,001; choose"):
        check_film(Path("clip.gif"), scene)


def test_without_pyav_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(OutputError, match=r"mp4 needs the package av .*skeleton-action-lab\[video"):
        write_film(tmp_path / "clip.mp4", a_scene())

    assert list(tmp_path.iterdir()) == []


def test_a_film_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skelab.viewer.picture.Painter.frame", fail)

    with pytest.raises(OutputError, match="the disk is full"):
        write_film(tmp_path / "clip.gif", a_scene())

    assert list(tmp_path.iterdir()) == []
