"""Measured costs: each configuration runs in its own process on this machine."""

import json
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from skelab.fit.figures import (
    Configuration,
    Cost,
    DoesNotFitError,
    MemoryParts,
    NotTriedError,
    Span,
)
from skelab.fit.messages import configuration_to_json
from skelab.fit.search import largest_that_fits
from skelab.host.probe import Gpu, Probe, probe
from skelab.host.timing import quartiles
from skelab.host.worker_process import ProcessError, WorkerProcess

Task = Mapping[str, Any]

WORKSPACE: Final = 0.15
"""Assumed overhead of operators and allocator per further clip, as a share of its activations;
measured with the copies of one convolution: 1 to 12 % (docs/results.md)."""

FRAGMENTS: Final = 0.25
"""Assumed growth of a training on a CPU beyond the measured steps, as a share of activations and
workspace: the heap fragments, more so where batches differ in their present bodies. Measured: up
to 21 % (docs/results.md)."""

ENOUGH_ROWS: Final = 16
"""Batch of bodies from which on PyTorch selects the kernels of large batches."""

_NO_TIME: Final = "no time was left; --thorough has no time limit"
_KILLED: Final = -9
_PATIENCE: Final = 30.0  # grace period of a child beyond its own limit, seconds


class MeasuredDevice:
    """The CPU of this machine or one of its GPUs; a context manager.

    A configuration runs in a child process that is limited to the device's memory, so that running
    out of memory, or being killed, is a result.

    ``quick`` runs one clip and, if time allows, the number of clips that has sixteen bodies, and
    extrapolates linearly to larger micro-batches; from one clip alone it adds a share for
    workspace. Otherwise every configuration is run as requested, and the largest micro-batch is
    found by a search.

    Args:
        device: ``cpu``, or ``cuda`` with or without a number.
        quick: Run few clips and extrapolate.
        spare: Seconds that ``quick`` may spend per configuration on more than one clip.
        seconds: Time per configuration after which no further round begins.
        timeout: Time per configuration after which it is given up, seconds.
        threads: CPU threads; the idle ones by default.
        memory_limit: Memory that a process may use, bytes; the free memory by default.
        machine: This machine; probed by default.
        until: Monotonic time after which nothing more is tried.
    """

    measured: Final = True

    def __init__(
        self,
        device: str = "cpu",
        *,
        quick: bool = False,
        seconds: float = 20.0,
        spare: float = 0.0,
        timeout: float = 600.0,
        threads: int | None = None,
        memory_limit: int | None = None,
        machine: Probe | None = None,
        until: float | None = None,
    ) -> None:
        self._until = until
        self.device = device
        self.quick = quick
        self.machine = machine or probe()
        self._seconds = seconds
        self._spare = spare
        self._timeout = timeout
        self._threads = threads or self.machine.idle_cores
        self._limit = memory_limit if memory_limit is not None else self._free_memory()
        self._process = WorkerProcess("skelab.fit.worker")
        self._known: dict[str, Cost | Exception] = {}
        self._idle: tuple[int, int] | None = None

    def __enter__(self) -> "MeasuredDevice":
        self._process.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, trace)

    @property
    def memory_limit(self) -> int:
        """Memory that a process may use on the device, bytes."""
        return self._limit

    def training(self, configuration: Configuration) -> Cost:
        """A training step of one micro-batch: forward, backward, optimiser.

        Raises:
            DoesNotFitError: It runs out of memory.
            NotTriedError: It could not be run, or took too long.
        """
        if not self.quick or configuration.micro_batch == 1:
            return self._run("training", configuration)
        return self._extrapolated(configuration)

    def inference(self, configuration: Configuration) -> Cost:
        """One forward pass of a micro-batch, without gradients.

        Raises:
            DoesNotFitError: It runs out of memory.
            NotTriedError: It could not be run, or took too long.
        """
        return self._run("inference", configuration)

    def largest_micro_batch(self, configuration: Configuration, limit: int) -> int:
        """The largest micro-batch that fits, at most the recipe's batch size; 0 if none does.

        Args:
            configuration: Its micro-batch is ignored.
            limit: Memory that may be used, bytes.

        Raises:
            NotTriedError: Not even one clip could be run, or it took too long.
        """
        most = configuration.recipe.training.batch_size
        try:
            self._one_clip(configuration)
        except DoesNotFitError:
            return 0

        def extrapolated(clips: int) -> bool:
            memory = self._extrapolated(configuration.with_micro_batch(clips)).memory
            return memory is not None and memory.total <= limit

        guess = largest_that_fits(extrapolated, most)
        if self.quick or not guess:
            return guess

        def fits(clips: int) -> bool:
            try:
                memory = self._run("training", configuration.with_micro_batch(clips)).memory
            except DoesNotFitError:
                return False
            return memory is not None and memory.total <= limit

        return largest_that_fits(fits, most, start=guess)

    def loading(self, configuration: Configuration, store: Path) -> tuple[Span, int]:
        """Loading speed of one process, clips per second, and its largest batch, bytes.

        Args:
            configuration: Determines how clips are shaped.
            store: Clips of its layout.

        Raises:
            NotTriedError: It could not be measured.
        """
        answer = self._ask("loading", configuration, store=str(store), rounds=5)
        return _span(answer["clips"]), answer["batch_bytes"]

    def speeds(self) -> dict[str, Span]:
        """Measured GFLOP/s of matrix products in float32 and bfloat16, and GB/s of copying.

        ``quick`` omits bfloat16 if the processor has no instructions for it.

        Raises:
            NotTriedError: It could not be measured.
        """
        half = not self.quick or self.machine.has_native_bf16
        answer = self._ask("speeds", None, rounds=7, half=half)
        return {name: _span(values) for name, values in answer.items()}

    def idle(self) -> tuple[int, int]:
        """Memory and address space of a training process before its first step, bytes.

        Raises:
            NotTriedError: It could not be measured.
        """
        if self._idle is None:
            answer = self._ask("idle", None)
            self._idle = answer["memory"], answer["address_space"]
        return self._idle

    def describe(self) -> dict[str, Any]:
        """A description of the device for the report."""
        own: dict[str, Any] = {}
        if self.device == "cpu":
            name, total = self.machine.processor, self.machine.memory_total
            with suppress(NotTriedError):
                own = dict(
                    zip(("process_memory", "process_address_space"), self.idle(), strict=True)
                )
        else:
            gpu = self._gpu()
            name, total = gpu.name, gpu.memory_total
        return {
            "kind": "cpu" if self.device == "cpu" else "gpu",
            "name": name,
            "measured": True,
            "memory_total": total,
            "memory_limit": self.memory_limit,
            "threads": self._threads,
            **own,
        }

    def _free_memory(self) -> int:
        return self.machine.usable_memory if self.device == "cpu" else self._gpu().memory_free

    def _gpu(self) -> Gpu:
        number = int(self.device.partition(":")[2] or 0)
        return self.machine.gpus[number]

    def _one_clip(self, configuration: Configuration) -> Cost:
        return self._run("training", configuration.with_micro_batch(1))

    def _extrapolated(self, configuration: Configuration) -> Cost:
        """The cost of a step, extrapolated from steps of fewer clips."""
        one, clips = self._one_clip(configuration), configuration.micro_batch
        batch = configuration.recipe.training.batch_size
        known = min(math.ceil(ENOUGH_ROWS / configuration.bodies), batch)
        takes = 2 * known * one.seconds.typical  # the first step is a warm-up
        if self.quick and known > 1 and takes <= self._spare:
            with suppress(DoesNotFitError, NotTriedError):
                more = self._run("training", configuration.with_micro_batch(known))
                return more if clips == known else _between(one, more, known, clips)
        return _of_more_clips(one, clips)

    def _run(self, task: str, configuration: Configuration) -> Cost:
        """Run a configuration, unless its result is known."""
        key = json.dumps([task, configuration.recipe.to_yaml(), configuration.bodies])
        if key not in self._known:
            try:
                self._known[key] = self._measured(task, configuration)
            except (DoesNotFitError, NotTriedError) as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, Exception):
            raise known
        return known

    def _measured(self, task: str, configuration: Configuration) -> Cost:
        answer = self._ask(
            task,
            configuration,
            limit=self.memory_limit,
            seconds=self._seconds,
            least=1 if self.quick else 3,
            rounds=5 if self.quick else 25,
        )
        rounds = len(answer["seconds"])
        note = "one round only" if rounds == 1 else ""
        memory = MemoryParts(**answer["memory"])
        if task == "training" and self.device == "cpu":
            kept = int(FRAGMENTS * (memory.activations + memory.workspace))
            memory = replace(memory, workspace=memory.workspace + kept)
        return Cost(memory, _span(answer["seconds"]), note)

    def _ask(self, task: str, configuration: Configuration | None, **more: Any) -> dict[str, Any]:
        timeout = self._timeout
        if self._until is not None:
            timeout = min(timeout, self._until - time.monotonic())
        if timeout <= 0:
            raise NotTriedError(_NO_TIME)
        question = {
            "task": task,
            "device": self.device,
            "threads": self._threads,
            "timeout": timeout,
            **({} if configuration is None else configuration_to_json(configuration)),
            **more,
        }
        try:
            answer = self._process.ask(question, timeout + _PATIENCE)
        except ProcessError as error:
            raise NotTriedError(str(error)) from None
        if "late" in answer and timeout < self._timeout:
            raise NotTriedError(_NO_TIME)
        return _checked(answer, timeout)


def _checked(answer: dict[str, Any], timeout: float) -> dict[str, Any]:
    """The answer of a child; raises what it reports otherwise."""
    if "no_memory" in answer:
        raise DoesNotFitError(f"out of memory: {answer['no_memory']}")
    if "late" in answer:
        raise NotTriedError(f"given up after {timeout:.0f} s")
    if answer.get("ended") == _KILLED:
        raise DoesNotFitError("the process was killed, usually for lack of memory")
    if "ended" in answer:
        said = answer["said"] or "it did not say why"
        raise NotTriedError(f"the process ended with status {answer['ended']}: {said}")
    return answer


def _of_more_clips(one: Cost, clips: int) -> Cost:
    """The cost of several clips, each as expensive as a single one."""
    memory = one.memory
    if memory is not None:
        memory = MemoryParts(
            weights=memory.weights,
            gradients=memory.gradients,
            optimiser=memory.optimiser,
            activations=memory.activations * clips,
            workspace=memory.workspace + int(WORKSPACE * memory.activations * (clips - 1)),
            context=memory.context,
        )
    note = "extrapolated from a step of one clip" if clips > 1 else one.note
    return Cost(memory, one.seconds.times(clips), note)


def _span(values: list[float]) -> Span:
    found = quartiles(values)
    return Span(found.low, found.median, found.high)


def _between(one: Cost, more: Cost, known: int, clips: int) -> Cost:
    """The cost of a number of clips, from a step of one clip and a step of several.

    Memory is linear in the clips; the time per clip is that of the larger step.
    """
    memory = None
    if one.memory is not None and more.memory is not None:
        held = {
            name: getattr(one.memory, name)
            + (getattr(more.memory, name) - getattr(one.memory, name)) * (clips - 1) // (known - 1)
            for name in ("activations", "workspace")
        }
        memory = replace(more.memory, **{name: max(0, size) for name, size in held.items()})
    note = f"extrapolated from steps of one clip and of {known}"
    return Cost(memory, more.seconds.times(clips / known), note)
