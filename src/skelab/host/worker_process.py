"""Worker subprocesses that speak JSON lines."""

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import IO, Any, Final, TextIO

_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class ProcessError(Exception):
    """A worker could not answer; the message has the reason."""


class ProcessEndedError(ProcessError):
    """A worker has ended without an answer.

    Attributes:
        status: Its exit status; minus the signal number if a signal ended it.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the process ended with status {status}: {reason}")
        self.status = status


class WorkerProcess:
    """A module of skelab that runs as a worker subprocess; a context manager.

    The worker has its own session: Ctrl-C reaches only the main process, which ends the worker and
    all of its children.

    Args:
        module: Reads one JSON object per line and answers each with one line; the key ``error`` of
            an answer reports a failure.
        environment: Additional environment variables.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._files = ExitStack()
        self._errors: IO[str] | None = None
        self._pending = b""

    def __enter__(self) -> "WorkerProcess":
        errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._errors = self._files.enter_context(errors)
        self._process = subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-P", "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env=self._environment,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        with suppress(BrokenPipeError):
            self._running().communicate()
        self._files.close()

    def kill(self) -> None:
        """Kill the worker and all of its children; a thread that waits for an answer returns."""
        with suppress(ProcessLookupError):
            os.killpg(self._running().pid, signal.SIGKILL)

    def ask(self, content: Mapping[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Args:
            content: The request.
            seconds: Timeout; None for no limit.

        Raises:
            ProcessEndedError: The worker has ended.
            ProcessError: The worker reports a failure, or has not answered in time.
        """
        process = self._running()
        with suppress(BrokenPipeError):
            self._write(process, json.dumps(content).encode() + b"\n")
        line = self._line(process, seconds)
        if not line:
            raise ProcessEndedError(*self._last_words(process.wait()))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ProcessError(answer["error"])
        return answer

    def _write(self, process: "subprocess.Popen[bytes]", data: bytes) -> None:
        if process.stdin is None:
            raise RuntimeError("the process was started without a pipe")
        view = memoryview(data)
        while view:
            view = view[process.stdin.write(view) or 0 :]

    def _line(self, process: "subprocess.Popen[bytes]", seconds: float | None) -> bytes:
        """The next line of the output; empty at its end."""
        if process.stdout is None:
            raise RuntimeError("the process was started without a pipe")
        until = None if seconds is None else time.monotonic() + seconds
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                left = None if until is None else max(until - time.monotonic(), 0.0)
                if not ready.select(left):
                    raise ProcessError(f"no answer after {seconds:.0f} s")
                piece = os.read(process.stdout.fileno(), 1 << 20)
                if not piece:
                    return b""
                self._pending += piece
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _last_words(self, status: int) -> tuple[int, str]:
        """The reason of the end: the last line on stderr."""
        lines = []
        if self._errors is not None:
            self._errors.seek(0)
            lines = [line.strip() for line in self._errors if line.strip()]
        killed = "it was killed, usually for lack of memory"
        return status, killed if status == -signal.SIGKILL else (lines or ["it did not say why"])[
            -1
        ]

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("used outside of its block")
        return self._process


def own_answers() -> TextIO:
    """Reserve stdout for answers; the output of libraries goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return answers


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux only)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
