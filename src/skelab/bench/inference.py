"""Latency, throughput and memory of networks on this machine, by runtime and precision.

Each combination runs in its own process, so that memory and thread pools are separate. The
processes take turns, one round each, and are idle meanwhile.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from skelab.bench.cases import USUAL, WAYS, BenchCase, Runtime
from skelab.data.feeding.config import FeederConfig
from skelab.errors import SkelabError
from skelab.export import export_checkpoint
from skelab.host.machine import describe_machine
from skelab.host.timing import Quartiles, in_turn, quartiles
from skelab.host.worker_process import ProcessError, WorkerProcess
from skelab.inference.checkpoint import Checkpoint, InputSpec
from skelab.inference.files import read_network_file
from skelab.inference.folding import can_fold, fold
from skelab.inference.places import chosen_checkpoint, file_kind
from skelab.models import SkeletonModel, create_model, get_card, model_spec
from skelab.native.cost import count_operations
from skelab.native.networks import can_compute, get_kernels
from skelab.recipes import Recipe, list_recipes, load_recipe
from skelab.training.config import Precision

CLASSES: Final = 60
LAYOUT: Final = "ntu25"
BODIES: Final = 2
"""Classes, layout and bodies of a network that is given by its family name."""

SHORTEST: Final = 0.05
"""Minimum duration of a round, seconds; a round of short calls has several of them."""

FEWEST_ROUNDS: Final = 3
_READ_HERE: Final = ("onnx", "openvino")
_Way = tuple[Runtime, Precision]
_EXPORTED_AS: Final = {Runtime.ONNX: "net.onnx", Runtime.OPENVINO: "net.xml"}


@dataclass(frozen=True)
class BenchPlan:
    """What to measure, and for how long.

    Attributes:
        batches: Batch sizes.
        runtimes: Runtimes.
        precisions: Number formats.
        rounds: Maximum number of rounds.
        seconds: Time limit per network and batch size, with at least three rounds.
        frames: Frames of a clip; those of the family's recipe or of the file by default.
        threads: Threads to compute with; all cores by default.
        compile_seconds: Time limit of compiling a network.
    """

    batches: tuple[int, ...] = (1, 16)
    runtimes: tuple[Runtime, ...] = USUAL
    precisions: tuple[Precision, ...] = (Precision.FP32, Precision.BF16)
    rounds: int = 15
    seconds: float = 60.0
    frames: int | None = None
    threads: int | None = None
    compile_seconds: float = 180.0


@dataclass(frozen=True)
class BenchRow:
    """The measurement of a network in one runtime and precision.

    Attributes:
        model: The family, or the file.
        frames: Frames of a clip.
        runtime: Runtime.
        precision: Number format.
        batch: Batch size.
        ms_per_clip: Milliseconds per clip over the rounds; None if it could not be measured.
        peak_mb: Peak growth of the process after its libraries were loaded: weights, activations
            and workspace. None where the system does not report it.
        deviation: Largest difference from the logits of PyTorch in fp32, relative to the largest
            logit; None without that reference.
        rounds: Number of measured rounds.
        speedup: How many times as fast as PyTorch in fp32, round by round; None without it.
        peak_share: Floating-point operations a second, as a share of what as many cores reach in a
            loop without memory. The operations are those of the folded network. None for bf16,
            without compiled kernels, and for networks that have no program.
        note: The reason why it could not be measured.
    """

    model: str
    frames: int
    runtime: Runtime
    precision: Precision
    batch: int
    ms_per_clip: Quartiles | None = None
    peak_mb: float | None = None
    deviation: float | None = None
    rounds: int = 0
    speedup: Quartiles | None = None
    peak_share: float | None = None
    note: str = ""

    @property
    def clips_per_second(self) -> float | None:
        """Throughput in the median round."""
        return None if self.ms_per_clip is None else 1000 / self.ms_per_clip.median


@dataclass
class _MeasuredNetwork:
    """A network ready to be measured.

    Attributes:
        name: Its name in the table.
        clip: C T V M.
        files: The file that each runtime loads.
        faults: The reason why a runtime has no file.
        operations: Floating-point operations of a clip with every body; None where unknown.
    """

    name: str
    clip: tuple[int, int, int, int]
    files: dict[Runtime, Path] = field(default_factory=dict)
    faults: dict[Runtime, str] = field(default_factory=dict)
    operations: int | None = None


def bench(
    targets: Sequence[str],
    plan: BenchPlan = BenchPlan(),
    *,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[BenchRow]:
    """Measure networks one after the other; yields rows as each batch size is finished.

    Clips are noise in which every body is present. A network that is given by its family
    name has random weights: the time does not depend on them.

    Args:
        targets: Families, checkpoints, run folders, or files exported to ONNX or OpenVINO.
        plan: What to measure, and for how long.
        on_note: Called with the current activity.

    Raises:
        ModelError: There is no family of that name, or it takes no clips of ``frames`` frames.
        CheckpointError: A checkpoint is damaged, or there is none.
        ExportError: An exported file is damaged, or its runtime is not installed.
        RecipeError: ``frames`` is out of range.
    """
    note = on_note or (lambda text: None)
    for target in targets:
        _check_target(target)
    for target in targets:
        with tempfile.TemporaryDirectory(prefix="skelab-bench-") as folder:
            note(f"{target}: preparing the files")
            network = _prepare(target, plan, Path(folder), note)
            for batch in plan.batches:
                yield from _measure(network, batch, plan, note)


def _check_target(target: str) -> None:
    if not Path(target).exists():
        get_card(target)


def _prepare(
    target: str, plan: BenchPlan, folder: Path, note: Callable[[str], None]
) -> _MeasuredNetwork:
    """Prepare the files from which the runtimes of the plan load the network."""
    path = Path(target)
    if file_kind(path) in _READ_HERE and path.is_file():
        spec = read_network_file(path).spec
        running = [runtime for runtime in Runtime if spec.target in runtime.engine.kinds]
        return _MeasuredNetwork(
            target, spec.shape(1, plan.frames)[1:], dict.fromkeys(running, path)
        )
    file = chosen_checkpoint(path) if path.exists() else _draw_checkpoint(target, plan, folder)
    spec = read_network_file(file).spec
    spec.traits.check_length(spec.model.name, plan.frames or spec.window)
    network = _MeasuredNetwork(target, spec.shape(1, plan.frames)[1:])
    network.operations = _operations_of(file, network.clip)
    network.files = {Runtime.EAGER: file, Runtime.COMPILE: file}
    if Runtime.NATIVE.engine.is_installed:
        network.files[Runtime.NATIVE] = file
    else:
        network.faults[Runtime.NATIVE] = Runtime.NATIVE.engine.missing
    for runtime in set(plan.runtimes) & _EXPORTED_AS.keys():
        if not runtime.engine.is_installed:
            network.faults[runtime] = runtime.engine.missing
            continue
        note(f"{target}: exporting to {runtime.value}")
        out = folder / _EXPORTED_AS[runtime]
        try:
            export_checkpoint(file, out, to=runtime.value)
        except SkelabError as error:
            network.faults[runtime] = str(error)
        else:
            network.files[runtime] = out
    return network


def _operations_of(file: Path, clip: tuple[int, int, int, int]) -> int | None:
    """Operations of a clip in the folded network, without lanes that pad vectors."""
    checkpoint = read_network_file(file).checkpoint
    model = None if checkpoint is None else checkpoint.build()
    if not isinstance(model, SkeletonModel) or not can_fold(model):
        return None
    return clip[3] * count_operations(fold(model, 1).plan, clip[1])


def _draw_checkpoint(name: str, plan: BenchPlan, folder: Path) -> Path:
    """Write a checkpoint of a family with random weights."""
    recipe = _recipe_of(name)
    changes = {} if plan.frames is None else {"window": plan.frames}
    feeder = FeederConfig.model_validate({**recipe.data.feeder.model_dump(), **changes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model(name, num_classes=CLASSES, layout=LAYOUT, max_bodies=BODIES)
    spec = model_spec(model)
    checkpoint = Checkpoint(
        model=spec,
        inputs=InputSpec(
            pipeline="ctrgcn",
            units="metres",
            dataset="unnamed",
            classes=tuple(f"class {number}" for number in range(CLASSES)),
            feeder=feeder,
            synthetic=True,
        ),
        recipe=recipe.to_yaml(),
        weights=model.state_dict(),
        epoch=0,
        protocol=recipe.protocol.value,
    )
    path = folder / "drawn.safetensors"
    checkpoint.save(path)
    return path


def _recipe_of(name: str) -> Recipe:
    """The recipe of that name; a default one if there is none."""
    if name in {recipe.name for recipe in list_recipes()}:
        return load_recipe(name)
    return Recipe.model_validate({"name": name, "model": {"name": name}})


def _measure(
    network: _MeasuredNetwork, batch: int, plan: BenchPlan, note: Callable[[str], None]
) -> Iterator[BenchRow]:
    """The rows of one batch size of a network, one per combination of runtime and precision."""
    known = {*network.files, *network.faults} & set(plan.runtimes)
    measured = _Measurements([way for way in WAYS if way[0] in known and way[1] in plan.precisions])
    measured.peaks = [] if can_compute() else None
    with ExitStack() as stack:
        workers = _start_workers(stack, network, batch, plan, note, measured)
        _run_rounds(
            workers, plan, lambda text: note(f"{network.name}, batch {batch}: {text}"), measured
        )
    yardstick = measured.results.get((Runtime.EAGER, Precision.FP32))
    for way in measured.ways:
        runtime, precision = way
        row = partial(BenchRow, network.name, network.clip[1], runtime, precision, batch)
        if way in measured.faults:
            yield row(note=measured.faults[way])
            continue
        result = measured.results[way]
        yield row(
            ms_per_clip=quartiles([1000 * second / batch for second in result.seconds]),
            peak_mb=result.peak_mb,
            deviation=None if yardstick is None else _deviation(result.logits, yardstick.logits),
            rounds=len(result.seconds),
            speedup=None if yardstick is None else _speedup(yardstick, result),
            peak_share=_peak_share(network, batch, precision, plan, measured, result),
        )


def _start_workers(
    stack: ExitStack,
    network: _MeasuredNetwork,
    batch: int,
    plan: BenchPlan,
    note: Callable[[str], None],
    measured: "_Measurements",
) -> "dict[_Way, _Worker]":
    """Start a worker with the network for each combination that can run; others become faults."""
    machine = describe_machine(plan.threads)
    workers: dict[_Way, _Worker] = {}
    for way in measured.ways:
        runtime, precision = way
        if runtime not in network.files:
            measured.faults[way] = network.faults[runtime]
            continue
        needs_bf16 = precision is Precision.BF16 and runtime in (Runtime.OPENVINO, Runtime.NATIVE)
        if needs_bf16 and not machine.bf16:
            measured.faults[way] = "this processor has no bf16 instructions"
            continue
        note(f"{network.name}, batch {batch}: loading {runtime.value} {precision.value}")
        file, shape = str(network.files[runtime]), (batch, *network.clip)
        worker = stack.enter_context(
            _Worker(
                BenchCase(file, runtime, precision, shape, machine.threads),
                plan.compile_seconds if runtime is Runtime.COMPILE else None,
            )
        )
        try:
            measured.results[way] = _Result(worker.logits)
        except ProcessError as error:
            measured.faults[way] = str(error)
        else:
            workers[way] = worker
    return workers


def _run_rounds(
    workers: "Mapping[_Way, _Worker]",
    plan: BenchPlan,
    note: Callable[[str], None],
    measured: "_Measurements",
) -> None:
    """Time the workers in turn, one round each, until the plan's rounds or seconds are used up."""

    def attempt(way: _Way) -> Mapping[str, Any]:
        try:
            return workers[way].run()
        except ProcessError as error:
            measured.faults[way] = str(error)
            return {}

    started = time.monotonic()
    turns = {way: partial(attempt, way) for way in workers}
    for number, samples in enumerate(in_turn(turns, plan.rounds), start=1):
        for way, sample in samples.items():
            if sample:
                measured.results[way].add(sample)
        if measured.peaks is not None:
            measured.peaks.append(get_kernels().measure_peak())
        note(f"round {number} of {plan.rounds}")
        late = time.monotonic() - started > plan.seconds
        if late and number >= min(FEWEST_ROUNDS, plan.rounds):
            break


def _deviation(found: Float32[ndarray, "N K"], expected: Float32[ndarray, "N K"]) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _speedup(yardstick: "_Result", result: "_Result") -> Quartiles | None:
    """Ratios of the rounds that both have."""
    pairs = zip(yardstick.seconds, result.seconds, strict=False)
    ratios = [plain / other for plain, other in pairs]
    return quartiles(ratios) if ratios else None


def _peak_share(
    network: _MeasuredNetwork,
    batch: int,
    precision: Precision,
    plan: BenchPlan,
    measured: "_Measurements",
    result: "_Result",
) -> float | None:
    """Operations a second in the median round, as a share of the peak measured beside it."""
    if network.operations is None or not measured.peaks or precision is not Precision.FP32:
        return None
    cores = describe_machine(plan.threads).threads
    peak = quartiles(measured.peaks).median * cores
    return network.operations * batch / quartiles(result.seconds).median / peak


@dataclass
class _Result:
    """The logits of a combination, and its measurements so far."""

    logits: Float32[ndarray, "N K"]
    seconds: list[float] = field(default_factory=list)
    peak_mb: float | None = None

    def add(self, sample: Mapping[str, Any]) -> None:
        """Add the measurements of a round."""
        self.seconds.append(sample["seconds"])
        self.peak_mb = sample["peak_mb"]


@dataclass
class _Measurements:
    """The results of the combinations that ran, and the reasons of the others.

    ``peaks`` are those of a core, one a round, operations a second; None without kernels.
    """

    ways: list[_Way]
    results: dict[_Way, _Result] = field(default_factory=dict)
    faults: dict[_Way, str] = field(default_factory=dict)
    peaks: list[float] | None = None


class _Worker:
    """The worker process of one case; a context manager."""

    def __init__(self, case: BenchCase, first_seconds: float | None = None) -> None:
        self._case = case
        self._first_seconds = first_seconds
        self._process = WorkerProcess("skelab.bench.worker")
        self._calls = 1

    def __enter__(self) -> "_Worker":
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
    def logits(self) -> Float32[ndarray, "N K"]:
        """The logits of the first run.

        Raises:
            ProcessError: The network cannot run.
        """
        try:
            first = self._process.ask(self._case.to_dict(), self._first_seconds)
        except ProcessError:
            if self._first_seconds is not None:  # it may be at it still, and disturb the others
                self._process.kill()
            raise
        self._calls = max(1, round(SHORTEST / max(first["seconds"], 1e-6)))
        return np.array(first["logits"], dtype=np.float32)

    def run(self) -> Mapping[str, Any]:
        """Run a round: seconds per call, and the peak memory so far.

        Raises:
            ProcessError: The process has ended.
        """
        return self._process.ask({"calls": self._calls})
