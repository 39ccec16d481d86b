"""What is said of the segments of a data set."""

from skelab.data.audit.segments import describe_segments
from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.sequence import Note, Segment
from skelab.data.segments import LabelledRecording, SegmentTable

ONE = LabelledRecording(
    SampleInfo("one", untrimmed=True),
    (Segment(0, 0, 10, 2.0), Segment(0, 10, 15, 1.0), Segment(2, 18, 20, 2.0)),
    40,
)
EMPTY = LabelledRecording(SampleInfo("empty", untrimmed=True), (), 10)
NOTES = (Note("one", "sorted by time", "x"), Note("one", "hole closed", "y"))


def test_counts_lengths_gaps_and_the_labelled_share() -> None:
    table = SegmentTable("made-up", ("wave", "sit", "fall"), (ONE, EMPTY), NOTES)

    facts = describe_segments(table)

    assert (facts["sequences"], facts["segments"]) == (2, 3)
    assert facts["segments per class"] == {"wave": 2, "fall": 1}
    assert facts["labelled frames"] == {"inside": 17, "all": 50, "share": 0.34}
    assert facts["segment lengths"]["fewest"] == 2
    assert facts["segment lengths"]["median"] == 5
    assert facts["segment lengths"]["most"] == 10
    assert (facts["gaps"]["fewest"], facts["gaps"]["most"]) == (0, 3)
    assert (facts["gaps of no frame"], facts["same label again without a gap"]) == (1, 1)
    assert facts["confidence"] == {"1": 1, "2": 2}
    assert facts["notes"] == {"hole closed": 1, "sorted by time": 1}
    assert [entry["reason"] for entry in facts["what was noted"]] == ["x", "y"]


def test_labels_alone_end_with_the_last_segment() -> None:
    alone = LabelledRecording(ONE.info, ONE.segments)

    facts = describe_segments(SegmentTable("made-up", ("wave", "sit", "fall"), (alone,)))

    assert facts["labelled frames"] == {"inside": 17, "all": 20, "share": 0.85}
    assert "confidence" in facts


def test_a_set_without_a_segment_has_counts_of_zero() -> None:
    facts = describe_segments(SegmentTable("made-up", ("wave",), (EMPTY,)))

    assert (facts["segments"], facts["segment lengths"], facts["gaps"]) == (0, {}, {})
    assert "confidence" not in facts
