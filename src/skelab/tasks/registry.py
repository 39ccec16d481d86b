"""Tasks by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from skelab.errors import TaskError, unknown_name
from skelab.tasks.classification import ClassificationTask
from skelab.tasks.detection import DetectionTask
from skelab.tasks.early import EarlyFramesTask, EarlyTask
from skelab.tasks.next_action import NextActionTask
from skelab.tasks.spec import DEFAULT_TASK
from skelab.tasks.task import Task

Maker = TypeVar("Maker", bound=Callable[..., Task])

_TASKS: dict[str, Callable[..., Task]] = {
    kind.name: kind
    for kind in (ClassificationTask, EarlyTask, EarlyFramesTask, NextActionTask, DetectionTask)
}


def register_task(name: str) -> Callable[[Maker], Maker]:
    """Enter a class, or a function, that makes a task from keyword options.

    Raises:
        TaskError: The name is taken.
    """

    def enter(make: Maker) -> Maker:
        if name in _TASKS:
            raise TaskError(f"task name {name!r} is taken; choose another")
        _TASKS[name] = make
        return make

    return enter


def get_task(name: str = DEFAULT_TASK, options: Mapping[str, Any] | None = None) -> Task:
    """The task of a name, made with its options.

    Raises:
        TaskError: There is no such task or option, or a value is out of range.
    """
    given = dict(options or {})
    known = task_options(name)
    for option in given:
        if option not in known:
            raise TaskError(unknown_name(f"option of the task {name}", option, known))
    return _TASKS[name](**given)


def list_tasks() -> tuple[str, ...]:
    """The names of all tasks, sorted."""
    return tuple(sorted(_TASKS))


def task_options(name: str) -> tuple[str, ...]:
    """The options that a task takes.

    Raises:
        TaskError: There is no such task.
    """
    if name not in _TASKS:
        raise TaskError(unknown_name("task", name, _TASKS))
    parameters = inspect.signature(_TASKS[name]).parameters.values()
    return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)
