"""The step itself: clipping, AdamW, rates of groups and auxiliary losses, against plain torch."""

from collections.abc import Mapping
from types import SimpleNamespace

import pytest
import torch
from tiny_run import with_settings
from torch import Tensor, nn
from torch.nn import functional as F

from skelab.data.feeding.feeder import Batch
from skelab.errors import TaskError, TrainingError
from skelab.fit.fakes import PlainEngine
from skelab.models import ModelInput, ModelOutput, create_model
from skelab.tasks import TaskSpec
from skelab.training.config import Precision, TrainingConfig
from skelab.training.groups import set_training_mode
from skelab.training.precision import StepEngine, TorchEngine
from skelab.training.step import TrainStep, make_optimizer, make_task


def a_batch(clips: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    joints = torch.randn(clips, 3, 8, 15, 2, generator=generator)
    return Batch(joints, torch.arange(clips) % 3, tuple(range(clips)))


def network() -> nn.Module:
    torch.manual_seed(0)
    return create_model("tiny", num_classes=3, layout="sbu15", dropout=0.0).train()


def a_step(
    config: TrainingConfig, model: nn.Module | None = None, engine: StepEngine | None = None
) -> TrainStep:
    model = model or network()
    task = make_task(TaskSpec(), config)
    engine = engine or TorchEngine(Precision.FP32)
    return TrainStep(model, make_optimizer(model, config), engine, task, config)


def take(step: TrainStep, parts: tuple[int, ...] = (6,)) -> None:
    batch, start = a_batch(sum(parts)), 0
    step.begin()
    for size in parts:
        own = slice(start, start + size)
        step.accumulate(Batch(batch.joints[own], batch.labels[own], batch.rows[own]), size / 6)
        start += size
    step.update()


def plain_gradients(model: nn.Module) -> float:
    """Add the gradients of the whole batch; their norm."""
    batch = a_batch()
    torch.autograd.backward(F.cross_entropy(model(batch.joints), batch.labels))
    squares = [p.grad.square().sum() for p in model.parameters() if p.grad is not None]
    return float(torch.stack(squares).sum().sqrt())


def scale_gradients(model: nn.Module, factor: float) -> None:
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.grad *= factor


def test_adamw_is_that_of_pytorch() -> None:
    config = with_settings(
        optimizer="adamw", betas=[0.8, 0.95], eps=1e-6, weight_decay=0.1, learning_rate=0.02
    )
    step, by_hand = a_step(config), network()
    optimizer = torch.optim.AdamW(
        by_hand.parameters(), lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1
    )

    for _ in range(3):
        take(step)
        optimizer.zero_grad()
        plain_gradients(by_hand)
        optimizer.step()

    torch.testing.assert_close(step.model.state_dict(), by_hand.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("share", [0.5, 2.0])
@pytest.mark.parametrize("engine", [TorchEngine, PlainEngine])
def test_gradients_longer_than_the_limit_are_scaled_down_to_it_and_others_left(
    engine: type[TorchEngine] | type[PlainEngine], share: float
) -> None:
    by_hand = network()
    norm = plain_gradients(by_hand)
    settings = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    config = with_settings(clip_norm=share * norm, **settings)
    step = a_step(config, engine=engine(Precision.FP32))

    take(step)
    scale_gradients(by_hand, min(share, 1.0))
    torch.optim.SGD(by_hand.parameters(), lr=0.05).step()

    torch.testing.assert_close(
        dict(step.model.named_parameters()), dict(by_hand.named_parameters())
    )


def test_a_batch_in_parts_is_clipped_once_and_whole() -> None:
    class Still(nn.Module):
        """One layer without a batch norm, so that parts of a batch are alike."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(720, 3)
            self.skelab_spec = network().skelab_spec

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.layer(x.flatten(1))
            return logits

    whole, parts = (a_step(with_settings(clip_norm=0.3), Still()) for _ in range(2))
    parts.model.load_state_dict(whole.model.state_dict())

    take(whole)
    take(parts, (2, 3, 1))

    torch.testing.assert_close(parts.model.state_dict(), whole.model.state_dict())


class Scaler:
    """A loss scaler in miniature that insists on its order of calls."""

    def __init__(self, scale: float) -> None:
        self.scale, self.calls = scale, ""

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        self.calls += "u"
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad /= self.scale

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        if "u" not in self.calls:
            self.unscale_(optimizer)
        self.calls += "s"
        optimizer.step()

    def update(self) -> None:
        self.calls += "."


def test_scaled_gradients_are_unscaled_before_they_are_clipped() -> None:
    engine, scaler = TorchEngine(Precision.FP32), Scaler(1024.0)
    engine._accelerator = SimpleNamespace(
        device=engine.device,
        scaler=scaler,
        autocast=engine._accelerator.autocast,
        backward=lambda loss: (loss * scaler.scale).backward(),
    )
    scaled, plain = (
        a_step(with_settings(clip_norm=0.3), engine=engine),
        a_step(with_settings(clip_norm=0.3)),
    )

    take(scaled)
    take(plain)

    assert scaler.calls == "us."
    torch.testing.assert_close(scaled.model.state_dict(), plain.model.state_dict())


def test_groups_have_the_rate_times_their_factor() -> None:
    config = with_settings(groups=[{"pattern": "^norm", "rate": 0.1}])
    step = a_step(config)

    step.set_rate(0.5)

    assert [group["lr"] for group in step.optimizer.param_groups] == [0.5, 0.05]
    assert step.rate == 0.5


def test_frozen_parameters_stay_what_they_are_and_so_do_statistics_of_their_norms() -> None:
    step = a_step(with_settings(groups=[{"pattern": "^norm", "frozen": True}]))
    set_training_mode(step.model)
    before = {name: value.clone() for name, value in step.model.state_dict().items()}

    take(step)

    after = step.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"classifier.weight", "classifier.bias"}


# Auxiliary losses


class WithTerms(nn.Module):
    """A network with two loss terms of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()
        self.skelab_spec = self.inner.skelab_spec

    def outputs(self, x: ModelInput) -> ModelOutput:
        logits: Tensor = self.inner(x.joints)
        terms: Mapping[str, Tensor] = {"size": logits.square().mean(), "sum": logits.sum().abs()}
        return ModelOutput(logits, terms)


@pytest.mark.parametrize("weights", [{}, {"size": 0.5}, {"size": 0.0, "sum": 2.0}])
def test_auxiliary_losses_are_added_with_their_weights(weights: dict[str, float]) -> None:
    step, by_hand, batch = (
        a_step(with_settings(auxiliary=weights), WithTerms()),
        network(),
        a_batch(),
    )

    step.begin()
    _, losses = step.accumulate(batch, 1.0)

    logits = by_hand(batch.joints)
    terms = {"size": logits.square().mean(), "sum": logits.sum().abs()}
    own = F.cross_entropy(logits, batch.labels)
    expected = own + sum(weights.get(name, 1.0) * term for name, term in terms.items())
    torch.testing.assert_close(losses.total, expected)
    torch.testing.assert_close(dict(losses.by_name), {"cross_entropy": own, **terms})


def test_a_weight_for_a_loss_that_the_network_does_not_give_is_refused() -> None:
    step = a_step(with_settings(auxiliary={"sise": 1.0}), WithTerms())

    step.begin()
    with pytest.raises(
        TrainingError,
        match=r"training\.auxiliary: unknown loss of this network 'sise', did you mean 'size'\?",
    ):
        step.accumulate(a_batch(), 1.0)


# The task


def test_labels_are_smoothed_by_either_of_two_keys() -> None:
    config = with_settings(label_smoothing=0.2)

    tasks = [make_task(TaskSpec(), config)]
    tasks.append(make_task(TaskSpec(options={"label_smoothing": 0.2}), with_settings()))

    assert [vars(task) for task in tasks] == [{"label_smoothing": 0.2}] * 2


def test_a_task_that_does_not_exist_is_named() -> None:
    with pytest.raises(TaskError, match=r"unknown task 'clasification', did you mean 'classif"):
        make_task(TaskSpec("clasification"), with_settings())
