"""Logits of many clips: in order, in batches, in eval mode."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_clips import SBU15, tiny_store
from tiny_run import FEEDER

from skelab.data.clips.store import ClipStore
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder
from skelab.inference.scoring import predict_logits
from skelab.models import create_model

FEED = Feeder(FEEDER, SBU15)


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return tiny_store(tmp_path / "clips.arrow", clips=10)


@pytest.fixture
def model(tiny_family: None) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_model("tiny", num_classes=3, layout=SBU15)


def test_rows_are_scored_in_the_order_given(store: ClipStore, model: torch.nn.Module) -> None:
    rows = np.array([7, 2, 9, 0])

    logits = predict_logits(model, FEED, store, rows, max_bodies=2, batch_size=3)

    for row, found in zip(rows.tolist(), logits, strict=True):
        batch = FEED.evaluation_batch(pad_clips([(row, store.clip(row))], max_bodies=2))
        expected = model.eval()(batch.joints).detach().numpy()[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_size_of_the_batches_does_not_matter(
    store: ClipStore, model: torch.nn.Module, batch_size: int
) -> None:
    rows = np.arange(10)

    whole = predict_logits(model, FEED, store, rows, max_bodies=2, batch_size=10)
    parts = predict_logits(model, FEED, store, rows, max_bodies=2, batch_size=batch_size)

    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode_and_its_statistics_alone(
    store: ClipStore, model: torch.nn.Module, training: bool
) -> None:
    model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    predict_logits(model, FEED, store, np.arange(4), max_bodies=2)

    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_mode_comes_back_even_after_an_error(store: ClipStore, model: torch.nn.Module) -> None:
    model.train()

    with pytest.raises(IndexError):
        predict_logits(model, FEED, store, np.array([99]), max_bodies=2)

    assert model.training


def test_progress_counts_clips(store: ClipStore, model: torch.nn.Module) -> None:
    seen: list[tuple[int, int]] = []

    predict_logits(
        model,
        FEED,
        store,
        np.arange(10),
        max_bodies=2,
        batch_size=4,
        on_scored=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_a_process_that_reads_ahead_changes_nothing(
    store: ClipStore, model: torch.nn.Module
) -> None:
    rows = np.arange(6)

    here = predict_logits(model, FEED, store, rows, max_bodies=2, batch_size=4)
    ahead = predict_logits(model, FEED, store, rows, max_bodies=2, batch_size=4, workers=1)

    np.testing.assert_array_equal(ahead, here)
