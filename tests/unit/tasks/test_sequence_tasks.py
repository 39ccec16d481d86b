"""The tasks on sequences, next action and detection, against their formulas written out."""

from typing import Any

import numpy as np
import pytest
import torch
from module_kit import STICK
from tiny_clips import tiny_store
from torch.nn import functional as F

from skelab.data.clips.store import ClipStore
from skelab.data.feeding.batch import NO_FRAME, Batch
from skelab.data.feeding.config import FeederConfig
from skelab.errors import TaskError
from skelab.evaluation import OutputScores, Scores, ScoresInfo
from skelab.models import ModelOutput, create_model
from skelab.tasks import DetectionTask, NextActionTask, ScoredClips, Task, get_task

INFO = ScoresInfo("made-up", "xsub", "test", "honest", "tiny", "joint")
STILL = {"fill": "zeros", "train_crop": (1.0, 1.0), "eval_crop": 1.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return tiny_store(tmp_path_factory.mktemp("clips") / "clips.arrow", 2)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize("name", ["next-action", "detection"])
def test_the_tasks_are_known_by_name(name: str) -> None:
    task = get_task(name, {"label_smoothing": 0.1})

    assert isinstance(task, Task)
    assert task.name == name


def test_the_next_action_is_read_from_the_group_of_its_horizon() -> None:
    task = NextActionTask(horizons=[-5, 0])
    logits = draw(3, 6)
    labels = torch.tensor([1, 5, 3])  # action 1 at -5, 2 at 0, 0 at 0
    batch = Batch(draw(3, 3, 8, 5, 1), labels, (0, 1, 2))
    own = torch.stack([logits[0, :3], logits[1, 3:], logits[2, 3:]])
    actions = torch.tensor([1, 2, 0])

    losses = task.losses(ModelOutput(logits), batch)
    metrics = task.metrics(logits.numpy(), labels.numpy())

    assert torch.equal(losses.total, F.cross_entropy(own, actions))
    right = float((own.argmax(dim=1) == actions).sum())
    assert task.sums(ModelOutput(logits), batch) == {"top1": right}
    assert metrics["loss"] == pytest.approx(losses.total.item())
    assert metrics["top1"] == pytest.approx(right / 3)


def test_scores_of_the_next_action_name_actions_and_no_horizons() -> None:
    task = NextActionTask(horizons=[-5, 0])
    classes = ("a @-5", "b @-5", "a @+0", "b @+0")

    scores = task.scores(
        draw(2, 4).numpy(), np.array([1, 2]), ScoredClips(("x", "y"), classes, INFO)
    )

    assert isinstance(scores, Scores)
    assert scores.classes == ("a", "b")
    assert scores.labels.tolist() == [1, 0]
    assert np.array_equal(scores.logits, np.stack([draw(2, 4)[0, :2], draw(2, 4)[1, 2:]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizons": "0"}, "task.horizons: expected whole numbers of frames, found '0'"),
        ({"horizons": [0.5]}, "task.horizons: expected whole numbers"),
        ({"horizons": [3, 3]}, "task.horizons: expected ascending numbers"),
        ({"horizons": []}, "task.horizons: expected ascending numbers"),
        ({"observed": 0}, "task.observed: expected frames from 1 to 4096, found 0"),
    ],
)
def test_wrong_options_of_the_next_action_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        NextActionTask(**options)


def frames_batch(labels: list[list[int]]) -> Batch:
    given = torch.tensor(labels)
    return Batch(
        draw(len(labels), 3, given.shape[1], 5, 1),
        torch.zeros(len(labels), dtype=torch.int64),
        tuple(range(len(labels))),
        frame_labels=given,
    )


def test_detection_counts_every_frame_that_there_is_and_none_that_fills_the_window() -> None:
    task = DetectionTask()
    batch = frames_batch([[-1, 0, 1, 1], [0, 0, NO_FRAME, NO_FRAME]])
    logits = draw(2, 4, 3)
    kept = torch.cat([logits[0], logits[1, :2]])
    classes = torch.tensor([2, 0, 1, 1, 0, 0])

    losses = task.losses(ModelOutput(logits), batch)
    metrics = task.metrics(logits.numpy(), task.targets(batch).numpy())

    right = kept.argmax(dim=1) == classes
    assert losses.total.item() == pytest.approx(F.cross_entropy(kept, classes).item())
    assert metrics["loss"] == pytest.approx(losses.total.item())
    assert metrics["frame_accuracy"] == pytest.approx(right.double().mean().item())
    shares = right[:4].double().mean() + right[4:].double().mean()
    assert task.sums(ModelOutput(logits), batch)["frame_accuracy"] == pytest.approx(shares.item())


def test_scores_of_detection_are_outputs_with_their_metrics() -> None:
    task = DetectionTask()
    logits = draw(1, 4, 3).numpy()

    scores = task.scores(
        logits, np.array([[0, 1, -1, -1]]), ScoredClips(("x",), ("a", "b", "no action"), INFO)
    )

    assert isinstance(scores, OutputScores)
    assert set(scores.metrics) == {"loss", "frame_accuracy"}


def test_detection_needs_a_causal_network_and_labels_of_frames() -> None:
    task = DetectionTask()
    model = create_model("stgcn", num_classes=3, layout=STICK, width=4)

    with pytest.raises(TaskError, match=r"detection: expected a causal network.*model.causal=true"):
        task.attach_head(model)
    with pytest.raises(TaskError, match="expected a label for each frame, found one for each clip"):
        task.targets(Batch(draw(1, 3, 8, 5, 1), torch.tensor([0]), (0,)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "expected data.fill=zeros.*found data.fill=resize, data.train_crop=.*eval_crop=0.95"),
        ({**STILL, "transforms": ["reverse-time"]}, "transform reverse-time may move frames away"),
        ({**STILL, "stream": "joint-motion"}, "stream joint-motion needs the next frame"),
    ],
)
def test_a_feeder_that_moves_frames_or_looks_ahead_is_refused(
    store: ClipStore, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        DetectionTask().clips_of(store, FeederConfig(**config))


def test_a_mixed_clip_has_no_horizon(store: ClipStore) -> None:
    with pytest.raises(TaskError, match="two clips of different horizons cannot be mixed"):
        NextActionTask().clips_of(store, FeederConfig(transforms=["mix"]))


def test_smoothing_out_of_range_is_refused() -> None:
    with pytest.raises(TaskError, match=r"task.label_smoothing: expected a share from 0"):
        DetectionTask(label_smoothing=1.0)


def test_logits_that_are_no_whole_groups_are_refused() -> None:
    batch = Batch(draw(1, 3, 8, 5, 1), torch.tensor([0]), (0,))

    with pytest.raises(TaskError, match=r"expected logits for each of 2 horizons, found 5"):
        NextActionTask(horizons=[-5, 0]).losses(ModelOutput(draw(1, 5)), batch)
