"""The learning rate of each epoch."""

import math

from skelab.training.config import Schedule, TrainingConfig


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """The rate of an epoch, counted from 0; it is constant within the epoch.

    Source: the authors' rule for CTR-GCN (arXiv:2107.12213, section 4.2): in warm-up epoch e the
    rate is (e + 1) / warm-up of the highest; afterwards it falls at each step.
    """
    if epoch < config.warmup_epochs:
        return config.learning_rate * (epoch + 1) / config.warmup_epochs
    if config.schedule is Schedule.COSINE:
        length = max(config.epochs - config.warmup_epochs, 1)
        progress = (epoch - config.warmup_epochs) / length
        return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2
    fallen = sum(epoch >= step for step in config.steps)
    return float(config.learning_rate * config.decay**fallen)
