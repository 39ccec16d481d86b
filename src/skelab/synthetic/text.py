"""The text of a ``.skeleton`` file, formatted from whole arrays.

Numbers have seven significant digits, like those of the Kinect tools. Formatting them one by one
would dominate the run time: each number is looked up in tables as 16 bytes, from which zero bytes
are removed at the end.
"""

import numpy as np
from jaxtyping import Float64, Int64, UInt8, UInt32, UInt64
from numpy import ndarray

from skelab.synthetic.camera import DEPTH_SIZE, orientations, pixels
from skelab.synthetic.exact import Draws
from skelab.synthetic.tracking import Recording

_FIELDS = 12
_CELL = 16  # bytes of a number with its space, before zero bytes are removed
_HEADER = 128  # bytes before a body's joints, likewise

# Classes of size: 0 for zero, 1 from 1e-4, then each power of ten, up to 8 from 1000 to 9999.
# A value that rounds up to the next power with seven digits belongs to the next class.
_BOUNDS = tuple(0.99999995 * 10.0**power for power in range(-4, 4))
_SCALES = np.array([0.0, *(10.0**digits for digits in range(10, 2, -1))])  # to seven digits
_FROM_ONE, _THOUSANDS = 5, 8
_LARGEST = 9999.0


def significant(values: Float64[ndarray, "..."]) -> Float64[ndarray, "..."]:
    """Round values as in the text: to seven significant digits."""
    size = np.abs(values)
    classes = _classes(size)
    whole = np.minimum(np.rint(size * _SCALES[classes]), 9999999.0)
    result: Float64[ndarray, ...] = whole / np.where(classes > 0, _SCALES[classes], 1.0)
    small = (classes == 0) & (size > 0)
    result[small] = [float(f"{value:.7G}") for value in size[small].tolist()]
    signed: Float64[ndarray, ...] = np.where(values < 0, -result, result)
    return signed


def skeleton_text(recording: Recording, draws: Draws) -> bytes:
    """Format a recording as a ``.skeleton`` file; pixels and orientations are derived.

    Args:
        recording: The recording.
        draws: Random numbers for the hand flags.

    Source: field order of ``Matlab/read_skeleton_file.m``, shahroudy/NTURGB-D@ac2ebc8.
    """
    poses = len(recording.frames)
    values = np.empty((poses, 25, _FIELDS))
    values[..., 0:3] = recording.joints
    values[..., 3:7] = pixels(recording.joints)
    values[..., 7:11] = orientations(recording.joints)
    values[..., 11] = recording.states
    rows = np.empty((poses, _HEADER + 25 * _FIELDS * _CELL), dtype=np.uint8)
    headers = np.array(_headers(recording, values, draws), dtype=f"S{_HEADER}")
    rows[:, :_HEADER] = headers.view(np.uint8).reshape(poses, _HEADER)
    _fill(rows[:, _HEADER:].reshape(poses, 25, _FIELDS, _CELL), values)
    tail = b"\n0" * (recording.num_frames - 1 - int(recording.frames[-1]))
    text = rows.tobytes().translate(None, b"\0")
    return b"%d%b%b\n" % (recording.num_frames, text, tail)


def _headers(
    recording: Recording, values: Float64[ndarray, "P 25 12"], draws: Draws
) -> list[bytes]:
    """The text before the joints of each pose, from the frame count to the line "25"."""
    counts = np.bincount(recording.frames, minlength=recording.num_frames).tolist()
    hands = {
        body: "{} {} {} {}".format(*(draws.integer(0, most) for most in (1, 4, 1, 4)))
        for body in dict.fromkeys(recording.ids.tolist())
    }
    spine = recording.joints[:, 20] - recording.joints[:, 0]
    upright = np.maximum(np.abs(spine[:, 1]), 0.05)
    lean = np.clip(spine[:, [0, 2]] / upright[:, None], -1.0, 1.0) * np.array([1.0, -1.0])
    headers, last = [], -1
    for frame, body, clipped, (aside, ahead) in zip(
        recording.frames.tolist(),
        recording.ids.tolist(),
        _clipped_edges(values).tolist(),
        lean.tolist(),
        strict=True,
    ):
        begin = "" if frame == last else "\n0" * (frame - last - 1) + f"\n{counts[frame]}"
        header = f"{begin}\n{body} {clipped} {hands[body]} 0 {aside:.7G} {ahead:.7G} 2\n25"
        headers.append(header.encode())
        last = frame
    return headers


def _clipped_edges(values: Float64[ndarray, "P 25 12"]) -> Int64[ndarray, " P"]:
    """The edges of the depth image that clip a body: right 1, left 2, top 4, bottom 8."""
    image = values[..., 3:5]
    low, high = image.min(axis=1), image.max(axis=1)
    flags = np.zeros(len(image), dtype=np.int64)
    flags |= np.where(high[:, 0] > DEPTH_SIZE[0], 1, 0)
    flags |= np.where(low[:, 0] < 0, 2, 0)
    flags |= np.where(low[:, 1] < 0, 4, 0)
    flags |= np.where(high[:, 1] > DEPTH_SIZE[1], 8, 0)
    return flags


def _classes(size: Float64[ndarray, "..."]) -> Int64[ndarray, "..."]:
    classes = np.zeros(size.shape, dtype=np.int8)
    for bound in _BOUNDS:
        classes += size >= bound
    return classes.astype(np.int64)


def _fill(cells: UInt8[ndarray, "P 25 12 16"], values: Float64[ndarray, "P 25 12"]) -> None:
    """Write each number as 16 bytes: space, sign, leading characters, and digits."""
    size = np.minimum(np.abs(values), _LARGEST)
    classes = _classes(size)
    digits = np.minimum(np.rint(size * _SCALES[classes]), 9999999.0).astype(np.int64)
    upper = digits // 10_000
    lower = digits - upper * 10_000
    words = cells.view(np.uint32)  # P 25 12 4
    cells.view(np.uint64)[..., 0] = _STARTS[classes * 2 + (values < 0)]
    words[..., 2] = _UPPER[(classes * 2 + (lower > 0)) * 1000 + upper]
    words[..., 3] = _LOWER[lower]
    thousands = np.nonzero(classes == _THOUSANDS)
    whole = digits[thousands] // 1000
    words[..., 2][thousands] = _WHOLE[whole]
    words[..., 3][thousands] = _FRACTION[digits[thousands] - whole * 1000]
    for where in np.argwhere((classes == 0) & (values != 0)).tolist():
        written = f" {values[tuple(where)]:.7G}".encode().ljust(_CELL, b"\0")
        cells[tuple(where)] = np.frombuffer(written, dtype=np.uint8)
    cells[:, :, 0, 0] = ord("\n")


def _words(entries: list[str]) -> UInt32[ndarray, " E"]:
    """Words of four bytes, padded with zero bytes."""
    return np.frombuffer("".join(f"{entry:\0<4}" for entry in entries).encode(), dtype=np.uint32)


def _starts() -> UInt64[ndarray, " E"]:
    """Space, sign, and zeros before the first digit; by class and whether it is negative."""
    zeros = ["0", *("0." + "0" * (3 - place) for place in range(4)), *[""] * 4]
    entries = [f" {sign}{zero}" for zero in zeros for sign in ("", "-")]
    joined = "".join(f"{entry:\0<8}" for entry in entries)
    return np.frombuffer(joined.encode(), dtype=np.uint64)


def _uppers() -> list[str]:
    """The first three of seven digits, by class and whether others follow; with the point."""
    entries = []
    for size_class in range(_THOUSANDS + 1):
        point = size_class - _FROM_ONE + 1 if _FROM_ONE <= size_class < _THOUSANDS else 0
        for others in (False, True):
            for digits in (f"{number:03d}" for number in range(1000)):
                text = f"{digits[:point]}.{digits[point:]}" if point else digits
                entries.append(text if others else _shortened(text, point))
    return entries


def _shortened(text: str, point: int) -> str:
    """Without trailing zeros after the decimal point."""
    return text[:point] + text[point:].rstrip("0").rstrip(".")


_STARTS = _starts()
_UPPER = _words(_uppers())
_LOWER = _words([f"{number:04d}".rstrip("0") for number in range(10_000)])
_WHOLE = _words([str(number) for number in range(10_000)])
_FRACTION = _words([f".{number:03d}".rstrip("0").rstrip(".") for number in range(1000)])
