"""UTKinect's continuous recordings: frames by id, and a list of actions with its faults."""

from pathlib import Path

import numpy as np
import pytest
from shared_data import shared_data
from untrimmed_files import poses, utkinect_text

from skelab.data.clips.sequence import SEGMENT_LEFT_OUT, RawSequence, Segment
from skelab.data.clips.store import open_store
from skelab.data.datasets import open_source
from skelab.data.datasets.utkinect import UtkinectSource
from skelab.data.ingest import ingest
from skelab.data.recordings.untrimmed import REPEATED, SORTED
from skelab.errors import DataError

IDS = [10, 12, 14, 20, 24, 30, 32]
LIST = "s01_e02\nwalk: 12 20 \nsitDown: 24 30\n"


def folder_of(
    folder: Path, ids: list[int] | None = None, text: str = LIST, name: str = "actionLabel.txt"
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "joints_s01_e02.txt").write_text(utkinect_text(IDS if ids is None else ids))
    (folder / name).write_text(text)
    return folder


def read(folder: Path) -> RawSequence:
    source = open_source(folder)
    raw = source.read(source.items()[0])
    assert isinstance(raw, RawSequence)
    return raw


def damage(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_frames_keep_their_ids_and_the_last_id_belongs_to_the_action(tmp_path: Path) -> None:
    source = open_source(folder_of(tmp_path))
    (item,) = source.items()

    raw = read(tmp_path)

    assert isinstance(source, UtkinectSource)
    assert (item.info.name, item.info.subject, item.info.replication) == ("s01_e02", 1, 2)
    assert item.info.untrimmed
    assert raw.num_frames == 33
    assert raw.bodies["1"].frames.tolist() == IDS
    np.testing.assert_allclose(raw.bodies["1"].joints, poses(7), atol=1e-6)
    assert raw.segments == (Segment(0, 12, 21), Segment(1, 24, 31))


def test_stored_segments_count_the_stored_frames(tmp_path: Path) -> None:
    source = open_source(folder_of(tmp_path / "a"))

    ingest(source, tmp_path / "s.arrow", workers=1, anatomy_check=False)

    store = open_store(tmp_path / "s.arrow")
    assert store.clip(0).frame_numbers.tolist() == IDS
    assert store.segments(0) == (Segment(0, 1, 4), Segment(1, 4, 6))


def test_of_lines_with_one_id_the_first_is_taken_and_noted(tmp_path: Path) -> None:
    raw = read(folder_of(tmp_path, [10, 12, 12, 20, 24, 24, 30]))

    assert raw.bodies["1"].frames.tolist() == [10, 12, 20, 24, 30]
    np.testing.assert_allclose(raw.bodies["1"].joints[1], poses(7)[1], atol=1e-6)
    (note,) = raw.notes
    assert note.cause == REPEATED
    assert note.reason == (
        f"{tmp_path}/joints_s01_e02.txt: expected one line for each frame id, found 2 lines that"
        " repeat the id above; the first of them is taken"
    )


def test_actions_out_of_order_are_sorted_and_a_border_frame_goes_to_the_next(
    tmp_path: Path,
) -> None:
    raw = read(folder_of(tmp_path, text="s01_e02\npush: 20 32\npull: 12 20\n"))

    assert raw.segments == (Segment(7, 12, 20), Segment(6, 20, 33))
    assert [note.cause for note in raw.notes] == [SORTED]


@pytest.mark.parametrize(
    "line", ["carry: NaN NaN", "carry: 12", "jump: 24 30", "carry 24 30", "carry: 24 9999999999"]
)
def test_a_line_that_is_no_action_is_left_out_and_noted(tmp_path: Path, line: str) -> None:
    raw = read(folder_of(tmp_path, text=f"s01_e02\nwalk: 12 20\n{line}\n"))

    assert raw.segments == (Segment(0, 12, 21),)
    (note,) = raw.notes
    assert note.cause == SEGMENT_LEFT_OUT
    assert note.reason == (
        f"{tmp_path}/actionLabel.txt, line 3: expected an action and two frame ids, say walk: 252"
        f" 390, found {line!r}; the segment is left out"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s01_e02\nwalk: 12 24\nsitDown: 20 30\n", "line 3: expected a start from frame 25 on"),
        ("s09_e09\nwalk: 12 24\n", "actionLabel.txt: expected the actions of s01_e02, found none"),
        ("walk: 12 24\n", "line 1: expected a recording such as s01_e01, found 'walk: 12 24'"),
        ("s01_e02\ns01_e02\n", "line 2: s01_e02 stands in the list twice"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in damage(folder_of(tmp_path, text=text))


def test_a_recording_without_a_list_says_which_is_missing(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "actionLabel.txt").unlink()

    assert "actionLabel_modified.txt or actionLabel.txt: expected the actions" in damage(tmp_path)
    assert open_source(tmp_path).rejected == ()


def test_the_corrected_list_goes_before_the_other(tmp_path: Path) -> None:
    folder_of(tmp_path)
    folder_of(tmp_path, text="s01_e02\nthrow: 10 32\n", name="actionLabel_modified.txt")

    assert read(tmp_path).segments == (Segment(5, 10, 33),)


def test_labels_without_a_recording_are_named(tmp_path: Path) -> None:
    source = open_source(folder_of(tmp_path, text=f"{LIST}s02_e01\nwalk: 1 2\n"))

    assert source.rejected == (
        (
            "s02_e01",
            f"{tmp_path}/actionLabel.txt, line 4: expected a recording joints_s02_e01.txt for these"
            " labels, found none",
        ),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-30], "line 7: expected a frame id and 60 numbers, found 5"),
        (lambda text: text.replace("\n24 ", "\n13 ", 1), "line 5: expected a frame id from 20 on"),
        (lambda text: text.replace("\n24 ", "\nx ", 1), "line 5: expected a frame id from 20 on"),
        (lambda text: text + "34 " + "nan " * 60, "line 8: expected finite numbers, found 'nan'"),
        (lambda text: "", "joints_s01_e02.txt: expected a line for each frame, found none"),
    ],
    ids=["cut off", "id falls", "no id", "not a number", "empty"],
)
def test_a_damaged_recording_is_one_line_with_file_and_line(
    tmp_path: Path, change: object, message: str
) -> None:
    path = folder_of(tmp_path) / "joints_s01_e02.txt"
    assert callable(change)
    path.write_text(change(path.read_text()))

    assert message in damage(tmp_path)


def test_the_digest_changes_with_the_list(tmp_path: Path) -> None:
    before = open_source(folder_of(tmp_path)).digest()

    after = open_source(folder_of(tmp_path, text=LIST.replace("12", "14"))).digest()

    assert before != after


def test_the_genuine_recordings_have_ten_actions_each(tmp_path: Path) -> None:
    report = ingest(open_source(shared_data("utkinect")), tmp_path / "s.arrow", workers=1)

    store = open_store(tmp_path / "s.arrow")
    assert (len(store), report.info.excluded) == (10, ())
    for row in range(10):
        segments = store.segments(row) or ()
        assert sorted(segment.label for segment in segments) == list(range(10))
    swapped = {note.name for note in report.info.notes if note.cause == SORTED}
    assert swapped == {"s01_e01", "s05_e02"}
    repeated = [note for note in report.info.notes if note.cause == REPEATED]
    assert len(repeated) == 10


def test_the_list_with_typing_errors_costs_the_recordings_that_it_contradicts(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "joints"
    folder.mkdir()
    for file in shared_data("utkinect", "joints").iterdir():
        if file.name != "actionLabel_modified.txt":
            (folder / file.name).symlink_to(file)

    report = ingest(open_source(folder), tmp_path / "s.arrow", workers=1, max_lost=1.0)

    damaged = [entry for entry in report.info.excluded if entry.cause == "damaged"]
    assert [entry.name for entry in damaged] == ["s03_e01", "s09_e01"]
    assert "segments must not overlap" in damaged[0].reason
