"""A layout checks its tables once, and each contradiction has its message."""

import dataclasses
from typing import Any

import pytest

from skelab.errors import LayoutError
from skelab.skeleton import Layout

# the chest is the centre: hip, left hand and right hand hang from it
STICK = Layout(
    name="stick",
    title="Four joints",
    joints=("hip", "chest", "left hand", "right hand"),
    bones=((0, 1), (2, 1), (3, 1)),
    pairs=((2, 3),),
    centre=1,
    origin=0,
)


def test_parents_follow_the_bones_and_the_centre_is_its_own() -> None:
    parents = STICK.parents

    assert parents == (1, 1, 1, 1)


def test_mirror_swaps_the_pairs_and_keeps_the_rest() -> None:
    mirror = STICK.mirror

    assert mirror == (0, 1, 3, 2)


def test_a_joint_is_found_by_name() -> None:
    index = STICK.joint("left hand")

    assert index == 2


def test_an_unknown_joint_is_answered_with_the_layout_the_nearest_and_all() -> None:
    with pytest.raises(LayoutError) as caught:
        STICK.joint("left hnd")

    assert str(caught.value) == (
        "unknown joint of stick 'left hnd', did you mean 'left hand'?"
        " Known: chest, hip, left hand, right hand"
    )


OUTSIDE = "layout 'stick': a bone, pair, centre or origin names a joint outside 0..3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bones": ((0, 1), (2, 1), (3, 4))}, OUTSIDE),
        ({"bones": ((0, 1), (2, 1), (3, -1))}, OUTSIDE),
        ({"pairs": ((2, 4),)}, OUTSIDE),
        ({"centre": 4}, OUTSIDE),
        ({"origin": 4}, OUTSIDE),
        (
            {"joints": ("hip", "chest", "hand", "hand")},
            "layout 'stick': two joints have the same name",
        ),
        (
            {"bones": ((0, 1), (2, 1))},
            "layout 'stick': every joint but the centre must have exactly one parent",
        ),
        (
            {"bones": ((0, 1), (2, 1), (3, 1), (3, 2))},
            "layout 'stick': every joint but the centre must have exactly one parent",
        ),
        (
            {"bones": ((1, 0), (0, 1), (2, 1), (3, 1))},
            "layout 'stick': every joint but the centre must have exactly one parent",
        ),
        (
            {"bones": ((0, 1), (2, 3), (3, 2))},
            "layout 'stick': the bones do not all lead to the centre",
        ),
        (
            {"pairs": ((2, 3), (3, 1))},
            "layout 'stick': a joint is in two left/right pairs",
        ),
        (
            {"pairs": ((2, 2),)},
            "layout 'stick': a joint is in two left/right pairs",
        ),
    ],
)
def test_tables_that_contradict_each_other_are_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(LayoutError) as caught:
        dataclasses.replace(STICK, **change)

    assert str(caught.value) == message


def test_a_layout_cannot_be_changed_once_it_is_made() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        STICK.centre = 0  # type: ignore[misc]
