from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skelab.errors import OutputError, SideCarError
from skelab.fusion import extract_features, get_encoder, list_encoders, open_side_cars
from skelab.fusion.decoding import _check_rate, decode
from skelab.fusion.extract import clip_name

SIZE = (48, 32)


def picture(number: int) -> np.ndarray:
    made = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
    made[4:20, 2 * number : 2 * number + 8] = 255
    return made


def picture_folder(path: Path, count: int = 6) -> Path:
    path.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(picture(number)).save(path / f"{number:04d}.png")
    return path


def video(path: Path, count: int = 12) -> Path:
    av: Any = import_module("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_folders_of_pictures_and_videos_become_side_cars_by_frame_number(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    source, out = tmp_path / "source", tmp_path / "out.arrow"
    picture_folder(source / "a")
    video(source / "b_rgb.mp4")

    made = extract_features(source, out, encoder="hog", every=5)

    store = open_side_cars(out)
    a, b = store.get("a"), store.get("b")
    assert a is not None
    assert b is not None
    assert (made.made, made.info.size, made.info.skipped) == (2, 324, ())
    assert (a.frames.tolist(), a.length) == ([0, 5], 6)
    assert (b.frames.tolist(), b.length) == ([0, 5, 10], 12)
    assert list(tmp_path.glob(".out*")) == []


def test_one_bad_video_never_stops_the_others(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    source, out = tmp_path / "source", tmp_path / "out.arrow"
    picture_folder(source / "a")
    (source / "bad.mp4").write_bytes(b"\0" * 500)
    (source / "empty.mp4").write_bytes(b"")
    whole = video(source / "cut.avi", count=40).read_bytes()
    (source / "cut.avi").write_bytes(whole[: len(whole) // 2])

    made = extract_features(source, out, encoder="hog")

    assert made.made == 1
    reasons = dict(made.info.skipped)
    assert set(reasons) == {"bad", "empty", "cut"}
    assert "bad.mp4: expected a video" in reasons["bad"]
    assert "cut.avi" in reasons["cut"]
    assert all("\n" not in reason for reason in reasons.values())


def test_a_video_that_takes_too_long_is_given_up_and_the_next_one_is_read(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    source = tmp_path / "source"
    video(source.parent / "b.mp4")

    with pytest.raises(SideCarError, match=r"b\.mp4: expected a picture within 0\.001 s"):
        extract_features(tmp_path / "b.mp4", tmp_path / "out.arrow", encoder="hog", seconds=0.001)


def test_a_command_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out.arrow"
    source.mkdir()
    for name in "abc":
        np.save(source / f"{name}.npy", np.ones((4, 2)))

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(source, out, encoder="file:imu", on_progress=stop)
    made = extract_features(source, out, encoder="file:imu")

    assert (made.made, made.resumed) == (3, 2)
    assert made.info.title == "imu 1, 2 numbers a frame"


def test_sensors_come_through_the_same_door_as_csv(tmp_path: Path) -> None:
    (tmp_path / "jump.csv").write_text("frame,ax,ay\n0,1.5,0\n3,2,1\n6,,1\n")

    made = extract_features(
        tmp_path / "jump.csv", tmp_path / "imu.arrow", encoder="file:imu", version="7"
    )

    found = open_side_cars(tmp_path / "imu.arrow").get("jump")
    assert made.info.version == "7"
    assert found is not None
    assert found.frames.tolist() == [0, 3, 6]
    assert found.valid.tolist() == [True, True, False]
    np.testing.assert_array_equal(found.features[1], [2, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,ax\n", "expected a line of names and lines of numbers below"),
        ("frame,ax\n0,1,2\n", "line 2: expected 2 values, found 3"),
        ("frame,ax\n0,x\n", "cannot be read as vectors: could not convert"),
        ("ax\n0\n0\n", "found nothing but zeros"),
        ("ax\nnan\n", "expected finite numbers"),
    ],
)
def test_a_bad_csv_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)

    with pytest.raises(SideCarError, match=message):
        extract_features(tmp_path / "a.csv", tmp_path / "o.arrow", encoder="file")


def test_an_npz_carries_frames_and_length(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=np.ones((2, 3)), frames=[4, 9], length=30)

    extract_features(tmp_path / "a.npz", tmp_path / "o.arrow", encoder="file")

    found = open_side_cars(tmp_path / "o.arrow").get("a")
    assert found is not None
    assert (found.frames.tolist(), found.length) == ([4, 9], 30)


def test_vectors_of_another_size_are_left_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    np.save(source / "a.npy", np.ones((4, 2)))
    np.save(source / "b.npy", np.ones((4, 3)))

    made = extract_features(source, tmp_path / "o.arrow", encoder="file")

    assert dict(made.info.skipped) == {
        "b": "b.npy: expected vectors of 2 numbers, as a has, found 3"
    }


def test_wrong_sources_and_encoders_are_named(tmp_path: Path) -> None:
    out = tmp_path / "o.arrow"

    with pytest.raises(SideCarError, match="there is no such file or folder"):
        extract_features(tmp_path / "none", out, encoder="file")
    with pytest.raises(SideCarError, match=r"expected vectors .* found none"):
        extract_features(tmp_path, out, encoder="file")
    with pytest.raises(SideCarError, match="unknown encoder 'hogg', did you mean 'hog'"):
        extract_features(tmp_path, out, encoder="hogg")
    with pytest.raises(SideCarError, match="--every: expected a whole number from 1, found 0"):
        extract_features(tmp_path, out, encoder="file", every=0)


def test_a_file_of_another_kind_is_never_replaced(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 2)))
    out = tmp_path / "o.arrow"
    out.write_bytes(b"mine")

    with pytest.raises(OutputError, match="found a file of another kind"):
        extract_features(tmp_path / "a.npy", out, encoder="file", force=True)


def test_a_rate_that_varies_is_refused() -> None:
    _check_rate(Path("even.mp4"), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])

    with pytest.raises(SideCarError, match=r"odd\.mp4: expected a constant frame rate"):
        _check_rate(Path("odd.mp4"), [0.0, 0.2, 0.4, 0.9, 1.1, 2.0])


def test_a_folder_without_pictures_has_no_frames(tmp_path: Path) -> None:
    with pytest.raises(SideCarError, match="expected frames, found none"):
        decode(tmp_path, 1, 8, 60.0)


def test_a_clip_is_named_by_its_file() -> None:
    names = [clip_name(Path(name)) for name in ("S001_rgb.avi", "a1_color.mp4", "b.npy")]

    assert names == ["S001", "a1", "b"]


@pytest.mark.slow
def test_lite0_describes_pictures_with_1280_numbers() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pictures = np.random.default_rng(0).integers(0, 255, (2, 224, 224, 3), dtype=np.uint8)

    found = get_encoder("efficientnet-lite0").encode(pictures)

    assert found.shape == (2, 1280)
    assert list_encoders() == ("hog", "efficientnet-lite0", "file")
