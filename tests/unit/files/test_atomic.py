"""Files that appear whole or not at all, whatever happens while they are written."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from skelab.errors import OutputError
from skelab.files.atomic import atomic_folder, atomic_write, folder_beside, write_error


def write_half(path: Path, failure: BaseException) -> None:
    """Begin to write ``path``, then fail."""
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        raise failure


def test_a_file_written_to_the_end_is_there_under_its_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"

    with atomic_write(path) as temporary:
        temporary.write_text("whole")

    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_stands_under_the_final_name_while_the_block_runs(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"

    with atomic_write(path) as temporary:
        temporary.write_text("half")
        seen, beside = path.exists(), temporary.parent == path.parent

    assert not seen
    assert beside


def test_missing_folders_on_the_way_are_made(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "first" / "recipe.yaml"

    with atomic_write(path) as temporary:
        temporary.write_text("whole")

    assert path.read_text() == "whole"


def test_a_file_that_was_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    path.write_text("old")

    with atomic_write(path) as temporary:
        temporary.write_text("new")

    assert path.read_text() == "new"


def test_the_mode_is_what_the_umask_leaves_and_not_the_private_one_of_a_temporary(
    tmp_path: Path,
) -> None:
    path = tmp_path / "scores.npz"
    before = os.umask(0o027)

    try:
        with atomic_write(path) as temporary:
            temporary.write_text("whole")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_error_in_the_block_passes_through_and_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    path.write_text("old")

    with pytest.raises(ZeroDivisionError):
        write_half(path, ZeroDivisionError())

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_in_the_block_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    path.write_text("old")

    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt())

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_in_the_block_is_named_and_loses_nothing(
    tmp_path: Path, number: int
) -> None:
    path = tmp_path / "store.arrow"
    path.write_text("old")

    with pytest.raises(OutputError, match=r"store\.arrow: the disk is full") as caught:
        write_half(path, OSError(number, os.strerror(number)))

    assert "What was there before is untouched" in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_turns_out_full_only_when_flushed_is_caught_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.arrow"
    path.write_text("old")

    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="the disk is full"), atomic_write(path) as temporary:
        temporary.write_text("new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_without_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.arrow"

    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with (
        pytest.raises(OutputError, match=r"store\.arrow: cannot be written: Permission denied"),
        atomic_write(path),
    ):
        pass

    assert not path.exists()


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")

    with (
        pytest.raises(OutputError, match=r"cannot be written: (Not a directory|File exists)"),
        atomic_write(tmp_path / "runs" / "recipe.yaml"),
    ):
        pass

    assert (tmp_path / "runs").read_text() == "a file"


def test_a_folder_where_the_file_should_be_is_named_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "store.arrow"
    path.mkdir()

    with pytest.raises(OutputError, match="cannot be written"), atomic_write(path) as temporary:
        temporary.write_text("new")

    assert list(tmp_path.iterdir()) == [path]


def test_only_a_durable_file_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Path] = []
    monkeypatch.setattr("skelab.files.atomic._flush", waited.append)

    for durable in (False, True):
        with atomic_write(tmp_path / f"{durable}", durable=durable) as temporary:
            temporary.write_text("whole")
        assert (tmp_path / f"{durable}").read_text() == "whole"
        assert len(waited) == 2 * durable


def test_an_error_without_words_of_the_system_is_still_worded() -> None:
    error = OSError("the cable was pulled")

    message = str(write_error(Path("store.arrow"), error))

    assert message == "store.arrow: cannot be written: the cable was pulled"


def test_a_process_killed_while_it_writes_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_text("old")
    script = (
        "import os, sys, pathlib\n"
        "from skelab.files.atomic import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )

    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)

    assert killed.returncode == -9
    assert path.read_text() == "old"


KILLED = """
import os, sys, time
from pathlib import Path
from skelab.files.atomic import atomic_folder, atomic_write, folder_beside

path = Path(sys.argv[2])
if sys.argv[1] == "file":
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), 9)
make = {"folder": atomic_folder, "parts": folder_beside}[sys.argv[1]]
with make(path) as folder:
    (folder / "a").write_text("half")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("what", ["file", "folder", "parts"])
def test_what_a_killed_process_has_left_is_removed_by_the_next_one(
    tmp_path: Path, what: str
) -> None:
    path = tmp_path / "x.npz"
    words = [sys.executable, "-c", KILLED, what, str(path)]
    assert subprocess.run(words, check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1

    if what == "parts":
        with folder_beside(path):
            pass
    else:
        with atomic_write(path) as temporary:
            temporary.write_text("whole")

    assert [entry.name for entry in tmp_path.iterdir()] == ["x.npz"] * (what != "parts")


def test_what_a_process_is_still_writing_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"

    with atomic_write(path) as one:
        one.write_text("one")
        with atomic_write(path) as two:
            two.write_text("two")
        assert path.read_text() == "two"

    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "arrays"

    with atomic_folder(path) as folder:
        (folder / "a").write_text("1")
        assert not path.exists()
        (folder / "b").write_text("2")

    assert sorted(entry.name for entry in path.iterdir()) == ["a", "b"]
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o777 & ~0o022


def test_files_of_a_folder_are_put_beside_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "arrays"
    path.mkdir()
    (path / "notes").write_text("mine")
    (path / "a").write_text("old")

    with atomic_folder(path) as folder:
        (folder / "a").write_text("new")

    assert (path / "notes").read_text() == "mine"
    assert (path / "a").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def fill_a_disk(path: Path) -> None:
    """Begin to write a folder, then fail."""
    with atomic_folder(path) as folder:
        (folder / "a").write_text("1")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="arrays: the disk is full"):
        fill_a_disk(tmp_path / "arrays")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 250 + ".npz", "ü" * 125 + ".npz"])
def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path: Path, name: str) -> None:
    with atomic_write(tmp_path / name) as temporary:
        temporary.write_text("whole")

    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_worded(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="cannot be written: the name is too long"),
        atomic_write(tmp_path / ("x" * 300 + ".npz")) as temporary,
    ):
        temporary.write_text("whole")

    assert list(tmp_path.iterdir()) == []
