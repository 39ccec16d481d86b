"""A worker process that measures configurations, each in a forked child.

It speaks JSON lines. It loads PyTorch once and computes nothing itself: for every task it forks a
child, which may run out of memory or be killed; that is then the answer.
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
from skelab.fit.messages import configuration_from_json
from skelab.fit.step import InferenceStep, TrainingStep
from skelab.fit.storage import Category, StorageWatch
from skelab.host.memory import memory_growth, reset_peak_memory
from skelab.host.worker_process import die_with_parent, own_answers
from skelab.recipes import parse_recipe
from skelab.training.memory import is_out_of_memory

Answer = dict[str, Any]

_MATRIX: Final = 1024
_STREAM: Final = 1 << 24  # elements of a vector that exceeds the caches
_THREADS: Final = 3 * (72 << 20)  # address space of I/O threads: stacks, arenas

_libraries: dict[str, int] = {}
"""Memory of this process before its first task, bytes. A child shares the libraries, and the system
counts their pages only once the child has touched them."""


def training(task: Answer) -> Answer:
    """Memory and seconds of a training step."""
    return _measure(TrainingStep, task)


def inference(task: Answer) -> Answer:
    """Memory and seconds of a forward pass."""
    return _measure(InferenceStep, task)


def speeds(task: Answer) -> Answer:
    """Measured speed of the CPU per round: GFLOP/s of a matrix product, GB/s of copying.

    With ``half`` also in bfloat16, of a matrix product, a convolution and its gradients: without
    instructions for it, each of the three is computed differently.
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
        once = _seconds(way, "cpu")  # warm-up
        rounds = task["rounds"] if once < 1.0 else 1
        found[name] = [amount / _seconds(way, "cpu") for _ in range(rounds)]
    return found


def half_convolution() -> tuple[Callable[[], object], Callable[[], object], float]:
    """A typical convolution in bfloat16, its gradients, and the GFLOP of the former."""
    x = torch.randn(4, 64, 64, 25).bfloat16().requires_grad_()
    weight = torch.randn(64, 64, 1, 1).bfloat16().requires_grad_()
    result = nn.functional.conv2d(x, weight)
    slope = torch.ones_like(result)

    def derive() -> object:
        return torch.autograd.grad(result, (x, weight), slope, retain_graph=True)

    return lambda: nn.functional.conv2d(x, weight), derive, 2 * x.numel() * 64 / 1e9


def idle(task: Answer) -> Answer:
    """Memory and address space of a training process before its first step, bytes."""
    return {
        "memory": _with_libraries(_settle("cpu")),
        "address_space": psutil.Process().memory_info().vms + _THREADS,
    }


def loading(task: Answer) -> Answer:
    """Loading speed of one process for training, clips per second, per round."""
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
    """Warm up, record the live memory, and use the remaining time for timing."""
    configuration = configuration_from_json(task)
    device, started = task["device"], time.perf_counter()
    on_gpu = device != "cpu"
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else 0
    before = _settle(device)
    _limit(task["limit"], device, _with_libraries(before))
    step = kind(configuration, device)
    step.run()  # selects kernels and initialises the optimiser's state
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
        seconds = [counted_in] if enough else []  # tracking storages costs a few per cent
    while not enough and len(seconds) < task["rounds"]:
        seconds.append(_seconds(run, device))
        enough = time.perf_counter() - started > task["seconds"] and len(seconds) >= task["least"]
    return {"seconds": seconds, "memory": asdict(memory)}


def _go_on(step: TrainingStep | InferenceStep) -> None:
    """A further step; with micro-batches, gradients of the earlier one exist."""
    if isinstance(step, InferenceStep) or next(step.inputs()).shape[0] == step.micro_batch:
        step.run()
    else:
        step.forward_backward()
        step.update()


def _settle(device: str) -> int | None:
    """Let threads and libraries allocate what they need, then start watching memory."""
    layer = nn.Sequential(nn.Conv2d(8, 8, (3, 1), padding=(1, 0)), nn.BatchNorm2d(8), nn.ReLU())
    layer.to(device)
    for half in (False, True):
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            loss = layer(torch.randn(2, 8, 16, 25, device=device)).float().square().sum()
        loss.backward()
        loss.item()
    return reset_peak_memory()


def _limit(limit: int | None, device: str, held: int) -> None:
    """Limit this process to ``limit`` bytes; ``held`` bytes of CPU memory are in use already."""
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
    """Set the category of existing tensors."""
    watch.hold(step.inputs(), Category.ACTIVATIONS)
    watch.hold(step.weights(), Category.WEIGHTS)
    if isinstance(step, TrainingStep):
        watch.hold(step.optimiser_state(), Category.OPTIMISER)
        watch.hold(step.gradients(), Category.GRADIENTS)


def _of_storages(
    watch: StorageWatch, step: TrainingStep | InferenceStep, before: int | None
) -> MemoryParts:
    """Peak memory by category; growth of the process beyond tracked storages is workspace.

    Its memory ``before`` is the context.
    """
    if isinstance(step, TrainingStep):
        watch.hold(step.gradients(), Category.GRADIENTS)
    counted, growth = watch.lives().at_peak(), memory_growth(before)
    rest = 0 if growth is None else max(growth - counted.total, 0)
    context = _with_libraries(before)
    return MemoryParts(**{**asdict(counted), "workspace": rest, "context": context})


def _with_libraries(taken: int | None) -> int:
    """Memory of a process that has touched its libraries, bytes."""
    return max(taken or 0, _libraries.get("resident", 0))


def _of_allocator(
    step: TrainingStep | InferenceStep, run: Callable[[], object], free: int, device: str
) -> MemoryParts:
    """The CUDA allocator's statistics for a step after the first."""
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
    """Time of a call until the device has finished, seconds."""
    if device != "cpu":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def answer_task(task: Answer) -> Answer:
    """The result of a task; an error is a result, too."""
    try:
        torch.set_num_threads(task["threads"])
        return TASKS[task["task"]](task)
    except NotTriedError as error:
        return {"error": str(error)}
    except Exception as error:  # any error is reported by the process that asked
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        return {"no_memory": said} if is_out_of_memory(error) else {"error": said}


def in_child(task: Answer) -> Answer:
    """Run a task in a child process; returns how the child ended if it did not answer."""
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
    """The output of a child, and whether it was killed for taking too long."""
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
    """Load lazily loaded libraries once instead of in every child, and record the memory used.

    These are what PyTorch needs to track storages, and Arrow's memory for clips. Nothing here is
    large enough to start a thread, which a child would not inherit.
    """
    with torch.inference_mode(), StorageWatch():
        torch.ones(2).add(1.0)
    pa.allocate_buffer(1)
    _libraries["resident"] = psutil.Process().memory_info().rss


def serve_tasks(commands: Iterator[str], write: Callable[[str], object]) -> None:
    """Run tasks until the input ends."""
    for line in commands:
        write(json.dumps(in_child(json.loads(line))) + "\n")


def main() -> None:
    """Run tasks, with the output of libraries kept apart from the answers."""
    die_with_parent()
    warm_up()
    serve_tasks(sys.stdin, own_answers().write)


if __name__ == "__main__":
    main()
