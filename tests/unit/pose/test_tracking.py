"""People keep their numbers: while they walk, cross, hide and come back."""

from collections.abc import Sequence

import pytest
from pose_kit import KnowingEstimator, Walker, numbered_picture

from skelab.pose.tracking import PeopleTracker, TrackingSettings


def follow(
    people: Sequence[Walker], frames: int, **settings: int
) -> tuple[list[dict[int, int]], KnowingEstimator]:
    """Of each picture, the walker behind each number; None of them may be a mixture."""
    estimator = KnowingEstimator(people)
    tracker = PeopleTracker(estimator, TrackingSettings(**settings))
    found = []
    for number in range(frames):
        seen = {}
        for tracked in tracker.step(numbered_picture(number)):
            x = tracked.pose.region.x
            places = [abs(person.place(number)[0] - x) for person in people]
            seen[tracked.body] = places.index(min(places))
        found.append(seen)
    return found, estimator


def test_nobody_is_found_where_nobody_is() -> None:
    found, estimator = follow([], 7, detect_every_empty=3)

    assert found == [{}] * 7
    assert estimator.calls == ["detect"] * 3


def test_somebody_who_walks_keeps_the_number() -> None:
    found, estimator = follow([Walker((100, 240), (4, 0))], 60, detect_every=15)

    assert found == [{1: 0}] * 60
    assert estimator.calls.count("detect") == 4


def test_nobody_is_looked_for_beyond_the_most() -> None:
    people = [Walker((100 + 180 * place, 240)) for place in range(3)]

    found, estimator = follow(people, 20, most_people=2, detect_every=5)

    assert all(len(seen) == 2 for seen in found)
    assert estimator.calls.count("detect") == 1


def test_who_comes_later_gets_the_next_number() -> None:
    people = [Walker((100, 240)), Walker((500, 240), present=range(10, 100))]

    found, _ = follow(people, 30, detect_every=5)

    assert found[9] == {1: 0}
    assert found[20] == {1: 0, 2: 1}


def test_two_who_cross_keep_their_numbers() -> None:
    people = [Walker((100, 240), (6, 0), near=1), Walker((540, 240), (-6, 0))]

    found, _ = follow(people, 80, detect_every=5)

    assert found[0] == {1: 0, 2: 1}
    assert {} not in found
    assert found[79] == {1: 0, 2: 1}
    assert all(seen.get(1) == 0 for seen in found)
    assert all(seen.get(2, 1) == 1 for seen in found)


def test_three_who_cross_keep_their_numbers() -> None:
    people = [
        Walker((80, 240), (6, 0), near=2),
        Walker((330, 240), (0, 0), near=1),
        Walker((580, 240), (-6, 0), near=0),
    ]

    found, _ = follow(people, 84, detect_every=5)

    numbers = {walker: body for body, walker in found[0].items()}
    assert len(numbers) == 3
    assert {walker: body for body, walker in found[83].items()} == numbers


def test_somebody_who_hides_comes_back_under_the_old_number() -> None:
    hidden = Walker((300, 240), (2, 0))
    people = [hidden, Walker((60, 240))]
    estimator = KnowingEstimator(people)
    tracker = PeopleTracker(estimator, TrackingSettings(detect_every=5, remember=30))
    bodies = []
    for number in range(60):
        hidden.present = None if not 20 <= number < 40 else range(0)
        bodies.append({tracked.body for tracked in tracker.step(numbered_picture(number))})

    assert bodies[0] == {1, 2}
    assert len(bodies[30]) == 1
    assert bodies[59] == {1, 2}


def test_somebody_who_is_away_for_long_is_somebody_new() -> None:
    walker = Walker((300, 240))
    tracker = PeopleTracker(KnowingEstimator([walker]), TrackingSettings(remember=10))
    bodies = []
    for number in range(60):
        walker.present = None if not 20 <= number < 45 else range(0)
        bodies.append([tracked.body for tracked in tracker.step(numbered_picture(number))])

    assert bodies[10] == [1]
    assert bodies[30] == []
    assert bodies[59] == [2]


@pytest.mark.parametrize("x", [-40.0, 700.0])
def test_somebody_outside_of_the_picture_is_not_followed(x: float) -> None:
    found, _ = follow([Walker((x, 240))], 5)

    assert found == [{}] * 5


def test_detections_of_somebody_who_is_followed_change_nothing() -> None:
    found, estimator = follow([Walker((300, 240))], 40, detect_every=1)

    assert found == [{1: 0}] * 40
    assert estimator.calls.count("detect") == 40
