"""What a recipe may say about training, and what not."""

import pytest
from pydantic import ValidationError

from skelab.training.config import MemoryConfig, TrainingConfig


def test_the_defaults_are_the_settings_of_ctrgcn() -> None:
    config = TrainingConfig()

    assert (config.epochs, config.batch_size, config.seed) == (65, 64, 1)
    assert (config.learning_rate, config.momentum, config.nesterov) == (0.1, 0.9, True)
    assert (config.weight_decay, config.label_smoothing) == (0.0004, 0.0)
    assert (config.warmup_epochs, config.steps, config.decay) == (5, (35, 55), 0.1)
    assert config.drop_last


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", True),
        ("epochs", 2.5),
        ("epochs", "many"),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("learning_rate", float("nan")),
        ("momentum", 1),
        ("momentum", -0.1),
        ("weight_decay", -1e-4),
        ("warmup_epochs", -1),
        ("schedule", "linear"),
        ("steps", [35, -1]),
        ("steps", [35.5]),
        ("steps", 35),
        ("decay", 0),
        ("decay", 1.1),
        ("label_smoothing", 1),
        ("seed", -1),
        ("seed", 2**63),
        ("epoch", 3),
        ("optimizer", "adam"),
        ("betas", [0.9]),
        ("betas", [0.9, 1.0]),
        ("eps", 0),
        ("clip_norm", 0),
        ("clip_norm", -1.0),
        ("schedule_unit", "clip"),
        ("min_rate", -0.1),
        ("groups", [{"pattern": "("}]),
        ("groups", [{"pattern": ""}]),
        ("groups", [{"pattern": "a", "rate": 0}]),
        ("groups", [{"pattern": "a", "decay": -1}]),
        ("groups", [{"rate": 1}]),
        ("auxiliary", {"term": -1}),
    ],
)
def test_a_value_out_of_range_or_of_another_type_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        TrainingConfig.model_validate({field: value})


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValidationError, match="nesterov needs a momentum above 0"):
        TrainingConfig(momentum=0)

    assert TrainingConfig(momentum=0, nesterov=False).momentum == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "adamw", "nesterov": True}, "nesterov is a momentum of sgd, adamw has none"),
        ({"betas": [0.8, 0.99]}, "betas is a setting of adamw, found it with sgd"),
        ({"eps": 1e-6}, "eps is a setting of adamw, found it with sgd"),
        ({"min_rate": 0.01}, "min_rate is where the schedule cosine ends, found it with step"),
        (
            {"schedule": "cosine", "min_rate": 0.2},
            "min_rate: expected at most the learning_rate 0.1, found 0.2",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingConfig.model_validate(settings)


def test_adamw_does_not_look_ahead_and_can_be_written_and_read() -> None:
    config = TrainingConfig.model_validate({"optimizer": "adamw"})

    assert not config.nesterov
    assert TrainingConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [("activations", "drop"), ("micro_batch", 0), ("micro_batch", 1.5), ("micro", 2)],
)
def test_memory_settings_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        MemoryConfig.model_validate({field: value})


def test_settings_cannot_be_changed_once_made() -> None:
    config = TrainingConfig()

    with pytest.raises(ValidationError, match="frozen"):
        config.epochs = 3  # type: ignore[misc]
