"""The learning rate of each epoch, against the tables of the authors."""

import math
from typing import Any

import pytest

from skelab.training.config import Schedule, ScheduleUnit, TrainingConfig
from skelab.training.schedule import learning_rate


def rates(config: TrainingConfig) -> list[float]:
    return [learning_rate(config, epoch) for epoch in range(config.epochs)]


def test_ctrgcn_warms_up_over_five_epochs_and_falls_at_35_and_55() -> None:
    config = TrainingConfig()

    found = rates(config)

    expected = [0.02, 0.04, 0.06, 0.08, 0.1] + [0.1] * 30 + [0.01] * 20 + [0.001] * 10
    assert found == pytest.approx(expected, rel=1e-12)


def test_msg3d_does_not_warm_up_and_falls_at_30_and_40() -> None:
    config = TrainingConfig(epochs=50, learning_rate=0.05, warmup_epochs=0, steps=(30, 40))

    found = rates(config)

    assert found == pytest.approx([0.05] * 30 + [0.005] * 10 + [0.0005] * 10, rel=1e-12)


def test_a_cosine_falls_from_the_highest_rate_towards_zero() -> None:
    config = TrainingConfig(
        epochs=12, learning_rate=0.2, warmup_epochs=2, schedule=Schedule.COSINE, steps=()
    )

    found = rates(config)

    fall = [0.2 * (1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)]
    assert found == pytest.approx([0.1, 0.2, *fall], rel=1e-12)


@pytest.mark.parametrize("schedule", list(Schedule))
def test_a_run_that_is_all_warm_up_is_allowed(schedule: Schedule) -> None:
    config = TrainingConfig(epochs=3, learning_rate=0.3, warmup_epochs=3, schedule=schedule)

    found = rates(config)

    assert found == pytest.approx([0.1, 0.2, 0.3])


def test_steps_may_stand_in_any_order() -> None:
    orders = [TrainingConfig(steps=steps) for steps in ((35, 55), (55, 35))]

    assert rates(orders[0]) == rates(orders[1])


def test_a_constant_rate_is_that_of_the_end_of_the_warm_up() -> None:
    config = TrainingConfig(
        epochs=5, learning_rate=0.4, warmup_epochs=2, schedule=Schedule.CONSTANT
    )

    found = rates(config)

    assert found == pytest.approx([0.2, 0.4, 0.4, 0.4, 0.4])


def test_a_cosine_falls_to_its_floor() -> None:
    config = TrainingConfig(
        epochs=4, learning_rate=0.5, warmup_epochs=0, schedule=Schedule.COSINE, min_rate=0.1
    )

    found = rates(config)

    fall = [0.1 + 0.4 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert found == pytest.approx(fall, rel=1e-12)


@pytest.mark.parametrize("schedule", list(Schedule))
def test_by_steps_a_schedule_is_that_of_as_many_epochs_of_one_step(schedule: Schedule) -> None:
    settings: dict[str, Any] = {"learning_rate": 0.3, "schedule": schedule}
    by_step = TrainingConfig(
        epochs=4, warmup_epochs=1, steps=(2,), schedule_unit=ScheduleUnit.STEP, **settings
    )
    by_epoch = TrainingConfig(epochs=20, warmup_epochs=5, steps=(10,), **settings)

    found = [
        learning_rate(by_step, epoch, step, steps_per_epoch=5)
        for epoch in range(4)
        for step in range(5)
    ]

    assert found == rates(by_epoch)
