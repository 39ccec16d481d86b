"""Tasks: what is predicted; head, losses, metrics and scores behind one protocol."""

from skelab.tasks.classification import ClassificationTask
from skelab.tasks.outputs import model_outputs
from skelab.tasks.registry import (
    DEFAULT_TASK,
    TaskSpec,
    get_task,
    list_tasks,
    register_task,
    task_options,
)
from skelab.tasks.task import Choice, Losses, ScoredClips, Task

__all__ = [
    "DEFAULT_TASK",
    "Choice",
    "ClassificationTask",
    "Losses",
    "ScoredClips",
    "Task",
    "TaskSpec",
    "get_task",
    "list_tasks",
    "model_outputs",
    "register_task",
    "task_options",
]
