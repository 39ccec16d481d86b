"""Statistics of the segments of a data set: counts, lengths, gaps."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.segments import SegmentTable


def describe_segments(table: SegmentTable) -> dict[str, Any]:
    """Counts and lengths of segments, as facts for ``skelab inspect``.

    Lengths and gaps are in frames; a gap lies between two segments of one recording. Where only
    labels are there, a recording is taken to end with its last segment.
    """
    segments = [segment for recording in table.recordings for segment in recording.segments]
    pairs = [pair for recording in table.recordings for pair in pairwise(recording.segments)]
    counts = Counter(segment.label for segment in segments)
    gaps = [two.start - one.end for one, two in pairs]
    again = sum(one.label == two.label and one.end == two.start for one, two in pairs)
    described: dict[str, Any] = {
        "sequences": len(table.recordings),
        "segments": len(segments),
        "segments per class": {table.classes[label]: counts[label] for label in sorted(counts)},
        "segments a sequence": _range([len(each.segments) for each in table.recordings]),
        "labelled frames": _share(table),
        "segment lengths": _range([len(segment) for segment in segments]),
        "gaps": _range(gaps),
        "gaps of no frame": gaps.count(0),
        "same label again without a gap": again,
    }
    confidences = Counter(
        segment.confidence for segment in segments if segment.confidence is not None
    )
    if confidences:
        described["confidence"] = {f"{one:g}": confidences[one] for one in sorted(confidences)}
    return {
        **described,
        "notes": dict(sorted(Counter(note.cause for note in table.notes).items())),
        "what was noted": [note._asdict() for note in table.notes],
    }


def _share(table: SegmentTable) -> dict[str, Any]:
    inside = sum(len(segment) for each in table.recordings for segment in each.segments)
    whole = sum(
        (each.segments[-1].end if each.segments else 0)
        if each.num_frames is None
        else each.num_frames
        for each in table.recordings
    )
    return {"inside": inside, "all": whole, "share": round(inside / whole, 4) if whole else 0.0}


def _range(values: list[int]) -> dict[str, int]:
    if not values:
        return {}
    column: Int64[ndarray, " N"] = np.array(values, dtype=np.int64)
    low, median, high = np.percentile(column, (10, 50, 90)).round().astype(int).tolist()
    return {
        "fewest": int(column.min()),
        "10 %": low,
        "median": median,
        "90 %": high,
        "most": int(column.max()),
    }
