"""Tasks by name, and how an epoch is chosen."""

import math

import pytest

from skelab.errors import TaskError
from skelab.tasks import (
    BUILT_IN_TASKS,
    Choice,
    ClassificationTask,
    TaskSpec,
    get_task,
    list_tasks,
    register_task,
    task_options,
)

KNOWN = ("classification", "detection", "early", "early-frames", "next-action")


def test_classification_is_the_task_of_those_that_name_none() -> None:
    assert list_tasks() == KNOWN == tuple(sorted(BUILT_IN_TASKS))
    assert isinstance(get_task(), ClassificationTask)
    assert TaskSpec() == TaskSpec("classification", {})
    assert task_options("classification") == ("label_smoothing",)


@pytest.mark.parametrize("name", BUILT_IN_TASKS)
def test_the_tasks_of_the_lab_need_no_option(name: str) -> None:
    assert get_task(name).name == name


@pytest.mark.usefixtures("height_task")
def test_a_registered_task_is_made_with_its_options() -> None:
    task = get_task("height", {"scale": 3.0})

    assert (task.name, vars(task)) == ("height", {"scale": 3.0})
    assert list_tasks() == tuple(sorted((*KNOWN, "height")))


def test_an_unknown_task_lists_the_known_ones() -> None:
    with pytest.raises(TaskError, match=rf"^unknown task 'forecast'\. Known: {', '.join(KNOWN)}$"):
        get_task("forecast")


def test_an_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(
        TaskError,
        match=r"^unknown option of the task classification 'smoothing', did you mean 'label_smoo",
    ):
        get_task("classification", {"smoothing": 0.1})


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(TaskError, match=r"^task name 'classification' is taken; choose another$"):
        register_task("classification")(ClassificationTask)


@pytest.mark.parametrize(
    ("higher", "value", "best", "expected"),
    [
        (True, 0.0, None, True),
        (True, 0.5, 0.4, True),
        (True, 0.5, 0.5, False),
        (False, 0.3, 0.4, True),
        (False, 0.4, 0.4, False),
        (False, 0.5, 0.4, False),
        (False, math.nan, None, False),
        (True, math.nan, 0.1, False),
    ],
)
def test_an_epoch_is_preferred_if_it_is_really_better(
    higher: bool, value: float, best: float | None, expected: bool
) -> None:
    choice = Choice("figure", higher_is_better=higher)

    assert choice.prefers(value, best) is expected
