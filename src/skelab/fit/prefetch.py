"""Prefetches traces in worker processes.

Tracing runs on a single core and takes most of the time of a prediction. The workers begin with the
trace that is needed last, so that they and the main process meet in the middle.
"""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Final

from skelab.fit.figures import Configuration
from skelab.fit.messages import configuration_to_json, trace_from_json
from skelab.fit.trace import Trace, trace_inference, trace_training, what_is_traced
from skelab.host.probe import Probe
from skelab.host.worker_process import ProcessError, WorkerProcess

_MEMORY: Final = 1 << 30
"""Memory budget of a worker, bytes; measured use is less than half of it."""

_MOST: Final = 3
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class TraceRequest:
    """A trace that a prediction needs.

    Attributes:
        configuration: What is traced; its micro-batch is ignored.
        training: Trace a training step; otherwise inference.
        for_gpu: Take the code paths that PyTorch takes on a GPU.
    """

    configuration: Configuration
    training: bool
    for_gpu: bool

    @property
    def key(self) -> tuple[str, bool, bool]:
        """A key that is equal for equal traces."""
        essence = what_is_traced(self.configuration, training=self.training)
        return essence, self.training, self.for_gpu

    def make(self) -> Trace:
        """Trace in this process.

        Raises:
            NotTriedError: The network cannot be made or traced.
        """
        trace = trace_training if self.training else trace_inference
        return trace(self.configuration, for_gpu=self.for_gpu)


def prefetch_workers(networks: int, machine: Probe) -> int:
    """Worker processes that pay for their start-up and fit into memory."""
    room = machine.usable_memory // _MEMORY - 1
    return max(0, min(_MOST, networks // 2, machine.usable_cores - 1, room))


class TracePrefetcher:
    """A context in which worker processes trace ahead.

    A trace that no worker has begun, or on which a worker fails, is made in this process when it
    is requested: workers save time and change nothing else.

    Args:
        wanted: Traces in the expected order of requests.
        workers: Number of worker processes.
    """

    def __init__(self, wanted: Iterable[TraceRequest], workers: int) -> None:
        self._wanted = {each.key: each for each in wanted}
        self._workers = [WorkerProcess("skelab.fit.tracer", _ONE_THREAD) for _ in range(workers)]
        self._idle: SimpleQueue[WorkerProcess] = SimpleQueue()
        self._made: dict[tuple[str, bool, bool], Future[Trace]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "TracePrefetcher":
        for worker in self._workers:
            self._idle.put(self._stack.enter_context(worker))
        threads = self._stack.enter_context(ThreadPoolExecutor(len(self._workers)))
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
        for worker in self._workers:
            worker.kill()
        self._stack.close()

    def get(self, wanted: TraceRequest) -> Trace:
        """Get a trace; waits if a worker is making it.

        Raises:
            NotTriedError: The network cannot be made or traced.
        """
        future = self._made.get(wanted.key)
        if future is not None and not future.cancel():
            with suppress(ProcessError):
                return future.result()
        return wanted.make()

    def _ask(self, wanted: TraceRequest) -> Trace:
        how = {"training": wanted.training, "for_gpu": wanted.for_gpu}
        asked = {**configuration_to_json(wanted.configuration), **how}
        worker = self._idle.get()
        try:
            return trace_from_json(worker.ask(asked))
        finally:
            self._idle.put(worker)
