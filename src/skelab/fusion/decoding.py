"""The sampled pictures of a video or of a folder of pictures, upright and of one size.

Videos are decoded in a process of their own, see :mod:`skelab.host.video`.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from skelab.errors import SideCarError, VideoError
from skelab.host.video import VIDEO_SUFFIXES, VideoLimits, VideoReader

VIDEOS: Final = VIDEO_SUFFIXES
PICTURES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MOST_FRAMES: Final = 200_000
MOST_PICTURES: Final = 8_192
_MOST_PIXELS: Final = VideoLimits().pixels
_UNEVEN: Final = 0.02  # share of the gaps between frames that may differ from the usual one

Picture = UInt8[ndarray, "H W 3"]
"""Red, green, blue."""


def decode(
    path: Path, every: int, side: int, seconds: float
) -> tuple[list[int], UInt8[ndarray, "T H W 3"], int]:
    """Every n-th picture of a video or a folder of pictures.

    Args:
        path: A video, or a folder of pictures, which are ordered by name.
        every: Take the frames 0, n, 2n...
        side: Height and width of the pictures.
        seconds: Time that it may take.

    Returns:
        Frame numbers, pictures, and frames of the recording.

    Raises:
        SideCarError: It cannot be decoded, has no frames, is truncated, takes too long, or its rate
            varies.
    """
    numbers: list[int] = []
    pictures: list[Picture] = []
    length, until = 0, time.monotonic() + seconds
    frames = _pictures(path, every) if path.is_dir() else _video(path, every, seconds)
    for number, picture in frames:
        length = number + 1
        if length > MOST_FRAMES or len(pictures) >= MOST_PICTURES:
            raise SideCarError(
                f"{path.name}: expected at most {MOST_FRAMES:,} frames and {MOST_PICTURES:,}"
                " sampled ones, found more; cut the recording, or give a larger --every"
            )
        if time.monotonic() > until:
            raise SideCarError(f"{path.name}: not decoded within {seconds:g} s")
        if picture is not None:
            numbers.append(number)
            pictures.append(_resized(picture, side))
    if not pictures:
        raise SideCarError(f"{path.name}: expected frames, found none")
    return numbers, np.stack(pictures), length


def _pictures(folder: Path, every: int) -> Iterator[tuple[int, Picture | None]]:
    from PIL import Image

    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)
    for number, file in enumerate(files):
        if number % every:
            yield number, None
            continue
        try:
            with Image.open(file) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    raise SideCarError(
                        f"{folder.name}/{file.name}: expected at most {_MOST_PIXELS:,} pixels,"
                        f" found {picture.width} x {picture.height}"
                    )
                decoded = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise SideCarError(f"{folder.name}/{file.name}: cannot be decoded: {error}") from None
        yield number, decoded


def _video(path: Path, every: int, seconds: float) -> Iterator[tuple[int, Picture | None]]:
    times: list[float] = []
    try:
        with VideoReader(
            path, limits=VideoLimits(seconds=min(seconds, VideoLimits.seconds))
        ) as frames:
            for frame in frames:
                times.append(frame.time)
                yield frame.number, None if frame.number % every else frame.picture
    except VideoError as error:
        raise SideCarError(str(error).replace(str(path), path.name)) from None
    _check_rate(path, times)


def _resized(picture: Picture, side: int) -> UInt8[ndarray, "S S 3"]:
    from PIL import Image

    small = Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small)


def _check_rate(path: Path, times: list[float]) -> None:
    gaps = np.diff(np.sort(np.array(times)))
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
