"""What a process says that measures one case; asked here without a process of its own."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_kit import small_checkpoint

from skelab.bench import worker as worker_module
from skelab.bench.cases import BenchCase, Runtime
from skelab.bench.worker import made_up_clips, serve
from skelab.host import memory
from skelab.inference.checkpoint import load_checkpoint
from skelab.training.config import Precision

SHAPE = (2, 3, 8, 25, 2)


def answers(case: BenchCase, *commands: dict[str, Any]) -> list[dict[str, Any]]:
    """What is answered to a case and to each command."""
    lines = "".join(json.dumps(content) + "\n" for content in (case.to_dict(), *commands))
    said: list[str] = []
    serve(io.StringIO(lines), said.append)
    assert all(text.count("\n") == 1 for text in said)
    return [json.loads(text) for text in said]


def eager(path: Path, precision: Precision = Precision.FP32) -> BenchCase:
    return BenchCase(str(path), Runtime.EAGER, precision, SHAPE, torch.get_num_threads())


def test_the_first_answer_has_the_logits_of_the_network(tmp_path: Path) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")

    (first,) = answers(eager(path))

    with torch.inference_mode():
        expected = load_checkpoint(path)(torch.from_numpy(made_up_clips(SHAPE)))
    np.testing.assert_allclose(first["logits"], expected, rtol=1e-5, atol=1e-6)
    assert first["seconds"] > 0


def test_bfloat16_gives_nearly_the_same_logits(tmp_path: Path) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")

    (full,), (half,) = answers(eager(path)), answers(eager(path, Precision.BF16))

    assert full["logits"] != half["logits"]
    largest = np.abs(full["logits"]).max()  # the small ones are differences of such numbers
    np.testing.assert_allclose(full["logits"], half["logits"], rtol=0, atol=0.02 * largest)


def test_each_command_is_answered_with_the_seconds_of_a_call_and_the_memory(
    tmp_path: Path,
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")

    _, *rounds = answers(eager(path), {"calls": 1}, {"calls": 3})

    assert len(rounds) == 2
    for answer in rounds:
        assert answer["seconds"] > 0
        assert answer["peak_mb"] is None or answer["peak_mb"] >= 0


def test_a_call_is_the_mean_of_those_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((10.0, 16.0))
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    calls: list[int] = []

    def run(clips: worker_module.Clips) -> worker_module.Logits:
        calls.append(1)
        return np.zeros((1, 1), dtype=np.float32)

    seconds = worker_module._time(run, made_up_clips((1, 3, 4, 2, 1)), 3)

    assert (seconds, len(calls)) == (2.0, 3)


def test_a_system_without_figures_of_memory_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_FORGET_PEAK", tmp_path / "none" / "clear_refs")
    path = small_checkpoint(tmp_path / "net.safetensors")

    (first,) = answers(eager(path))

    assert first["peak_mb"] is None


def test_what_goes_wrong_is_answered_in_one_line(tmp_path: Path) -> None:
    (only,) = answers(eager(tmp_path / "none.safetensors"), {"calls": 1})

    assert list(only) == ["error"]
    assert "there is no checkpoint" in only["error"]
    assert "\n" not in only["error"]


def test_clips_are_the_same_every_time_and_have_all_bodies() -> None:
    clips = made_up_clips(SHAPE)

    assert clips.dtype == np.float32
    np.testing.assert_array_equal(clips, made_up_clips(SHAPE))
    assert clips.any(axis=(1, 2, 3)).all()
