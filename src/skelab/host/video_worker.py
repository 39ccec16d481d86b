"""The child process of :mod:`skelab.host.video`: decodes the video on stdin.

On stdout it writes a line of JSON about the video; then of each picture a line with its time and
the bytes of the picture; and at the end a line that says so. A line with ``error`` ends it.
"""

import json
import math
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Any, BinaryIO, Final

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8
from numpy import ndarray

from skelab.host.worker_process import die_with_parent

CODECS: Final = frozenset(
    (
        *("h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp8", "vp9", "libvpx", "libvpx-vp9"),
        *("mpeg4", "msmpeg4v2", "msmpeg4v3", "mpeg1video", "mpeg2video", "h263", "mjpeg"),
        *("wmv1", "wmv2", "wmv3", "vc1", "prores", "dnxhd", "ffv1", "huffyuv", "rawvideo"),
    )
)
"""Decoders that are used; all others are refused."""

_STRICT: Final = "crccheck+bitstream+buffer+explode"
_CUT_OFF: Final = 0.5  # s by which a video may end before its claimed length
_ROUNDING: Final = 1e-6  # s
_QUARTER: Final = 90  # degrees


class _RefusedError(Exception):
    """What is wrong with the video, in a line."""


class _Stdin:
    """The file on stdin, without a name: FFmpeg must not learn where it lies."""

    name = ""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def main() -> None:
    """Decode; the order is the first argument."""
    die_with_parent()
    order = json.loads(sys.argv[1])
    _limit(order)
    answers = sys.stdout.buffer
    try:
        _decode(sys.stdin.buffer, order, answers)
    except _RefusedError as error:
        _say(answers, error=str(error))
    except MemoryError:
        _say(answers, error=_too_large(order))
    except av.FFmpegError as error:
        if error.errno == 12:  # ENOMEM
            _say(answers, error=_too_large(order))
        else:
            _say(answers, error=f"cannot be decoded: {_reason(error)}")


def _limit(order: dict[str, Any]) -> None:
    """No more memory than allowed, and no file written."""
    for what, most in ((resource.RLIMIT_AS, order["memory"]), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(what, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _decode(file: BinaryIO, order: dict[str, Any], answers: IO[bytes]) -> None:
    with av.open(_Stdin(file), format=order["container"]) as container:
        stream = _video_of(container, order)
        told = False
        shape: tuple[int, int] = (0, 0)
        for seconds, frame in _resampled(_timed(container, stream, order), order["rate"]):
            picture = _upright(frame, order["longest_side"])
            if not told:
                shape = picture.shape[:2]
                _say(answers, **_about(stream, frame, picture, order))
                told = True
            elif picture.shape[:2] != shape:
                raise _RefusedError(
                    f"at {seconds:.2f} s: expected pictures of one size, found another"
                )
            _say(answers, time=seconds)
            answers.write(np.ascontiguousarray(picture).data)
        if not told:
            raise _RefusedError("expected at least one picture, found none")
        _say(answers, end=True)


def _video_of(container: Any, order: dict[str, Any]) -> VideoStream:
    """The video stream of the file, checked before anything of it is decoded."""
    if not container.streams.video:
        raise _RefusedError("expected a video, found a file without pictures")
    stream: VideoStream = container.streams.video[0]
    context = stream.codec_context
    if context is None or context.codec.name not in CODECS:
        name = "an unknown one" if context is None else context.codec.name
        raise _RefusedError(f"expected a usual codec, say h264, hevc, vp9 or av1, found {name}")
    _check_size(context.width, context.height, order)
    context.options = {"err_detect": _STRICT, "max_pixels": str(order["pixels"])}
    context.thread_count = 1
    return stream


def _check_size(width: int, height: int, order: dict[str, Any]) -> None:
    if width * height > order["pixels"]:
        raise _RefusedError(
            f"expected pictures of at most {order['pixels']:,} pixels, found {width} x {height};"
            " scale the video down first"
        )


def _timed(
    container: Any, stream: VideoStream, order: dict[str, Any]
) -> Iterator[tuple[float, VideoFrame]]:
    """Pictures with seconds since the first, in the order in which they are shown."""
    rate = float(stream.average_rate or 25)
    first = last = None
    number = 0
    progress = _Progress()
    frames = _frames(container, stream, progress)
    while True:
        try:
            frame = next(frames, None)
        except av.FFmpegError as error:
            if error.errno == 12:
                raise
            when = "at the start" if last is None else f"after {last:.2f} s"
            raise _RefusedError(
                f"is damaged {when}: {_reason(error)}; cut it there, or convert it anew"
            ) from None
        if frame is None:
            break
        _check_size(frame.width, frame.height, order)
        stamp = number / rate if frame.time is None else float(frame.time)
        number += 1
        first = stamp if first is None else first
        at = stamp - first
        if last is not None and at <= last:
            continue  # shown at the same time as the one before, or earlier
        if frame.is_corrupt:
            raise _RefusedError(f"is damaged after {at:.2f} s; cut it there, or convert it anew")
        if at > order["length"]:
            raise _RefusedError(f"expected at most {order['length']:,.0f} s, found a longer video")
        last = at
        yield at, frame
    if last is not None:
        _check_end(last + 1 / rate, _claimed(stream))
        if container.duration:
            begun = (container.start_time or 0) / av.time_base
            _check_end(progress.reached - begun, container.duration / av.time_base)


def _check_end(found: float, claimed: float | None) -> None:
    if claimed is not None and found < claimed - _CUT_OFF:
        raise _RefusedError(
            f"expected {claimed:.2f} s as the file claims, found {found:.2f} s: it is cut off or"
            " damaged"
        )


@dataclass
class _Progress:
    """How far a file was read.

    Attributes:
        reached: End of the latest packet of pictures or sound, seconds.
    """

    reached: float = 0.0


def _frames(container: Any, stream: VideoStream, progress: _Progress) -> Iterator[VideoFrame]:
    """Every picture; a packet that is marked as damaged ends it."""
    for packet in container.demux():
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            progress.reached = max(progress.reached, end)
        if packet.stream is not stream:
            continue
        if packet.is_corrupt:
            raise _RefusedError("is damaged or cut off: a packet of it is not whole")
        yield from packet.decode()


def _resampled(
    frames: Iterator[tuple[float, VideoFrame]], rate: float | None
) -> Iterator[tuple[float, VideoFrame]]:
    """Pictures at even times, each the nearest in time; all of them without a rate."""
    if rate is None:
        yield from frames
        return
    count = number = 0
    before: tuple[float, VideoFrame] | None = None
    for at, frame in frames:
        if before is not None:
            while number / rate < (before[0] + at) / 2:
                yield number / rate, before[1]
                number += 1
        before = at, frame
        count += 1
    if before is not None:
        interval = before[0] / (count - 1) if count > 1 else 1 / rate
        while number == 0 or number / rate < before[0] + interval - _ROUNDING:
            yield number / rate, before[1]
            number += 1


def _upright(frame: VideoFrame, longest_side: int | None) -> UInt8[ndarray, "H W 3"]:
    """The picture as it is to be seen: square pixels, turned, not larger than asked."""
    wide, high = _square(frame)
    scale = 1.0 if longest_side is None else min(1.0, longest_side / max(wide, high))
    wide, high = max(1, round(wide * scale)), max(1, round(high * scale))
    picture = frame.to_ndarray(format="rgb24", width=wide, height=high)
    turned: UInt8[ndarray, "H W 3"] = np.rot90(picture, round(frame.rotation / _QUARTER) % 4)
    return turned


def _square(frame: VideoFrame) -> tuple[float, float]:
    """Width and height with pixels as wide as they are high."""
    shape = getattr(frame, "sample_aspect_ratio", None) or Fraction(1)
    return (frame.width * float(shape) if 0 < shape < 8 else frame.width), frame.height


def _about(
    stream: VideoStream,
    frame: VideoFrame,
    picture: UInt8[ndarray, "H W 3"],
    order: dict[str, Any],
) -> dict[str, Any]:
    return {
        "width": picture.shape[1],
        "height": picture.shape[0],
        "frames_per_second": order["rate"] or float(stream.average_rate or 25),
        "rotation": round(frame.rotation / _QUARTER) % 4 * _QUARTER,
        "container": order["container"],
        "codec": stream.codec_context.codec.name,
        "seconds": _claimed(stream),
    }


def _claimed(stream: VideoStream) -> float | None:
    """Length that the file claims for its pictures, seconds."""
    if not stream.duration or stream.time_base is None:
        return None
    seconds = float(stream.duration * stream.time_base)
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _too_large(order: dict[str, Any]) -> str:
    return f"needs more than {order['memory'] >> 20:,} MiB to be decoded"


def _reason(error: "av.FFmpegError") -> str:
    return " ".join((error.strerror or str(error)).split()).lower()


def _say(answers: IO[bytes], **content: object) -> None:
    answers.write(json.dumps(content).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
