"""Files that are read in pieces while others write to them."""

from pathlib import Path

import numpy as np
import pytest

from skelab.files.steady import ShorterFileError, SteadyFile


def test_any_piece_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "clips"
    path.write_bytes(bytes(range(100)))

    file = SteadyFile(path)
    target = np.zeros(4, np.float32)
    file.read_into(target, 10)

    assert file.read_at(3, 4) == b"\3\4\5\6"
    assert target.tobytes() == bytes(range(10, 26))
    assert file.size == 100
    assert not file.has_changed()


def test_a_file_that_became_shorter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clips"
    path.write_bytes(bytes(100))
    file = SteadyFile(path)

    with path.open("r+b") as other:
        other.truncate(50)

    with pytest.raises(
        ShorterFileError, match="clips: the file has become shorter while it was re"
    ):
        file.read_at(40, 20)
    with pytest.raises(ShorterFileError, match="clips: the file has become shorter"):
        file.read_into(np.zeros(40, np.uint8), 20)
    assert file.has_changed()
    assert not file.has_changed()


@pytest.mark.parametrize(("start", "count"), [(-1, 4), (0, -4), (101, 1)])
def test_a_piece_that_lies_nowhere_is_refused(tmp_path: Path, start: int, count: int) -> None:
    path = tmp_path / "clips"
    path.write_bytes(bytes(100))

    with pytest.raises(ShorterFileError):
        SteadyFile(path).read_at(start, count)


def test_a_file_that_is_replaced_stays_the_one_that_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "clips"
    path.write_bytes(b"old")
    file = SteadyFile(path)

    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").replace(path)

    assert file.read_at(0, 3) == b"old"
    assert not file.has_changed()
