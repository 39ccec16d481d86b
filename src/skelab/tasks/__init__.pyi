from .classification import ClassificationTask as ClassificationTask
from .outputs import model_outputs as model_outputs
from .registry import (
    get_task as get_task,
    list_tasks as list_tasks,
    register_task as register_task,
    task_options as task_options,
)
from .spec import (
    DEFAULT_TASK as DEFAULT_TASK,
    TaskSpec as TaskSpec,
)
from .task import (
    Choice as Choice,
    Losses as Losses,
    ScoredClips as ScoredClips,
    Task as Task,
)
