"""Videos: every picture, upright and in time, or one line that says what is wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
from video_kit import grey, number_of, turn, write_video

from skelab.errors import OutputError, SourceError, VideoError
from skelab.host import video
from skelab.host.video import VideoFrame, VideoInfo, VideoLimits, VideoReader, container_of


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """Ten pictures at ten a second."""
    return write_video(tmp_path / "ten.mp4", [grey(number) for number in range(10)])


def read(path: Path, **settings: object) -> tuple[VideoInfo, list[VideoFrame]]:
    """All of a video."""
    with VideoReader(path, **settings) as reader:  # type: ignore[arg-type]
        return reader.info, list(reader)


def test_gives_every_picture_with_its_time(ten: Path) -> None:
    info, frames = read(ten)

    assert info == VideoInfo(64, 48, 10.0, 0, "mov", "mpeg4", 1.0)
    assert [frame.number for frame in frames] == list(range(10))
    assert [number_of(frame.picture) for frame in frames] == list(range(10))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(10) / 10, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mp4", "libx264", "mov"),
        ("a.mov", "mpeg4", "mov"),
        ("a.mkv", "libx264", "matroska"),
        ("a.webm", "libvpx-vp9", "matroska"),
        ("a.avi", "mpeg4", "avi"),
        ("a.mpg", "mpeg2video", "mpeg"),
        ("a.ts", "libx264", "mpegts"),
    ],
)
def test_reads_the_usual_formats(tmp_path: Path, name: str, codec: str, container: str) -> None:
    pictures = [grey(number) for number in range(30)]
    quality = {} if codec.startswith("mpeg") else {"crf": "4"}
    try:
        path = write_video(tmp_path / name, pictures, rate=25, codec=codec, quality=quality)
    except ValueError:
        pytest.skip(f"this PyAV does not encode {codec}")

    info, frames = read(path)

    assert info.container == container
    assert [number_of(frame.picture) for frame in frames] == list(range(30))


def test_a_variable_rate_is_resampled_by_the_time_stamps(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.7, 0.8]
    path = write_video(tmp_path / "v.mkv", [grey(n) for n in range(5)], rate=10, times=times)

    info, frames = read(path, frames_per_second=10.0)

    assert info.frames_per_second == 10
    shown = [number_of(frame.picture) for frame in frames]
    assert shown[:9] == [0, 1, 2, 2, 2, 3, 3, 3, 4]
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(len(frames)) / 10)


@pytest.mark.parametrize(("rate", "count"), [(5.0, 5), (10.0, 10), (20.0, 20)])
def test_a_rate_gives_as_many_seconds(ten: Path, rate: float, count: int) -> None:
    _, frames = read(ten, frames_per_second=rate)

    assert len(frames) == count


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_are_turned_upright(ten: Path, degrees: int) -> None:
    turn(ten, degrees)

    info, frames = read(ten)

    picture = frames[0].picture
    edges = {
        "top": picture[:4].mean(),
        "bottom": picture[-4:].mean(),
        "left": picture[:, :4].mean(),
        "right": picture[:, -4:].mean(),
    }
    # The bar was at the left; the matrix of 90 turns the picture clockwise.
    assert (
        max(edges, key=lambda edge: edges[edge])
        == {90: "top", 180: "right", 270: "bottom"}[degrees]
    )
    assert (info.width, info.height) == ((64, 48) if degrees == 180 else (48, 64))
    assert info.rotation == (360 - degrees) % 360


def test_large_pictures_are_scaled_down(ten: Path) -> None:
    info, frames = read(ten, longest_side=32)

    assert (info.width, info.height) == (32, 24)
    assert frames[0].picture.shape == (24, 32, 3)


def test_an_8k_video_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "8k.avi", [np.zeros((4320, 7680, 3), dtype=np.uint8)])

    with pytest.raises(
        VideoError,
        match=r"8k\.avi: expected pictures of at most 8,847,360 pixels, "
        r"found 7680 x 4320; scale the video down first",
    ):
        read(path)


def test_too_little_memory_is_one_line(tmp_path: Path) -> None:
    pictures = [np.zeros((2160, 3840, 3), dtype=np.uint8)] * 2
    path = write_video(tmp_path / "4k.avi", pictures)

    with pytest.raises(VideoError, match=r"4k\.avi: "):
        read(path, limits=VideoLimits(memory=256 << 20))


def test_a_long_video_is_refused(ten: Path) -> None:
    with pytest.raises(VideoError, match=r"expected at most 0 s, found a longer video"):
        read(ten, limits=VideoLimits(length=0.45))


def test_a_video_without_pictures_is_refused(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "none.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))

    with pytest.raises(VideoError, match="expected a video, found a file without pictures"):
        read(path)


def test_a_video_of_zero_frames_is_refused(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "ten.avi", [grey(number) for number in range(10)]).read_bytes()
    path = tmp_path / "zero.avi"
    path.write_bytes(whole[: whole.index(b"movi") + 4])

    with pytest.raises(VideoError, match=r"zero\.avi: "):
        read(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_video_that_was_cut_off_is_refused(tmp_path: Path, name: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    path = write_video(
        tmp_path / name,
        list(noise),
        options={"movflags": "+faststart"} if name == "a.mp4" else None,
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

    with pytest.raises(VideoError, match=r"damaged|cut off"):
        read(path)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_video_that_is_damaged_in_the_middle_is_refused(tmp_path: Path, codec: str) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    try:
        path = write_video(tmp_path / "a.mp4", list(noise), codec=codec)
    except ValueError:
        pytest.skip(f"this PyAV does not encode {codec}")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = rng.bytes(4000)
    path.write_bytes(bytes(content))

    with pytest.raises(VideoError, match=r"a\.mp4: is damaged after \d\.\d\d s"):
        read(path)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        "file '/etc/passwd'\n",
        '<?xml version="1.0"?><MPD></MPD>',
    ],
)
def test_a_playlist_that_is_called_a_video_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_text(text)

    with pytest.raises(
        VideoError,
        match=r"film\.mp4: expected a video \(mp4 or mov, .*\), found a "
        r"playlist or a script, which could name other files",
    ):
        read(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    other, empty, pipe = tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"
    other.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    empty.touch()
    os.mkfifo(pipe)

    with pytest.raises(VideoError, match="found another kind"):
        container_of(other)
    with pytest.raises(VideoError, match="expected a video, found an empty file"):
        container_of(empty)
    with pytest.raises(SourceError, match="expected a video file, found a named pipe"):
        container_of(pipe)
    with pytest.raises(SourceError, match="expected a video file, found a folder"):
        container_of(tmp_path)
    with pytest.raises(SourceError, match=r"none\.mp4: cannot be read: No such file"):
        container_of(tmp_path / "none.mp4")


def test_without_pyav_the_message_says_what_to_install(
    ten: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "find_spec", lambda name: None)

    with pytest.raises(OutputError, match=r"videos need the package av .*\[video\]"):
        VideoReader(ten)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "usually for lack of memory"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(SIGSEGV\)"),
        ("raise SystemExit('no room')", "cannot be decoded: no room"),
        ("import time; time.sleep(60)", "expected a picture within 1 s, found none"),
        ("print('x' * 100_000)", "the decoder's answer cannot be read"),
    ],
)
def test_the_parent_outlives_its_child(
    ten: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    (tmp_path / "bad_decoder.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(video, "_WORKER", "bad_decoder")

    with pytest.raises(VideoError, match=said):
        VideoReader(ten, limits=VideoLimits(seconds=1 if "sleep" in body else 60))


def test_the_child_ends_with_the_reader(ten: Path) -> None:
    with VideoReader(ten) as reader:
        process = reader._process
        next(iter(reader))

    assert process.poll() is not None


def test_damaged_bytes_anywhere_never_end_otherwise(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    whole = write_video(tmp_path / "a.mp4", [grey(number) for number in range(10)]).read_bytes()
    path = tmp_path / "b.mp4"

    for _ in range(6):
        content = bytearray(whole)
        for place in rng.integers(8, len(content), 40):
            content[place] = int(rng.integers(256))
        path.write_bytes(bytes(content))
        said: list[str] = []
        try:
            said += [str(len(read(path, limits=VideoLimits(seconds=20))[1]))]
        except VideoError as error:
            said += str(error).splitlines()

        assert len(said) == 1
