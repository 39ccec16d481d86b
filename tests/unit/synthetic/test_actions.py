"""The table of actions."""

import pytest

from skelab.errors import DataError
from skelab.synthetic import list_actions
from skelab.synthetic.actions import get_action


def test_every_action_has_its_ntu_number_and_name_once() -> None:
    actions = list_actions(23)

    assert len({action.number for action in actions}) == 23
    assert ("A008", "sit down") in {(action.code, action.name) for action in actions}


def test_two_person_actions_are_those_of_ntu() -> None:
    for action in list_actions(23):
        assert action.persons == (2 if 50 <= action.number <= 60 else 1)
        assert (action.solo is None) != (action.duo is None)


def test_the_usual_choice_has_fourteen_actions_four_of_two_persons() -> None:
    actions = list_actions()

    assert len(actions) == 14
    assert sum(action.persons == 2 for action in actions) == 4


def test_an_action_that_cannot_be_made_is_refused_with_those_that_can() -> None:
    with pytest.raises(DataError) as caught:
        get_action(2)

    assert str(caught.value).startswith("synthetic action A002: expected one of A001, A006, A007")
