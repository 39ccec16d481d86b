from .classification import ClassificationTask as ClassificationTask
from .detection import DetectionTask as DetectionTask, NO_ACTION as NO_ACTION
from .early import (
    EarlyFramesTask as EarlyFramesTask,
    EarlyTask as EarlyTask,
)
from .next_action import HORIZONS as HORIZONS, NextActionTask as NextActionTask
from .outputs import (
    model_input as model_input,
    model_outputs as model_outputs,
)
from .registry import (
    get_task as get_task,
    list_tasks as list_tasks,
    register_task as register_task,
    task_options as task_options,
)
from .spec import (
    BUILT_IN_TASKS as BUILT_IN_TASKS,
    CLASS_TASKS as CLASS_TASKS,
    DEFAULT_TASK as DEFAULT_TASK,
    TaskSpec as TaskSpec,
)
from .task import (
    Choice as Choice,
    Losses as Losses,
    ScoredClips as ScoredClips,
    Task as Task,
    clips_of as clips_of,
    observing_of as observing_of,
    ratios_of as ratios_of,
)
