"""One owner at a time, among real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skelab.errors import TrainingError
from skelab.files.lock import hold_lock, lock_beside
from skelab.files.owner import Owner, is_alive, start_of

HOLDER = """
import sys, time
from pathlib import Path
from skelab.errors import TrainingError
from skelab.files.lock import hold_lock

with hold_lock(Path(sys.argv[1]), "run", TrainingError):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is told to end."""
    words = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_names_its_owner_and_goes_with_the_block(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"

    with hold_lock(path, "run", TrainingError):
        owner = json.loads(path.read_bytes())

    assert owner["pid"] == os.getpid()
    assert owner["host"] == socket.gethostname()
    assert owner["started"] == start_of(os.getpid()) > 0
    assert list(tmp_path.iterdir()) == []  # the folder was made for it alone


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"

    with hold_lock(path, "run", TrainingError):
        (tmp_path / "run" / "recipe.yaml").write_text("name: a")

    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["recipe.yaml"]


def test_what_another_process_holds_is_refused_and_the_process_named(tmp_path: Path) -> None:
    path = tmp_path / ".lock"

    with (
        holder(path) as process,
        pytest.raises(TrainingError) as caught,
        hold_lock(path, "run", TrainingError),
    ):
        pass

    assert f"run: process {process.pid} on {socket.gethostname()}, since 2" in str(caught.value)
    assert str(caught.value).endswith(f"If it has ended, remove {path}")


def test_what_this_process_holds_is_refused_too_and_stays_held(tmp_path: Path) -> None:
    path = tmp_path / ".lock"

    with hold_lock(path, "run", TrainingError):
        with (
            pytest.raises(TrainingError, match=f"run: process {os.getpid()} on"),
            hold_lock(path, "run", TrainingError),
        ):
            pass
        other = subprocess.run(
            [sys.executable, "-c", HOLDER, str(path)], input="", capture_output=True, text=True
        )

    assert other.returncode == 1
    assert f"run: process {os.getpid()} on" in other.stderr


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert json.loads(path.read_bytes())["pid"] == process.pid

    with hold_lock(path, "run", TrainingError):
        assert json.loads(path.read_bytes())["pid"] == os.getpid()

    assert not path.exists()


def test_a_child_that_outlives_a_killed_owner_does_not_keep_his_lock(tmp_path: Path) -> None:
    # As the workers of a loader do, for some seconds.
    path = tmp_path / ".lock"
    script = HOLDER.replace(
        '    print("held"', '    import os\n    if os.fork() == 0: time.sleep(30)\n    print("held"'
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()
        process.wait()

        with hold_lock(path, "run", TrainingError):
            pass

        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("pid", ["dead", "recycled"])
def test_a_lock_file_of_a_process_that_is_gone_is_taken_over(tmp_path: Path, pid: str) -> None:
    path = tmp_path / ".lock"
    number, started = (2**22 + 1, 7) if pid == "dead" else (os.getppid(), 1)
    left = {"pid": number, "host": socket.gethostname(), "started": started, "since": ""}
    path.write_text(json.dumps(left))

    with hold_lock(path, "run", TrainingError):
        pass

    assert not path.exists()


def test_a_lock_file_of_a_live_process_is_honoured_though_the_kernel_knows_of_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / ".lock"
    parent = os.getppid()
    left = {"pid": parent, "host": socket.gethostname(), "started": start_of(parent), "since": ""}
    path.write_text(json.dumps(left))

    with (
        pytest.raises(TrainingError, match=f"run: process {parent} on"),
        hold_lock(path, "run", TrainingError),
    ):
        pass

    assert path.exists()


def test_where_there_are_no_locks_another_machine_counts_as_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".lock"
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": 5, "since": ""}))

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    with hold_lock(path, "run", TrainingError):
        pass
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": 5, "since": ""}))
    monkeypatch.setattr("fcntl.lockf", no_locks)
    with (
        pytest.raises(TrainingError, match="run: process 1 on elsewhere is at work there"),
        hold_lock(path, "run", TrainingError),
    ):
        pass


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", '{"pid": "x"}'])
def test_a_lock_file_that_names_nobody_is_taken_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".lock"
    path.write_text(text)

    with hold_lock(path, "run", TrainingError):
        pass

    assert not path.exists()


def test_of_many_that_come_at_once_one_at_a_time_gets_in(tmp_path: Path) -> None:
    script = (
        "import sys, os, time\nfrom pathlib import Path\n"
        "from skelab.errors import TrainingError\nfrom skelab.files.lock import hold_lock\n"
        "folder = Path(sys.argv[1])\ngot = 0\nend = time.monotonic() + 2\n"
        "while time.monotonic() < end:\n"
        "    try:\n"
        "        with hold_lock(folder / '.lock', 'run', TrainingError):\n"
        "            os.mkdir(folder / 'inside')\n"  # fails if two are inside
        "            got += 1\n"
        "            os.rmdir(folder / 'inside')\n"
        "    except TrainingError:\n"
        "        pass\n"
        "print(got)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]

    crowd = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    counts = [int(process.communicate()[0]) for process in crowd]

    assert [process.returncode for process in crowd] == [0] * 4
    assert sum(counts) > 10
    assert list(tmp_path.iterdir()) == []


def test_a_process_is_alive_until_it_has_ended() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        started = start_of(process.pid)
        alive = is_alive(process.pid, started)
        another = is_alive(process.pid, started + 1)
        process.kill()
        process.poll()

    assert alive
    assert not another
    assert not is_alive(process.pid, started)


def test_an_owner_is_described_in_words() -> None:
    assert str(Owner(7, "lab", 5, "2026-11-30 10:00:00")) == (
        "process 7 on lab, since 2026-11-30 10:00:00"
    )
    assert Owner(7, "elsewhere", 5).is_alive()


def test_the_lock_of_a_file_lies_beside_it() -> None:
    assert lock_beside(Path("a/store.arrow")) == Path("a/.store.arrow.lock")
