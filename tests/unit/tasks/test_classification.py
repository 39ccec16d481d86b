"""Classification, against its formulas written out."""

import numpy as np
import pytest
import torch
from torch import nn

from skelab.data.feeding.feeder import Batch
from skelab.errors import TaskError
from skelab.evaluation import Scores, ScoresInfo
from skelab.models import ModelOutput
from skelab.tasks import ClassificationTask, ScoredClips, Task, model_outputs

LABELS = torch.tensor([0, 2, 1, 2, 1])
LOGITS = torch.tensor(
    [[2.0, 1.0, 0.0], [0.5, 0.0, 3.0], [1.0, 0.0, 0.5], [0.0, 0.1, 0.2], [0.0, 5.0, 1.0]]
)
BATCH = Batch(torch.zeros(5, 3, 8, 15, 2), LABELS, tuple(range(5)))
INFO = ScoresInfo("made-up", "xsub", "test", "honest", "tiny", "joint")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_with_the_smoothing_of_the_task(smoothing: float) -> None:
    task = ClassificationTask(label_smoothing=smoothing)

    losses = task.losses(ModelOutput(LOGITS.half()), BATCH)

    total = 0.0
    for row, label in zip(LOGITS.half().double(), LABELS, strict=True):
        logs = row - row.exp().sum().log()
        total -= float((1 - smoothing) * logs[label] + smoothing * logs.mean())
    assert losses.total.dtype == torch.float32
    assert float(losses.total) == pytest.approx(total / 5, rel=1e-5)
    assert set(losses.by_name) == {"cross_entropy"}


def test_correct_clips_are_counted_and_shared_out_as_top1() -> None:
    task = ClassificationTask()

    sums = task.sums(ModelOutput(LOGITS), BATCH)
    metrics = task.metrics(LOGITS.numpy(), LABELS.numpy())

    assert sums == {"top1": 4.0}
    assert metrics["top1"] == pytest.approx(0.8)
    assert metrics["loss"] == pytest.approx(float(task.losses(ModelOutput(LOGITS), BATCH).total))


def test_smoothing_has_no_part_in_validation() -> None:
    smoothed, plain = ClassificationTask(label_smoothing=0.5), ClassificationTask()

    found, expected = (task.metrics(LOGITS.numpy(), LABELS.numpy()) for task in (smoothed, plain))

    assert found == expected


def test_scores_hold_logits_labels_and_groups() -> None:
    names, groups = tuple("abcde"), {"subject": np.arange(5)}
    clips = ScoredClips(names, ("sit", "wave", "fall"), INFO, groups)

    scores = ClassificationTask().scores(LOGITS.numpy(), LABELS.numpy(), clips)

    assert isinstance(scores, Scores)
    assert (scores.names, scores.classes, scores.info) == (names, ("sit", "wave", "fall"), INFO)
    assert scores.top(1) == pytest.approx(0.8)
    np.testing.assert_array_equal(scores.group("subject"), np.arange(5))


def test_the_head_of_the_family_is_kept() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    before = list(model.parameters())

    ClassificationTask().attach_head(model)

    assert all(a is b for a, b in zip(model.parameters(), before, strict=True))
    assert isinstance(ClassificationTask(), Task)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, True, float("nan")])
def test_a_smoothing_that_is_no_share_is_refused(smoothing: float) -> None:
    with pytest.raises(
        TaskError, match=r"task\.label_smoothing: expected a share from 0 and below"
    ):
        ClassificationTask(label_smoothing=smoothing)


def test_a_network_without_loss_terms_of_its_own_gives_its_logits() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(720, 3))

    output = model_outputs(model, BATCH)

    torch.testing.assert_close(output.logits, model(BATCH.joints))
    assert output.auxiliary == {}
