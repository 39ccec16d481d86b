"""Videos made for a test, by PyAV; their pictures tell their number by their brightness."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import UInt8
from numpy import ndarray

STEP = 6  # of brightness, from picture to picture


def grey(number: int, width: int = 64, height: int = 48) -> UInt8[ndarray, "H W 3"]:
    """A picture of one brightness, with a bright bar at its left."""
    picture = np.full((height, width, 3), 10 + STEP * number, dtype=np.uint8)
    picture[:, : width // 8] = 250
    return picture


def number_of(picture: UInt8[ndarray, "H W 3"]) -> int:
    """The number of a picture that :func:`grey` made, by its middle."""
    high, wide = picture.shape[:2]
    middle = picture[high // 3 : 2 * high // 3, wide // 3 : 2 * wide // 3]
    return round((float(middle.mean()) - 10) / STEP)


def write_video(
    path: Path,
    pictures: Sequence[UInt8[ndarray, "H W 3"]],
    *,
    rate: int = 10,
    times: Sequence[float] | None = None,
    codec: str = "mpeg4",
    options: dict[str, str] | None = None,
    quality: dict[str, str] | None = None,
) -> Path:
    """A video of some pictures, at an even rate or at the times given, in seconds."""
    av: Any = pytest.importorskip("av")
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = quality or {}
        stream.bit_rate = 8_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times is not None:
                frame.time_base, frame.pts = Fraction(1, 1000), round(1000 * times[number])
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn(path: Path, degrees: int) -> None:
    """Write a rotation into the header of an mp4 file, as a telephone that is held upright does."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4
    matrix = place + (52 if content[place] == 1 else 40)
    one, minus = 0x10000, 0x100000000 - 0x10000
    turns = {90: (0, one, minus, 0), 180: (minus, 0, 0, minus), 270: (0, minus, one, 0)}
    a, b, c, d = turns[degrees]
    for offset, value in ((0, a), (4, b), (12, c), (16, d)):
        content[matrix + offset : matrix + offset + 4] = value.to_bytes(4, "big")
    path.write_bytes(bytes(content))
