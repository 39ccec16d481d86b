"""Reader of NTU RGB+D ``.skeleton`` files: every line checked, nothing chosen, nothing moved.

A file is the number of frames; then for each frame the number of bodies; for each body a line of
10 fields (id, six flags, two leans, tracking state), the number of joints, 25, and as many lines
of 12 fields (x y z in metres, two pixels of the depth and two of the colour image, an orientation
of four, tracking state). Lines end in LF or CRLF; blank lines may follow the last one.

Well-formed files are read by compiled code where it was built. Whatever it does not take, the
plain path reads, which converts all joints at once with numpy; and whatever that does not take,
the exact path reads line by line: it accepts any spacing, and names the first line that is wrong.
A file comes out the same, bit for bit, whichever path reads it.

Source: field order of ``Matlab/read_skeleton_file.m``, shahroudy/NTURGB-D@ac2ebc8.
"""

import math
import re
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.errors import SkeletonFileError
from skelab.files.reading import read_whole
from skelab.native import TrackedPoses, read_plain_poses

NUM_JOINTS = 25
_MAX_BODIES = 127  # in one frame; the Kinect tracks six
_BODY_FIELDS = 10
_JOINT_FIELDS = 12
_POSITION = ("x", "y", "z")
_TRACKING_STATES = (0.0, 1.0, 2.0)

_SPACE = re.compile(r"[ \t\r\v\f]+")
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
_BODY_ID = re.compile(r"\d{1,40}", re.ASCII)
_NUMBER = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE
)
_PLAIN = b"0123456789+-.eE \n"  # what the fast path takes: no NaN, no tab, no other byte


class _Pose(NamedTuple):
    """One body in one frame, its joints being the next 25 that were read."""

    frame: int
    slot: int
    body: str


def read_skeleton_file(path: Path) -> RawClip:
    """Read one NTU RGB+D file: every tracked body, in metres, in the frame of the Kinect v2.

    Args:
        path: The file.

    Returns:
        The bodies by id, as ``parse_skeleton`` gives them.

    Raises:
        SkeletonFileError: The file cannot be read, or a field is missing or malformed; the
            message names file, line, what was expected and what was found.
    """
    try:
        data = read_whole(Path(path))
    except OSError as error:
        raise SkeletonFileError(
            f"{path}: expected a .skeleton file, found none that can be read:"
            f" {error.strerror or error}"
        ) from error
    return parse_skeleton(data, str(path))


def parse_skeleton(data: bytes, where: str) -> RawClip:
    """Parse the content of an NTU RGB+D ``.skeleton`` file.

    Coordinates must be finite. The pixel positions and orientations are not kept; they must be
    numbers, but may be NaN or infinite, as where a joint lies outside of the image.

    Args:
        data: The whole content.
        where: What errors call the file.

    Returns:
        Bodies by id in order of first appearance, with frames, position in the list of the frame
        (slot), joints (F, 25, 3) float64 in metres and tracking states. Frames without a body
        are counted in ``num_frames``. An id that is listed twice in one frame keeps both entries,
        in order, under the same frame number.

    Raises:
        SkeletonFileError: A field is missing or malformed, or something follows the last frame;
            the message names file, line, what was expected and what was found.

    Source: field order of ``Matlab/read_skeleton_file.m``, shahroudy/NTURGB-D@ac2ebc8.
    """
    poses = read_plain_poses(data)
    if poses is not None:
        return _compiled_clip(poses)
    data = data.replace(b"\r\n", b"\n")
    try:
        return _parse_plain(data)
    except (ValueError, IndexError):
        return _ExactParser(data.split(b"\n"), where).parse()


def _compiled_clip(poses: TrackedPoses) -> RawClip:
    """The clip of poses that are sorted by body id; its arrays share their memory."""
    bodies = {}
    start = 0
    for body, size in zip(poses.bodies, poses.sizes, strict=True):
        own = slice(start, start + size)
        bodies[body] = BodyTrack(
            frames=poses.frames[own],
            joints=poses.joints[own],
            tracking=poses.tracking[own],
            slots=poses.slots[own],
        )
        start += size
    return RawClip(poses.num_frames, bodies)


def _parse_plain(data: bytes) -> RawClip:
    """The clip in a file of plain numbers with single spaces.

    Raises:
        ValueError: Something is unusual or wrong.
        IndexError: The file ends too early.
    """
    if data.translate(None, _PLAIN):
        raise ValueError("not only plain numbers")
    lines = data.decode("ascii").rstrip("\n").split("\n")
    num_frames, poses, joint_lines = _walk(lines)
    fields = _numbers(joint_lines)
    if fields.shape != (len(poses) * NUM_JOINTS, _JOINT_FIELDS):
        raise ValueError("a blank line among the joints, or another number of fields")
    fields = fields.reshape(len(poses), NUM_JOINTS, _JOINT_FIELDS)
    if not np.isfinite(fields[..., :3]).all():
        raise ValueError("a coordinate is out of range")
    if not np.isin(fields[..., -1], _TRACKING_STATES).all():
        raise ValueError("an unknown tracking state")
    return _clip(num_frames, poses, fields)


def _walk(lines: list[str]) -> tuple[int, list[_Pose], list[str]]:
    """The number of frames, what each body line says, and the lines of all joints."""
    poses: list[_Pose] = []
    joint_lines: list[str] = []
    num_frames = _plain_count(lines[0])
    at = 1
    for frame in range(num_frames):
        num_bodies = _plain_count(lines[at])
        at += 1
        if num_bodies > _MAX_BODIES:
            raise ValueError("too many bodies")
        for slot in range(num_bodies):
            body, *others = lines[at].split(" ")
            known = len([float(field) for field in others]) == _BODY_FIELDS - 1
            if not known or not _BODY_ID.fullmatch(body) or lines[at + 1] != str(NUM_JOINTS):
                raise ValueError("not a body of 25 joints")
            poses.append(_Pose(frame, slot, body))
            at += 2 + NUM_JOINTS
            joint_lines += lines[at - NUM_JOINTS : at]
    if at != len(lines):
        raise ValueError("too few joints, or something behind the last frame")
    return num_frames, poses, joint_lines


def _plain_count(line: str) -> int:
    if not _COUNT.fullmatch(line):
        raise ValueError("not a count")
    return int(line)


def _numbers(lines: list[str]) -> Float64[ndarray, "L F"]:
    """The fields of lines that all have as many; numpy's reader raises ValueError otherwise."""
    if not lines:
        return np.empty((0, _JOINT_FIELDS))
    if not lines[0].strip():
        raise ValueError("a blank line among the joints")
    return np.loadtxt(lines, dtype=np.float64, comments=None, ndmin=2)


class _ExactParser:
    """Reads line by line and knows its line number, so that an error can name it."""

    def __init__(self, lines: list[bytes], where: str) -> None:
        while lines and not lines[-1].strip():
            lines.pop()
        self._lines = lines
        self._where = where
        self._at = 0  # lines read so far, so the number of the last line read

    def parse(self) -> RawClip:
        """The whole file."""
        poses: list[_Pose] = []
        fields: list[list[float]] = []
        num_frames = self._count("a frame count")
        for frame in range(num_frames):
            num_bodies = self._count("a body count")
            if num_bodies > _MAX_BODIES:
                self._fail(f"a body count of at most {_MAX_BODIES}", str(num_bodies))
            for slot in range(num_bodies):
                poses.append(_Pose(frame, slot, self._body()))
                num_joints = self._count(f"a joint count of {NUM_JOINTS}")
                if num_joints != NUM_JOINTS:
                    self._fail(f"a joint count of {NUM_JOINTS}", str(num_joints))
                fields += [self._joint() for _ in range(NUM_JOINTS)]
        if self._at < len(self._lines):
            expected = "the end of the file after the last frame"
            self._fail(expected, _shown(self._line(expected)))
        shape = (len(poses), NUM_JOINTS, _JOINT_FIELDS)
        return _clip(num_frames, poses, np.array(fields, dtype=np.float64).reshape(shape))

    def _line(self, expected: str) -> str:
        """The next line without the white space around it."""
        self._at += 1
        if self._at > len(self._lines):
            self._fail(expected, "the end of the file")
        return self._lines[self._at - 1].strip().decode("latin-1")

    def _count(self, expected: str) -> int:
        line = self._line(expected)
        if not _COUNT.fullmatch(line):
            self._fail(expected, _shown(line))
        return int(line)

    def _body(self) -> str:
        expected = f"a body of {_BODY_FIELDS} fields"
        body, *others = self._fields(expected, _BODY_FIELDS)
        if not _BODY_ID.fullmatch(body):
            self._fail("a body id of digits", _shown(body))
        for field in others:
            self._number("a number for a body", field)
        return body

    def _joint(self) -> list[float]:
        fields = self._fields(f"a joint of {_JOINT_FIELDS} fields", _JOINT_FIELDS)
        numbers = [self._number("a number for a joint", field) for field in fields]
        for axis, field, number in zip(_POSITION, fields, numbers, strict=False):
            if not math.isfinite(number):
                self._fail(f"a finite {axis} of a joint", _shown(field))
        if numbers[-1] not in _TRACKING_STATES:
            self._fail("a tracking state of 0, 1 or 2", _shown(fields[-1]))
        return numbers

    def _fields(self, expected: str, size: int) -> list[str]:
        line = self._line(expected)
        fields = _SPACE.split(line) if line else []
        if len(fields) != size:
            counted = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            self._fail(expected, f"{counted}: {_shown(line)}")
        return fields

    def _number(self, expected: str, field: str) -> float:
        if not _NUMBER.fullmatch(field):
            self._fail(expected, _shown(field))
        return float(field)

    def _fail(self, expected: str, found: str) -> NoReturn:
        raise SkeletonFileError(
            f"{self._where}, line {self._at}: expected {expected}, found {found}"
        )


def _clip(num_frames: int, poses: list[_Pose], fields: Float64[ndarray, "B 25 12"]) -> RawClip:
    """Sort B poses by body id."""
    entries: dict[str, list[int]] = {}
    for index, pose in enumerate(poses):
        entries.setdefault(pose.body, []).append(index)
    frames = np.array([pose.frame for pose in poses], dtype=np.int32)
    slots = np.array([pose.slot for pose in poses], dtype=np.int8)
    bodies = {}
    for body, indices in entries.items():
        own = fields[indices]
        bodies[body] = BodyTrack(
            frames=frames[indices],
            joints=np.ascontiguousarray(own[..., :3]),
            tracking=own[..., -1].astype(np.int8),
            slots=slots[indices],
        )
    return RawClip(num_frames, bodies)


def _shown(text: str) -> str:
    """What was found, quoted and short enough for one line."""
    return ascii(text if len(text) <= 40 else f"{text[:40]}...")
