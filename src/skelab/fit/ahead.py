"""Traces made ahead by other processes, while this one reckons with those that it has.

Tracing is the work of a single core, and most of the time of a prediction. Helpers begin with the
trace that will be asked for last, so that they meet the one that asks in the middle.
"""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Final

from skelab.fit.figures import Configuration
from skelab.fit.messages import read_trace, written_configuration
from skelab.fit.trace import Trace, trace_inference, trace_training, what_is_traced
from skelab.host.probe import Probe
from skelab.host.worker_process import AskedProcess, ProcessError

_MEMORY: Final = 1 << 30
"""Bytes that a helper may take; it is measured to take less than half as much."""

_MOST: Final = 3
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Wanted:
    """A trace.

    Attributes:
        configuration: What is traced; its micro-batch is of no account.
        training: A training step, not an inference.
        for_gpu: As PyTorch computes on a GPU.
    """

    configuration: Configuration
    training: bool
    for_gpu: bool

    @property
    def key(self) -> tuple[str, bool, bool]:
        """Equal for equal traces."""
        essence = what_is_traced(self.configuration, training=self.training)
        return essence, self.training, self.for_gpu

    def make(self) -> Trace:
        """Trace in this process.

        Raises:
            NotTriedError: The network cannot be made or traced.
        """
        trace = trace_training if self.training else trace_inference
        return trace(self.configuration, for_gpu=self.for_gpu)


def helpers_for(networks: int, machine: Probe) -> int:
    """How many processes beside this one are worth their start, and find room."""
    room = machine.usable_memory // _MEMORY - 1
    return max(0, min(_MOST, networks // 2, machine.usable_cores - 1, room))


class TracesAhead:
    """Processes that trace what will be asked for, until the block ends.

    A trace that no helper has begun is made here when it is asked for, and so is one with which a
    helper fails: helpers save time and change nothing else.

    Args:
        wanted: Traces in the order in which they will be asked for, as far as it is known.
        helpers: Processes.
    """

    def __init__(self, wanted: Iterable[Wanted], helpers: int) -> None:
        self._wanted = {each.key: each for each in wanted}
        self._helpers = [AskedProcess("skelab.fit.tracer", _ONE_THREAD) for _ in range(helpers)]
        self._idle: SimpleQueue[AskedProcess] = SimpleQueue()
        self._made: dict[tuple[str, bool, bool], Future[Trace]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "TracesAhead":
        for helper in self._helpers:
            self._idle.put(self._stack.enter_context(helper))
        threads = self._stack.enter_context(ThreadPoolExecutor(len(self._helpers)))
        for key, wanted in reversed(self._wanted.items()):
            self._made[key] = threads.submit(self._ask, wanted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for future in self._made.values():
            future.cancel()
        for helper in self._helpers:
            helper.kill()
        self._stack.close()

    def get(self, wanted: Wanted) -> Trace:
        """A trace; one that is being made is waited for.

        Raises:
            NotTriedError: The network cannot be made or traced.
        """
        future = self._made.get(wanted.key)
        if future is not None and not future.cancel():
            with suppress(ProcessError):
                return future.result()
        return wanted.make()

    def _ask(self, wanted: Wanted) -> Trace:
        how = {"training": wanted.training, "for_gpu": wanted.for_gpu}
        asked = {**written_configuration(wanted.configuration), **how}
        helper = self._idle.get()
        try:
            return read_trace(helper.ask(asked))
        finally:
            self._idle.put(helper)
