"""Names of the clips of a set."""

from collections import Counter

import pytest

from skelab.data.datasets import parse_split
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import DataError
from skelab.synthetic import clip_names, list_actions
from skelab.synthetic.names import partner_of

TRAIN = parse_split("xsub").train


def test_the_default_set_is_balanced_over_actions_performers_and_cameras() -> None:
    infos = [parse_sample_name(name) for name in clip_names(480)]

    actions = Counter(info.label for info in infos)
    performers = Counter(info.subject for info in infos)
    assert len(actions) == 14
    assert max(actions.values()) - min(actions.values()) <= 3
    assert len(performers) == 40
    assert max(performers.values()) - min(performers.values()) <= 6
    assert Counter(info.camera for info in infos) == {1: 160, 2: 160, 3: 160}
    assert {info.setup for info in infos} == set(range(1, 18))
    assert {info.replication for info in infos} == {1, 2}


@pytest.mark.parametrize("actions", [2, 10, 14, 20, 23])
def test_each_action_meets_training_and_test_performers_alike(actions: int) -> None:
    infos = [parse_sample_name(name) for name in clip_names(actions * 36, actions=actions)]

    for label in {info.label for info in infos}:
        mine = [info for info in infos if info.label == label]
        trained = sum(info.subject in TRAIN for info in mine)
        assert trained == len(mine) // 2
        assert len({info.subject for info in mine}) == 12


def test_all_names_are_different_up_to_the_largest_set() -> None:
    names = clip_names(17 * 2 * 40 * 3 * 2, actions=2)

    assert len(set(names)) == len(names)


def test_more_clips_never_change_those_before() -> None:
    assert clip_names(500)[:100] == clip_names(100)


def test_the_three_cameras_of_a_take_follow_each_other() -> None:
    names = clip_names(30)

    for start in range(0, 30, 3):
        take = {name[:4] + name[8:] for name in names[start : start + 3]}
        assert len(take) == 1


def test_partners_are_others_of_the_same_part() -> None:
    for number in range(1, 41):
        partner = partner_of(number)

        assert partner != number
        assert (partner in TRAIN) == (number in TRAIN)


@pytest.mark.parametrize("clips", [0, -1, 57121])
def test_a_number_of_clips_out_of_range_is_refused(clips: int) -> None:
    with pytest.raises(DataError) as caught:
        clip_names(clips)

    assert str(caught.value) == (
        f"clips: expected a number from 1 to 57,120 for 14 actions, found {clips}"
    )


@pytest.mark.parametrize("actions", [-1, 0, 1, 24])
def test_a_number_of_actions_out_of_range_is_refused(actions: int) -> None:
    with pytest.raises(DataError) as caught:
        list_actions(actions)

    assert str(caught.value) == f"actions: expected a number from 2 to 23, found {actions}"
