"""The lengths that a family takes: asked, worded, and the nearest of them."""

from typing import Any

import pytest

from skelab.errors import ModelError
from skelab.models import FamilyTraits


@pytest.mark.parametrize(
    ("traits", "words", "taken", "refused"),
    [
        (FamilyTraits(), "any number", (1, 7, 300), ()),
        (FamilyTraits(frames_multiple_of=4), "a multiple of 4", (4, 64), (1, 6)),
        (FamilyTraits(min_frames=8), "at least 8", (8, 9), (7,)),
        (FamilyTraits(max_frames=64), "from 1 to 64", (1, 64), (65,)),
        (
            FamilyTraits(frames_multiple_of=4, min_frames=6, max_frames=30),
            "a multiple of 4, from 6 to 30",
            (8, 28),
            (4, 6, 30, 32),
        ),
    ],
)
def test_lengths_are_taken_as_declared(
    traits: FamilyTraits, words: str, taken: tuple[int, ...], refused: tuple[int, ...]
) -> None:
    assert traits.lengths == words
    assert all(traits.takes(frames) for frames in taken)
    assert not any(traits.takes(frames) for frames in refused)
    assert traits.takes_all == (words == "any number")


def test_the_nearest_length_is_rounded_up_and_within_the_limits() -> None:
    traits = FamilyTraits(frames_multiple_of=4, min_frames=6, max_frames=30)

    assert (traits.shortest, traits.longest) == (8, 28)
    assert [traits.nearest(frames) for frames in (1, 8, 9, 27, 30, 99)] == [8, 8, 12, 28, 28, 28]
    assert FamilyTraits().nearest(13) == 13


@pytest.mark.parametrize(
    "lengths",
    [
        {"frames_multiple_of": 0},
        {"min_frames": 0},
        {"min_frames": 9, "max_frames": 8},
        {"frames_multiple_of": 4, "min_frames": 5, "max_frames": 7},
    ],
)
def test_lengths_that_no_clip_has_are_refused(lengths: dict[str, Any]) -> None:
    with pytest.raises(
        ModelError, match="traits: expected lengths of clips that exist, found mult"
    ):
        FamilyTraits(**lengths)
