"""The running average of weights equals its recurrence, and can be saved."""

import pytest
import torch
from torch import nn

from skelab.training.average import WeightAverage


def model_with(value: float) -> nn.Module:
    model = nn.BatchNorm1d(2)
    nn.init.constant_(model.weight, value)
    return model


def test_the_average_follows_its_recurrence() -> None:
    model = model_with(1.0)
    average = WeightAverage(model, 0.9)

    expected = 1.0
    for step, value in enumerate((2.0, 5.0, -3.0, 0.5)):
        nn.init.constant_(model.weight, value)  # type: ignore[arg-type]
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        average.update(model)

    torch.testing.assert_close(average.tensors()["weight"], torch.full((2,), expected))


def test_after_many_steps_the_decay_is_the_one_asked_for() -> None:
    model = model_with(1.0)
    average = WeightAverage(model, 0.5)
    average.steps = 1000
    nn.init.constant_(model.weight, 3.0)  # type: ignore[arg-type]

    average.update(model)

    torch.testing.assert_close(average.tensors()["weight"], torch.full((2,), 2.0))


def test_whole_numbers_are_taken_over() -> None:
    model = model_with(1.0)
    average = WeightAverage(model, 0.9)
    model.num_batches_tracked.fill_(17)  # type: ignore[operator]

    average.update(model)

    assert average.tensors()["num_batches_tracked"] == 17


def test_the_average_is_no_view_of_the_weights() -> None:
    model = model_with(1.0)
    average = WeightAverage(model, 0.9)

    nn.init.constant_(model.weight, 9.0)  # type: ignore[arg-type]

    assert average.tensors()["weight"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("steps", [0, 3])
def test_a_saved_average_goes_on_as_if_it_had_not_been(steps: int) -> None:
    model = model_with(1.0)
    one = WeightAverage(model, 0.9)
    for _ in range(steps):
        one.update(model_with(4.0))
    other = WeightAverage(model_with(7.0), 0.9)
    other.restore({name: value.clone() for name, value in one.tensors().items()}, one.steps)

    for average in (one, other):
        average.update(model_with(-2.0))

    assert torch.equal(one.tensors()["weight"], other.tensors()["weight"])
