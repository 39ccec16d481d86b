"""Clips to batches: reading, random draws, transforms, streams."""

from skelab.data.feeding.batch import Batch, MixedLabels
from skelab.data.feeding.draw_log import DrawLog, LoggedDraws, open_draw_log, read_draws
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.replay import replay_draws
from skelab.data.feeding.transforms import ClipFacts, Transform

__all__ = [
    "Batch",
    "ClipFacts",
    "DrawLog",
    "Feeder",
    "FeederConfig",
    "LoggedDraws",
    "MixedLabels",
    "Transform",
    "open_draw_log",
    "read_draws",
    "replay_draws",
]
