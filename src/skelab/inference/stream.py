"""Streams frames through a causal network, with a prediction after each frame.

Frames come as arrays, or as lines of JSON, one frame a line::

    {"format": 1, "time": 0.033, "bodies": {"7": [[0.1, 1.2, 2.9], …]}}

``bodies`` has the coordinates of every joint of each body that is seen, as recorded, by any name
that stays with the body; it is empty where nobody is. ``time`` is in seconds and may be left out.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float32, Float64
from numpy import ndarray
from torch import nn

from skelab.data.feeding.streams import Stream, derive_stream
from skelab.errors import DataError, NetworkError
from skelab.evaluation import softmax
from skelab.inference.spec import NetworkSpec
from skelab.models.causal import ModelStream

FRAME_FORMAT: Final = 1
"""Version of the lines that are read and written."""

LONGEST_GAP: Final = 1.0
"""Seconds without a frame after which a stream is reset."""

LONGEST_LINE: Final = 1 << 20
"""Maximum size of a line, bytes."""

_ORIGIN: Final = "ctrgcn"
_AS_GIVEN: Final = "as-given"


@dataclass(frozen=True)
class StreamFrame:
    """One frame of a stream, coordinates as recorded.

    Attributes:
        bodies: Coordinates V C of each body that is seen, by its name.
        time: Time stamp, seconds; None if unknown.
    """

    bodies: Mapping[str, Float64[ndarray, "V C"]]
    time: float | None = None


@dataclass(frozen=True)
class StreamAnswer:
    """The prediction after a frame.

    Attributes:
        frame: Number of the frame, from 0, including skipped ones.
        time: Time stamp of the frame.
        top: The most likely classes with probabilities, in descending order; empty for a frame
            that was skipped.
        notes: How an irregular frame was handled.
    """

    frame: int
    time: float | None
    top: tuple[tuple[str, float], ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line of strict JSON."""
        content = {
            "format": FRAME_FORMAT,
            "frame": self.frame,
            "time": self.time,
            "top": [{"class": name, "probability": share} for name, share in self.top],
            "notes": list(self.notes),
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False)


@dataclass
class _Slots:
    """Assigns bodies to the body slots of the network's input."""

    count: int
    names: dict[int, str] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)

    def place(self, bodies: Mapping[str, Any], frame: int) -> tuple[dict[str, int], list[str]]:
        """The slot of each body, and the bodies without one.

        A body keeps its slot. A new one takes a free slot, or else that of the body that has been
        absent longest; a body with a new name is a new body.
        """
        known = {name: place for place, name in self.names.items()}
        placed = {name: known[name] for name in bodies if name in known}
        without = []
        for name in bodies:
            if name in placed:
                continue
            free = [place for place in range(self.count) if place not in placed.values()]
            if not free:
                without.append(name)
                continue
            place = min(free, key=lambda each: (self.seen.get(each, -1), each))
            self.names[place] = name
            placed[name] = place
        self.seen.update(dict.fromkeys(placed.values(), frame))
        return placed, without


class NetworkStream:
    """A stream through a network; made by ``Network.stream``.

    After each frame the answer is that of the clip of all frames so far, within rounding; beyond
    the network's horizon averages are over its latest frames.

    Args:
        spec: Its inputs and outputs.
        model: The network, causal.
        where: Its name in messages.

    Raises:
        NetworkError: The network's stream needs the next frame, or its preprocessing the whole
            recording.
        ModelError: The network looks ahead.
    """

    def __init__(self, spec: NetworkSpec, model: nn.Module, where: str) -> None:
        self.spec = spec
        self.where = where
        self._stream = Stream(spec.stream)
        if self._stream.of_motion:
            raise NetworkError(
                f"{where}: its stream is {spec.stream}, which needs the next frame; train one of"
                " joint or bone: --set data.stream=joint"
            )
        if spec.inputs.pipeline not in (_ORIGIN, _AS_GIVEN):
            raise NetworkError(
                f"{where}: its preprocessing {spec.inputs.pipeline} looks at the whole recording;"
                f" frames of a stream can be prepared as {_ORIGIN} and {_AS_GIVEN} do"
            )
        self._network = ModelStream(model)
        self._frame = -1
        self.restart()

    def restart(self) -> None:
        """Reset the state; frame numbers continue."""
        self._network.restart()
        self._slots = _Slots(self.spec.max_bodies)
        self._origin: Float64[ndarray, " C"] | None = None
        self._time: float | None = None

    @property
    def num_bytes(self) -> int:
        """Size of the state, bytes."""
        return self._network.num_bytes

    def step(self, bodies: Float32[ndarray, "M V C"]) -> Float32[ndarray, " K"]:
        """Logits after another frame of preprocessed coordinates.

        Args:
            bodies: Place m of the clip in row m; zeros, or fewer rows, where a body is absent.

        Raises:
            NetworkError: Joints, coordinates or bodies are others, or a number is not finite.
        """
        spec = self.spec
        _, channels, _, joints, places = spec.shape()
        if bodies.shape[1:] != (joints, channels) or len(bodies) > places:
            raise NetworkError(
                f"{self.where}: expected a frame of up to {places} bodies x {joints} joints of"
                f" {spec.layout.name} x {channels}, found {' x '.join(map(str, bodies.shape))}"
            )
        if not np.isfinite(bodies).all():
            raise NetworkError(f"{self.where}: expected finite coordinates, found NaN or infinity")
        frame = np.zeros((places, joints, channels), dtype=np.float32)
        frame[: len(bodies)] = bodies
        clip = torch.from_numpy(frame).permute(2, 1, 0)[None, :, None]  # 1 C 1 V M
        shown = derive_stream(clip, self._stream, spec.layout)
        logits: Float32[ndarray, " K"] = self._network.step(shown[:, :, 0]).numpy()[0]
        return logits

    def answer(self, frame: StreamFrame, *, top: int = 5) -> StreamAnswer:
        """The prediction after a frame as recorded.

        - A frame that is not later than the one before is left out.
        - After more than ``LONGEST_GAP`` seconds the stream begins anew.
        - A body with coordinates that are not finite is left out of the frame, and so is one for
          which the network has no place.

        Raises:
            DataError: A body has other joints than the network takes.
        """
        self._frame += 1
        notes: list[str] = []
        if frame.time is not None and self._time is not None:
            if frame.time <= self._time:
                notes.append(
                    f"time {frame.time:g} is not after {self._time:g}: the frame is left out"
                )
                return StreamAnswer(self._frame, frame.time, (), tuple(notes))
            if frame.time - self._time > LONGEST_GAP:
                notes.append(
                    f"no frame for {frame.time - self._time:.1f} s: the stream begins anew"
                )
                self.restart()
        self._time = frame.time if frame.time is not None else self._time
        logits = self.step(self._prepared(frame, notes))
        shares = softmax(logits[None])[0]
        likeliest = np.argsort(-shares, kind="stable")[:top]
        named = tuple((self.spec.classes[k], float(shares[k])) for k in likeliest)
        return StreamAnswer(self._frame, frame.time, named, tuple(notes))

    def answers(self, lines: Iterable[bytes], *, top: int = 5) -> Iterator[StreamAnswer]:
        """The prediction after each line of JSON.

        A last line that was cut off is noted, and ends the stream.

        Raises:
            DataError: A line is no frame of the format, or its joints are others; the message says
                which line.
        """
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                frame = parse_frame(line)
            except DataError as error:
                if line.endswith(b"\n"):
                    raise DataError(f"line {number}: {error}") from None
                note = f"line {number} was cut off: the stream ends"
                yield StreamAnswer(self._frame + 1, None, (), (note,))
                return
            try:
                yield self.answer(frame, top=top)
            except DataError as error:
                raise DataError(f"line {number}: {error}") from None

    def _prepared(self, frame: StreamFrame, notes: list[str]) -> Float32[ndarray, "M V C"]:
        """The bodies in their slots, centred as in the network's preprocessing."""
        layout, channels = self.spec.layout, self.spec.model.in_channels
        finite = {}
        for name, joints in frame.bodies.items():
            if joints.shape != (layout.num_joints, channels):
                raise DataError(
                    f"body {name!r:.40}: expected {layout.num_joints} joints of {layout.name} with"
                    f" {channels} coordinates, found {' x '.join(map(str, joints.shape))}"
                )
            if np.isfinite(joints).all():
                finite[name] = joints
            else:
                notes.append(f"body {name!r:.40} has coordinates that are not finite: left out")
        places, without = self._slots.place(finite, self._frame)
        notes += [f"no place for body {name!r:.40}: left out" for name in without]
        made = np.zeros((self.spec.max_bodies, layout.num_joints, channels))
        for name, place in places.items():
            made[place] = finite[name]
        if self.spec.inputs.pipeline == _ORIGIN and places:
            if self._origin is None:
                self._origin = made[min(places.values()), layout.origin].copy()
            for place in places.values():
                made[place] -= self._origin
        return made.astype(np.float32)


def parse_frame(line: bytes | str) -> StreamFrame:
    """Read one line of a stream.

    Raises:
        DataError: It is no JSON, of another format, or a body is no list of joints.
    """
    if len(line) > LONGEST_LINE:
        raise DataError(f"expected a frame of at most {LONGEST_LINE:,} bytes, found a longer line")
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(
            'expected a frame, say {"format": 1, "time": 0.03, "bodies": {"1": [[x, y, z], …]}},'
            f" found {line[:40]!a}"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FRAME_FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise DataError(f'expected "format": {FRAME_FORMAT}, found {found!r:.40}')
    unknown = content.keys() - {"format", "time", "bodies"}
    if unknown or not isinstance(content.get("bodies"), dict):
        raise DataError(
            f'expected the keys format, time and bodies, bodies being {{"name": joints}}, found'
            f" {', '.join(map(repr, content))[:80]}"
        )
    time = content.get("time")
    if time is not None and not (_is_number(time) and math.isfinite(time)):
        raise DataError(f"time: expected seconds, found {time!r:.40}")
    bodies = {name: _coordinates(name, joints) for name, joints in content["bodies"].items()}
    return StreamFrame(bodies, None if time is None else float(time))


def _coordinates(name: str, joints: object) -> Float64[ndarray, "V C"]:
    try:
        made = np.array(joints, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        made = np.empty(0)
    if made.ndim != 2:
        raise DataError(
            f"body {name!r:.40}: expected a list of joints, each a list of numbers, found another"
            " thing"
        )
    return made


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
