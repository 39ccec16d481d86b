"""A step: gradients of the mean, whatever passes at once, and a second try when memory runs out."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_clips import SBU15
from tiny_run import CONFIG, same_tensors, tiny_job
from torch import nn
from torch.nn import functional as F

from skelab.data.clips.store import ClipStore
from skelab.data.feeding.feeder import Batch
from skelab.errors import TrainingError
from skelab.models import ModelCard, ModelInput, ModelOutput, ModelSpec, register_model
from skelab.skeleton import Layout
from skelab.training.config import MemoryConfig, TransferConfig
from skelab.training.job import TrainingJob
from skelab.training.learner import Learner, StepResult
from skelab.training.processes import Processes
from skelab.training.watch import Watcher


class Linear(nn.Module):
    """A network without batch norm or chance."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 8 * 15 * 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(x.flatten(1))
        return logits


def build_linear(
    *, num_classes: int, layout: Layout, in_channels: int, max_bodies: int
) -> nn.Module:
    return Linear()


LINEAR = ModelSpec("linear", 3, SBU15, 3, 2, {})
TINY = ModelSpec("tiny", 3, SBU15, 3, 2, {"dropout": 0.5})


@pytest.fixture(autouse=True)
def linear_family(tiny_family: None) -> None:
    register_model(ModelCard("linear", "One layer"))(build_linear)


@pytest.fixture
def job(store: ClipStore, tmp_path: Path) -> Callable[..., TrainingJob]:
    config = CONFIG.model_copy(
        update={"warmup_epochs": 0, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    )

    def make(**changes: Any) -> TrainingJob:
        training = config.model_copy(update=changes.pop("training", {}))
        return tiny_job(store, tmp_path, **{"model": LINEAR, "config": training, **changes})

    return make


class Listener(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def on_message(self, text: str) -> None:
        self.messages.append(text)


def a_batch(clips: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    joints = torch.randn(clips, 3, 8, 15, 2, generator=generator)
    return Batch(joints, torch.arange(clips) % 3, tuple(range(clips)))


def a_learner(job: TrainingJob, watcher: Watcher | None = None) -> Learner:
    learner = Learner(job, Processes(), watcher or Watcher())
    learner.begin_epoch(0)
    return learner


def take_step(learner: Learner, clips: int = 7) -> StepResult:
    return learner.step(a_batch(clips), epoch=0, step=0, clips=clips)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_step_equals_gradient_descent_on_the_mean_cross_entropy(
    smoothing: float, job: Callable[..., TrainingJob]
) -> None:
    learner = a_learner(job(training={"label_smoothing": smoothing}))
    by_hand, batch = Linear(), a_batch(7)
    by_hand.load_state_dict(learner.model.state_dict())

    logits = by_hand(batch.joints)
    rows = logits.log_softmax(dim=1)
    right = -rows[torch.arange(7), batch.labels]
    expected = ((1 - smoothing) * right - smoothing * rows.mean(dim=1)).mean()
    expected.backward()
    with torch.no_grad():
        for parameter in by_hand.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.05 * parameter.grad)
    result = take_step(learner)

    assert result.loss == pytest.approx(expected.item(), rel=1e-6)
    assert result.sums["top1"] == int((logits.argmax(dim=1) == batch.labels).sum())
    torch.testing.assert_close(learner.model.state_dict(), by_hand.state_dict())


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 7, 50])
def test_micro_batches_give_the_loss_and_the_step_of_the_whole_batch(
    micro_batch: int, job: Callable[..., TrainingJob]
) -> None:
    whole = a_learner(job())
    parts = a_learner(job(memory=MemoryConfig(micro_batch=micro_batch)))

    expected, found = take_step(whole), take_step(parts)

    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.sums == expected.sums
    torch.testing.assert_close(parts.model.state_dict(), whole.model.state_dict())


def sizes_seen(learner: Learner) -> list[int]:
    sizes: list[int] = []
    learner.model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    return sizes


def test_micro_batches_are_what_the_network_sees(job: Callable[..., TrainingJob]) -> None:
    learner = a_learner(job(memory=MemoryConfig(micro_batch=3)))
    sizes = sizes_seen(learner)

    take_step(learner)

    assert sizes == [3, 3, 1]


def test_gradients_do_not_gather_over_steps(job: Callable[..., TrainingJob]) -> None:
    learner = a_learner(job(training={"learning_rate": 1e-30}))

    gradients = []
    for _ in range(2):
        take_step(learner)
        gradients.append([p.grad.clone() for p in learner.model.parameters() if p.grad is not None])

    assert len(gradients[0]) == 2
    torch.testing.assert_close(gradients[0], gradients[1])


def test_what_dropout_draws_depends_on_the_place_of_a_step_alone(
    job: Callable[..., TrainingJob],
) -> None:
    losses: list[float] = []
    for place in ((0, 0), (0, 1), (1, 0), (0, 0)):
        learner = a_learner(job(model=TINY))
        torch.manual_seed(len(losses))
        losses.append(learner.step(a_batch(6), epoch=place[0], step=place[1], clips=6).loss)

    assert losses[0] == losses[3]
    assert len(set(losses)) == 3


class Regular(Linear):
    """A network with a loss term of its own: the size of its logits."""

    def outputs(self, x: ModelInput) -> ModelOutput:
        logits = self(x.joints)
        return ModelOutput(logits, {"size": logits.square().mean()})


@pytest.mark.parametrize("micro_batch", ["auto", 2])
def test_terms_of_the_loss_are_summed_by_name_where_there_are_several(
    micro_batch: int | str, job: Callable[..., TrainingJob]
) -> None:
    register_model(ModelCard("regular", "One layer and a term"))(
        lambda *, num_classes, layout, in_channels, max_bodies: Regular()
    )
    spec, memory = ModelSpec("regular", 3, SBU15, 3, 2, {}), MemoryConfig(micro_batch=micro_batch)
    learner = a_learner(job(model=spec, memory=memory, training={"auxiliary": {"size": 0.25}}))
    batch = a_batch(6)
    with torch.no_grad():
        logits = learner.model(batch.joints)

    result = take_step(learner, 6)

    own = F.cross_entropy(logits, batch.labels).item()
    size = logits.square().mean().item()
    assert result.loss == pytest.approx(own + 0.25 * size, rel=1e-5)
    assert set(result.sums) == {"top1", "loss_cross_entropy", "loss_size"}
    assert result.sums["loss_size"] / 6 == pytest.approx(size, rel=1e-5)
    assert result.sums["loss_cross_entropy"] / 6 == pytest.approx(own, rel=1e-5)


# Out of memory


def run_out(learner: Learner, above: int, error: Exception) -> None:
    """Let the network fail at more clips than some, after it has moved its buffers."""

    def fail(_: nn.Module, inputs: tuple[torch.Tensor], __: torch.Tensor) -> None:
        if len(inputs[0]) > above:
            raise error

    learner.model.register_forward_hook(fail)


ERRORS = [
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_step_that_runs_out_of_memory_is_done_again_with_half_the_clips_at_once(
    error: Exception, job: Callable[..., TrainingJob]
) -> None:
    listener = Listener()
    fails = a_learner(job(model=TINY), listener)
    run_out(fails, above=3, error=error)
    sizes = sizes_seen(fails)
    asked = a_learner(job(model=TINY, memory=MemoryConfig(micro_batch=2)))

    found, expected = take_step(fails, 8), take_step(asked, 8)

    assert sizes == [8, 4, 2, 2, 2, 2]
    assert found == expected
    assert same_tensors(fails.model.state_dict(), asked.model.state_dict())  # buffers as well
    assert listener.messages == [
        "epoch 1, step 1: out of memory with 8 clips at once; going on with 4, and accumulating"
        " to the same batch",
        "epoch 1, step 1: out of memory with 4 clips at once; going on with 2, and accumulating"
        " to the same batch",
    ]


def test_later_steps_keep_to_what_fitted(job: Callable[..., TrainingJob]) -> None:
    learner = a_learner(job())
    run_out(learner, above=4, error=MemoryError())
    sizes = sizes_seen(learner)

    take_step(learner)
    take_step(learner)

    assert sizes == [7, 4, 3, 4, 3]


def test_a_backward_pass_that_runs_out_of_memory_leaves_no_gradient_behind(
    job: Callable[..., TrainingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, asked = a_learner(job()), a_learner(job(memory=MemoryConfig(micro_batch=4)))
    backward = learner.engine.backward
    calls = 0

    def fail_once(loss: torch.Tensor) -> None:
        nonlocal calls
        calls += 1
        backward(loss)
        if calls == 1:
            raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr(learner.engine, "backward", fail_once)
    found, expected = take_step(learner), take_step(asked)

    assert found == expected
    assert same_tensors(learner.model.state_dict(), asked.model.state_dict())


def test_memory_that_does_not_suffice_for_one_clip_ends_the_run_in_one_line(
    job: Callable[..., TrainingJob],
) -> None:
    learner = a_learner(job())
    run_out(learner, above=0, error=MemoryError())

    with pytest.raises(
        TrainingError, match=r"with a single clip \(MemoryError\); --set memory"
    ) as e:
        take_step(learner)

    assert "\n" not in str(e.value)


def test_exact_batch_norm_is_never_parted(job: Callable[..., TrainingJob]) -> None:
    learner = a_learner(job(memory=MemoryConfig(batch_norm="exact")))
    run_out(learner, above=3, error=MemoryError())

    with pytest.raises(TrainingError, match=r"batch_norm=exact cannot divide the 7 clips"):
        take_step(learner)


def test_other_errors_are_not_taken_for_a_lack_of_memory(job: Callable[..., TrainingJob]) -> None:
    learner = a_learner(job())
    run_out(learner, above=0, error=RuntimeError("shapes do not match"))

    with pytest.raises(RuntimeError, match="shapes do not match"):
        take_step(learner)


LIMITED = """
import resource, sys, torch
from pathlib import Path
from tiny_clips import tiny_store
from tiny_run import CONFIG, tiny_job
from skelab.data.feeding.feeder import Batch
from skelab.models import ModelSpec
from skelab.training.learner import Learner
from skelab.training.processes import Processes
from skelab.training.watch import Watcher
from tiny_clips import SBU15

torch.set_num_threads(1)
class Told(Watcher):
    def on_message(self, text):
        print(text)
store = tiny_store(Path(sys.argv[1]) / "clips.arrow")
spec = ModelSpec("ctrgcn", 3, SBU15, 3, 2, {"width": 16})
learner = Learner(tiny_job(store, Path(sys.argv[1]), model=spec), Processes(), Told())
learner.begin_epoch(0)
def step(clips, number):
    joints = torch.randn(clips, 3, 64, 15, 2)
    batch = Batch(joints, torch.arange(clips) % 3, tuple(range(clips)))
    return learner.step(batch, epoch=0, step=number, clips=clips)
step(2, 0)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + (400 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
result = step(64, 1)
print("done", result.loss < 100, learner.micro_batch)
"""


@pytest.mark.slow
def test_a_process_whose_memory_really_ends_goes_on_with_fewer_clips(tmp_path: Path) -> None:
    tests = Path(__file__).parents[2]

    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tests), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
    )

    assert ended.returncode == 0, ended.stderr[-2000:]
    told = ended.stdout.splitlines()
    assert "out of memory with 64 clips at once; going on with 32" in told[0]
    done, finite, micro_batch = told[-1].split()
    assert (done, finite) == ("done", "True")
    assert int(micro_batch) < 64


# A running average


def test_the_average_is_what_is_judged_and_the_weights_are_kept(
    job: Callable[..., TrainingJob],
) -> None:
    learner = a_learner(job(model=TINY, training={"ema": 0.9}))
    assert learner.average is not None
    for _ in range(3):
        take_step(learner)
    own = {name: value.clone() for name, value in learner.model.state_dict().items()}

    with learner.evaluation_weights() as model:
        judged = {name: value.clone() for name, value in model.state_dict().items()}

    assert same_tensors(judged, learner.average.tensors())
    assert not same_tensors(judged, own)
    assert same_tensors(learner.model.state_dict(), own)


def test_a_learner_follows_the_schedule(job: Callable[..., TrainingJob]) -> None:
    learner = a_learner(job(training={"steps": (1,), "learning_rate": 0.3}))

    rates = []
    for epoch in (0, 1):
        learner.begin_epoch(epoch)
        rates.append(learner.optimizer.param_groups[0]["lr"])

    assert rates == pytest.approx([0.3, 0.03])
    assert learner.model.training


def test_each_block_follows_the_schedule_at_its_own_rate(job: Callable[..., TrainingJob]) -> None:
    plain = job(training={"steps": (1,), "learning_rate": 0.3})
    learner = a_learner(replace(plain, model=TINY, transfer=TransferConfig(depth_decay=0.5)))

    rates = []
    for epoch in (0, 1):
        learner.begin_epoch(epoch)
        rates.append(sorted(group["lr"] for group in learner.optimizer.param_groups))

    assert rates == [pytest.approx([0.15, 0.3]), pytest.approx([0.015, 0.03])]


def test_what_is_frozen_is_in_eval_mode_in_every_epoch(job: Callable[..., TrainingJob]) -> None:
    frozen = TransferConfig(freeze=("^norm",))
    learner = a_learner(replace(job(), model=TINY, transfer=frozen))

    modes = []
    for epoch in (0, 1):
        learner.begin_epoch(epoch)
        modes.append({name: part.training for name, part in learner.model.named_children()})
        learner.model.eval()

    assert modes == [{"norm": False, "dropout": True, "classifier": True}] * 2
    assert len(learner.optimizer.param_groups[0]["params"]) == 2


def test_loss_and_correct_clips_are_those_of_the_network(job: Callable[..., TrainingJob]) -> None:
    learner = a_learner(job())
    batch = a_batch(9)
    with torch.no_grad():
        logits = learner.model(batch.joints)

    result = learner.step(batch, epoch=0, step=0, clips=9)

    assert result.loss == pytest.approx(F.cross_entropy(logits, batch.labels).item(), rel=1e-6)
    assert result.sums["top1"] == np.sum(logits.argmax(dim=1).numpy() == batch.labels.numpy())
