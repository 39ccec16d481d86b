"""Networks measured in turn: what is asked of which process, and what the rows say."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest
from bench_kit import small_checkpoint
from numpy import ndarray

from skelab.bench import inference
from skelab.bench.cases import USUAL, BenchCase, Runtime
from skelab.bench.inference import BenchPlan, BenchRow, bench
from skelab.errors import ExportError, ModelError
from skelab.host.timing import Quartiles
from skelab.host.worker_process import ProcessError
from skelab.inference.checkpoint import load_checkpoint
from skelab.inference.engines import get_engine
from skelab.inference.folding import fold
from skelab.models import SkeletonModel
from skelab.native.cost import count_operations
from skelab.native.networks import Kernels, can_compute
from skelab.training.config import Precision

EAGER = BenchPlan(batches=(2,), runtimes=(Runtime.EAGER,), precisions=(Precision.FP32,), rounds=3)
ONNX, OPENVINO = (Runtime.EAGER, Runtime.ONNX), (Runtime.EAGER, Runtime.OPENVINO)


class MadeUpWorker:
    """Stands in for a process: bf16 takes half the time of fp32, and its logits are a little off.

    A case whose precision is in ``broken`` fails: at once, or in the round given.
    """

    asked: list[str]
    broken: dict[Precision, int]

    def __init__(self, case: BenchCase, first_seconds: float | None = None) -> None:
        self.case = case
        self.rounds = itertools.count(1)

    def __enter__(self) -> "MadeUpWorker":
        self.asked.append(f"start {self.case.precision.value}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.asked.append(f"end {self.case.precision.value}")

    @property
    def logits(self) -> ndarray:
        self._break(0)
        off = 0.5 if self.case.precision is Precision.BF16 else 0.0
        return np.array([[1.0, -4.0 + off]], dtype=np.float32)

    def run(self) -> Mapping[str, Any]:
        number = next(self.rounds)
        self._break(number)
        self.asked.append(self.case.precision.value)
        faster = 2 if self.case.precision is Precision.BF16 else 1
        return {"seconds": number / faster, "peak_mb": 10.0 * number}

    def _break(self, number: int) -> None:
        if self.broken.get(self.case.precision) == number:
            raise ProcessError("it broke")


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> type[MadeUpWorker]:
    monkeypatch.setattr(inference, "_Worker", MadeUpWorker)
    MadeUpWorker.asked, MadeUpWorker.broken = [], {}
    return MadeUpWorker


def test_the_ways_take_turns_and_end(worker: type[MadeUpWorker], tmp_path: Path) -> None:
    net = small_checkpoint(tmp_path / "net.safetensors")
    plan = BenchPlan(batches=(2,), runtimes=(Runtime.EAGER,), rounds=3)

    full, half = bench([str(net)], plan)

    turns = ["fp32", "bf16", "bf16", "fp32", "fp32", "bf16"]
    assert worker.asked == ["start fp32", "start bf16", *turns, "end bf16", "end fp32"]
    assert full.peak_share is None or full.peak_share > 0
    full, half = replace(full, peak_share=None), replace(half, peak_share=None)
    assert full == BenchRow(
        str(net),
        frames=8,
        runtime=Runtime.EAGER,
        precision=Precision.FP32,
        batch=2,
        ms_per_clip=Quartiles(1000.0, 750.0, 1250.0),
        peak_mb=30.0,
        deviation=0.0,
        rounds=3,
        speedup=Quartiles(1.0, 1.0, 1.0),
    )
    assert half.speedup == Quartiles(2.0, 2.0, 2.0)
    assert half.ms_per_clip == Quartiles(500.0, 375.0, 625.0)
    assert half.deviation == 0.125
    assert (full.clips_per_second, half.clips_per_second) == (1.0, 2.0)


def test_rounds_end_when_the_time_is_up_but_not_before_the_third(
    worker: type[MadeUpWorker], tmp_path: Path
) -> None:
    net = small_checkpoint(tmp_path / "net.safetensors")
    plan = BenchPlan(batches=(1,), runtimes=(Runtime.EAGER,), rounds=50, seconds=0.0)

    rows = list(bench([str(net)], plan))

    assert [row.rounds for row in rows] == [3, 3]


@pytest.mark.parametrize("number", [0, 2])
def test_a_way_that_fails_gets_a_row_that_says_why(
    number: int, worker: type[MadeUpWorker], tmp_path: Path
) -> None:
    net = small_checkpoint(tmp_path / "net.safetensors")
    worker.broken = {Precision.FP32: number}

    full, half = bench([str(net)], BenchPlan(batches=(1,), runtimes=(Runtime.EAGER,), rounds=3))

    assert (full.note, full.ms_per_clip, full.clips_per_second) == ("it broke", None, None)
    assert half.rounds == 3


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(
    worker: type[MadeUpWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small_checkpoint(tmp_path / "net.safetensors")
    monkeypatch.setattr("skelab.inference.engines.registry.find_spec", lambda name: None)
    plan = BenchPlan(batches=(1,), runtimes=ONNX, precisions=(Precision.FP32,), rounds=1)

    eager, onnx = bench([str(net)], plan)

    assert eager.rounds == 1
    assert onnx.note == ("onnxruntime is not installed: pip install 'skeleton-action-lab[export]'")


def test_a_network_that_cannot_be_exported_says_why(
    worker: type[MadeUpWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise ExportError("no graph of this")

    net = small_checkpoint(tmp_path / "net.safetensors")
    monkeypatch.setattr("skelab.inference.engines.registry.find_spec", lambda name: True)
    monkeypatch.setattr(inference, "export_checkpoint", refuse)

    rows = bench([str(net)], BenchPlan(batches=(1,), runtimes=OPENVINO, rounds=1))

    notes = {(row.runtime, row.precision): row.note for row in rows}
    assert notes[Runtime.OPENVINO, Precision.FP32] == "no graph of this"
    assert notes[Runtime.EAGER, Precision.FP32] == ""


def test_a_family_is_measured_with_the_frames_of_its_recipe_or_those_asked_for(
    worker: type[MadeUpWorker],
) -> None:
    asked = BenchPlan(**{**vars(EAGER), "frames": 16})

    (usual,), (short,) = bench(["stgcnpp"], EAGER), bench(["stgcnpp"], asked)

    assert (usual.model, usual.frames, short.frames) == ("stgcnpp", 100, 16)


def test_frames_that_a_family_does_not_take_are_refused() -> None:
    plan = BenchPlan(**{**vars(EAGER), "frames": 50})

    with pytest.raises(
        ModelError, match=r"shiftgcn: expected .* a multiple of 4, found 50; choose"
    ):
        list(bench(["shiftgcn"], plan))


def test_an_unknown_name_is_refused_before_anything_is_measured(
    worker: type[MadeUpWorker],
) -> None:
    with pytest.raises(ModelError, match="unknown model 'ctrgnc', did you mean 'ctrgcn'"):
        list(bench(["ctrgcn", "ctrgnc"], EAGER))

    assert worker.asked == []


def test_processes_end_when_the_measurement_is_stopped(
    worker: type[MadeUpWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: MadeUpWorker) -> Mapping[str, Any]:
        raise KeyboardInterrupt

    net = small_checkpoint(tmp_path / "net.safetensors")
    monkeypatch.setattr(MadeUpWorker, "run", stop)

    with pytest.raises(KeyboardInterrupt):
        list(bench([str(net)], EAGER))

    assert worker.asked == ["start fp32", "end fp32"]


@pytest.mark.slow
def test_a_checkpoint_is_measured_in_processes_of_its_own(tmp_path: Path) -> None:
    net = small_checkpoint(tmp_path / "net.safetensors")
    plan = BenchPlan(batches=(1,), runtimes=(Runtime.EAGER,), rounds=2, threads=1)

    full, half = bench([str(net)], plan)

    assert full.rounds == half.rounds == 2
    assert full.ms_per_clip is not None
    assert 0 < full.ms_per_clip.low <= full.ms_per_clip.median <= full.ms_per_clip.high
    assert full.deviation == 0.0
    assert half.deviation is not None
    assert 0 < half.deviation < 0.1


@pytest.mark.slow
def test_exported_networks_are_measured_and_agree(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    net = small_checkpoint(tmp_path / "net.safetensors")
    plan = BenchPlan(batches=(2,), precisions=(Precision.FP32,), rounds=2, threads=1)

    rows = list(bench([str(net)], plan))

    native = [""] if can_compute() else [get_engine("native").missing]
    assert [row.note for row in rows] == ["", "", "", *native]
    assert [row.runtime for row in rows] == list(USUAL)
    for row in rows[: 3 + can_compute()]:
        assert row.deviation is not None
        assert row.deviation < 1e-4


def test_kernels_that_are_not_built_say_what_a_compiler_would_give(
    worker: type[MadeUpWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small_checkpoint(tmp_path / "net.safetensors")
    monkeypatch.setattr(
        "skelab.inference.engines.registry.find_spec", lambda name: None if "_net" in name else 1
    )
    monkeypatch.setattr(inference, "can_compute", lambda: False)
    runtimes = (Runtime.EAGER, Runtime.NATIVE)

    eager, native = bench(
        [str(net)],
        BenchPlan(batches=(1,), runtimes=runtimes, precisions=(Precision.FP32,), rounds=1),
    )

    assert (eager.peak_share, eager.rounds) == (None, 1)
    assert "a C++17 compiler, and then the package again" in native.note


@pytest.mark.skipif(not can_compute(), reason="the kernels were not built")
def test_the_share_of_the_peak_is_operations_a_second_over_those_of_the_cores(
    worker: type[MadeUpWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small_checkpoint(tmp_path / "net.safetensors")
    monkeypatch.setattr(Kernels, "measure_peak", lambda self: 1e9)
    plan = BenchPlan(
        batches=(3,), runtimes=(Runtime.EAGER,), rounds=1, threads=2, precisions=(Precision.FP32,)
    )

    (row,) = bench([str(net)], plan)

    model = load_checkpoint(net)
    assert isinstance(model, SkeletonModel)
    operations = 2 * count_operations(fold(model, 1).plan, row.frames)
    assert row.peak_share == pytest.approx(operations * 3 / 1.0 / 2e9)


@pytest.mark.slow
def test_a_compiled_graph_is_measured_or_says_why_not(tmp_path: Path) -> None:
    net = small_checkpoint(tmp_path / "net.safetensors")
    plan = BenchPlan(
        batches=(1,),
        runtimes=(Runtime.EAGER, Runtime.COMPILE),
        precisions=(Precision.FP32,),
        rounds=1,
        threads=1,
        compile_seconds=1.0,
    )

    _, compiled = bench([str(net)], plan)

    assert compiled.note == "no answer after 1 s"


@pytest.mark.slow
def test_a_process_that_ends_too_early_is_no_fault_of_the_others(tmp_path: Path) -> None:
    case = BenchCase(
        str(tmp_path / "none"), Runtime.EAGER, Precision.FP32, (1, 3, 8, 25, 2), threads=1
    )

    with inference._Worker(case) as worker:
        with pytest.raises(ProcessError, match="there is no checkpoint"):
            _ = worker.logits
        with pytest.raises(ProcessError, match=r"status 0: it did not say why"):
            worker.run()
