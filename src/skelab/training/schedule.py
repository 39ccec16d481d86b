"""Learning-rate schedules."""

import math

from skelab.training.config import Schedule, ScheduleUnit, TrainingConfig


def learning_rate(
    config: TrainingConfig, epoch: int, step: int = 0, *, steps_per_epoch: int = 1
) -> float:
    """The learning rate of an epoch, or of a step if that is the schedule's unit.

    Args:
        config: The schedule.
        epoch: Epoch, from 0.
        step: Step in the epoch, from 0; ignored if the rate is constant within an epoch.
        steps_per_epoch: Steps per epoch.

    Source: the authors' rule for CTR-GCN (arXiv:2107.12213, section 4.2): in warm-up epoch e the
    rate is (e + 1) / warm-up of the maximum; afterwards it decreases at each step. Per step the
    same rule holds with step numbers in place of epochs, and all lengths in steps.
    """
    by_step = config.schedule_unit is ScheduleUnit.STEP
    length = steps_per_epoch if by_step else 1  # units in an epoch
    place = epoch * length + (step if by_step else 0)
    warmup = config.warmup_epochs * length
    if place < warmup:
        return config.learning_rate * (place + 1) / warmup
    if config.schedule is Schedule.CONSTANT:
        return config.learning_rate
    if config.schedule is Schedule.COSINE:
        progress = (place - warmup) / max(config.epochs * length - warmup, 1)
        span = config.learning_rate - config.min_rate
        return config.min_rate + span * (1 + math.cos(math.pi * progress)) / 2
    fallen = sum(place >= each * length for each in config.steps)
    return float(config.learning_rate * config.decay**fallen)
