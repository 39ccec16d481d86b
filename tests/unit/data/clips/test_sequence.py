"""Sequences: what their labels may be, and where they go when frames are left out."""

import numpy as np
import pytest
from untrimmed_files import poses, tiny_sequence

from skelab.data.clips.clip import BodyTrack, Clip, SampleInfo
from skelab.data.clips.sequence import (
    BACKGROUND,
    SEGMENT_LEFT_OUT,
    Note,
    RawSequence,
    Segment,
    UntrimmedSequence,
    label_runs,
    labels_of_segments,
    on_frames,
)
from skelab.errors import DataError


def recording(
    segments: tuple[Segment, ...] = (), *, labels: list[int] | None = None
) -> RawSequence:
    """A recording of ten frames with one body."""
    track = BodyTrack(np.arange(10, dtype=np.int32), poses(10))
    given = None if labels is None else np.array(labels, dtype=np.int32)
    return RawSequence(10, {"1": track}, segments=segments, frame_labels=given)


def test_the_end_of_a_segment_is_the_frame_after_its_last() -> None:
    segment = Segment(3, 5, 8, 2.0)

    labels = labels_of_segments([segment], 10)

    assert len(segment) == 3
    assert np.flatnonzero(labels == 3).tolist() == [5, 6, 7]
    assert (labels != 3).sum() == (labels == BACKGROUND).sum() == 7


@pytest.mark.parametrize(("label", "start", "end"), [(-1, 0, 2), (0, -1, 2), (0, 4, 4), (0, 5, 3)])
def test_a_segment_without_a_label_or_a_frame_is_refused(label: int, start: int, end: int) -> None:
    with pytest.raises(DataError, match=f"found frames {start} to {end}"):
        Segment(label, start, end)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ((Segment(0, 0, 4), Segment(1, 3, 6)), "found one from frame 3 behind one up to frame 4"),
        ((Segment(0, 5, 6), Segment(1, 0, 2)), "found one from frame 0 behind one up to frame 6"),
        ((Segment(0, 8, 11),), "expected segments within 10 frames, found one up to frame 11"),
    ],
)
def test_segments_that_do_not_fit_the_recording_are_refused(
    segments: tuple[Segment, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        recording(segments)


def test_labels_of_frames_that_are_not_as_many_as_frames_are_refused() -> None:
    with pytest.raises(DataError, match="expected a label for each of 10 frames, found 9"):
        recording(labels=[0] * 9)


def test_a_sequence_is_a_clip_whose_info_says_so() -> None:
    sequence = tiny_sequence(0)

    with pytest.raises(DataError, match="expected the info of an untrimmed recording"):
        UntrimmedSequence(SampleInfo("trimmed"), sequence.joints, sequence.frame_numbers)

    assert isinstance(sequence, Clip)
    assert sequence.info.label is None


def test_segments_follow_the_frames_that_are_kept() -> None:
    raw = recording(
        (Segment(0, 0, 3), Segment(1, 3, 6, 1.0), Segment(2, 8, 10)), labels=[*range(10)]
    )
    kept = np.array([2, 4, 5, 6, 9], dtype=np.int32)

    segments, labels, notes = on_frames("a", raw, kept)

    assert segments == (Segment(0, 0, 1), Segment(1, 1, 3, 1.0), Segment(2, 4, 5))
    assert labels is not None
    assert labels.tolist() == kept.tolist()
    assert notes == ()


def test_a_segment_of_which_no_frame_is_kept_is_noted() -> None:
    raw = recording((Segment(0, 0, 3), Segment(1, 3, 6)))

    segments, labels, notes = on_frames("a", raw, np.array([0, 7], dtype=np.int32))

    assert segments == (Segment(0, 0, 1),)
    assert labels is None
    reason = "a: expected a body, found none in frames 3 to 5; the segment is left out"
    assert notes == (Note("a", SEGMENT_LEFT_OUT, reason),)


def test_frames_out_of_order_are_refused() -> None:
    with pytest.raises(DataError, match="a sequence needs --pipeline ctrgcn, clean or as-given"):
        on_frames("a", recording(), np.array([0, 1, 0], dtype=np.int32))


def test_runs_of_labels_cover_every_frame() -> None:
    labels = np.array([2, 2, -1, 0, 0, 0, 2], dtype=np.int32)

    runs = list(label_runs(labels))

    assert runs == [(2, 0, 2), (-1, 2, 3), (0, 3, 6), (2, 6, 7)]
    assert list(label_runs(labels[:0])) == []
