"""Decodes videos and pictures in a child process, with limits of time and memory.

Run as a module it reads one JSON object per line, ``path``, ``every``, ``side`` and ``out``, writes
the sampled pictures to ``out`` (npy) and answers with their frame numbers and the frames of the
recording. A hostile file can end or stall this process, and nothing else.
"""

import json
import resource
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from skelab.errors import SideCarError
from skelab.host.worker_process import die_with_parent, own_answers

VIDEOS: Final = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v")
PICTURES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MOST_FRAMES: Final = 200_000
MOST_PICTURES: Final = 8_192
MEMORY: Final = 4 << 30
_LARGEST_SIDE: Final = 16_384
_WHOLE: Final = 0.9  # share of the declared frames that a whole file has at least
_UNEVEN: Final = 0.02  # share of the gaps between frames that may differ from the usual one


def decode(path: Path, every: int, side: int) -> tuple[list[int], UInt8[ndarray, "T H W 3"], int]:
    """Every n-th picture of a video or a folder of pictures, upright and brought to one size.

    Args:
        path: A video, or a folder of pictures, which are ordered by name.
        every: Take the frames 0, n, 2n...
        side: Height and width of the pictures.

    Returns:
        Frame numbers, pictures, and frames of the recording.

    Raises:
        SideCarError: It cannot be decoded, has no frames, is truncated, or its rate varies.
    """
    numbers: list[int] = []
    pictures: list[UInt8[ndarray, "H W 3"]] = []
    length = 0
    frames = _pictures(path, every, side) if path.is_dir() else _video(path, every, side)
    for number, picture in frames:
        length = number + 1
        if length > MOST_FRAMES or len(pictures) >= MOST_PICTURES:
            raise SideCarError(
                f"{path.name}: expected at most {MOST_FRAMES:,} frames and {MOST_PICTURES:,}"
                " sampled ones, found more; cut the recording, or give a larger --every"
            )
        if picture is not None:
            numbers.append(number)
            pictures.append(picture)
    if not pictures:
        raise SideCarError(f"{path.name}: expected frames, found none")
    return numbers, np.stack(pictures), length


def _pictures(
    folder: Path, every: int, side: int
) -> Iterator[tuple[int, UInt8[ndarray, "H W 3"] | None]]:
    from PIL import Image

    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)
    for number, file in enumerate(files):
        if number % every:
            yield number, None
            continue
        try:
            with Image.open(file) as picture:
                small = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise SideCarError(f"{folder.name}/{file.name}: cannot be decoded: {error}") from None
        yield number, np.asarray(small)


def _video(
    path: Path, every: int, side: int
) -> Iterator[tuple[int, UInt8[ndarray, "H W 3"] | None]]:
    av = import_module("av")
    times: list[int] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise SideCarError(f"{path.name}: expected a video, found no picture stream in it")
            stream = container.streams.video[0]
            declared = int(stream.frames or 0)
            if max(stream.width, stream.height) > _LARGEST_SIDE:
                raise SideCarError(f"{path.name}: pictures of more than {_LARGEST_SIDE} pixels")
            for number, frame in enumerate(container.decode(stream)):
                if frame.pts is not None:
                    times.append(int(frame.pts))
                yield number, None if number % every else _upright(frame, side)
    except SideCarError:
        raise
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
        said = " ".join(str(error).split())[:120]
        raise SideCarError(f"{path.name}: cannot be decoded: {said}") from None
    _check_whole(path, len(times), declared)
    _check_rate(path, times)


def _upright(frame: Any, side: int) -> UInt8[ndarray, "H W 3"]:
    """The picture of a frame, turned as the file says, at the size of the encoder."""
    picture = frame.reformat(width=side, height=side, format="rgb24").to_ndarray()
    turns = round(float(getattr(frame, "rotation", 0)) / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(picture, turns))


def _check_whole(path: Path, decoded: int, declared: int) -> None:
    if decoded and declared and decoded < _WHOLE * declared:
        raise SideCarError(
            f"{path.name}: truncated: expected {declared} frames, as it says, found {decoded}"
        )


def _check_rate(path: Path, times: list[int]) -> None:
    gaps = np.diff(np.sort(np.array(times, dtype=np.int64)))
    if len(gaps) < 3:
        return
    usual = np.median(gaps)
    uneven = float(np.mean((gaps > 1.5 * usual) | (gaps < 0.5 * usual)))
    if uneven > _UNEVEN:
        raise SideCarError(
            f"{path.name}: expected a constant frame rate, found one that varies ({uneven:.0%} of"
            f" the gaps), so that frame numbers say nothing of time;"
            f" `ffmpeg -i {path.name} -vf fps=30 OUT` makes it constant"
        )


def _main() -> None:
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answers = own_answers()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            numbers, pictures, length = decode(
                Path(asked["path"]), int(asked["every"]), int(asked["side"])
            )
            np.save(asked["out"], pictures)
            answer: dict[str, Any] = {"frames": numbers, "length": length}
        except SideCarError as error:
            answer = {"error": str(error)}
        except MemoryError:
            answer = {"error": f"needs more than {MEMORY >> 30} GiB of memory to decode"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _main()
