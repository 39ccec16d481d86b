from .batch import (
    Batch as Batch,
    MixedLabels as MixedLabels,
)
from .config import FeederConfig as FeederConfig
from .draw_log import (
    DrawLog as DrawLog,
    LoggedDraws as LoggedDraws,
    open_draw_log as open_draw_log,
    read_draws as read_draws,
)
from .feeder import Feeder as Feeder
from .replay import replay_draws as replay_draws
from .transforms import (
    ClipFacts as ClipFacts,
    Transform as Transform,
)
