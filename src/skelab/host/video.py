"""Pictures of a video file, decoded by PyAV in a child process with limits.

A video may come from anybody, and decoders are large programs in C. So the child gets an open file
and no path, is told the container's format instead of guessing it, and has limits of memory, time
and pixels; whatever happens to it, the caller gets one line.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from skelab.errors import OutputError, SourceError, VideoError
from skelab.files.reading import special_kind

INSTALL: Final = "pip install 'skeleton-action-lab[video]'"

VIDEO_SUFFIXES: Final = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts"),
)
"""How the names of video files end."""

_KINDS: Final = "mp4 or mov, Matroska or WebM, AVI, MPEG (program or transport stream)"
_WORKER: Final = "skelab.host.video_worker"
_HEAD: Final = 400  # bytes, which is two packets of a transport stream
_PACKET: Final = 188  # bytes of a transport stream's packet
_PIECE: Final = 1 << 20
_LONGEST_LINE: Final = 1 << 16
_UNREADABLE: Final = "the decoder's answer cannot be read"
_LIST_STARTS: Final = (
    b"#EXTM3U",
    b"ffconcat",
    b"[playlist]",
    b"<?xml",
    b"<MPD",
    b"<smil",
    b"file ",
)


@dataclass(frozen=True)
class VideoLimits:
    """What decoding a video may take.

    Attributes:
        pixels: Of one picture; the default is DCI 4K.
        memory: Address space of the child process, bytes.
        seconds: Without a picture, until the child is given up.
        length: Seconds of video.
    """

    pixels: int = 4096 * 2160
    memory: int = 3 << 30
    seconds: float = 60.0
    length: float = 4 * 3600.0


@dataclass(frozen=True)
class VideoInfo:
    """What a video says of itself.

    Attributes:
        width: Of the pictures as they are given: upright, and scaled down where that was asked.
        height: Likewise.
        frames_per_second: Of the pictures as they are given; the video's average where no rate was
            asked for.
        rotation: Degrees, counter-clockwise, by which pictures were turned to be upright.
        container: Format of the file.
        codec: How it is compressed.
        seconds: Length that the file claims; None where it claims none.
    """

    width: int
    height: int
    frames_per_second: float
    rotation: int
    container: str
    codec: str
    seconds: float | None


@dataclass(frozen=True)
class VideoFrame:
    """One picture of a video.

    Attributes:
        number: From 0.
        time: Seconds since the first picture.
        picture: Red, green, blue.
    """

    number: int
    time: float
    picture: UInt8[ndarray, "H W 3"] = field(repr=False)


class VideoReader:
    """Decodes a video, picture after picture; a context manager, and an iterator.

    Args:
        path: A file: mp4, mov, Matroska, WebM, AVI or MPEG.
        frames_per_second: Resample to this rate by the pictures' time stamps: each of the even
            times gets the picture nearest to it. None gives every picture once.
        longest_side: Scale larger pictures down to this, pixels; None keeps them.
        limits: What decoding may take.

    Attributes:
        info: What the video says of itself.

    Raises:
        SourceError: There is no such file, or it is a pipe or a device.
        OutputError: PyAV is not installed.
        VideoError: It is no video of a known format, is damaged, cut off, too large or too long,
            or has no picture. Damage further on is found while the pictures are read.
    """

    info: VideoInfo

    def __init__(
        self,
        path: Path,
        *,
        frames_per_second: float | None = None,
        longest_side: int | None = None,
        limits: VideoLimits | None = None,
    ) -> None:
        self.path = Path(path)
        self._limits = limits or VideoLimits()
        self._pending = bytearray()
        self._files = ExitStack()
        container = container_of(self.path)
        _need_av()
        order = {
            **asdict(self._limits),
            "container": container,
            "rate": frames_per_second,
            "longest_side": longest_side,
        }
        try:
            self._process = self._start(order)
            self.info = VideoInfo(**self._message())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        process = getattr(self, "_process", None)
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._files.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        shape = (self.info.height, self.info.width, 3)
        size = self.info.height * self.info.width * 3
        number = 0
        while True:
            message = self._message()
            if "end" in message:
                return
            picture = np.frombuffer(self._take(size), dtype=np.uint8).reshape(shape)
            yield VideoFrame(number, float(message["time"]), picture)
            number += 1

    def _start(self, order: dict[str, Any]) -> "subprocess.Popen[bytes]":
        video = self._files.enter_context(self.path.open("rb"))
        self._errors: IO[bytes] = self._files.enter_context(
            tempfile.TemporaryFile()  # noqa: SIM115 - closed with all others
        )
        return subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-P", "-m", _WORKER, json.dumps(order)],
            stdin=video,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )

    def _message(self) -> dict[str, Any]:
        """The next line of the child; a VideoError where it reports one."""
        while (end := self._pending.find(b"\n")) < 0:
            if len(self._pending) > _LONGEST_LINE:
                raise VideoError(f"{self.path}: {_UNREADABLE}")
            self._receive()
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        try:
            message: dict[str, Any] = json.loads(line)
        except ValueError:
            raise VideoError(f"{self.path}: {_UNREADABLE}") from None
        if "error" in message:
            raise VideoError(f"{self.path}: {message['error']}")
        return message

    def _take(self, size: int) -> bytearray:
        while len(self._pending) < size:
            self._receive()
        taken, self._pending = self._pending[:size], self._pending[size:]
        return taken

    def _receive(self) -> None:
        """More bytes of the child; a VideoError where it has ended or stands still."""
        pipe = self._process.stdout
        if pipe is None:
            raise RuntimeError("the process was started without a pipe")
        until = time.monotonic() + self._limits.seconds
        with selectors.DefaultSelector() as ready:
            ready.register(pipe, selectors.EVENT_READ)
            if not ready.select(max(until - time.monotonic(), 0.0)):
                raise VideoError(
                    f"{self.path}: expected a picture within {self._limits.seconds:g} s, found"
                    " none: the video is too heavy for this machine, or made to be"
                )
        piece = os.read(pipe.fileno(), _PIECE)
        if not piece:
            raise VideoError(f"{self.path}: cannot be decoded: {self._last_words()}")
        self._pending += piece

    def _last_words(self) -> str:
        """Why the child has ended."""
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return "the decoder was killed, usually for lack of memory"
        if status < 0:
            return f"the decoder crashed ({signal.Signals(-status).name}): the file is damaged"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"the decoder ended with status {status}"


def container_of(path: Path) -> str:
    """The format of a video file, by its first bytes; no name is trusted.

    Returns:
        FFmpeg's name of it.

    Raises:
        SourceError: There is no such file, or it is a pipe or a device.
        VideoError: It is no video of a known format; a playlist is named as one.
    """
    kind = special_kind(path)
    if kind or path.is_dir():
        raise SourceError(f"{path}: expected a video file, found {kind or 'a folder'}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    if not head:
        raise VideoError(f"{path}: expected a video, found an empty file")
    found = _container(head)
    if found is None:
        listed = any(
            head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(start) for start in _LIST_STARTS
        )
        other = "a playlist or a script, which could name other files" if listed else "another kind"
        raise VideoError(f"{path}: expected a video ({_KINDS}), found {other}")
    return found


def _container(head: bytes) -> str | None:
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(b"\x00\x00\x01\xba"):
        return "mpeg"
    for first, packet in ((0, _PACKET), (4, _PACKET + 4)):  # and as cameras write it, .mts
        if len(head) > first + packet and head[first] == head[first + packet] == 0x47:
            return "mpegts"
    return None


def _need_av() -> None:
    if find_spec("av") is None:
        raise OutputError(f"videos need the package av (PyAV), which is not installed: {INSTALL}")
