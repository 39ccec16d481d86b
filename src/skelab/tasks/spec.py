"""Which task a network is for, as recipes and checkpoints say it; read without PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DEFAULT_TASK: Final = "classification"
"""The task of recipes and checkpoints that name none."""

CLASS_TASKS: Final = (DEFAULT_TASK, "early", "early-frames")
"""The tasks whose networks classify, whole clips or each frame."""

BUILT_IN_TASKS: Final = (*CLASS_TASKS, "next-action", "detection")
"""The tasks that come with the lab; all their options have defaults."""


@dataclass(frozen=True)
class TaskSpec:
    """Which task, and its options, as recipes and checkpoints say it.

    Attributes:
        name: The task.
        options: What it takes beyond that.
    """

    name: str = DEFAULT_TASK
    options: Mapping[str, Any] = field(default_factory=dict)
