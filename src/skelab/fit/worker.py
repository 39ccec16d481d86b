"""The process that measures configurations, each in a child of its own.

Speaks JSON, a line a message. It loads PyTorch once and computes nothing itself: for every task it
splits off a child, which may run out of memory or be killed; how that ended is the answer then.
"""

import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pyarrow as pa
import torch
from torch import nn
from torch.utils.data import DataLoader

from skelab.data.clips.store import open_store
from skelab.data.feeding.dataset import ClipDataset, pad_clips
from skelab.data.feeding.feeder import Feeder
from skelab.fit.figures import MemoryParts, NotTriedError
from skelab.fit.messages import read_configuration
from skelab.fit.step import InferenceStep, TrainingStep
from skelab.fit.storage import Part, StorageWatch
from skelab.host.memory import memory_growth, start_to_watch_memory
from skelab.host.worker_process import die_with_parent, own_answers
from skelab.recipes import parse_recipe
from skelab.training.memory import is_out_of_memory

Answer = dict[str, Any]

_MATRIX: Final = 1024
_STREAM: Final = 1 << 24  # numbers of a vector that no cache holds
_THREADS: Final = 3 * (72 << 20)  # address space of threads that read and write: stacks, arenas

_libraries: dict[str, int] = {}
"""What this process took before its first task. A child shares the libraries with it, and the
system counts them as its own only where it has touched them."""


def training(task: Answer) -> Answer:
    """Memory and seconds of a training step."""
    return _measure(TrainingStep, task)


def inference(task: Answer) -> Answer:
    """Memory and seconds of a forward pass."""
    return _measure(InferenceStep, task)


def speeds(task: Answer) -> Answer:
    """What the processor reaches: GFLOP/s of a matrix product, GB/s of copying; a value a round.

    Where ``half`` is asked for also in bfloat16, and there of a convolution and its gradients:
    without instructions for it, each of the three is computed in another way.
    """
    a, b = torch.randn(_MATRIX, _MATRIX), torch.randn(_MATRIX, _MATRIX)
    source = torch.randn(_STREAM)
    target = torch.empty_like(source)
    flops, moved = 2 * _MATRIX**3 / 1e9, 2 * source.nbytes / 1e9
    ways: dict[str, tuple[Callable[[], object], float]] = {
        "gflops": (lambda: a @ b, flops),
        "gigabytes": (lambda: target.copy_(source), moved),
    }
    if task["half"]:
        half_a, half_b = a.bfloat16(), b.bfloat16()
        convolve, derive, convolved = half_convolution()
        ways["gflops_bf16"] = (lambda: half_a @ half_b, flops)
        ways["gflops_bf16_convolution"] = (convolve, convolved)
        ways["gflops_bf16_gradient"] = (derive, 2 * convolved)
    found: Answer = {}
    for name, (way, amount) in ways.items():
        once = _seconds(way, "cpu")  # the first time is not counted
        rounds = task["rounds"] if once < 1.0 else 1
        found[name] = [amount / _seconds(way, "cpu") for _ in range(rounds)]
    return found


def half_convolution() -> tuple[Callable[[], object], Callable[[], object], float]:
    """A convolution as networks have it, its gradients, and the GFLOP of the first, in bfloat16."""
    x = torch.randn(4, 64, 64, 25).bfloat16().requires_grad_()
    weight = torch.randn(64, 64, 1, 1).bfloat16().requires_grad_()
    result = nn.functional.conv2d(x, weight)
    slope = torch.ones_like(result)

    def derive() -> object:
        return torch.autograd.grad(result, (x, weight), slope, retain_graph=True)

    return lambda: nn.functional.conv2d(x, weight), derive, 2 * x.numel() * 64 / 1e9


def idle(task: Answer) -> Answer:
    """What a process that trains takes before its first step: bytes of memory, and mapped ones."""
    return {
        "memory": _with_libraries(_settle("cpu")),
        "address_space": psutil.Process().memory_info().vms + _THREADS,
    }


def loading(task: Answer) -> Answer:
    """Clips a second that one process reads and shapes for training, a value a round."""
    store, recipe = open_store(Path(task["store"])), parse_recipe(task["recipe"])
    feeder = Feeder(recipe.data.feeder, store.info.layout)
    rows = np.arange(len(store))
    loader = DataLoader(
        ClipDataset(store, rows),
        batch_size=min(recipe.training.batch_size, len(rows)),
        collate_fn=partial(pad_clips, max_bodies=task["bodies"]),
    )
    speeds_of_rounds, most = [], 0
    for epoch in range(task["rounds"] + 1):
        started = time.perf_counter()
        for clips in loader:
            feeder.training_batch(clips, seed=0, epoch=epoch)
            most = max(most, clips.poses.nbytes)
        speeds_of_rounds.append(len(rows) / (time.perf_counter() - started))
    return {"clips": speeds_of_rounds[1:], "batch_bytes": most}


TASKS: Final[dict[str, Callable[[Answer], Answer]]] = {
    "training": training,
    "inference": inference,
    "speeds": speeds,
    "idle": idle,
    "loading": loading,
}


def _measure(kind: type[TrainingStep] | type[InferenceStep], task: Answer) -> Answer:
    """Warm up, count what is held, and time the rest of the time that there is."""
    configuration = read_configuration(task)
    device, started = task["device"], time.perf_counter()
    on_gpu = device != "cpu"
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else 0
    before = _settle(device)
    _limit(task["limit"], device, _with_libraries(before))
    step = kind(configuration, device)
    step.run()  # finds kernels, and makes the optimiser's state
    run = partial(_go_on, step)
    enough, seconds = False, []
    if on_gpu:
        memory = _of_allocator(step, run, free, device)
    else:
        watch = StorageWatch()
        _name_parts(watch, step)
        with watch:
            counted_in = _seconds(run, device)
        memory = _of_storages(watch, step, before)
        enough = counted_in > task["seconds"] / 2
        seconds = [counted_in] if enough else []  # following storages takes a few per cent
    while not enough and len(seconds) < task["rounds"]:
        seconds.append(_seconds(run, device))
        enough = time.perf_counter() - started > task["seconds"] and len(seconds) >= task["least"]
    return {"seconds": seconds, "memory": asdict(memory)}


def _go_on(step: TrainingStep | InferenceStep) -> None:
    """A further step; where a batch comes in parts, the gradients of the part before are there."""
    if isinstance(step, InferenceStep) or next(step.inputs()).shape[0] == step.micro_batch:
        step.run()
    else:
        step.forward_backward()
        step.update()


def _settle(device: str) -> int | None:
    """Let threads and libraries take what they need, and watch memory from here."""
    layer = nn.Sequential(nn.Conv2d(8, 8, (3, 1), padding=(1, 0)), nn.BatchNorm2d(8), nn.ReLU())
    layer.to(device)
    for half in (False, True):
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            loss = layer(torch.randn(2, 8, 16, 25, device=device)).float().square().sum()
        loss.backward()
        loss.item()
    return start_to_watch_memory()


def _limit(limit: int | None, device: str, held: int) -> None:
    """Take no more than ``limit`` bytes; of the processor's memory ``held`` are taken already."""
    if limit is None:
        return
    if device == "cpu":
        size = psutil.Process().memory_info().vms
        limit = max(limit - held, 0)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        bound = size + limit if hard == resource.RLIM_INFINITY else min(size + limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
        return
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(limit / total, 1.0), device)
    torch.cuda.reset_peak_memory_stats(device)


def _name_parts(watch: StorageWatch, step: TrainingStep | InferenceStep) -> None:
    """Tell the watch what is there already."""
    watch.hold(step.inputs(), Part.ACTIVATIONS)
    watch.hold(step.weights(), Part.WEIGHTS)
    if isinstance(step, TrainingStep):
        watch.hold(step.optimiser_state(), Part.OPTIMISER)
        watch.hold(step.gradients(), Part.GRADIENTS)


def _of_storages(
    watch: StorageWatch, step: TrainingStep | InferenceStep, before: int | None
) -> MemoryParts:
    """Counted bytes at the peak; what the process grew beyond them is workspace.

    What it took ``before`` is its context.
    """
    if isinstance(step, TrainingStep):
        watch.hold(step.gradients(), Part.GRADIENTS)
    counted, growth = watch.lives().at_peak(), memory_growth(before)
    rest = 0 if growth is None else max(growth - counted.total, 0)
    context = _with_libraries(before)
    return MemoryParts(**{**asdict(counted), "workspace": rest, "context": context})


def _with_libraries(taken: int | None) -> int:
    """Bytes of a process that has touched its libraries itself."""
    return max(taken or 0, _libraries.get("resident", 0))


def _of_allocator(
    step: TrainingStep | InferenceStep, run: Callable[[], object], free: int, device: str
) -> MemoryParts:
    """What CUDA's allocator says of a step after the first."""
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device)
    reserved = torch.cuda.max_memory_reserved(device)
    held = {"weights": sum(tensor.nbytes for tensor in step.weights())}
    if isinstance(step, TrainingStep):
        held["gradients"] = sum(tensor.nbytes for tensor in step.gradients())
        held["optimiser"] = sum(tensor.nbytes for tensor in step.optimiser_state())
    taken = free - torch.cuda.mem_get_info(device)[0]
    return MemoryParts(
        **held,
        activations=max(peak - sum(held.values()), 0),
        workspace=max(reserved - peak, 0),
        context=max(taken - torch.cuda.memory_reserved(device), 0),
    )


def _seconds(run: Callable[[], object], device: str) -> float:
    """How long a call takes, until the device is done."""
    if device != "cpu":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def answer_task(task: Answer) -> Answer:
    """What comes of a task; an error is an answer."""
    try:
        torch.set_num_threads(task["threads"])
        return TASKS[task["task"]](task)
    except NotTriedError as error:
        return {"error": str(error)}
    except Exception as error:  # whatever it is, the process that asked says it
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        return {"no_memory": said} if is_out_of_memory(error) else {"error": said}


def in_child(task: Answer) -> Answer:
    """Carry out a task in a child process; how the child ended, if it did not answer."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            os.close(reading)
            os.dup2(errors.fileno(), 2)
            _become_child(task, writing)
        os.close(writing)
        said, late = _read_all(reading, task["timeout"], child)
        _, status = os.waitpid(child, 0)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").split("\n")
    with suppress(ValueError):
        answer: Answer = json.loads(said)
        return answer
    if late:
        return {"late": task["timeout"]}
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return {"ended": os.waitstatus_to_exitcode(status), "said": last[:300]}


def _become_child(task: Answer, writing: int) -> None:
    die_with_parent()
    try:
        os.write(writing, json.dumps(answer_task(task)).encode())
    finally:
        os._exit(0)


def _read_all(reading: int, timeout: float, child: int) -> tuple[bytes, bool]:
    """What a child writes, and whether it was ended for taking too long."""
    until, said, late = time.monotonic() + timeout, b"", False
    with open(reading, "rb", buffering=0) as pipe:
        while True:
            left = until - time.monotonic()
            if left <= 0 and not late:
                late = True
                os.kill(child, signal.SIGKILL)
            if late or select.select([pipe], [], [], left)[0]:
                piece = pipe.read(1 << 16)
                if not piece:
                    return said, late
                said += piece


def warm_up() -> None:
    """Load what is loaded late, once and not in every child, and note what all that takes.

    That is what PyTorch needs to follow storages, and Arrow's memory for clips. Nothing here is
    large enough to start a thread, which a child would not inherit.
    """
    with torch.inference_mode(), StorageWatch():
        torch.ones(2).add(1.0)
    pa.allocate_buffer(1)
    _libraries["resident"] = psutil.Process().memory_info().rss


def serve(commands: Iterator[str], write: Callable[[str], object]) -> None:
    """Carry out the tasks, until the lines end."""
    for line in commands:
        write(json.dumps(in_child(json.loads(line))) + "\n")


def main() -> None:
    """Keep what libraries print away from the answers."""
    die_with_parent()
    warm_up()
    serve(sys.stdin, own_answers().write)


if __name__ == "__main__":
    main()
