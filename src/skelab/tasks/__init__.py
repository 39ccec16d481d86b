"""Tasks: what is predicted; head, losses, metrics and scores behind one protocol."""

from skelab.tasks.classification import ClassificationTask
from skelab.tasks.early import EarlyFramesTask, EarlyTask
from skelab.tasks.outputs import model_outputs
from skelab.tasks.registry import (
    CLASS_TASKS,
    DEFAULT_TASK,
    TaskSpec,
    get_task,
    list_tasks,
    register_task,
    task_options,
)
from skelab.tasks.task import Choice, Losses, ScoredClips, Task, observing_of, ratios_of

__all__ = [
    "CLASS_TASKS",
    "DEFAULT_TASK",
    "Choice",
    "ClassificationTask",
    "EarlyFramesTask",
    "EarlyTask",
    "Losses",
    "ScoredClips",
    "Task",
    "TaskSpec",
    "get_task",
    "list_tasks",
    "model_outputs",
    "observing_of",
    "ratios_of",
    "register_task",
    "task_options",
]
