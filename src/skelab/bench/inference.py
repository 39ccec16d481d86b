"""How fast a network answers on this machine, and how much memory it takes, run in several ways.

Each way runs in a process of its own, so that its memory is its own and no pool of threads stands
in another's way. The processes take turns, a round each, and wait meanwhile.
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

from skelab.bench.cases import WAYS, BenchCase, Runtime
from skelab.data.feeding.config import FeederConfig
from skelab.errors import SkelabError
from skelab.export import export_checkpoint
from skelab.host.machine import describe_machine
from skelab.host.timing import Quartiles, in_turn, quartiles
from skelab.host.worker_process import AskedProcess, ProcessError
from skelab.inference.checkpoint import Checkpoint, InputSpec
from skelab.inference.files import read_network_file
from skelab.inference.places import chosen_checkpoint, file_kind
from skelab.models import create_model, get_card, model_spec
from skelab.recipes import Recipe, list_recipes, load_recipe
from skelab.training.config import Precision

CLASSES: Final = 60
LAYOUT: Final = "ntu25"
BODIES: Final = 2
"""What a network that is measured by its family's name is made for."""

SHORTEST: Final = 0.05
"""Seconds that a round of a way lasts at least; several calls make one where one is shorter."""

FEWEST_ROUNDS: Final = 3
_READ_HERE: Final = ("onnx", "openvino")
_EXPORTED_AS: Final = {Runtime.ONNX: "net.onnx", Runtime.OPENVINO: "net.xml"}


@dataclass(frozen=True)
class BenchPlan:
    """What is measured, and for how long.

    Attributes:
        batches: Clips at once.
        runtimes: Who computes.
        precisions: Number formats.
        rounds: Rounds of each way, at most.
        seconds: A batch size of a network ends after so long, with at least three rounds.
        frames: Frames of a clip; None takes what the family's recipe or the file says.
        threads: Threads to compute with; None takes all cores.
    """

    batches: tuple[int, ...] = (1, 16)
    runtimes: tuple[Runtime, ...] = tuple(Runtime)
    precisions: tuple[Precision, ...] = (Precision.FP32, Precision.BF16)
    rounds: int = 15
    seconds: float = 60.0
    frames: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class BenchRow:
    """What was measured of a network in one way.

    Attributes:
        model: The family, or the file.
        frames: Frames of a clip.
        runtime: Who computed.
        precision: Number format.
        batch: Clips at once.
        ms_per_clip: Over the rounds; None if it could not be measured.
        peak_mb: Growth of the process, at most, over what it was with its libraries loaded:
            weights, activations and workspace. None where the system does not say.
        deviation: Largest difference from the logits of PyTorch in fp32, as a share of the
            largest logit; None where that was not run.
        rounds: Rounds that were measured.
        note: Why it could not be measured.
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
    note: str = ""

    @property
    def clips_per_second(self) -> float | None:
        """In the median round."""
        return None if self.ms_per_clip is None else 1000 / self.ms_per_clip.median


@dataclass
class _MeasuredNetwork:
    """A network ready to be measured.

    Attributes:
        name: What to call it.
        clip: C T V M.
        files: What each runtime loads.
        faults: Why there is nothing for a runtime.
    """

    name: str
    clip: tuple[int, int, int, int]
    files: dict[Runtime, Path] = field(default_factory=dict)
    faults: dict[Runtime, str] = field(default_factory=dict)


def bench(
    targets: Sequence[str],
    plan: BenchPlan = BenchPlan(),
    *,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[BenchRow]:
    """Measure networks one after the other; rows come as each batch size of each is done.

    Clips are noise in which every body is present. The weights of a network that is given by its
    family's name are drawn: the time does not depend on them.

    Args:
        targets: Families, checkpoints, run folders, or files exported to ONNX or OpenVINO.
        plan: What is measured, and for how long.
        on_note: Told, in a few words, what is going on.

    Raises:
        ModelError: There is no family of that name, or it takes no clips of ``frames`` frames.
        CheckpointError: A checkpoint is damaged, or there is none.
        ExportError: An exported file is damaged, or what reads it is not installed.
        RecipeError: ``frames`` is out of range.
    """
    note = on_note or (lambda text: None)
    for target in targets:
        _check_target(target)
    for target in targets:
        with tempfile.TemporaryDirectory(prefix="skelab-bench-") as folder:
            note(f"{target}: making the files")
            network = _prepare(target, plan, Path(folder), note)
            for batch in plan.batches:
                yield from _measure(network, batch, plan, note)


def _check_target(target: str) -> None:
    if not Path(target).exists():
        get_card(target)


def _prepare(
    target: str, plan: BenchPlan, folder: Path, note: Callable[[str], None]
) -> _MeasuredNetwork:
    """The network as each runtime of the plan loads it."""
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
    network = _MeasuredNetwork(target, spec.shape(1, plan.frames)[1:], {Runtime.EAGER: file})
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


def _draw_checkpoint(name: str, plan: BenchPlan, folder: Path) -> Path:
    """A checkpoint of a family with weights that nobody has trained."""
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
    """The recipe of the family's name; a plain one where there is none."""
    if name in {recipe.name for recipe in list_recipes()}:
        return load_recipe(name)
    return Recipe.model_validate({"name": name, "model": {"name": name}})


def _measure(
    network: _MeasuredNetwork, batch: int, plan: BenchPlan, note: Callable[[str], None]
) -> Iterator[BenchRow]:
    """One batch size of a network, in all ways of the plan, in turn."""
    machine = describe_machine(plan.threads)
    shape = (batch, *network.clip)
    where = f"{network.name}, batch {batch}"
    faults: dict[tuple[Runtime, Precision], str] = {}
    results: dict[tuple[Runtime, Precision], _Result] = {}
    known = {*network.files, *network.faults} & set(plan.runtimes)
    ways = [way for way in WAYS if way[0] in known and way[1] in plan.precisions]
    with ExitStack() as stack:
        workers: dict[tuple[Runtime, Precision], _Worker] = {}
        for way in ways:
            runtime, precision = way
            if runtime not in network.files:
                faults[way] = network.faults[runtime]
            elif way == (Runtime.OPENVINO, Precision.BF16) and not machine.bf16:
                faults[way] = "this processor does not compute in bf16 by itself"
            else:
                note(f"{where}: loading {runtime.value} {precision.value}")
                case = BenchCase(
                    str(network.files[runtime]), runtime, precision, shape, machine.threads
                )
                worker = stack.enter_context(_Worker(case))
                try:
                    results[way] = _Result(worker.logits)
                except ProcessError as error:
                    faults[way] = str(error)
                else:
                    workers[way] = worker

        def attempt(way: tuple[Runtime, Precision]) -> Mapping[str, Any]:
            try:
                return workers[way].run()
            except ProcessError as error:
                faults[way] = str(error)
                return {}

        turns = {way: partial(attempt, way) for way in workers}
        started = time.monotonic()
        for number, samples in enumerate(in_turn(turns, plan.rounds), start=1):
            for way, sample in samples.items():
                if sample:
                    results[way].add(sample)
            note(f"{where}: round {number} of {plan.rounds}")
            late = time.monotonic() - started > plan.seconds
            if late and number >= min(FEWEST_ROUNDS, plan.rounds):
                break
    yardstick = results.get((Runtime.EAGER, Precision.FP32))
    for way in ways:
        runtime, precision = way
        row = partial(BenchRow, network.name, network.clip[1], runtime, precision, batch)
        if way in faults:
            yield row(note=faults[way])
            continue
        result = results[way]
        yield row(
            ms_per_clip=quartiles([1000 * second / batch for second in result.seconds]),
            peak_mb=result.peak_mb,
            deviation=None if yardstick is None else _deviation(result.logits, yardstick.logits),
            rounds=len(result.seconds),
        )


def _deviation(found: Float32[ndarray, "N K"], expected: Float32[ndarray, "N K"]) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@dataclass
class _Result:
    """What a way has given so far."""

    logits: Float32[ndarray, "N K"]
    seconds: list[float] = field(default_factory=list)
    peak_mb: float | None = None

    def add(self, sample: Mapping[str, Any]) -> None:
        """Another round."""
        self.seconds.append(sample["seconds"])
        self.peak_mb = sample["peak_mb"]


class _Worker:
    """The process of one case, from its first run until the block ends."""

    def __init__(self, case: BenchCase) -> None:
        self._case = case
        self._process = AskedProcess("skelab.bench.worker")
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
        """Let the network run for the first time.

        Raises:
            ProcessError: It cannot.
        """
        first = self._process.ask(self._case.to_dict())
        self._calls = max(1, round(SHORTEST / max(first["seconds"], 1e-6)))
        return np.array(first["logits"], dtype=np.float32)

    def run(self) -> Mapping[str, Any]:
        """A round: seconds a call, and the highest memory so far.

        Raises:
            ProcessError: The process has ended.
        """
        return self._process.ask({"calls": self._calls})
