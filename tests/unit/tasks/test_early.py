"""The tasks of early recognition, against their formulas written out."""

from typing import Any

import numpy as np
import pytest
import torch
from module_kit import STICK
from torch import nn
from torch.nn import functional as F

from skelab.data.feeding.batch import Batch, MixedLabels
from skelab.errors import TaskError
from skelab.evaluation import Scores, ScoresInfo
from skelab.models import ModelOutput, create_model
from skelab.tasks import (
    EarlyFramesTask,
    EarlyTask,
    ScoredClips,
    Task,
    get_task,
    model_outputs,
    observing_of,
    ratios_of,
)

INFO = ScoresInfo("made-up", "xsub", "test", "honest", "tiny", "joint")
LABELS = torch.tensor([0, 2, 1])


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def batch_of(*, whole: bool = False) -> Batch:
    joints = draw(3, 3, 8, 5, 1)
    return Batch(joints, LABELS, (0, 1, 2), whole=joints + 1 if whole else None)


@pytest.mark.parametrize("name", ["early", "early-frames"])
def test_the_tasks_are_known_by_name(name: str) -> None:
    task = get_task(name, {"label_smoothing": 0.1})

    assert isinstance(task, Task)
    assert (task.name, task.choice.metric, task.needs_labels) == (name, "auc", True)


def test_p1_observes_a_share_and_is_validated_at_ten() -> None:
    task = EarlyTask(lowest=0.2)

    observing = observing_of(task)

    assert observing is not None
    assert (observing.shares, observing.whole) == ((0.2, 1.0), False)
    assert ratios_of(task) == pytest.approx(np.arange(1, 11) / 10)


def test_the_loss_of_the_oracle_is_the_mean_of_both_losses() -> None:
    logits = draw(6, 3)

    losses = EarlyTask(oracle=True).losses(ModelOutput(logits), batch_of(whole=True))

    observed, whole = F.cross_entropy(logits[:3], LABELS), F.cross_entropy(logits[3:], LABELS)
    torch.testing.assert_close(losses.total, (observed + whole) / 2)
    torch.testing.assert_close(losses.by_name["observed"], observed)
    torch.testing.assert_close(losses.by_name["whole"], whole)


def test_correct_clips_are_counted_by_what_was_observed_and_whole() -> None:
    logits = torch.cat([F.one_hot(LABELS, 3), F.one_hot(torch.tensor([0, 0, 0]), 3)]).float()

    sums = EarlyTask(oracle=True).sums(ModelOutput(logits), batch_of(whole=True))

    assert sums == {"top1": 3.0, "top1_whole": 1.0}


def test_the_whole_clips_pass_the_network_with_their_beginnings() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 5, 3))
    batch = batch_of(whole=True)

    output = model_outputs(model, batch)

    assert batch.whole is not None
    torch.testing.assert_close(output.logits[:3], model(batch.joints))
    torch.testing.assert_close(output.logits[3:], model(batch.whole))


def test_the_auc_is_the_mean_top1_over_the_shares() -> None:
    logits, targets = draw(3, 10, 3).numpy(), LABELS.numpy()

    metrics = EarlyTask().metrics(logits, targets)

    right = (logits.argmax(axis=2) == targets[:, None]).mean(axis=0)
    loss = F.cross_entropy(torch.tensor(logits).reshape(30, 3), LABELS.repeat_interleave(10))
    assert metrics["auc"] == pytest.approx(right.mean())
    assert metrics["top1"] == pytest.approx(right[-1])
    assert metrics["loss"] == pytest.approx(loss.item())


def test_metrics_of_whole_clips_alone_are_those_of_classification() -> None:
    logits = draw(3, 3).numpy()

    metrics = EarlyTask().metrics(logits, LABELS.numpy())

    assert metrics["auc"] == metrics["top1"] == (logits.argmax(axis=1) == LABELS.numpy()).mean()


def test_p2_has_one_loss_at_every_frame() -> None:
    logits = draw(3, 8, 4)
    mixed = MixedLabels(torch.tensor([1, 1, 1]), torch.tensor([0.0, 0.25, 0.5]))
    batch = Batch(draw(3, 3, 8, 5, 1), LABELS, (0, 1, 2), mixed)

    losses = EarlyFramesTask().losses(ModelOutput(logits), batch)

    total = 0.0
    for n in range(3):
        for t in range(8):
            logs = logits[n, t].log_softmax(0)
            share = mixed.weights[n]
            total -= float((1 - share) * logs[LABELS[n]] + share * logs[mixed.labels[n]])
    assert float(losses.total) == pytest.approx(total / 24, rel=1e-5)


def test_p2_is_scored_by_the_last_frame_and_read_at_ten_frames() -> None:
    logits, targets = draw(3, 64, 3).numpy(), LABELS.numpy()
    clips = ScoredClips(("a", "b", "c"), ("sit", "wave", "fall"), INFO)

    task = EarlyFramesTask()
    scores = task.scores(logits, targets, clips)
    metrics = task.metrics(logits, targets)

    read = logits[:, [6, 12, 19, 25, 31, 38, 44, 51, 57, 63]]
    assert isinstance(scores, Scores)
    np.testing.assert_array_equal(scores.logits, logits[:, -1])
    assert metrics["auc"] == pytest.approx((read.argmax(2) == targets[:, None]).mean())
    assert task.sums(ModelOutput(torch.from_numpy(logits)), batch_of())["top1"] == float(
        (logits[:, -1].argmax(1) == targets).sum()
    )


def test_p2_lets_a_causal_network_answer_at_every_frame() -> None:
    model = create_model("stgcn", num_classes=3, layout=STICK, width=4, causal=True)

    EarlyFramesTask().attach_head(model)

    joints = draw(2, 3, 11, STICK.num_joints, 2)
    assert model(joints).shape == (2, 11, 3)


@pytest.mark.parametrize(
    "model", [nn.Linear(2, 2), create_model("stgcn", num_classes=3, layout=STICK, width=4)]
)
def test_p2_refuses_networks_that_look_ahead(model: nn.Module) -> None:
    with pytest.raises(TaskError, match=r"expected a causal network.*--set model.causal=true"):
        EarlyFramesTask().attach_head(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest": 0.0}, r"task.lowest, task.highest: .*0 < lowest <= highest <= 1, found \[0.0"),
        ({"highest": "all"}, "task.highest: expected a share, found 'all'"),
        ({"oracle": 1}, "task.oracle: expected true or false, found 1"),
        ({"label_smoothing": 1.0}, "task.label_smoothing: expected a share from 0 and below 1"),
        ({"ratio": 0.5}, "unknown option of the task early 'ratio'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        get_task("early", options)
