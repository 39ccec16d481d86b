"""Costs of this machine: what a child's end means, and what is reckoned from one clip."""

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

from skelab.fit.figures import Configuration, DoesNotFitError, NotTriedError
from skelab.fit.measure import WORKSPACE, MeasuredDevice
from skelab.fit.probe import probe

MACHINE = replace(probe(), load=0.0)
PARTS = {"weights": 10, "gradients": 1, "optimiser": 10, "activations": 100, "workspace": 7}


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
    assert cost.memory.workspace == 7 + int(WORKSPACE * 300)
    assert (cost.seconds.low, cost.seconds.typical, cost.seconds.high) == (6.0, 8.0, 10.0)
    assert cost.note == "reckoned from a step of one clip"
    assert made.largest_micro_batch(configuration(), 600) == 5


def test_quick_reckons_from_more_clips_where_time_allows() -> None:
    larger = {**PARTS, "activations": 400, "workspace": 13}
    made = device({"seconds": [1.0], "memory": PARTS}, spare=20.0)
    process: MadeUpProcess = made._process  # type: ignore[assignment]
    several = {"seconds": [4.0], "memory": larger}
    process.ask_of = lambda content: several if "micro_batch: 8" in content["recipe"] else None

    cost = made.training(configuration().with_micro_batch(15))

    assert cost.memory is not None
    assert cost.memory.activations == 100 + 14 * 300 // 7
    assert cost.memory.workspace == 7 + 14 * 6 // 7
    assert cost.seconds.typical == 7.5
    assert cost.note == "reckoned from steps of one clip and of 8"


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
        ({"ended": -9, "said": ""}, DoesNotFitError, "was killed, as a rule for lack of memory"),
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

    with pytest.raises(NotTriedError, match="no time left; --thorough takes as long as it needs"):
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

    with MeasuredDevice(machine=MACHINE, seconds=0.1, threads=1, memory_limit=GIB // 4) as made:
        with pytest.raises(DoesNotFitError):
            made.training(wide.with_micro_batch(8))
        fits = made.training(configuration().with_micro_batch(1))

    assert fits.seconds.typical > 0


@pytest.mark.slow
def test_a_promise_of_memory_is_kept_under_a_limit_of_the_address_space(tmp_path: Path) -> None:
    """The recipe trains in the address space of an idle trainer and the memory that was promised.

    The base is what the same command maps for a network and clips next to nothing.
    """
    recipe = small_recipe(
        model={"name": "ctrgcn", "width": 32},
        data={"window": 64, "split": "xsub"},
        training={"epochs": 1, "batch_size": 16, "warmup_epochs": 0},
        memory={"micro_batch": 8},
    )
    with MeasuredDevice(machine=MACHINE, seconds=0.1, threads=1) as made:
        promised = made.training(Configuration(recipe)).memory
    assert promised is not None
    file, store = tmp_path / "fits.yaml", tmp_path / "clips"
    file.write_text(recipe.to_yaml())
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from skelab.bench.memory import own_memory\n"
        "from skelab.config import load_recipe\n"
        "from skelab.experiment.synthetic import synthetic_store\n"
        "from skelab.experiment.train import train_recipe\n"
        "import torch; torch.set_num_threads(1)\n"
        "whole = load_recipe(sys.argv[1]); folder = Path(sys.argv[2])\n"
        "store = synthetic_store(folder, clips=32)\n"
        "idle = whole.model_copy(update={'data': whole.data.model_copy(update={'window': 4}),\n"
        "  'memory': whole.memory.model_copy(update={'micro_batch': 1})})\n"
        "train_recipe(idle, store, folder / 'idle')\n"
        "base = own_memory('VmSize')\n"
        "resource.setrlimit(resource.RLIMIT_AS, (base + int(sys.argv[3]),) * 2)\n"
        "from skelab.training.watch import Watcher\n"
        "watcher = Watcher(); watcher.on_message = print\n"
        "train_recipe(whole, store, folder / 'run', watcher=watcher)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(file), str(store), str(promised.total)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "out of memory" not in done.stdout  # nor did it have to halve its clips
    assert (store / "run" / "checkpoints" / "best.safetensors").is_file()


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
