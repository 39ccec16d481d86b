"""PRECOG's csv files: scripts of actions with a label for each frame."""

from pathlib import Path

import numpy as np
import pytest
from shared_data import shared_data
from untrimmed_files import PRECOG_HEAD, poses, precog_folder, precog_text

from skelab.data.clips.sequence import RawSequence, Segment
from skelab.data.clips.store import open_store
from skelab.data.datasets import open_source
from skelab.data.datasets.precog import PRECOG_CLASSES, PrecogSource
from skelab.data.ingest import ingest
from skelab.errors import DataError

LABELS = [0, 0, 1, 1, 1, 0, 8, 8, 0]


def read(folder: Path) -> RawSequence:
    source = open_source(folder)
    raw = source.read(source.items()[0])
    assert isinstance(raw, RawSequence)
    return raw


def test_a_file_is_a_sequence_with_script_and_subject(tmp_path: Path) -> None:
    source = open_source(precog_folder(tmp_path, Seq3_11=LABELS, Seq1_2=LABELS))

    infos = [item.info for item in source.items()]

    assert isinstance(source, PrecogSource)
    assert [(info.name, info.script, info.subject) for info in infos] == [
        ("Seq1_2", 1, 2),
        ("Seq3_11", 3, 11),
    ]
    assert all(info.untrimmed and info.label is None for info in infos)
    assert (source.classes, source.layout.name) == (PRECOG_CLASSES, "kinect20")


def test_joints_labels_and_segments_are_those_of_the_file(tmp_path: Path) -> None:
    raw = read(precog_folder(tmp_path, Seq1_2=LABELS))

    np.testing.assert_allclose(raw.bodies["1"].joints, poses(9), rtol=1e-5)
    assert raw.frame_labels is not None
    assert raw.frame_labels.tolist() == [-1, -1, 0, 0, 0, -1, 7, 7, -1]
    assert raw.segments == (Segment(0, 2, 5), Segment(7, 6, 8))
    assert (raw.actors_chosen, raw.notes) == (True, ())


def test_a_hole_inside_an_action_is_closed_and_noted(tmp_path: Path) -> None:
    raw = read(precog_folder(tmp_path, Seq1_2=[0, 2, 0, 0, 2, 2, 6]))

    assert raw.segments == (Segment(1, 1, 6), Segment(5, 6, 7))
    assert raw.frame_labels is not None
    assert raw.frame_labels.tolist() == [-1, 1, -1, -1, 1, 1, 5]
    (note,) = raw.notes
    assert note.reason == (
        f"{tmp_path}/csv/Seq1_2.csv, line 4: expected the label of the frames before and after,"
        " found 2 without an action; the segment goes on"
    )


def test_a_file_of_zeros_is_left_out_by_name_and_reason(tmp_path: Path) -> None:
    folder = precog_folder(tmp_path / "a", Seq1_2=LABELS)
    (folder / "csv" / "Seq2_10.csv").write_text(precog_text(LABELS, scale=0))

    report = ingest(
        open_source(folder), tmp_path / "s.arrow", workers=1, anatomy_check=False, max_lost=1
    )

    (lost,) = report.info.excluded
    assert (lost.name, lost.cause) == ("Seq2_10", "no body")
    assert lost.reason.startswith("csv/Seq2_10.csv: expected a body in at least one frame")
    assert open_store(tmp_path / "s.arrow").index.names == ("Seq1_2",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("Head", "Neck"), "line 1: expected the headline HipCenter;"),
        (lambda text: text.replace(PRECOG_HEAD + "\n", ""), "line 1: expected the headline"),
        (lambda text: text[:-40], "line 10: expected 60 numbers as in the lines above"),
        (lambda text: text[:-2], "line 10: expected 60 numbers as in the lines above"),
        (lambda text: text[:-1] + "9", "line 10: expected a label of the data set (0, 1, 2,"),
    ],
    ids=["another joint", "no headline", "cut off", "no label", "label out of range"],
)
def test_a_damaged_file_is_one_line_with_file_and_line(
    tmp_path: Path, change: object, message: str
) -> None:
    folder = precog_folder(tmp_path, Seq1_2=LABELS)
    path = folder / "csv" / "Seq1_2.csv"
    assert callable(change)
    path.write_text(change(path.read_text()))

    with pytest.raises(DataError) as caught:
        read(folder)

    assert str(caught.value).startswith(f"{path}, {message}")
    assert "\n" not in str(caught.value)


def test_the_genuine_set_has_five_actions_a_sequence(tmp_path: Path) -> None:
    source = open_source(shared_data("precog"))

    report = ingest(source, tmp_path / "s.arrow", workers=1)

    store = open_store(tmp_path / "s.arrow")
    segments = [store.segments(row) or () for row in range(len(store))]
    assert (len(store), report.info.excluded) == (32, ())
    assert {len(each) for each in segments} == {5}
    scripts = {1: [0, 1, 4, 5, 2], 3: [0, 3, 5, 6, 2], 5: [6, 4, 0, 3, 5], 6: [6, 4, 2, 7, 5]}
    for row, each in enumerate(segments):
        assert [segment.label for segment in each] == scripts[int(store.index.scripts[row])]
    assert sorted({note.name for note in report.info.notes}) == ["Seq1_10"]
