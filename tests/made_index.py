"""Indices as large as NTU RGB+D, whose subjects perform as unequally as its own."""

import numpy as np

from skelab.data.clips.index import ClipIndex

TAKES_60 = {
    1: 8,
    2: 8,
    4: 6,
    5: 5,
    8: 11,
    9: 3,
    13: 2,
    14: 4,
    15: 14,
    16: 7,
    17: 11,
    18: 5,
    19: 6,
    25: 6,
    27: 4,
    28: 3,
    31: 2,
    34: 2,
    35: 3,
    38: 2,
}
"""Setups of the training subjects of NTU RGB+D 60: 112 in all, as there; who has how many is made
up."""

_LATER = [
    *[45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83],
    *[84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103],
]
TAKES_120 = {subject: 1 + place % 3 for place, subject in enumerate(_LATER)}
"""Setups of the training subjects that NTU RGB+D 120 adds; they perform A061 to A120 only."""

_CLASSES, _CAMERAS, _REPLICATIONS = 60, 3, 2


def ntu_like(*, of_120: bool = False) -> ClipIndex:
    """The training part of X-Sub with a clip of each test subject: some 40,000 or 64,000 clips."""
    blocks = [(subject, setups, 0) for subject, setups in TAKES_60.items()]
    if of_120:
        blocks += [(subject, setups, _CLASSES) for subject, setups in TAKES_120.items()]
    subjects, labels = [3], [0]
    for subject, setups, first in blocks:
        clips = setups * _CLASSES * _CAMERAS * _REPLICATIONS
        subjects += [subject] * clips
        labels += [first + clip % _CLASSES for clip in range(clips)]
    ones = np.ones(len(subjects), dtype=np.int64)
    return ClipIndex(
        names=tuple(f"clip{row}" for row in range(len(subjects))),
        labels=np.array(labels, dtype=np.int64),
        subjects=np.array(subjects, dtype=np.int64),
        cameras=ones,
        setups=ones,
        replications=ones,
    )
