"""Our pipeline, step by step, and where it differs from the authors' on their own cases."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from golden_files import names_of, recording_of, recordings
from jaxtyping import Float32, Float64
from numpy import ndarray
from numpy.testing import assert_array_equal
from skeleton_text import a_pose

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.preprocessing import get_pipeline
from skelab.data.preprocessing.clean import Person, choose_actors, merge_ids, prepare_clean
from skelab.errors import DataError, NoBodyError
from skelab.skeleton import get_layout

NTU25 = get_layout("ntu25")
SPINE = 1
ASIDE = np.array([1.0, 0.0, 0.0])

Body = tuple[Sequence[int], Float64[ndarray, "F 25 3"]]


def poses(frames: int, *, motion: float = 0.1, seed: int = 0) -> Float64[ndarray, "F 25 3"]:
    """A body of about 1.7 m that sways sideways by ``motion`` metres."""
    sway = motion * np.sin(np.arange(frames))[:, None, None] * ASIDE
    return np.asarray(a_pose(seed) + sway)


def recording(bodies: Mapping[str, Body], num_frames: int) -> RawClip:
    tracks = {
        body: BodyTrack(np.array(frames, dtype=np.int32), joints)
        for body, (frames, joints) in bodies.items()
    }
    return RawClip(num_frames, tracks)


def persons(raw: RawClip) -> list[Person]:
    """One entry for each body id."""
    return [
        Person((body,), track.frames, track.joints.astype(np.float32))
        for body, track in raw.bodies.items()
    ]


def cast_of(case: str) -> list[set[int]]:
    """The actors of a golden case, as positions of their ids in the file."""
    raw = recording_of(case)
    ids = list(raw.bodies)
    return [
        {ids.index(body) for body in actor.bodies} for actor in choose_actors(persons(raw), NTU25)
    ]


def both(case: str) -> tuple[Float32[ndarray, "_ _ 25 3"], Float32[ndarray, "_ _ 25 3"]]:
    """The joints of a golden case by the authors' pipeline, and by ours."""
    raw = recording_of(case)
    theirs, ours = (get_pipeline(name).prepare(raw, NTU25) for name in ("ctrgcn", "clean"))
    return theirs.joints, ours.joints


def test_one_body_in_every_frame_is_as_the_authors_make_it() -> None:
    for name in (
        *names_of("single"),
        *names_of("single_three_views"),
        *names_of("single_8_frames"),
    ):
        theirs = get_pipeline("ctrgcn").prepare(recordings()[name], NTU25)

        ours = prepare_clean(recordings()[name], NTU25)

        assert_array_equal(ours.joints, theirs.joints)
        assert_array_equal(ours.frame_numbers, theirs.frame_numbers)


def test_every_pose_stands_in_its_own_frame_by_the_loops() -> None:
    first, second = poses(20, motion=0.5), poses(14, motion=0.01, seed=1) + 2 * ASIDE
    frames = [*range(4, 11), *range(18, 25)]
    raw = recording({"1": (range(3, 23), first), "2": (frames, second)}, num_frames=40)

    prepared = prepare_clean(raw, NTU25)

    origin = first[0].astype(np.float32)[SPINE]
    expected = np.zeros((2, 22, 25, 3), np.float32)
    for number, (body, places) in enumerate(((first, range(3, 23)), (second, frames))):
        for pose, frame in zip(body, places, strict=True):
            expected[number, frame - 3] = pose.astype(np.float32) - origin
    assert_array_equal(prepared.joints, expected)
    assert_array_equal(prepared.frame_numbers, np.arange(3, 25, dtype=np.int32))


def test_a_body_that_returns_is_not_moved_forward_in_time() -> None:
    raw = recording_of("gone_and_back")
    second = list(raw.bodies.values())[1]

    theirs, ours = both("gone_and_back")

    assert_array_equal(np.flatnonzero(ours[1].any(axis=(1, 2))), second.frames)
    assert_array_equal(np.flatnonzero(theirs[1].any(axis=(1, 2))), np.arange(len(second.frames)))
    assert np.diff(second.frames).max() == 11


def test_the_main_body_that_returns_stays_beside_the_right_frames_of_the_other() -> None:
    raw = recording_of("main_gone_and_back")
    first, second = raw.bodies.values()
    away = sorted(set(range(raw.num_frames)) - set(first.frames.tolist()))

    prepared = prepare_clean(raw, NTU25)

    distance = prepared.joints[1, :, SPINE] - prepared.joints[0, :, SPINE]
    recorded = second.joints[first.frames, SPINE] - first.joints[:, SPINE]
    np.testing.assert_allclose(distance[first.frames], recorded, atol=1e-6)
    assert not prepared.joints[0, away].any()


def test_zero_frames_of_one_body_stay_zero_or_are_left_out_at_the_ends() -> None:
    theirs, ours = both("zero_joints_single")
    frames = prepare_clean(recording_of("zero_joints_single"), NTU25).frame_numbers

    assert theirs.shape == (1, 29, 25, 3)
    assert (theirs[0, 0] == theirs[0, 0, 0]).all()  # minus the origin, in all joints
    assert theirs[0, 0].any()
    assert ours.shape == (1, 26, 25, 3)
    assert_array_equal(frames, np.arange(3, 29, dtype=np.int32))
    assert not ours[0, [9, 10]].any()  # frames 12 and 13 of the recording
    assert ours[0, 11:].any(axis=(1, 2)).all()


def test_frames_without_a_body_are_gaps_and_do_not_close_up() -> None:
    theirs, ours = both("zero_middle")

    gaps = np.flatnonzero(~ours[0].any(axis=(1, 2)))

    assert (theirs.shape[1], ours.shape[1]) == (32, 35)
    assert len(gaps) == 3
    assert_array_equal(np.delete(ours, gaps, axis=1), theirs)


def test_empty_frames_at_both_ends_are_left_out() -> None:
    raw = recording_of("zero_head_middle_tail")
    (track,) = raw.bodies.values()

    prepared = prepare_clean(raw, NTU25)

    assert prepared.frame_numbers[0] == track.frames[0] > 0
    assert prepared.frame_numbers[-1] == track.frames[-1] < raw.num_frames - 1
    assert prepared.joints[:, [0, -1]].any(axis=(2, 3)).all()


def test_three_ids_of_one_person_are_one_actor_and_not_two() -> None:
    theirs, ours = both("three_ids_split")

    assert cast_of("three_ids_split") == [{0, 1, 2}]
    assert (len(theirs), len(ours)) == (2, 1)
    assert ours[0].any(axis=(1, 2)).all()


def test_an_early_and_a_late_body_in_one_place_are_one_second_person() -> None:
    theirs, ours = both("second_hull")

    assert cast_of("second_hull") == [{0}, {1, 2}]
    assert np.count_nonzero(theirs[1].any(axis=(1, 2))) == 20  # the early one is lost
    assert np.count_nonzero(ours[1].any(axis=(1, 2))) == 37


@pytest.mark.parametrize("case", ["id_change_touch", "id_change_overlap"])
def test_ids_that_share_a_frame_stay_two(case: str) -> None:
    assert cast_of(case) in ([{0}, {1}], [{1}, {0}])


@pytest.mark.parametrize(
    ("jump", "gap", "same"),
    [(0.2, 1, True), (0.6, 1, False), (0.6, 8, True), (0.9, 200, False)],
)
def test_ids_are_one_person_only_if_one_goes_on_where_the_other_was(
    jump: float, gap: int, same: bool
) -> None:
    before = poses(20, motion=0)
    after = poses(20, motion=0) + jump * ASIDE
    raw = recording({"1": (range(20), before), "2": (range(19 + gap, 39 + gap), after)}, 300)

    merged = merge_ids(persons(raw), SPINE)

    assert (len(merged) == 1) is same


def test_an_id_that_fills_the_gap_of_another_joins_it_only_if_it_fits_on_both_sides() -> None:
    still = poses(40, motion=0)
    frames = [*range(12), *range(28, 40)]
    near = recording({"1": (frames, still[frames]), "2": (range(12, 28), still[12:28])}, 40)
    far = recording({"1": (frames, still[frames]), "2": (range(12, 28), still[12:28] + 3)}, 40)

    assert [len(merge_ids(persons(raw), SPINE)) for raw in (near, far)] == [1, 2]


def test_the_two_who_move_most_are_the_actors_and_the_most_moving_is_first() -> None:
    bodies: dict[str, Body] = {
        str(number): (range(20), poses(20, motion=motion) + 2.0 * number * ASIDE)
        for number, motion in enumerate((0.3, 0.01, 0.6, 0.1))
    }

    actors = choose_actors(persons(recording(bodies, 20)), NTU25)

    assert [actor.bodies for actor in actors] == [("2",), ("0",)]


def test_short_and_flat_persons_go_and_the_best_stays_where_all_would() -> None:
    flat = poses(20, motion=0.9) * [1.0, 0.01, 1.0]
    partly = flat.copy()
    partly[:4] = poses(4)
    long, short = poses(20), poses(11, motion=0.9)
    apart = 3 * ASIDE

    kept = [
        [
            actor.bodies
            for actor in choose_actors(
                persons(
                    recording(
                        {"1": (range(len(one)), one), "2": (range(len(two)), two + apart)}, 20
                    )
                ),
                NTU25,
            )
        ]
        for one, two in ((long, short), (short, short[:9]), (long, flat), (flat, partly))
    ]

    assert kept == [[("1",)], [("1",)], [("1",)], [("2",)]]


def test_bodies_that_are_all_too_short_are_no_reason_to_stop() -> None:
    raw = recording(
        {"1": (range(11), poses(11)), "2": (range(5), poses(5) + 3 * ASIDE)}, num_frames=11
    )

    with pytest.raises(DataError, match="at least 12 frames"):
        get_pipeline("ctrgcn").prepare(raw, NTU25)

    assert prepare_clean(raw, NTU25).joints.shape == (1, 11, 25, 3)


def test_nothing_is_lost_over_300_frames() -> None:
    raw = recording({"1": (range(1000), poses(1000))}, num_frames=1000)

    assert prepare_clean(raw, NTU25).joints.shape == (1, 1000, 25, 3)
    with pytest.raises(DataError, match="at most 300 frames"):
        get_pipeline("msg3d").prepare(raw, NTU25)


def test_actors_that_the_makers_chose_are_neither_dropped_nor_merged_nor_sorted() -> None:
    flat = poses(5, motion=0) * [1.0, 0.01, 1.0]
    bodies: dict[str, Body] = {
        "a": (range(5), flat),
        "b": (range(5), poses(5, motion=0.9)),
        "c": ([7, 9], poses(2)),
    }
    raw = recording(bodies, num_frames=12)

    prepared = prepare_clean(RawClip(12, raw.bodies, actors_chosen=True), NTU25)

    assert prepared.joints.shape == (3, 10, 25, 3)
    assert_array_equal(np.flatnonzero(prepared.joints[2].any(axis=(1, 2))), [7, 9])


def test_a_body_twice_in_a_frame_and_a_recording_of_zeros_are_refused() -> None:
    twice = recording({"7": ([3, 3], poses(2))}, num_frames=5)
    nobody = recording({"7": (range(3), np.zeros((3, 25, 3)))}, num_frames=3)

    with pytest.raises(DataError, match="body 7: expected at most one pose a frame, found several"):
        prepare_clean(twice, NTU25)
    with pytest.raises(
        NoBodyError, match="expected a body in at least one frame, found only zeros"
    ):
        prepare_clean(nobody, NTU25)


def test_every_golden_recording_has_its_poses_in_their_frames() -> None:
    for name, raw in recordings().items():
        if not raw.bodies:
            continue

        prepared = prepare_clean(raw, NTU25)

        for actor, place in np.argwhere(prepared.joints.any(axis=(2, 3))):
            frame = prepared.frame_numbers[place]
            recorded = np.concatenate(
                [track.joints[track.frames == frame] for track in raw.bodies.values()]
            )
            moved = recorded - prepared.joints[actor, place]  # one of them by the origin only
            assert np.ptp(moved, axis=1).max(axis=1).min() < 1e-5, (name, actor, frame)
