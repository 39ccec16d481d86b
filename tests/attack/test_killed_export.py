"""An export that is killed leaves nothing behind that stops or changes the next one."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from export_kit import family_checkpoint, needs_export

from skelab.inference.network import open_network

TRIES = 10
IDLE = 120.0  # seconds without any processor time after which an export counts as hanging


def start_export(checkpoint: Path, out: Path) -> subprocess.Popen[bytes]:
    words = ["export", str(checkpoint), str(out), "--to", "torch"]
    return subprocess.Popen(
        [sys.executable, "-m", "skelab", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_when(export: subprocess.Popen[bytes], is_due: Callable[[], bool]) -> None:
    """Kill a process by SIGKILL once something is due, unless it has ended."""
    while export.poll() is None and not is_due():
        time.sleep(0.005)
    export.kill()
    export.communicate()


def refuse_to_hang(export: subprocess.Popen[bytes]) -> None:
    """Wait for a process by its processor time, since a busy machine may be slow."""
    spent, since = 0.0, time.monotonic()
    while export.poll() is None:
        with contextlib.suppress(psutil.Error):  # it has just ended
            now = sum(psutil.Process(export.pid).cpu_times()[:2])
            if now > spent:
                spent, since = now, time.monotonic()
        if time.monotonic() - since > IDLE:
            export.kill()
            pytest.fail(f"the export hangs after {spent:.1f} s of processor time")
        time.sleep(0.1)


def export_again(checkpoint: Path, out: Path) -> None:
    export = start_export(checkpoint, out)
    refuse_to_hang(export)
    _, errors = export.communicate()
    assert export.returncode == 0, errors.decode()
    assert list(out.parent.iterdir()) == [out]
    assert open_network(out, trust=True).spec.target == "torch"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "net.ckpt"
    family_checkpoint(path, "stgcn")
    return path


@pytest.mark.slow
@needs_export
def test_an_export_to_torch_runs_through_after_one_that_was_killed_at_any_moment(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "net.pt2"
    out.parent.mkdir()
    since = time.monotonic()
    export_again(checkpoint, out)
    whole = time.monotonic() - since

    for number in range(TRIES):
        out.unlink(missing_ok=True)
        due = time.monotonic() + whole * (number + 1) / (TRIES + 1)
        kill_when(start_export(checkpoint, out), lambda due=due: time.monotonic() >= due)  # type: ignore[misc]

    out.unlink(missing_ok=True)
    export_again(checkpoint, out)


@pytest.mark.slow
@needs_export
def test_an_export_to_torch_runs_through_after_one_that_was_killed_while_writing(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "net.pt2"
    out.parent.mkdir()

    kill_when(start_export(checkpoint, out), lambda: any(out.parent.iterdir()))

    out.unlink(missing_ok=True)
    export_again(checkpoint, out)
