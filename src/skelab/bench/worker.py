"""A worker subprocess that speaks JSON lines and measures one case.

It receives its case first and answers when the network has run once; each further message says how
many times in a row to run it.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from skelab.bench.cases import BenchCase, Runtime
from skelab.host.memory import memory_growth, reset_peak_memory
from skelab.host.worker_process import own_answers
from skelab.inference.checkpoint import load_checkpoint
from skelab.inference.network import open_network

Clips = Float32[ndarray, "N C T V M"]
Logits = Float32[ndarray, "N K"]
Run = Callable[[Clips], Logits]

_LONG: Final = 1.0  # seconds


def made_up_clips(shape: tuple[int, ...]) -> Clips:
    """Clips of noise in which every body is present; deterministic for a shape."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def serve(commands: Iterator[str], write: Callable[[str], object]) -> None:
    """Measure the case of the first line until the input ends."""

    def answer(**content: Any) -> None:
        write(json.dumps(content) + "\n")

    try:
        case = BenchCase.from_dict(json.loads(next(commands)))
        clips = made_up_clips(case.shape)
        engine = case.runtime.engine
        engine.prepare()  # memory is counted from here: that of the network
        before = reset_peak_memory()
        run = _ready(case)
        started = time.perf_counter()
        logits = run(clips)
        seconds = time.perf_counter() - started
        if seconds < _LONG:  # the first run may have taken more than later ones
            seconds = _time(run, clips, 1)
        answer(logits=logits.tolist(), seconds=seconds, peak_mb=_growth(before))
        for line in commands:
            seconds = _time(run, clips, json.loads(line)["calls"])
            answer(seconds=seconds, peak_mb=_growth(before))
    except Exception as error:  # any error is reported by the process that asked
        answer(error=f"{type(error).__name__}: {' '.join(str(error).split())}")


def _ready(case: BenchCase) -> Run:
    """The network of a case, ready to compute."""
    if case.runtime is Runtime.COMPILE:
        torch.set_num_threads(case.threads)
        compiled = torch.compile(load_checkpoint(Path(case.file)))

        def run(clips: Clips) -> Logits:
            with torch.inference_mode():
                logits: Logits = compiled(torch.from_numpy(clips)).numpy()
            return logits

        return run
    return open_network(
        case.file,
        engine=case.runtime.engine.name,
        threads=case.threads,
        precision=case.precision.value,
    ).logits


def _time(run: Run, clips: Clips, calls: int) -> float:
    """Seconds per call, over a number of calls in a row."""
    started = time.perf_counter()
    for _ in range(calls):
        run(clips)
    return (time.perf_counter() - started) / calls


def _growth(before: int | None) -> float | None:
    """Peak growth of the process, MB."""
    growth = memory_growth(before)
    return None if growth is None else growth / 2**20


def main() -> None:
    """Serve requests, with the output of libraries kept apart from the answers."""
    serve(sys.stdin, own_answers().write)


if __name__ == "__main__":
    main()
