"""A video with the people who were found in it, and what they do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from skelab.errors import VideoError
from skelab.files.atomic import atomic_write
from skelab.host.video import VideoReader
from skelab.inference.timeline import PersonTimeline, Timeline
from skelab.pose.landmarks import Landmarks
from skelab.viewer.film import encode_mp4, need_av
from skelab.viewer.picture import THEMES

LONGEST_SIDE: Final = 1280
"""Pixels of the film."""

LANDMARK_BONES: Final = (
    *((11, 12), (23, 24), (11, 23), (12, 24)),
    *((11, 13), (13, 15), (15, 17), (15, 19), (15, 21)),
    *((12, 14), (14, 16), (16, 18), (16, 20), (16, 22)),
    *((23, 25), (25, 27), (27, 29), (29, 31), (27, 31)),
    *((24, 26), (26, 28), (28, 30), (30, 32), (28, 32)),
    *((7, 0), (0, 8)),
)
"""Pairs of BlazePose's landmarks between which a limb is drawn."""

_SEEN: Final = 0.3  # least visibility of a landmark that is drawn


def write_overlay(path: Path, video: Path, landmarks: Landmarks, timeline: Timeline) -> None:
    """Write the video as mp4, with bodies and actions drawn over it, whole or not at all.

    Raises:
        VideoError: The video cannot be decoded, or is another than that of the landmarks.
        OutputError: The film cannot be written, or PyAV is not installed.
    """
    need_av()
    rate = landmarks.info.frames_per_second
    with VideoReader(video, frames_per_second=rate, longest_side=LONGEST_SIDE) as reader:
        size = (_even(reader.info.width), _even(reader.info.height))
        with atomic_write(path) as temporary:
            encode_mp4(temporary, _pictures(reader, size, landmarks, timeline), size, rate)


def _pictures(
    reader: VideoReader, size: tuple[int, int], landmarks: Landmarks, timeline: Timeline
) -> Iterator[UInt8[ndarray, "H W 3"]]:
    scale = reader.info.width / landmarks.info.width
    people = {person.person: person for person in timeline.people}
    rows: dict[int, list[int]] = {}
    for row, number in enumerate(landmarks.frames.tolist()):
        rows.setdefault(number, []).append(row)
    count = 0
    for frame in reader:
        picture = Image.fromarray(frame.picture).resize(size)
        pen = ImageDraw.Draw(picture)
        for row in rows.get(frame.number, ()):
            body = int(landmarks.bodies[row])
            points = landmarks.picture[row, :, :2].astype(np.float64) * scale
            seen = landmarks.visibility[row] >= _SEEN
            draw_body(pen, points, seen.tolist(), colour_of(body), size[1])
            _label(pen, points, body, people.get(body), frame.time, size)
        count += 1
        yield np.asarray(picture)
    if count != landmarks.info.num_frames:
        raise VideoError(
            f"{reader.path}: expected the video of the landmarks with {landmarks.info.num_frames:,}"
            f" pictures, found {count:,}"
        )


def colour_of(body: int) -> str:
    """The colour of a person, as the player has it."""
    colours = THEMES["dark"].bodies
    return colours[(body - 1) % len(colours)][0]


def draw_body(
    pen: ImageDraw.ImageDraw,
    points: Float[ndarray, "33 2"],
    seen: list[bool],
    colour: str,
    height: int,
) -> None:
    """Draw the limbs between landmarks that are seen."""
    wide = max(2, height // 180)
    for one, two in LANDMARK_BONES:
        if seen[one] and seen[two]:
            ends = [tuple(points[one].tolist()), tuple(points[two].tolist())]
            pen.line(ends, fill=colour, width=wide)
    for place, here in zip(points.tolist(), seen, strict=True):
        if here:
            x, y = place
            pen.ellipse((x - wide, y - wide, x + wide, y + wide), fill=colour)


def _label(
    pen: ImageDraw.ImageDraw,
    points: Float[ndarray, "33 2"],
    body: int,
    person: PersonTimeline | None,
    seconds: float,
    size: tuple[int, int],
) -> None:
    """Number and action above the head."""
    segment = person.at(seconds) if person else None
    text = f"{body}" if segment is None else f"{body}: {segment.action} {segment.probability:.0%}"
    font = ImageFont.load_default(size=max(14, size[1] // 36))
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    wide, high = right - left + 10, bottom - top + 10
    x = min(max(float(points[:, 0].mean()) - wide / 2, 0), max(size[0] - wide, 0))
    y = min(max(float(points[:, 1].min()) - high - 12, 0), max(size[1] - high, 0))
    pen.rectangle((x, y, x + wide, y + high), fill="#14171a")
    pen.text((x + 5 - left, y + 5 - top), text, fill=colour_of(body), font=font)


def _even(length: int) -> int:
    return max(2, length - length % 2)
