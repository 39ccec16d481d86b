"""What the tracker makes of a take: each fault occurs, and none goes too far."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from skelab.errors import DataError
from skelab.synthetic import clip_names
from skelab.synthetic.tracking import INFERRED, Recording, record


@cache
def recordings() -> dict[str, Recording]:
    """The first 300 clips of a set."""
    return {name: record(name, seed=0) for name in clip_names(300)}


def pieces(recording: Recording) -> dict[int, np.ndarray]:
    """The frames of each body id."""
    return {int(body): recording.frames[recording.ids == body] for body in np.unique(recording.ids)}


def has(fault: str) -> list[Recording]:
    """The recordings with this fault, of which there must be some."""
    found = [recording for recording in recordings().values() if fault in recording.faults]
    assert found
    return found


def test_every_fault_occurs_in_some_clips_and_most_have_none() -> None:
    faults = Counter(fault for each in recordings().values() for fault in each.faults)
    clean = sum(not recording.faults for recording in recordings().values())

    assert set(faults) == {"swapped", "renamed", "lost", "empty", "ghost", "object"}
    assert min(faults.values()) >= 5
    assert clean > 150


def test_some_clips_have_one_body_and_some_have_two() -> None:
    bodies = Counter(
        (len(pieces(each)), int(name[-3:]) >= 50)
        for name, each in recordings().items()
        if not each.faults & {"ghost", "object", "renamed"}
    )

    assert set(bodies) == {(1, False), (2, True)}


def test_ids_are_those_of_a_kinect() -> None:
    for recording in recordings().values():
        assert recording.ids.min() > 2**56
        assert recording.ids.max() < 2**56 + 10**6


def test_a_ghost_is_short_and_an_object_is_flat_and_long() -> None:
    for recording in has("ghost"):
        assert min(len(frames) for frames in pieces(recording).values()) <= 10
    for recording in has("object"):
        long = [body for body, frames in pieces(recording).items() if len(frames) > 14]
        sizes = [np.ptp(recording.joints[recording.ids == body], axis=1) for body in long]
        assert any((size[:, 0] > 0.8 * size[:, 1]).all() for size in sizes)


def test_a_lost_body_comes_back_under_its_id() -> None:
    for recording in has("lost"):
        gaps = [np.diff(frames).max() for frames in pieces(recording).values() if len(frames) > 10]
        assert max(gaps) > 3


def test_a_renamed_body_leaves_pieces_too_long_for_a_ghost() -> None:
    for recording in has("renamed"):
        long = [frames for frames in pieces(recording).values() if len(frames) > 10]
        assert len(long) >= 2


def test_empty_frames_have_no_body_at_all() -> None:
    for recording in has("empty"):
        if recording.faults & {"ghost", "object"}:
            continue
        assert len(np.unique(recording.frames)) < recording.num_frames


def test_swapped_bodies_change_their_place_in_the_list() -> None:
    for recording in has("swapped"):
        first = [recording.ids[recording.frames == f][0] for f in np.unique(recording.frames)]
        assert len(set(first)) >= 2


def test_a_few_joints_are_inferred() -> None:
    share = np.mean([np.mean(recording.states == INFERRED) for recording in recordings().values()])

    assert 0.01 < share < 0.2


def test_bodies_stand_before_the_camera_and_nobody_is_without_a_body() -> None:
    for recording in recordings().values():
        assert len(recording.frames) > 15
        assert recording.joints[..., 2].min() > 0.8
        assert recording.joints[..., 2].max() < 7.0


def test_cameras_of_a_take_see_the_same_motion() -> None:
    names = clip_names(3, actions=2)

    first, second, third = (record(name, seed=0) for name in names)

    assert first.num_frames == second.num_frames == third.num_frames
    height = [np.ptp(each.joints[:, 10, 1]) for each in (first, second, third)]
    assert max(height) - min(height) < 0.35 * max(height)
    assert abs(first.joints[0, 10, 0] - second.joints[0, 10, 0]) > 0.01


def test_a_clip_does_not_depend_on_what_else_is_made() -> None:
    name = clip_names(40)[-1]

    record("S001C001P001R001A023", seed=0)
    again = record(name, seed=0)

    assert np.array_equal(again.joints, recordings()[name].joints)
    assert not np.array_equal(again.joints, record(name, seed=1).joints[: len(again.joints)])


@pytest.mark.parametrize(
    ("name", "seed", "message"),
    [
        (
            "S018C001P001R001A023",
            0,
            "S018C001P001R001A023: expected a setup from 1 to 17, found 18",
        ),
        ("S001C004P001R001A023", 0, "S001C004P001R001A023: expected a camera from 1 to 3, found 4"),
        (
            "S001C001P041R001A023",
            0,
            "S001C001P041R001A023: expected a performer from 1 to 40, found 41",
        ),
        (
            "S001C001P001R003A023",
            0,
            "S001C001P001R003A023: expected a replication from 1 to 2, found 3",
        ),
        ("S001C001P001R001A023", -1, "seed: expected 0 or more, found -1"),
    ],
)
def test_names_and_seeds_out_of_range_are_refused(name: str, seed: int, message: str) -> None:
    with pytest.raises(DataError) as caught:
        record(name, seed=seed)

    assert str(caught.value) == message
