"""Sequences from recordings to a store, to a table of segments, and to trimmed clips."""

from pathlib import Path

import numpy as np
import pytest
from tiny_clips import CLASSES, tiny_clip, tiny_info
from untrimmed_files import precog_folder, tiny_sequence

from skelab.data.clips.sequence import SEGMENT_LEFT_OUT, Segment, UntrimmedSequence
from skelab.data.clips.store import open_store
from skelab.data.clips.write import write_store
from skelab.data.convert import convert
from skelab.data.copying import copy_clips
from skelab.data.cutting import cut_segments
from skelab.data.datasets import open_source, parse_split
from skelab.data.ingest import ingest
from skelab.data.opened import check_trimmed, open_clips
from skelab.data.preprocessing import get_pipeline
from skelab.data.segments import read_segments
from skelab.errors import DataError, OutputError, SourceError
from skelab.files.lock import hold_lock, lock_beside

LABELS = [0, 0, 1, 1, 1, 0, 8, 8, 0]


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """A store of two sequences of PRECOG's form."""
    source = open_source(precog_folder(tmp_path / "a", Seq1_2=LABELS, Seq3_4=[*LABELS, 2, 2]))
    ingest(source, tmp_path / "s.arrow", workers=1, anatomy_check=False)
    return tmp_path / "s.arrow"


@pytest.mark.parametrize("pipeline", ["ctrgcn", "clean", "as-given"])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_ingest_keeps_segments_and_labels_of_frames(
    tmp_path: Path, pipeline: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skelab.data.ingest.CLIPS_PER_SHARD", 1)
    source = open_source(precog_folder(tmp_path / "a", Seq1_2=LABELS, Seq3_4=LABELS))
    out = tmp_path / "s.arrow"

    ingest(source, out, pipeline=pipeline, workers=workers, anatomy_check=False)

    store = open_store(out)
    assert store.index.untrimmed.all()
    assert store.index.scripts.tolist() == [1, 3]
    for row in range(2):
        assert store.segments(row) == (Segment(0, 2, 5), Segment(7, 6, 8))
        labels = store.frame_labels(row)
        assert labels is not None
        assert labels.tolist() == [-1, -1, 0, 0, 0, -1, 7, 7, -1]


def test_frames_that_the_pipeline_drops_move_the_segments(tmp_path: Path) -> None:
    folder = precog_folder(tmp_path / "a", Seq1_2=LABELS)
    path = folder / "csv" / "Seq1_2.csv"
    lines = path.read_text().split("\n")
    for row in (0, 3, 6, 7):  # frames without a body
        lines[1 + row] = ";".join(["0 0 0"] * 20 + [str(LABELS[row])])
    path.write_text("\n".join(lines))

    report = ingest(open_source(folder), tmp_path / "s.arrow", workers=1, anatomy_check=False)

    store = open_store(tmp_path / "s.arrow")
    assert store.clip(0).frame_numbers.tolist() == [1, 2, 4, 5, 8]
    assert store.segments(0) == (Segment(0, 1, 3),)
    assert [note.cause for note in report.info.notes] == [SEGMENT_LEFT_OUT]
    assert "found none in frames 6 to 7" in report.info.notes[0].reason


def test_a_strict_ingest_stops_at_a_segment_that_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    np.save(folder / "one.npy", np.ones((8, 20, 3)))
    (folder / "clips.csv").write_text("name\none\n")
    (folder / "segments.csv").write_text("name,label,start,end\none,wave,1,3\none,wave,6,5\n")
    (folder / "dataset.yaml").write_text(
        "name: own\nlayout: kinect20\nsequences: {segments: segments.csv}\n"
    )
    options = {"workers": 1, "anatomy_check": False}

    with pytest.raises(DataError, match="line 3: expected an end after frame 6, found 5"):
        ingest(open_source(folder), tmp_path / "s.arrow", strict=True, **options)  # type: ignore[arg-type]

    ingest(open_source(folder), tmp_path / "s.arrow", **options)  # type: ignore[arg-type]
    assert open_store(tmp_path / "s.arrow").segments(0) == (Segment(0, 1, 3),)


def test_the_pipeline_of_300_frames_leaves_longer_sequences_out_and_cuts_none(
    tmp_path: Path,
) -> None:
    source = open_source(precog_folder(tmp_path / "a", Seq1_2=LABELS, Seq3_4=[1] * 301))
    options = {"pipeline": "msg3d", "workers": 1, "anatomy_check": False, "max_lost": 1.0}

    report = ingest(source, tmp_path / "s.arrow", **options)  # type: ignore[arg-type]

    (lost,) = report.info.excluded
    assert (lost.name, lost.cause) == ("Seq3_4", "damaged")
    assert "300 frames" in lost.reason
    with pytest.raises(DataError) as caught:
        cut_segments(open_store(tmp_path / "s.arrow"), tmp_path / "clips.arrow")
    assert str(caught.value) == (
        f"{tmp_path}/s.arrow: expected sequences of pipeline ctrgcn, clean or as-given to cut,"
        " found those of msg3d; `skelab ingest SOURCE STORE --pipeline ctrgcn` makes them"
    )


def test_a_store_of_sequences_is_copied_whole(tmp_path: Path, store_path: Path) -> None:
    clips = open_clips(store_path, ignore=["Seq1_2"])

    copy_clips(clips, tmp_path / "copy.arrow", anatomy_check=False)

    copy = open_store(tmp_path / "copy.arrow")
    assert copy.index.names == ("Seq3_4",)
    assert copy.segments(0) == open_store(store_path).segments(1)
    assert copy.clip(0).info == open_store(store_path).clip(1).info


def test_splits_go_by_script_and_subject(store_path: Path) -> None:
    index = open_store(store_path).index

    train, test = parse_split("script:1/3").rows(index)

    assert (train.tolist(), test.tolist()) == ([0], [1])
    assert [rows.tolist() for rows in parse_split("subject:4/2").rows(index)] == [[1], [0]]


def test_segments_are_read_from_store_source_and_labels_alike(
    tmp_path: Path, store_path: Path
) -> None:
    (tmp_path / "pku").mkdir()
    (tmp_path / "pku" / "0291-L.txt").write_text("8,2,6,2\n")
    (tmp_path / "pku" / "0001-M.txt").write_text("8,2,6,2\n9,5,8,2\n")

    store = read_segments(store_path)
    source = read_segments(tmp_path / "a")
    labels = read_segments(tmp_path / "pku")

    assert store.recordings == source.recordings
    assert (store.num_segments, store.classes) == (5, source.classes)
    assert [recording.num_frames for recording in store.recordings] == [9, 11]
    assert [recording.info.name for recording in labels.recordings] == ["0291-L"]
    assert labels.recordings[0].num_frames is None
    assert labels.index.replications.tolist() == [291]
    ((name, reason),) = labels.rejected
    assert name == "0001-M"
    assert "segments must not overlap" in reason


def test_segments_of_trimmed_clips_are_an_error(tmp_path: Path) -> None:
    write_store(tmp_path / "clips.arrow", [tiny_clip(0)], tiny_info())

    with pytest.raises(SourceError, match="expected untrimmed recordings with segments, found"):
        read_segments(tmp_path / "clips.arrow")


@pytest.mark.parametrize("pipeline", ["ctrgcn", "clean", "as-given"])
def test_each_segment_becomes_a_clip_as_if_it_were_recorded_alone(
    tmp_path: Path, pipeline: str
) -> None:
    source = open_source(precog_folder(tmp_path / "a", Seq1_2=LABELS))
    ingest(source, tmp_path / "s.arrow", pipeline=pipeline, workers=1, anatomy_check=False)

    report = cut_segments(open_store(tmp_path / "s.arrow"), tmp_path / "clips.arrow")

    clips = open_store(tmp_path / "clips.arrow")
    assert (report.num_sequences, report.num_clips, report.num_left_out) == (1, 2, 0)
    assert clips.index.names == ("Seq1_2#001", "Seq1_2#002")
    assert clips.index.labels.tolist() == [0, 7]
    assert (clips.index.subjects.tolist(), clips.index.scripts.tolist()) == ([2, 2], [1, 1])
    assert not clips.index.untrimmed.any()
    raw = source.read(source.items()[0])
    for row, (start, end) in enumerate([(2, 5), (6, 8)]):
        alone = raw.bodies["1"].joints[start:end]
        if pipeline != "as-given":
            alone = alone - alone[0, source.layout.origin]
        np.testing.assert_allclose(clips.clip(row).joints[0], alone, atol=1e-5)
        assert clips.clip(row).frame_numbers.tolist() == list(range(start, end))
    check_trimmed(clips)
    assert get_pipeline(clips.info.pipeline).name == pipeline


def test_segments_without_a_body_are_left_out_and_clips_beside_are_kept(tmp_path: Path) -> None:
    sequence = tiny_sequence(0)
    joints = sequence.joints.copy()
    joints[:, 1:4] = 0
    empty = UntrimmedSequence(sequence.info, joints, sequence.frame_numbers, sequence.segments)
    write_store(tmp_path / "s.arrow", [tiny_clip(1), empty], tiny_info())
    seen = []

    report = cut_segments(
        open_store(tmp_path / "s.arrow"),
        tmp_path / "clips.arrow",
        on_progress=lambda done, total: seen.append((done, total)),
    )

    clips = open_store(tmp_path / "clips.arrow")
    assert clips.index.names == ("clip001", "seq000#002")
    assert [(entry.name, entry.cause) for entry in clips.info.excluded] == [
        ("seq000#001", "no body")
    ]
    assert "expected a body in at least one frame" in clips.info.excluded[0].reason
    assert (report.num_left_out, seen) == (1, [(1, 1)])
    assert clips.info.classes == CLASSES


def test_a_store_without_sequences_cannot_be_cut(tmp_path: Path) -> None:
    write_store(tmp_path / "clips.arrow", [tiny_clip(0)], tiny_info())

    with pytest.raises(DataError, match="expected sequences with segments to cut, found trimmed"):
        convert(open_store(tmp_path / "clips.arrow"), tmp_path / "o.arrow", to="clips", splits=())


@pytest.mark.parametrize("to", ["ctrgcn", "msg3d", "pyskl"])
def test_other_forms_refuse_sequences_and_name_the_command_that_cuts_them(
    tmp_path: Path, store_path: Path, to: str
) -> None:
    with pytest.raises(DataError) as caught:
        convert(open_store(store_path), tmp_path / "o", to=to, splits=["script:1/3"])

    assert "expected trimmed clips for" in str(caught.value)
    assert f"found 2 sequences; `skelab convert {store_path} CLIPS --to clips` cuts" in str(
        caught.value
    )


def test_cutting_overwrites_a_store_only_when_it_is_told_to_and_never_what_it_reads(
    tmp_path: Path, store_path: Path
) -> None:
    out = tmp_path / "clips.arrow"
    write_store(out, [tiny_clip(0)], tiny_info())
    before = out.read_bytes()

    with pytest.raises(OutputError, match=r"clips\.arrow: there is a clip store of this name"):
        convert(open_store(store_path), out, to="clips", splits=())
    with pytest.raises(OutputError, match=r"s\.arrow: is what is being read"):
        cut_segments(open_store(store_path), store_path, force=True)
    kept = out.read_bytes()
    convert(open_store(store_path), out, to="clips", splits=(), force=True)

    assert kept == before
    assert open_store(out).index.names[0] == "Seq1_2#001"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "clips.arrow", "s.arrow"]


def test_two_cuttings_into_one_store_are_refused(tmp_path: Path, store_path: Path) -> None:
    out = tmp_path / "clips.arrow"

    with (
        hold_lock(lock_beside(out), str(out), OutputError),
        pytest.raises(OutputError, match=r"clips\.arrow: .* is at work there"),
    ):
        cut_segments(open_store(store_path), out)

    assert not out.exists()


def test_cutting_takes_no_split(tmp_path: Path, store_path: Path) -> None:
    with pytest.raises(DataError, match="one a segment: expected no split, found xsub"):
        convert(open_store(store_path), tmp_path / "o", to="clips", splits=["xsub"])
