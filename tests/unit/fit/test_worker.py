"""What a task is answered with, asked here and in a child."""

import io
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from fit_kit import small_recipe

from skelab.fit import worker


def task(kind: str = "training", clips: int = 2, **changes: Any) -> dict[str, Any]:
    recipe = small_recipe(memory={"micro_batch": clips})
    return {
        "task": kind,
        "recipe": recipe.to_yaml(),
        "layout": "ntu25",
        "classes": 5,
        "bodies": 2,
        "device": "cpu",
        "threads": 1,
        "limit": None,
        "seconds": 0.0,
        "least": 1,
        "rounds": 2,
        "timeout": 60.0,
        **changes,
    }


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], Any]], None]:
    """Let a function take the place of every task."""

    def replace(way: Callable[[Any], Any]) -> None:
        monkeypatch.setitem(worker.TASKS, "training", way)

    return replace


def test_a_step_is_answered_with_its_seconds_and_its_memory_by_part() -> None:
    answer = worker.answer_task(task())

    memory = answer["memory"]
    assert all(seconds > 0 for seconds in answer["seconds"])
    assert memory["weights"] > 0
    assert memory["optimiser"] > 0
    assert memory["activations"] > memory["weights"] / 10


def test_activations_grow_with_the_clips_and_weights_do_not() -> None:
    two, four = (worker.answer_task(task(clips=clips))["memory"] for clips in (2, 4))

    assert four["weights"] == two["weights"]
    assert four["activations"] == pytest.approx(2 * two["activations"], rel=0.05)


def test_inference_keeps_neither_gradients_nor_state() -> None:
    memory = worker.answer_task(task("inference", clips=1))["memory"]

    assert (memory["gradients"], memory["optimiser"]) == (0, 0)
    assert memory["activations"] > 0


def test_peaks_are_rates_of_several_rounds() -> None:
    whole, full = (worker.answer_task(task("speeds", half=half)) for half in (True, False))

    assert set(full) == {"gflops", "gigabytes"}
    assert set(whole) - set(full) == {
        "gflops_bf16",
        "gflops_bf16_convolution",
        "gflops_bf16_gradient",
    }
    assert all(value > 0 for values in whole.values() for value in values)


def test_an_idle_process_touches_less_than_it_maps() -> None:
    answer = worker.answer_task(task("idle"))

    assert 0 < answer["memory"] < answer["address_space"]


def test_what_cannot_be_made_is_an_error_in_one_line() -> None:
    broken = small_recipe(model={"name": "ctrgcn", "width": -1}).to_yaml()

    answer = worker.answer_task(task(recipe=broken))

    assert "width" in answer["error"]
    assert "\n" not in answer["error"]


def test_a_lack_of_memory_is_told_from_a_fault(
    made_up: Callable[[Callable[[Any], Any]], None],
) -> None:
    def lack(content: Any) -> Any:
        raise MemoryError("no more")

    made_up(lack)

    assert worker.answer_task(task()) == {"no_memory": "MemoryError: no more"}


def test_a_child_answers_for_itself(made_up: Callable[[Callable[[Any], Any]], None]) -> None:
    made_up(lambda content: {"pid": os.getpid()})

    answer = worker.in_child(task())

    assert answer["pid"] != os.getpid()


def test_a_child_that_is_killed_is_an_answer(
    made_up: Callable[[Callable[[Any], Any]], None],
) -> None:
    made_up(lambda content: os.kill(os.getpid(), signal.SIGKILL))

    assert worker.in_child(task()) == {"ended": -signal.SIGKILL, "said": ""}


def test_a_child_that_takes_too_long_is_ended(
    made_up: Callable[[Callable[[Any], Any]], None],
) -> None:
    made_up(lambda content: signal.pause())

    assert worker.in_child(task(timeout=0.2)) == {"late": 0.2}


def test_each_line_is_answered_by_a_line(
    made_up: Callable[[Callable[[Any], Any]], None],
) -> None:
    made_up(lambda content: {"clips": content["classes"]})
    lines = "".join(json.dumps(task(classes=number)) + "\n" for number in (3, 4))
    said: list[str] = []

    worker.serve_tasks(io.StringIO(lines), said.append)

    assert [json.loads(text) for text in said] == [{"clips": 3}, {"clips": 4}]
