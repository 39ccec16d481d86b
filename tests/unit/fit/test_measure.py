"""Costs of this machine: what a child's end means, and what is extrapolated from one clip."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fit_kit import GIB, small_recipe

from skelab.fit import fit
from skelab.fit.figures import Configuration, DoesNotFitError, NotTriedError
from skelab.fit.measure import FRAGMENTS, WORKSPACE, MeasuredDevice
from skelab.host.probe import probe
from skelab.runs.synthetic import synthetic_store

MACHINE = replace(probe(), busy_cores=0.0)
PARTS = {
    "weights": 10,
    "gradients": 1,
    "optimiser": 10,
    "activations": 100,
    "workspace": 7,
    "context": 20,
}


def configuration(**changes: Any) -> Configuration:
    return Configuration(small_recipe(**changes), num_classes=5)


class MadeUpProcess:
    """Answers without running anything; notes what it was asked."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = dict(answer)
        self.ask_of: Callable[[Mapping[str, Any]], dict[str, Any] | None] = lambda content: None
        self.asked: list[Mapping[str, Any]] = []

    def ask(self, content: Mapping[str, Any], seconds: float | None = None) -> dict[str, Any]:
        self.asked.append(content)
        return self.ask_of(content) or self.answer


def device(answer: Mapping[str, Any], *, quick: bool = True, **more: Any) -> MeasuredDevice:
    made = MeasuredDevice(quick=quick, machine=MACHINE, memory_limit=1000, **more)
    made._process = MadeUpProcess(answer)  # type: ignore[assignment]
    return made


def test_quick_reckons_many_clips_from_one() -> None:
    made = device({"seconds": [2.0, 1.0, 3.0], "memory": PARTS})

    cost = made.training(configuration().with_micro_batch(4))

    assert cost.memory is not None
    assert cost.memory.weights == 10
    assert cost.memory.activations == 400
    assert cost.memory.workspace == 7 + int(FRAGMENTS * 107) + int(WORKSPACE * 300)
    assert cost.memory.context == 20
    assert (cost.seconds.low, cost.seconds.typical, cost.seconds.high) == (6.0, 8.0, 10.0)
    assert cost.note == "extrapolated from a step of one clip"
    assert made.largest_micro_batch(configuration(), 640) == 5


def test_quick_reckons_from_more_clips_where_time_allows() -> None:
    larger = {**PARTS, "activations": 400, "workspace": 13}
    made = device({"seconds": [1.0], "memory": PARTS}, spare=20.0)
    process: MadeUpProcess = made._process  # type: ignore[assignment]
    several = {"seconds": [4.0], "memory": larger}
    process.ask_of = lambda content: several if "micro_batch: 8" in content["recipe"] else None

    cost = made.training(configuration().with_micro_batch(15))

    assert cost.memory is not None
    assert cost.memory.activations == 100 + 14 * 300 // 7
    one, several_clips = 7 + int(FRAGMENTS * 107), 13 + int(FRAGMENTS * 413)
    assert cost.memory.workspace == one + 14 * (several_clips - one) // 7
    assert cost.memory.context == 20
    assert cost.seconds.typical == 7.5
    assert cost.note == "extrapolated from steps of one clip and of 8"


def test_what_is_known_is_not_run_again() -> None:
    made = device({"seconds": [1.0], "memory": PARTS})

    made.training(configuration().with_micro_batch(1))
    made.training(configuration().with_micro_batch(8))
    made.inference(configuration().with_micro_batch(1))

    asked = [content["task"] for content in made._process.asked]  # type: ignore[attr-defined]
    assert asked == ["training", "inference"]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"no_memory": "bad_alloc"}, DoesNotFitError, "out of memory: bad_alloc"),
        ({"ended": -9, "said": ""}, DoesNotFitError, "was killed, usually for lack of memory"),
        ({"ended": -11, "said": ""}, NotTriedError, "ended with status -11: it did not say why"),
        ({"ended": 1, "said": "so"}, NotTriedError, "ended with status 1: so"),
        ({"late": 600.0}, NotTriedError, "given up after 600 s"),
    ],
)
def test_how_a_child_ended_is_the_result(
    answer: dict[str, Any], error: type[Exception], message: str
) -> None:
    made = device(answer)

    with pytest.raises(error, match=message):
        made.training(configuration())
    if error is DoesNotFitError:
        assert made.largest_micro_batch(configuration(), 600) == 0


def test_nothing_more_is_tried_when_the_time_is_up() -> None:
    made = device({}, until=time.monotonic() - 1)

    with pytest.raises(NotTriedError, match="no time was left; --thorough has no time limit"):
        made.training(configuration())


def test_a_child_that_is_ended_since_the_time_is_up_was_not_given_up_for_itself() -> None:
    made = device({"late": 5.0}, until=time.monotonic() + 5)

    with pytest.raises(NotTriedError, match="no time was left"):
        made.training(configuration())


@pytest.mark.slow
def test_a_step_runs_in_a_process_of_its_own_and_the_search_by_running_it() -> None:
    with MeasuredDevice(machine=MACHINE, seconds=0.1, threads=1, memory_limit=4 * GIB) as made:
        cost = made.training(configuration().with_micro_batch(2))
        largest = made.largest_micro_batch(configuration(), 4 * GIB)

    assert cost.memory is not None
    assert 0 < cost.memory.activations < cost.memory.total < GIB
    assert cost.seconds.low <= cost.seconds.typical <= cost.seconds.high
    assert largest == 8


@pytest.mark.slow
def test_a_limit_that_is_too_tight_is_a_result_and_no_crash() -> None:
    wide = configuration(data={"window": 256}, model={"name": "ctrgcn"})

    with MeasuredDevice(machine=MACHINE, seconds=0.1, threads=1, memory_limit=GIB) as made:
        with pytest.raises(DoesNotFitError):
            made.training(wide.with_micro_batch(8))
        fits = made.training(configuration().with_micro_batch(1))

    assert fits.seconds.typical > 0


@pytest.mark.slow
def test_a_recommended_recipe_trains_in_the_address_space_that_was_promised(tmp_path: Path) -> None:
    wanted = small_recipe(
        model={"name": "ctrgcn", "width": 32},
        data={"window": 64, "split": "xsub"},
        training={"epochs": 1, "batch_size": 16, "warmup_epochs": 0},
    )
    asked, file = tmp_path / "asked.yaml", tmp_path / "recommended.yaml"
    asked.write_text(wanted.to_yaml())
    report = fit([str(asked)], device="cpu", clips=32)
    recipe, promised = report.recommended_recipe, report.address_space(report.models[0])
    assert recipe is not None
    assert promised is not None
    file.write_text(recipe.to_yaml())
    store = synthetic_store(tmp_path, clips=32)
    command = "import torch; torch.set_num_threads(1); from skelab.cli.main import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", command, "train", file, "--data", store.path, "--out", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (promised, promised)),
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "out of memory" not in done.stderr  # nor did it have to halve its clips
    assert (tmp_path / "run" / "checkpoints" / "best.safetensors").is_file()


@pytest.mark.gpu
def test_on_a_gpu_the_allocator_tells_the_memory() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")

    with MeasuredDevice("cuda:0", seconds=0.5) as made:
        cost = made.training(configuration().with_micro_batch(4))

    assert cost.memory is not None
    assert cost.memory.weights > 0
    assert cost.memory.context > 0
    assert cost.seconds.typical > 0
