"""Files that are read whole: regular ones of bounded size, and nothing that waits or never ends."""

import os
import socket
from pathlib import Path

import pytest

from skelab.files.reading import read_start, read_whole, special_kind


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "clip.npy"
    path.write_bytes(b"12345")

    assert read_whole(path) == b"12345"
    assert read_start(path, 3) == b"123"
    assert special_kind(path) is None


def test_a_link_to_a_file_is_read_as_the_file(tmp_path: Path) -> None:
    (tmp_path / "clip.npy").write_bytes(b"12345")
    (tmp_path / "link.npy").symlink_to("clip.npy")

    assert read_whole(tmp_path / "link.npy") == b"12345"


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "clip.npy"
    os.mkfifo(path)

    with pytest.raises(OSError, match="expected a file, found a named pipe"):
        read_whole(path)
    assert read_start(path, 3) == b""
    assert special_kind(path) == "a named pipe"


def test_a_link_to_a_device_without_an_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.npy"
    path.symlink_to("/dev/zero")

    with pytest.raises(OSError, match="expected a file, found a device"):
        read_whole(path)
    assert read_start(path, 3) == b""
    assert special_kind(path) == "a device"


def test_a_socket_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket may have 108 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("clips")

        assert special_kind(tmp_path / "clips") == "a socket"


def test_a_file_of_more_bytes_than_allowed_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(OSError, match="expected at most 1,000 bytes, found 1,099,511,627,776"):
        read_whole(path, largest=1000)


def test_a_folder_and_nothing_are_no_special_kind(tmp_path: Path) -> None:
    assert special_kind(tmp_path) is None
    assert special_kind(tmp_path / "none") is None
    with pytest.raises(IsADirectoryError):
        read_whole(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_whole(tmp_path / "none")


def test_a_name_with_a_zero_byte_begins_with_nothing() -> None:
    assert read_start(Path("a\0b"), 3) == b""
