"""Untrimmed recordings of one's own: a table of segments, or a label a frame."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from skelab.data.clips.sequence import SEGMENT_LEFT_OUT, RawSequence, Segment
from skelab.data.datasets import open_source
from skelab.data.recordings import CustomSource
from skelab.errors import DataError, SourceError

STICK = {
    "joints": ["head", "hip", "left foot", "right foot"],
    "bones": [["head", "hip"], ["hip", "left foot"], ["right foot", "hip"]],
    "centre": "hip",
}
TABLE = "name,subject,script\none,3,1\n"
CLASSES = ["none", "wave", "sit"]


def data_set(folder: Path, recording: Any = None, table: str = TABLE, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"name": "own", "layout": STICK, **changes}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(content))
    (folder / "clips.csv").write_text(table)
    if isinstance(recording, str):
        (folder / "one.csv").write_text(recording)
    else:
        np.save(folder / "one.npy", np.ones((8, 4, 3)) if recording is None else recording)
    return folder


def labelled_csv(labels: list[str], separator: str = ",") -> str:
    return "".join(separator.join(["0.5"] * 12 + [label]) + "\n" for label in labels)


def read(folder: Path) -> RawSequence:
    source = open_source(folder)
    raw = source.read(source.items()[0])
    assert isinstance(raw, RawSequence)
    return raw


def segment_table(folder: Path, lines: str, **changes: Any) -> Path:
    made = data_set(folder, sequences={"segments": "segments.csv"}, classes=CLASSES, **changes)
    (folder / "segments.csv").write_text(f"name,label,start,end,confidence\n{lines}")
    return made


def frame_labels(folder: Path, recording: Any, form: str = "last", **options: Any) -> Path:
    about = {"frame_labels": form, **options}
    return data_set(folder, recording, sequences=about, classes=CLASSES)


def test_a_table_of_segments_labels_recordings_by_name(tmp_path: Path) -> None:
    folder = segment_table(tmp_path, "one,sit,4,8,\none,wave,0,3,0.5\n")

    source, raw = open_source(folder), read(folder)

    (item,) = source.items()
    assert source.classes == ("wave", "sit")
    assert (item.info.subject, item.info.script, item.info.label) == (3, 1, None)
    assert item.info.untrimmed
    assert raw.segments == (Segment(0, 0, 3, 0.5), Segment(1, 4, 8))
    assert raw.frame_labels is None
    assert [note.cause for note in raw.notes] == ["sorted by time"]


def test_classes_are_taken_from_the_table_of_segments_where_none_are_listed(
    tmp_path: Path,
) -> None:
    folder = data_set(tmp_path, sequences={"segments": "segments.csv"})
    (folder / "segments.csv").write_text("name,label,start,end\none,wave,0,3\none,bow,3,5\n")

    assert open_source(folder).classes == ("bow", "wave")
    assert [segment.label for segment in read(folder).segments] == [1, 0]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("one,sit,6,5,", "expected an end after frame 6, found 5"),
        ("one,sit,6,9,", "expected frames from 0 up to 8, found 6 to 9"),
        (
            "one,run,6,8,",
            "expected a label of the data set (0, 1, 2, wave, sit, none), found 'run'",
        ),
        ("one,none,6,8,", "expected an action, found 'none'"),
        ("one,sit,six,8,", "start: expected a whole number of frames, found 'six'"),
        ("one,sit,6,,", "end: expected a whole number of frames, found ''"),
        ("one,sit,6,8,sure", "confidence: expected a number from 0, found 'sure'"),
    ],
)
def test_a_segment_that_is_wrong_is_left_out_and_the_rest_goes_on(
    tmp_path: Path, line: str, fault: str
) -> None:
    raw = read(segment_table(tmp_path, f"one,wave,0,3,\n{line}\n"))

    assert raw.segments == (Segment(0, 0, 3),)
    (note,) = raw.notes
    assert (note.name, note.cause) == ("one", SEGMENT_LEFT_OUT)
    assert note.reason.startswith(f"{tmp_path}/segments.csv, line 3")
    assert note.reason.endswith(f"{fault}; the segment is left out")


def test_segments_that_overlap_cost_the_recording(tmp_path: Path) -> None:
    folder = segment_table(tmp_path, "one,wave,0,3,\none,sit,2,5,\n")

    with pytest.raises(DataError) as caught:
        read(folder)

    assert str(caught.value) == (
        f"{tmp_path}/segments.csv, line 3: expected a start from frame 3 on, where the segment of"
        f" {tmp_path}/segments.csv, line 2 ends, found 2; segments must not overlap"
    )


def test_segments_of_a_recording_that_is_not_in_the_table_are_named(tmp_path: Path) -> None:
    source = open_source(segment_table(tmp_path, "one,wave,0,3,\ntwo,sit,2,5,\n"))

    assert source.rejected == (
        ("two", f"{tmp_path}/segments.csv, line 3: expected a clip of the table, found 'two'"),
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("labels", [list("0122001"), ["none", "wave", "sit", "sit", "", "0", "1"]])
def test_the_last_field_of_a_line_may_be_the_label_of_the_frame(
    tmp_path: Path, labels: list[str], separator: str
) -> None:
    if "" in labels:
        labels = [label or "none" for label in labels]
    text = labelled_csv(labels, separator)

    raw = read(frame_labels(tmp_path, text, separator=separator))

    assert raw.frame_labels is not None
    assert raw.frame_labels.tolist() == [-1, 0, 1, 1, -1, -1, 0]
    assert raw.segments == (Segment(0, 1, 2), Segment(1, 2, 4), Segment(0, 6, 7))


def test_holes_are_closed_up_to_the_length_that_is_asked_for(tmp_path: Path) -> None:
    raw = read(frame_labels(tmp_path, labelled_csv(list("10110001")), bridge=1))

    assert raw.segments == (Segment(0, 0, 4), Segment(0, 7, 8))
    assert [note.cause for note in raw.notes] == ["hole closed"]


def test_labels_may_lie_in_a_file_beside_an_array(tmp_path: Path) -> None:
    folder = frame_labels(tmp_path, None, ".labels.txt")
    (folder / "one.labels.txt").write_text("0\n0\nwave\nwave\n2\n2\n2\n0\n")

    raw = read(folder)

    assert raw.segments == (Segment(0, 2, 4), Segment(1, 4, 7))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("0\n" * 7, "line 8: expected 8 labels, one for each frame of one.npy, found 7"),
        ("0\n" * 9, "line 9: expected 8 labels, one for each frame of one.npy, found 9"),
        ("0\n" * 7 + "9\n", "line 8: expected a label of the data set (0, 1, 2, wave, sit, none)"),
    ],
)
def test_labels_of_frames_that_do_not_fit_are_refused(
    tmp_path: Path, labels: str, message: str
) -> None:
    folder = frame_labels(tmp_path, None, ".labels.txt")
    (folder / "one.labels.txt").write_text(labels)

    with pytest.raises(DataError) as caught:
        read(folder)

    assert str(caught.value).startswith(f"{tmp_path}/one.labels.txt, {message}")


def test_a_csv_file_cut_in_the_middle_of_a_line_is_refused(tmp_path: Path) -> None:
    folder = frame_labels(tmp_path, labelled_csv(list("0112"))[:-9])

    with pytest.raises(DataError) as caught:
        read(folder)

    assert str(caught.value).startswith(f"{tmp_path}/one.csv, line 4: expected 12 numbers as in")


def test_an_array_has_no_last_field(tmp_path: Path) -> None:
    folder = frame_labels(tmp_path, None)

    with pytest.raises(DataError, match="expected a csv file whose lines end with a label"):
        read(folder)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ({}, "expected either segments or frame_labels"),
        ({"segments": "a", "frame_labels": "last"}, "expected either segments or frame_labels"),
        ({"frame_labels": "labels"}, "expected 'last' or an ending such as '.labels.txt'"),
        ({"segments": "a", "bridge": -1}, "sequences.bridge: Input should be greater than"),
        (
            {"segments": "a", "hole": 1},
            "sequences.hole: unknown key 'hole'. Known: background, bridge",
        ),
    ],
)
def test_what_dataset_yaml_says_of_sequences_is_checked(
    tmp_path: Path, sequences: dict[str, Any], message: str
) -> None:
    folder = data_set(tmp_path, sequences=sequences, classes=CLASSES)

    with pytest.raises(SourceError) as caught:
        open_source(folder)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_of_frames_need_a_list_of_classes(tmp_path: Path) -> None:
    folder = data_set(tmp_path, labelled_csv(["1"]), sequences={"frame_labels": "last"})

    with pytest.raises(SourceError, match="expected classes, since labels of frames do not name"):
        _ = CustomSource(folder).classes


def test_a_table_of_segments_lacks_no_column_silently(tmp_path: Path) -> None:
    folder = segment_table(tmp_path, "")
    (folder / "segments.csv").write_text("name,label,start\none,wave,2\n")

    with pytest.raises(SourceError) as caught:
        _ = CustomSource(folder).rejected

    assert str(caught.value) == (
        f"{tmp_path}/segments.csv, line 1: expected the columns name, label, start and end (and"
        " any of confidence), found name, label, start"
    )


def test_an_untrimmed_recording_has_no_label_of_its_own(tmp_path: Path) -> None:
    folder = segment_table(tmp_path, "one,wave,0,3,\n", table="name,label\none,wave\n")

    ((name, reason),) = open_source(folder).rejected[:1]

    assert name == "one"
    assert "line 2: expected no label for an untrimmed recording, found 'wave'" in reason


def test_the_digest_changes_with_the_labels(tmp_path: Path) -> None:
    beside = frame_labels(tmp_path / "a", None, ".labels.txt")
    table = segment_table(tmp_path / "b", "one,wave,0,3,\n")
    digests = [open_source(folder).digest() for folder in (beside, table)]

    (beside / "one.labels.txt").write_text("0\n" * 8)
    (table / "segments.csv").write_text("name,label,start,end\none,wave,0,4\n")

    for folder, before in zip((beside, table), digests, strict=True):
        assert open_source(folder).digest() != before


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"classes": CLASSES}, [0, 1]),
        ({"classes": ["wave", "sit"], "labels_from": 1}, [0, 1]),
        ({"labels_from": 1}, [0, 1]),
    ],
)
def test_segments_are_counted_from_where_the_data_set_counts(
    tmp_path: Path, changes: dict[str, Any], wanted: list[int]
) -> None:
    folder = data_set(tmp_path, sequences={"segments": "segments.csv"}, **changes)
    (folder / "segments.csv").write_text("name,label,start,end\none,1,0,3\none,2,3,5\n")

    raw = read(folder)

    assert [segment.label for segment in raw.segments] == wanted


def test_segments_counted_from_one_need_a_word_on_it(tmp_path: Path) -> None:
    folder = data_set(tmp_path, sequences={"segments": "segments.csv"}, classes=["wave", "sit"])
    (folder / "segments.csv").write_text("name,label,start,end\none,1,0,3\none,2,3,5\n")

    with pytest.raises(SourceError, match=r"segments\.csv: expected labels from 0, found 1"):
        CustomSource(folder).items()


def test_a_background_that_is_called_zero_needs_a_word_on_the_first_class(tmp_path: Path) -> None:
    about = {"frame_labels": "last", "background": "0"}
    folder = data_set(
        tmp_path, labelled_csv(list("0112")), sequences=about, classes=["wave", "sit"]
    )
    with pytest.raises(SourceError, match="expected labels from 0, found 1 as the smallest"):
        CustomSource(folder).items()

    counted = data_set(
        tmp_path / "b",
        labelled_csv(list("0112")),
        sequences=about,
        classes=["wave", "sit"],
        labels_from=1,
    )

    labels = read(counted).frame_labels
    assert labels is not None
    assert labels.tolist() == [-1, 0, 0, 1]
