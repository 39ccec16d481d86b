"""PKU-MMD: label files alone, and recordings with labels."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from shared_data import shared_data
from untrimmed_files import pku_skeleton, poses

from skelab.data.clips.sequence import SEGMENT_LEFT_OUT, RawSequence, Segment
from skelab.data.clips.store import open_store
from skelab.data.datasets import open_source
from skelab.data.datasets.ntu import NtuSource
from skelab.data.datasets.pku_mmd import (
    PKU_MMD_CLASSES,
    PkuLabels,
    PkuMmdSource,
    describe_recording,
)
from skelab.data.ingest import ingest
from skelab.data.recordings.untrimmed import DOUBTFUL, SORTED
from skelab.errors import DataError, SourceError

LABELS = "8,2,6,2\n51,6,9,1\n"


def label_folder(folder: Path, text: str = LABELS, name: str = "0291-L") -> Path:
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    (folder / "labels" / f"{name}.txt").write_text(text)
    return folder


def test_labels_count_from_1_and_keep_their_confidence(tmp_path: Path) -> None:
    labels = PkuLabels(label_folder(tmp_path))

    segments, notes = labels.read("0291-L")

    assert labels.names == ("0291-L",)
    assert segments == (Segment(7, 2, 6, 2.0), Segment(50, 6, 9, 1.0))
    assert (PKU_MMD_CLASSES[7], PKU_MMD_CLASSES[50]) == ("drink water", "writing")
    assert notes == ()


def test_a_zip_is_read_like_a_folder_wherever_it_lies(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "V1.zip", "w") as archive:
        archive.writestr("V1/0291-L.txt", LABELS)
        archive.writestr("V1/readme.txt", "no labels")

    beside, itself = PkuLabels(tmp_path), PkuLabels(tmp_path / "V1.zip")

    expected = PkuLabels(label_folder(tmp_path / "folder")).read("0291-L")
    assert beside.names == itself.names == ("0291-L",)
    assert beside.read("0291-L") == itself.read("0291-L") == expected
    assert beside.digest() == itself.digest()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1,4925,4036,2", "expected an end after frame 4925, found 4036"),
        ("52,20,30,2", "expected a label from 1 to 51, found '52,20,30,2'"),
        ("0,20,30,2", "expected a label from 1 to 51, found '0,20,30,2'"),
        ("1,20,30", "expected label,start,end,confidence as whole numbers, found '1,20,30'"),
        ("1,20,x,2", "expected label,start,end,confidence as whole numbers, found '1,20,x,2'"),
    ],
)
def test_a_line_that_is_wrong_is_left_out_with_file_and_line_and_the_rest_goes_on(
    tmp_path: Path, line: str, fault: str
) -> None:
    folder = label_folder(tmp_path, f"8,2,6,2\n{line}\n51,6,9,1\n")

    segments, notes = PkuLabels(folder).read("0291-L")

    assert [segment.start for segment in segments] == [2, 6]
    (note,) = notes
    assert (note.name, note.cause) == ("0291-L", SEGMENT_LEFT_OUT)
    assert note.reason == f"{tmp_path}/labels/0291-L.txt, line 2: {fault}; the segment is left out"


def test_unsorted_lines_and_a_confidence_of_0_are_noted_and_kept(tmp_path: Path) -> None:
    folder = label_folder(tmp_path, "8,20,26,2\n\n9,2,6,0\n")

    segments, notes = PkuLabels(folder).read("0291-L")

    assert [(segment.start, segment.confidence) for segment in segments] == [(2, 0.0), (20, 2.0)]
    assert [note.cause for note in notes] == [SORTED, DOUBTFUL]
    assert notes[1].reason == (
        f"{tmp_path}/labels/0291-L.txt, line 3: expected a confidence of 1 or 2, found 0; the"
        " segment is kept"
    )


def test_labels_of_a_recording_that_has_none_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected labels 0001-M\.txt, found none"):
        PkuLabels(label_folder(tmp_path)).read("0001-M")


def test_a_name_says_recording_and_view() -> None:
    info = describe_recording("0291-R")

    assert (info.replication, info.camera, info.untrimmed) == (291, 3, True)
    with pytest.raises(DataError, match="expected a name like 0002-L"):
        describe_recording("A01N01-L")


def test_labels_alone_are_no_source_and_the_message_says_what_can_be_done(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(label_folder(tmp_path))

    assert str(caught.value) == (
        f"{tmp_path}: expected recordings such as 0291-L.skeleton beside the labels of PKU-MMD,"
        " found 1 label files alone; a store needs joints; `skelab inspect"
        f" {tmp_path}` counts the segments"
    )


def test_a_damaged_archive_beside_holds_no_labels(tmp_path: Path) -> None:
    (tmp_path / "V1.zip").write_bytes(b"PK\x03\x04 and no more")

    assert PkuLabels(tmp_path).names == PkuLabels(tmp_path / "V1.zip").names == ()


def test_recordings_with_labels_become_a_store(tmp_path: Path) -> None:
    folder = label_folder(tmp_path / "pku")
    label_folder(tmp_path / "pku", name="0300-M")
    (folder / "0291-L.skeleton").write_text(pku_skeleton(10, bodies=2))
    (folder / "0292-L.skeleton").write_text(pku_skeleton(10))
    source = open_source(folder)

    report = ingest(source, tmp_path / "s.arrow", workers=1, anatomy_check=False, max_lost=1)

    store = open_store(tmp_path / "s.arrow")
    assert isinstance(source, PkuMmdSource)
    assert store.index.names == ("0291-L",)
    assert store.segments(0) == (Segment(7, 2, 6, 2.0), Segment(50, 6, 9, 1.0))
    assert store.clip(0).joints.shape == (2, 10, 25, 3)
    reasons = {entry.name: entry.reason for entry in report.info.excluded}
    assert "expected labels 0292-L.txt, found none" in reasons["0292-L"]
    assert "expected a recording 0300-M.skeleton for its labels" in reasons["0300-M"]


def test_an_absent_second_body_is_no_body(tmp_path: Path) -> None:
    folder = label_folder(tmp_path)
    (folder / "0291-L.skeleton").write_text(pku_skeleton(9))
    source = open_source(folder)

    raw = source.read(source.items()[0])

    assert isinstance(raw, RawSequence)
    assert list(raw.bodies) == ["1"]
    np.testing.assert_allclose(raw.bodies["1"].joints, poses(9, 25), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pku_skeleton(9)[:-20], "line 9: expected 150 numbers as in the lines above"),
        ("1 2 3\n", "line 1: expected 75 numbers a body"),
        ("0.5 " * 75 + "\n", "line 1: expected 2 bodies of 25 joints, found 1"),
    ],
)
def test_a_damaged_recording_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    folder = label_folder(tmp_path)
    (folder / "0291-L.skeleton").write_text(text)
    source = open_source(folder)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    assert f"0291-L.skeleton, {message}" in str(caught.value)


def test_a_segment_behind_the_end_of_the_recording_is_left_out(tmp_path: Path) -> None:
    folder = label_folder(tmp_path)
    (folder / "0291-L.skeleton").write_text(pku_skeleton(8))
    source = open_source(folder)

    raw = source.read(source.items()[0])

    assert isinstance(raw, RawSequence)
    assert [segment.end for segment in raw.segments] == [6]
    assert "line 2: expected frames from 0 up to 8, found 6 to 9" in raw.notes[0].reason


def test_the_reader_of_ntu_leaves_these_files_alone(tmp_path: Path) -> None:
    (tmp_path / "0291-L.skeleton").touch()

    assert not NtuSource.recognises(tmp_path)


def test_the_genuine_labels_are_read_whole() -> None:
    labels = PkuLabels(shared_data("pku-mmd-labels"))

    read = [labels.read(name) for name in labels.names]

    notes = [note for _, found in read for note in found]
    causes = [note.cause for note in notes]
    assert len(read) == 1076
    assert sum(len(segments) for segments, _ in read) == 21_545 - 1
    assert (causes.count(SORTED), causes.count(DOUBTFUL)) == (18, 135)
    (lost,) = [note for note in notes if note.cause == SEGMENT_LEFT_OUT]
    assert lost.name == "0043-L"
    assert "expected an end after frame 4925, found 4036" in lost.reason
