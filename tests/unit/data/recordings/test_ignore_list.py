"""Lists of samples to leave out, prose and all."""

from pathlib import Path

import pytest

from skelab.data.recordings.ignore_list import read_ignore_list
from skelab.errors import SourceError

AUTHORS_STYLE = """\
Here are the recordings of our set in which the tracker saw nobody.
They should be left out when skeletons are used.
----------------------------------------
S001C002P005R002A008
S001C002P006R001A008
S017C003P020R002A060.skeleton
"""


def test_the_authors_prose_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    path.write_text(AUTHORS_STYLE)

    names = read_ignore_list(path)

    assert names == ("S001C002P005R002A008", "S001C002P006R001A008", "S017C003P020R002A060")


@pytest.mark.parametrize("end", ["\r\n", "  \n", "\n\n\n"])
def test_line_ends_and_blanks_do_not_matter(tmp_path: Path, end: str) -> None:
    path = tmp_path / "missing.txt"
    path.write_bytes(AUTHORS_STYLE.replace("\n", end).encode())

    names = read_ignore_list(path)

    assert len(names) == 3


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    path.write_bytes(b"\xef\xbb\xbfS001C002P005R002A008\n")

    names = read_ignore_list(path)

    assert names == ("S001C002P005R002A008",)


def test_names_of_other_data_sets_are_single_words(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    path.write_text("left out by hand\na23_s5_t4\n\na1_s1_t1\na23_s5_t4\n")

    names = read_ignore_list(path)

    assert names == ("a23_s5_t4", "a1_s1_t1")


def test_a_list_that_names_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    path.write_text("Nothing is missing from this set.\n\n")

    with pytest.raises(SourceError, match=r"missing\.txt: expected one sample name a line"):
        read_ignore_list(path)


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing\.txt: the list of samples cannot be read: No "):
        read_ignore_list(tmp_path / "missing.txt")


def test_a_folder_in_place_of_a_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the list of samples cannot be read: Is a directory"):
        read_ignore_list(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    path.write_bytes(b"\xff\xfe\x00S")

    with pytest.raises(SourceError, match="the list of samples cannot be read: it is not UTF-8"):
        read_ignore_list(path)
