"""Several processes that share a run: real ones, started by `torchrun`, against one alone."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import PYTHON_PATH, tiny_job, with_settings

from skelab.data.clips.store import ClipStore
from skelab.inference.checkpoint import read_checkpoint
from skelab.inference.scoring import predict_logits
from skelab.training.config import MemoryConfig
from skelab.training.loop import train
from skelab.training.processes import Processes
from skelab.training.records import read_history

TESTS = Path(__file__).parents[2]


def share(
    store: ClipStore, run: Path, kind: str = "train", **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run with two processes on this machine."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(str(TESTS / "tiny_shared_run.py"), str(store.path), str(run), kind),
            json.dumps(settings),
        ],
        env={**os.environ, "PYTHONPATH": PYTHON_PATH, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


# One process


def test_a_process_alone_has_everything_and_hears_nothing_new() -> None:
    processes = Processes()
    tensor = torch.arange(3.0)

    processes.add_up([tensor])
    processes.wait()

    assert (processes.first, processes.number, processes.count) == (True, 0, 1)
    assert processes.own(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert processes.gather("said") == ["said"]
    assert processes.from_first("said") == "said"
    assert tensor.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(("rows", "count"), [(7, 2), (8, 4), (2, 3), (5, 5)])
def test_the_parts_of_all_processes_are_the_whole_in_its_order(rows: int, count: int) -> None:
    parts = []
    for number in range(count):
        processes = Processes()
        processes.number, processes.count = number, count
        parts.append(processes.own(np.arange(rows)))

    assert np.concatenate(parts).tolist() == list(range(rows))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


# Two of them


@pytest.fixture(scope="module")
def shared(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("shared")
    ended = share(store, run)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return run


def test_two_processes_train_the_network_that_one_trains_in_two_parts(
    store: ClipStore, shared: Path, tmp_path: Path
) -> None:
    job = tiny_job(store, tmp_path, memory=MemoryConfig(micro_batch=2))
    train(replace(job, model=replace(job.model, options={"dropout": 0.0})))

    found, expected = (
        read_checkpoint(max((run / "checkpoints").glob("epoch-*"))).weights
        for run in (shared, tmp_path)
    )
    learned = [name for name in expected if not name.startswith("norm.running")]
    learned.remove("norm.num_batches_tracked")

    assert len(learned) == 4
    for name in learned:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)
    for here, there in zip(read_history(shared), read_history(tmp_path), strict=True):
        assert here["train_loss"] == pytest.approx(there["train_loss"], rel=1e-5)
        assert here["train_top1"] == there["train_top1"]


def test_two_processes_clip_the_gradients_of_both_together(
    store: ClipStore, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "clip_norm": 0.05,
        "optimizer": "adamw",
        "schedule_unit": "step",
        "epochs": 2,
    }
    job = tiny_job(
        store,
        tmp_path / "one",
        memory=MemoryConfig(micro_batch=2),
        config=with_settings(**settings),
    )
    train(replace(job, model=replace(job.model, options={"dropout": 0.0})))

    ended = share(store, tmp_path / "two", **settings)

    assert ended.returncode == 0, ended.stderr[-3000:]
    found, expected = (
        read_checkpoint(max((tmp_path / run / "checkpoints").glob("epoch-*"))).weights
        for run in ("two", "one")
    )
    for name in ("classifier.weight", "classifier.bias", "norm.weight", "norm.bias"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-5)


def test_scores_of_clips_that_cannot_be_shared_evenly_have_no_gap_and_no_double(
    store: ClipStore, shared: Path, tmp_path: Path
) -> None:
    job = tiny_job(store, tmp_path)
    model = read_checkpoint(shared / "checkpoints/best.safetensors").build()
    alone = predict_logits(model, job.feeder, job.source, np.arange(7), max_bodies=2)

    for number in (0, 1):
        together = np.load(shared / f"logits-{number}.npy")
        np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_process_that_dies_ends_the_run_and_it_can_be_resumed(
    store: ClipStore, shared: Path, tmp_path: Path
) -> None:
    died = share(store, tmp_path, "die")
    resumed = share(store, tmp_path, "resume")

    assert died.returncode != 0
    assert "SIGKILL" in died.stderr
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    found, expected = (
        read_checkpoint(max((run / "checkpoints").glob("epoch-*"))) for run in (tmp_path, shared)
    )
    assert found.digest == expected.digest
