"""Films of a clip: gif by Pillow, mp4 by PyAV."""

import math
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from skelab.errors import DataError, OutputError
from skelab.files.atomic import atomic_write
from skelab.viewer.picture import SIZE, Painter
from skelab.viewer.scene import Scene

MOST_FRAMES: Final = 3000
"""Maximum number of frames of a film; 100 s of a Kinect."""

INSTALL: Final = "pip install 'skeleton-action-lab[video]'"

_CODECS: Final = ("libx264", "mpeg4")
_GIF_RATE: Final = 20  # pictures a second at most, since a gif stores whole pictures
_GIF_STEP: Final = 10  # ms; the format knows no shorter one
_COLOURS: Final = 32


def write_film(path: Path, scene: Scene, *, theme: str = "light", height: int = SIZE) -> None:
    """Write a film of the clip, whole or not at all: ``.gif`` or ``.mp4``, by the suffix.

    A gif has at most 20 pictures a second, so it leaves out frames of a faster clip.

    Raises:
        DataError: The clip has one frame only, or too many.
        OutputError: The file cannot be written, or PyAV is not installed.
    """
    check_film(path, scene)
    painter = Painter(scene, theme=theme, height=height)
    with atomic_write(path) as temporary:
        if path.suffix.lower() == ".gif":
            _write_gif(temporary, painter)
        else:
            speed = painter.scene.frames_per_second
            encode_mp4(temporary, _frames(painter), painter.size, speed)


def check_film(path: Path, scene: Scene) -> None:
    """Check that a film can be made, before drawing.

    Raises:
        DataError: The clip has one frame only, or too many.
        OutputError: PyAV is needed and not installed.
    """
    if scene.num_frames < 2:
        raise DataError(
            f"{scene.name}: has one frame, of which no film can be made; --out"
            f" {path.with_suffix('.png').name} makes a picture"
        )
    if scene.num_frames > MOST_FRAMES:
        raise DataError(
            f"{scene.name}: expected at most {MOST_FRAMES:,} frames for a film, found"
            f" {scene.num_frames:,}; choose some by --frames 0:{MOST_FRAMES}"
        )
    if path.suffix.lower() == ".mp4":
        need_av()


def _write_gif(path: Path, painter: Painter) -> None:
    """One palette for all frames, so that only changes are stored."""
    speed = painter.scene.frames_per_second
    every = max(1, math.ceil(speed / _GIF_RATE))
    length = round(1000 * every / speed / _GIF_STEP) * _GIF_STEP
    numbers = range(0, painter.scene.num_frames, every)
    middle = painter.frame(painter.scene.num_frames // 2)
    palette = middle.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)
    frames = [
        painter.frame(number).quantize(palette=palette, dither=Image.Dither.NONE)
        for number in numbers
    ]
    frames[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=length,
        loop=0,
        optimize=True,
    )


def encode_mp4(
    path: Path,
    pictures: Iterable[UInt8[ndarray, "H W 3"]],
    size: tuple[int, int],
    frames_per_second: float,
) -> None:
    """Write pictures as an mp4 film.

    Args:
        path: The file.
        pictures: Red, green, blue.
        size: Width and height of each, both even.
        frames_per_second: Speed.

    Raises:
        OutputError: PyAV is not installed, or has no codec for it.
    """
    av = need_av()
    codec = next((name for name in _CODECS if _can_encode(av, name)), None)
    if codec is None:
        raise OutputError(f"this PyAV encodes none of {', '.join(_CODECS)}; --out clip.gif does")
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(codec, rate=round(frames_per_second))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23"} if codec == "libx264" else {"qscale": "4"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _frames(painter: Painter) -> Iterator[UInt8[ndarray, "H W 3"]]:
    for number in range(painter.scene.num_frames):
        yield np.asarray(painter.frame(number))


def _can_encode(av: Any, name: str) -> bool:
    try:
        av.codec.Codec(name, "w")
    except ValueError:  # of which PyAV's UnknownCodecError is one
        return False
    return True


def need_av() -> Any:
    """PyAV.

    Raises:
        OutputError: It is not installed.
    """
    try:
        return import_module("av")
    except ImportError as error:
        raise OutputError(
            f"mp4 needs the package av (PyAV), which cannot be imported ({error}): {INSTALL}; gif"
            " and html need nothing"
        ) from None
