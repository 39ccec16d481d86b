"""`skelab bench`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cli_outcome import Outcome

from skelab.bench import inference
from skelab.bench.cases import Runtime
from skelab.bench.inference import BenchPlan, BenchRow
from skelab.host.timing import Quartiles
from skelab.training.config import Precision

Skelab = Callable[..., Outcome]

DONE = BenchRow(
    "ctrgcn",
    frames=64,
    runtime=Runtime.EAGER,
    precision=Precision.FP32,
    batch=16,
    ms_per_clip=Quartiles(12.5, 12.0, 14.25),
    peak_mb=312.4,
    deviation=0.0,
    rounds=15,
    speedup=Quartiles(1.0, 0.9, 1.1),
    peak_share=0.29,
)
MISSING = BenchRow(
    "ctrgcn",
    frames=64,
    runtime=Runtime.ONNX,
    precision=Precision.FP32,
    batch=16,
    note="onnxruntime is not installed",
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[str], BenchPlan]]:
    """Nothing is measured; what was asked for is noted."""
    asked: list[tuple[Sequence[str], BenchPlan]] = []

    def measure(
        targets: Sequence[str], plan: BenchPlan, *, on_note: Callable[[str], None]
    ) -> Iterator[BenchRow]:
        asked.append((targets, plan))
        on_note("one row")
        yield DONE
        yield MISSING

    monkeypatch.setattr(inference, "bench", measure)
    return asked


def test_the_table_names_the_machine_and_what_is_missing(
    measured: list[tuple[Sequence[str], BenchPlan]], skelab: Skelab
) -> None:
    done = skelab("bench", "ctrgcn")

    assert done.status == 0
    machine, *lines = done.out.splitlines()
    assert " threads" in machine
    assert "ctrgcn, 64 frames, batch 16" in lines
    rows = [line.split() for line in lines]
    assert ["eager", "fp32", "12.5", "12-14.2", "80", "312", "0e+00"] in rows
    assert ["onnx", "fp32", "-", "-", "-", "-", "-"] in rows
    expected = "not measured: ctrgcn onnx fp32, batch 16: onnxruntime is not installed"
    assert expected in done.out


def test_comparisons_take_every_runtime_and_show_ratios_and_a_figure(
    measured: list[tuple[Sequence[str], BenchPlan]], skelab: Skelab, tmp_path: Path
) -> None:
    figure = tmp_path / "compared.png"

    done = skelab("bench", "ctrgcn", "--compare", "--plot", figure)

    ((_, plan),) = measured
    assert plan.runtimes == tuple(Runtime)
    rows = [line.split() for line in done.out.splitlines()]
    shown = ["12.5", "12-14.2", "1.00", "0.29", "0e+00"]
    assert ["eager", "fp32", *shown] in rows
    assert ["onnx", "fp32", *["-"] * 5] in rows
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert f"figure {figure}" in done.err


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("times.txt", "expected a name that ends with .png, .svg, .pdf, found '.txt'"),
        ("none/times.png", "there is no folder"),
    ],
)
def test_a_figure_that_cannot_be_written_is_refused_before_anything_is_measured(
    measured: list[tuple[Sequence[str], BenchPlan]],
    skelab: Skelab,
    tmp_path: Path,
    file: str,
    message: str,
) -> None:
    done = skelab("bench", "ctrgcn", "--plot", tmp_path / file)

    assert done.status == 2
    assert message in done.err
    assert measured == []


def test_json_has_every_figure(
    measured: list[tuple[Sequence[str], BenchPlan]], skelab: Skelab
) -> None:
    done = skelab("bench", "ctrgcn", "--json")

    first, second = done.json["rows"]
    assert first["ms_per_clip"] == {"median": 12.5, "low": 12.0, "high": 14.25}
    assert first["clips_per_second"] == 80.0
    assert second["note"] == "onnxruntime is not installed"
    assert second["ms_per_clip"] is None
    assert done.json["machine"]["versions"]["torch"]


def test_all_families_are_measured_unless_some_are_named(
    measured: list[tuple[Sequence[str], BenchPlan]], skelab: Skelab
) -> None:
    skelab("bench")

    ((targets, plan),) = measured
    assert {"ctrgcn", "msg3d", "shiftgcn"} <= set(targets)
    assert plan == BenchPlan()


def test_options_say_what_is_measured(
    measured: list[tuple[Sequence[str], BenchPlan]], skelab: Skelab
) -> None:
    words = ["--batch=4", "--precision=bf16", "--runtime=eager,openvino", "--frames=64"]

    skelab("bench", "ctrgcn", "msg3d", *words, "--threads", 1, "--repeats", 9)
    skelab("bench", "ctrgcn", "--quick")

    (targets, plan), (_, quick) = measured
    assert list(targets) == ["ctrgcn", "msg3d"]
    assert plan.batches == (4,)
    assert plan.precisions == (Precision.BF16,)
    assert plan.runtimes == (Runtime.EAGER, Runtime.OPENVINO)
    assert (plan.frames, plan.threads, plan.rounds) == (64, 1, 9)
    assert (quick.rounds, quick.seconds) == (3, 10.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch", "1,x"], "--batch: expected whole numbers from 1, found 'x'"),
        (["--batch", "0"], "--batch: expected whole numbers from 1, found '0'"),
        (["--batch", ","], "--batch: expected at least one, separated by commas, found none"),
        (["--precision", "fp8"], "--precision: expected some of fp32, bf16, found 'fp8'"),
        (
            ["--runtime", "tflite"],
            "--runtime: expected some of eager, compile, onnx, openvino, native",
        ),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_in_one_line(
    words: list[str], message: str, skelab: Skelab
) -> None:
    done = skelab("bench", "ctrgcn", *words)

    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_an_unknown_model_is_the_users_mistake(skelab: Skelab) -> None:
    done = skelab("bench", "ctrgnc")

    assert done.status == 2
    assert "unknown model 'ctrgnc', did you mean 'ctrgcn'" in done.err


def test_ctrl_c_shows_what_was_done_and_ends_without_a_traceback(
    skelab: Skelab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*words: object, **options: object) -> Iterator[BenchRow]:
        yield DONE
        raise KeyboardInterrupt

    monkeypatch.setattr(inference, "bench", measure)

    done = skelab("bench", "ctrgcn", "--json")

    assert done.status == 130
    assert done.json["rows"][0]["rounds"] == 15
    assert "stopped; rows that were done: 1" in done.err
    assert done.err.rstrip().endswith("skelab: stopped")
