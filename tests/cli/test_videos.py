"""`skelab ingest VIDEOS`: a store out of videos, and the question of the mirror."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_outcome import Outcome, SmallSet
from pose_kit import SteadyEstimator
from video_kit import grey, write_video

from skelab.cli import videos as cli_videos


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two videos of two classes, and an estimator that needs no models."""
    folder = tmp_path / "films"
    for name in ("jump", "wave"):
        (folder / name).mkdir(parents=True)
        write_video(folder / name / "1.mp4", [grey(number) for number in range(12)])
    monkeypatch.setattr(cli_videos, "open_estimator", lambda variant: SteadyEstimator())
    return folder


def test_the_mirror_is_asked_for_and_never_guessed(
    skelab: Callable[..., Outcome], films: Path, tmp_path: Path
) -> None:
    done = skelab("ingest", films, tmp_path / "clips.arrow")

    assert done.status == 2
    assert "are these videos mirrored?" in done.err
    assert "expected --mirrored or --not-mirrored" in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize("layout", ["ntu25", "coco17"])
def test_videos_become_a_store(
    skelab: Callable[..., Outcome], films: Path, tmp_path: Path, layout: str
) -> None:
    store = tmp_path / "clips.arrow"

    done = skelab("ingest", films, store, "--not-mirrored", "--layout", layout, "--json")
    seen = skelab("inspect", store, "--json")

    assert done.status == 0, done.err
    assert done.json["clips"] == 2
    assert seen.json["dataset"] == "video"
    assert sorted(
        path.name for path in (tmp_path / "clips.landmarks").iterdir() if path.is_dir()
    ) == ["jump", "wave"]


def test_landmarks_are_mapped_to_another_layout_without_the_videos(
    skelab: Callable[..., Outcome], films: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.arrow", tmp_path / "b.arrow"
    assert skelab("ingest", films, first, "--not-mirrored").status == 0

    done = skelab("ingest", tmp_path / "a.landmarks", second, "--layout", "kinect20")
    wrong = skelab("ingest", tmp_path / "a.landmarks", second, "--mirrored", "--force")

    assert done.status == 0, done.err
    assert "layout kinect20" in skelab("inspect", second).out.replace(",", "") or done.status == 0
    assert wrong.status == 2
    assert "its landmarks say already whether their videos are mirrored" in wrong.err


def test_a_store_that_is_there_is_refused_before_any_video_is_decoded(
    skelab: Callable[..., Outcome], films: Path, tmp_path: Path
) -> None:
    store = tmp_path / "clips.arrow"
    assert skelab("ingest", films, store, "--not-mirrored").status == 0

    done = skelab("ingest", films, store, "--not-mirrored")

    assert done.status == 2
    assert "--force replaces it" in done.err


def test_the_mirror_is_no_question_for_other_sources(
    skelab: Callable[..., Outcome], tmp_path: Path
) -> None:
    done = skelab("ingest", tmp_path, tmp_path / "clips.arrow", "--mirrored")

    assert done.status == 2
    assert "expected a video for --mirrored, found another source" in done.err


@pytest.mark.parametrize("bad", ["playlist", "cut off", "empty"])
def test_a_bad_video_is_one_line_and_exit_2(
    skelab: Callable[..., Outcome], films: Path, tmp_path: Path, bad: str
) -> None:
    film = tmp_path / "film.mp4"
    whole = (films / "jump" / "1.mp4").read_bytes()
    content = {"playlist": b"#EXTM3U\nx.mp4\n", "cut off": whole[: len(whole) // 2], "empty": b""}
    film.write_bytes(content[bad])

    done = skelab("ingest", film, tmp_path / "clips.arrow", "--not-mirrored")

    assert done.status == 2
    assert "film.mp4: " in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_without_models_the_message_says_what_fetches_them(
    skelab: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKELAB_MODELS", str(tmp_path / "none"))
    film = write_video(tmp_path / "film.mp4", [grey(number) for number in range(3)])

    done = skelab("ingest", film, tmp_path / "clips.arrow", "--not-mirrored")

    assert done.status == 2
    assert "`skelab models fetch pose` fetches it" in done.err


def test_models_of_another_kind_are_not_fetched(skelab: Callable[..., Outcome]) -> None:
    done = skelab("models", "fetch", "face")

    assert done.status == 2
    assert "unknown kind of models 'face'. Known: pose" in done.err


@pytest.fixture
def film(films: Path) -> Path:
    """A video of 2.4 s."""
    return write_video(films.parent / "film.mp4", [grey(number % 30) for number in range(24)])


def test_a_video_becomes_a_timeline(
    skelab: Callable[..., Outcome], small_set: SmallSet, film: Path
) -> None:
    done = skelab("predict", small_set.run, film, "--not-mirrored", "--window", "1")

    assert done.status == 0, done.err
    assert "film.mp4, 2.4 s, CTR-GCN, trained on SYNTHETIC clips" in done.out
    assert "72 pictures, " in done.out
    assert "a second from video to action" in done.out
    assert (
        "trained on poses that are SYNTHETIC, made by a program; those of a video are others"
        in (done.err)
    )
    assert "its accuracy on videos was not measured here" in done.err


def test_a_timeline_as_json_with_a_film(
    skelab: Callable[..., Outcome], small_set: SmallSet, film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "overlay.mp4"
    words = ["predict", small_set.run, film, "--mirrored", "--out", out, "--json"]

    done = skelab(*words)
    again = skelab(*words)

    assert done.status == 0, done.err
    content = done.json
    assert content["mirrored"] is True
    assert content["synthetic"] is True
    assert content["frames"] == 72
    assert content["trained on poses"] == "SYNTHETIC, made by a program"
    assert len(content["warnings"]) == 2
    (person,) = content["people"]
    assert person["person"] == 1
    assert person["segments"][0]["start"] == 0
    assert content["frames_per_second"]["poses and network"] > 0
    assert out.stat().st_size > 1000
    assert again.status == 2
    assert "--force replaces it" in again.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "are these videos mirrored?"),
        (["--not-mirrored", "--stream"], "expected a causal network"),
        (["--not-mirrored", "--window", "0"], "expected a window of up to an hour"),
        (["--not-mirrored", "--out", "film.gif"], "film.gif"),
    ],
)
def test_a_wrong_question_about_a_video_is_one_line(
    skelab: Callable[..., Outcome],
    small_set: SmallSet,
    film: Path,
    words: list[str],
    said: str,
) -> None:
    done = skelab("predict", small_set.run, film, *words)

    assert done.status == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_bad_video_is_refused_before_the_network_is_opened(
    skelab: Callable[..., Outcome], small_set: SmallSet, film: Path
) -> None:
    film.write_text("#EXTM3U\nother.mp4\n")

    done = skelab("predict", small_set.run, film, "--not-mirrored")
    two = skelab("predict", small_set.run, film, film, "--not-mirrored")

    assert done.status == 2
    assert "a playlist or a script, which could name other files" in done.err
    assert "expected one video, found 2 files" in two.err


def test_the_mirror_is_no_question_for_recordings(
    skelab: Callable[..., Outcome], small_set: SmallSet
) -> None:
    done = skelab("predict", small_set.run, small_set.store, "--mirrored")

    assert done.status == 2
    assert "expected a video for --mirrored, found another file" in done.err
