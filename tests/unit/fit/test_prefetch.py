"""Traces made by other processes: the same ones, whatever becomes of the processes."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trace_kit import short

from skelab.fit import fit
from skelab.fit.figures import Configuration, Cost, NotTriedError
from skelab.fit.messages import configuration_to_json, trace_from_json, trace_to_json
from skelab.fit.predict import PredictedDevice
from skelab.fit.prefetch import TracePrefetcher, TraceRequest, prefetch_workers
from skelab.fit.trace import Trace
from skelab.fit.tracer import trace_reply
from skelab.host.probe import Container, probe

GIB = 2**30
MACHINE = replace(
    probe(), cores=8, container=Container(), memory_available=16 * GIB, address_space=None
)
NARROW = short("stgcn", "model.width=8")


def wanted(*, training: bool) -> TraceRequest:
    return TraceRequest(NARROW, training, for_gpu=True)


def assert_same(one: Trace, other: Trace) -> None:
    """Bit for bit."""
    assert one.clips == other.clips
    for ours, theirs in ((one.lives, other.lives), (one.operators, other.operators)):
        for name, value in vars(ours).items():
            again = getattr(theirs, name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, again)
                assert value.dtype == again.dtype
            else:
                assert value == again


@pytest.mark.parametrize("training", [True, False])
def test_a_trace_comes_through_json_as_it_was(training: bool) -> None:
    made = wanted(training=training).make()

    assert_same(trace_from_json(trace_to_json(made)), made)


def test_a_helper_makes_the_same_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, used = wanted(training=True), wanted(training=False)
    here = trained.make()

    with TracePrefetcher([used, trained], workers=1) as ahead:
        ahead._made[trained.key].result(timeout=120)  # begun first, since it is asked for last
        monkeypatch.delattr(TraceRequest, "make")  # nothing more is traced here
        assert_same(ahead.get(trained), here)


def test_what_no_helper_has_begun_is_made_here() -> None:
    first, last = wanted(training=True), wanted(training=False)

    with TracePrefetcher([first, last], workers=1) as ahead:
        assert_same(ahead.get(first), first.make())
        assert ahead._made[first.key].cancelled()


def test_a_helper_that_is_killed_costs_time_only() -> None:
    asked = wanted(training=False)

    with TracePrefetcher([asked], workers=1) as ahead:
        process = ahead._workers[0]._running()
        os.kill(process.pid, signal.SIGKILL)
        assert_same(ahead.get(asked), asked.make())


def test_no_process_is_left_even_if_its_trace_was_not_waited_for() -> None:
    with TracePrefetcher([wanted(training=True)], workers=2) as ahead:
        processes = [worker._running() for worker in ahead._workers]

    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2


def test_a_network_that_cannot_be_made_says_so_wherever_it_is_traced() -> None:
    broken = TraceRequest(short("stgcn", "model.widht=8"), training=False, for_gpu=True)
    asked = {**configuration_to_json(broken.configuration), "training": False, "for_gpu": True}

    assert "widht" in trace_reply(asked)["error"]
    assert "found a fault" in trace_reply({**asked, "recipe": "model: {nam"})["error"]
    with TracePrefetcher([broken], workers=1) as ahead, pytest.raises(NotTriedError, match="widht"):
        ahead.get(broken)


@pytest.mark.parametrize(
    ("networks", "cores", "memory", "workers"),
    [
        (7, 2, 16 * GIB, 1),
        (7, 8, 16 * GIB, 3),
        (7, 1, 16 * GIB, 0),
        (7, 8, 3 * GIB, 2),
        (7, 8, GIB, 0),
        (2, 8, 16 * GIB, 1),
        (1, 8, 16 * GIB, 0),
    ],
)
def test_workers_find_work_a_core_and_memory(
    networks: int, cores: int, memory: int, workers: int
) -> None:
    machine = replace(MACHINE, cores=cores, memory_available=memory)

    assert prefetch_workers(networks, machine) == workers


def test_an_answer_is_the_same_with_workers_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small.yaml"
    small.write_text("extends: stgcn\nname: small\nmodel: {width: 8}\ndata: {window: 16}\n")
    asked: list[PredictedDevice] = []
    training = PredictedDevice.training

    def watch(self: PredictedDevice, configuration: Configuration) -> Cost:
        asked.append(self)
        return training(self, configuration)

    monkeypatch.setattr(PredictedDevice, "training", watch)
    reports = []
    for workers in (0, 1):
        monkeypatch.setattr("skelab.fit.answer.prefetch_workers", lambda *_, count=workers: count)
        reports.append(fit([str(small)], gpu="RTX 3060", vram="8GB").to_dict())

    assert {device.prefetcher is None for device in asked} == {True, False}
    assert reports[0] == reports[1]
