"""A process beside this one that is asked in JSON, a line a message."""

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
    """A process could not do what it was asked to; the message says why."""


class ProcessEndedError(ProcessError):
    """A process has ended without an answer.

    Attributes:
        status: Its exit status; of a process that was ended by a signal, the signal below zero.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the process ended with status {status}: {reason}")
        self.status = status


class AskedProcess:
    """A module of ours, run as a process of its own until the block ends.

    It is in a session of its own: Ctrl-C reaches the process that asked, which ends it and all
    that it has started.

    Args:
        module: Reads one JSON object a line and answers each by one line; an answer with the key
            ``error`` says why there is none.
        environment: Variables that it is given beside ours.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._files = ExitStack()
        self._errors: IO[str] | None = None
        self._pending = b""

    def __enter__(self) -> "AskedProcess":
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
        """End it and all that it has started; another thread that waits for it goes on."""
        with suppress(ProcessLookupError):
            os.killpg(self._running().pid, signal.SIGKILL)

    def ask(self, content: Mapping[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """What it answers.

        Args:
            content: The question.
            seconds: Wait so long at most; None for as long as it takes.

        Raises:
            ProcessEndedError: It has ended.
            ProcessError: It says that it cannot, or it has not answered in time.
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
        """The next line of its answers; empty if there will be none."""
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
        """Why the process has ended: the last line that it left."""
        lines = []
        if self._errors is not None:
            self._errors.seek(0)
            lines = [line.strip() for line in self._errors if line.strip()]
        killed = "it was killed, as a rule for lack of memory"
        return status, killed if status == -signal.SIGKILL else (lines or ["it did not say why"])[
            -1
        ]

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("used outside of its block")
        return self._process


def own_answers() -> TextIO:
    """Where answers go; what libraries print goes to where errors go."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return answers


def die_with_parent() -> None:
    """Let this process be killed when the one that started it ends, where Linux can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
