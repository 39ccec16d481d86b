"""Can a machine run these networks comfortably? Tries each on a device and gives the answer."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from skelab.data.clips.opened_clips import OpenedClips
from skelab.errors import GpuError
from skelab.fit.demand import data_needs, read_recipe
from skelab.fit.explore import (
    Question,
    configuration_of,
    expected_traces,
    explore,
    inference_fit,
    remark,
)
from skelab.fit.figures import (
    Backend,
    DoesNotFitError,
    NotTriedError,
    Span,
)
from skelab.fit.gpus import parse_memory
from skelab.fit.measure import MeasuredDevice
from skelab.fit.outcome import (
    DataNeeds,
    FitReport,
    ModelFit,
    Verdict,
)
from skelab.fit.own_data import store_needs
from skelab.fit.predict import PredictedDevice
from skelab.fit.prefetch import TracePrefetcher, TraceRequest, prefetch_workers
from skelab.fit.verdict import (
    overall_answer,
    recommend,
)
from skelab.host.probe import Probe, probe
from skelab.models import list_models
from skelab.recipes import Recipe
from skelab.runs.synthetic import synthetic_store
from skelab.training.config import Precision

OnProgress = Callable[[str, int, int], None]
"""Called with the current activity, the networks done, and their total."""

QUICK_SECONDS: Final = 45.0
"""Time after which a quick measurement tries nothing more."""

_LOADED_CLIPS: Final = 64

_SPEEDS: Final = {
    *("gflops", "gigabytes", "gflops_bf16", "gflops_bf16_convolution", "gflops_bf16_gradient"),
}
_USUAL_FLOPS: Final = 3e10  # of a core, a second, in float32
_USUAL_BANDWIDTH: Final = 1.5e10  # bytes a second from memory


class FitStopped(KeyboardInterrupt):
    """Ctrl-C, with the results so far.

    Attributes:
        report: The networks that were finished.
    """

    def __init__(self, report: FitReport) -> None:
        super().__init__("stopped")
        self.report = report


def fit(
    models: Sequence[str] = (),
    *,
    device: str = "auto",
    gpu: str | None = None,
    vram: str | None = None,
    clips: int | None = None,
    data: OpenedClips | None = None,
    thorough: bool = False,
    on_progress: OnProgress | None = None,
) -> FitReport:
    """Determine how well networks train and run on this machine or on another GPU.

    Args:
        models: Families, recipes or recipe files; all families by default.
        device: The device to measure: ``cpu``, ``cuda:0``, or ``auto`` for a GPU if there is one.
        gpu: Predict for this GPU instead, say ``RTX 3060``.
        vram: Predict for a GPU with this much memory, say ``8GB``; with ``gpu``, for that GPU.
        clips: Number of training clips; that of the recipe's data set by default.
        data: Clips of one's own: their layout, classes and number count instead.
        thorough: Try every option, and search by running. Otherwise an option is tried only if the
            ones before it are not comfortable, and a measurement ends within a minute.
        on_progress: OnProgress what is being done.

    Raises:
        ModelError: There is no such family or recipe.
        RecipeError: A file is no recipe, or its data set is unknown and ``clips`` is not given.
        GpuError: There is no such GPU, or ``vram`` is not an amount of memory.
        FitStopped: Ctrl-C; it carries the results so far.
    """
    asked = list(models) or [card.name for card in list_models()]
    recipes = {name: read_recipe(name) for name in asked}
    needs = {
        name: data_needs(recipe, clips) if data is None else store_needs(recipe, data)
        for name, recipe in recipes.items()
    }
    told = on_progress or (lambda what, done, total: None)
    done: list[ModelFit] = []
    with ExitStack() as stack:
        told("looking at the device", 0, len(recipes))
        question = stack.enter_context(
            _ask(device, gpu, vram, thorough=thorough, networks=len(asked))
        )
        speeds = _speeds(question)
        if speeds and thorough and question.machine is not None:
            question = replace(question, beside=_predicted_here(question, speeds))

        def report(*, finished: bool) -> FitReport:
            return _report(question, speeds, done, finished=finished)

        try:
            if any(need.layout == "ntu25" for need in needs.values()):
                question = _with_store(question, stack)
            question = _with_prefetching(question, recipes, needs, stack)
            _prepare(question, recipes, needs, told)
            for number, (name, recipe) in enumerate(recipes.items()):
                told(name, number, len(recipes))
                found = explore(question, name, recipe, needs[name])
                done.append(_predicted_instead(question, speeds, found))
            told("done", len(recipes), len(recipes))
        except KeyboardInterrupt:
            raise FitStopped(report(finished=False)) from None
        return report(finished=True)


@contextmanager
def _ask(
    device: str, gpu: str | None, vram: str | None, *, thorough: bool, networks: int
) -> Iterator[Question]:
    """A context with the device that is asked about."""
    on_gpu = (Precision.FP32, Precision.FP16, Precision.BF16)
    if gpu is not None or vram is not None:
        memory = None if vram is None else parse_memory(vram)
        if gpu is not None:
            predicted = PredictedDevice.named(gpu, memory)
        else:
            predicted = PredictedDevice.of_memory(memory or 0)
        yield Question(predicted, None, thorough, on_gpu)
        return
    machine = probe()
    chosen = choose_device(device, machine)
    on_cpu = (Precision.FP32, Precision.BF16)
    precisions = on_cpu if machine.has_native_bf16 or thorough else on_cpu[:1]
    with MeasuredDevice(
        chosen,
        quick=not thorough,
        seconds=20.0 if thorough else min(1.5, QUICK_SECONDS / (6 * networks)),
        spare=QUICK_SECONDS / (4 * networks),
        timeout=900.0 if thorough else 30.0,
        machine=machine,
        until=None if thorough else time.monotonic() + QUICK_SECONDS,
    ) as measured:
        yield Question(measured, machine, thorough, precisions if chosen == "cpu" else on_gpu)


def choose_device(device: str, machine: Probe) -> str:
    """The device to measure: the requested one, or a GPU if there is one.

    Raises:
        GpuError: The name is not that of a device, or the machine has no such device.
    """
    if device == "auto":
        return "cuda:0" if machine.gpus else "cpu"
    if device == "cpu":
        return device
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number.isdigit() or device == "cuda"):
        raise GpuError(f"--device {device}: expected auto, cpu, cuda or a number as in cuda:0")
    if int(number or 0) >= len(machine.gpus):
        raise GpuError(
            f"--device {device}: the driver shows {len(machine.gpus)} GPUs on this machine;"
            " --device cpu measures the processor, --gpu NAME predicts for a GPU"
        )
    return f"cuda:{number or 0}"


def _speeds(question: Question) -> dict[str, Span]:
    """The measured speed of the CPU; empty where it is not or cannot be measured."""
    if not isinstance(question.backend, MeasuredDevice):
        return {}
    try:
        if question.backend.device == "cpu":
            question.backend.idle()  # first: a quick measurement may run out of time later
        return question.backend.speeds()
    except NotTriedError:
        return {}


def _predicted_here(question: Question, speeds: dict[str, Span]) -> Backend | None:
    """A prediction for the measured device, to compare both."""
    device = question.backend
    if not isinstance(device, MeasuredDevice) or device.device != "cpu":
        return None
    if not speeds.keys() >= _SPEEDS:
        return None
    context = 0
    with suppress(NotTriedError):
        context, _ = device.idle()
    return PredictedDevice.processor(
        device.machine.processor,
        flops=speeds["gflops"].high * 1e9,
        half_flops=speeds["gflops_bf16"].high * 1e9,
        half_convolution_flops=speeds["gflops_bf16_convolution"].high * 1e9,
        half_gradient_flops=speeds["gflops_bf16_gradient"].high * 1e9,
        bandwidth=speeds["gigabytes"].high * 1e9,
        memory_limit=device.memory_limit,
        context=context,
    )


def _predicted_instead(question: Question, speeds: dict[str, Span], found: ModelFit) -> ModelFit:
    """The result itself or, where nothing could be measured, a prediction that says so."""
    if found.verdict is not Verdict.UNKNOWN or not question.backend.measured:
        return found
    device = _predicted_device(question, speeds)
    if device is None:
        return found
    asked = replace(question, backend=device, machine=None, beside=None, store=None)
    predicted = explore(asked, found.model, found.recipe, found.data)
    if predicted.verdict is Verdict.UNKNOWN:
        return found
    why = f"predicted, as it could not be measured ({found.reason})"
    return replace(predicted, reason=f"{why}: {predicted.reason}")


def _predicted_device(question: Question, speeds: dict[str, Span]) -> Backend | None:
    """What predicts for the measured device; an ordinary core's speed where none was measured."""
    device = question.backend
    if not isinstance(device, MeasuredDevice):
        return None
    if device.device != "cpu":
        described = device.describe()
        with suppress(GpuError):
            return PredictedDevice.named(described["name"], described["memory_limit"])
        return None
    if (beside := _predicted_here(question, speeds)) is not None:
        return beside
    flops = _USUAL_FLOPS * device.machine.usable_cores
    return PredictedDevice.processor(
        device.machine.processor,
        flops=flops,
        half_flops=flops / 4,
        bandwidth=_USUAL_BANDWIDTH,
        memory_limit=device.memory_limit,
    )


def _with_store(question: Question, stack: ExitStack) -> Question:
    """Add a small store of synthetic clips where loading can be measured."""
    if not question.backend.measured:
        return question
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="skelab-fit-"))
    return replace(question, store=synthetic_store(Path(folder), clips=_LOADED_CLIPS).path)


def _with_prefetching(
    question: Question, recipes: dict[str, Recipe], needs: dict[str, DataNeeds], stack: ExitStack
) -> Question:
    """Add workers that prefetch traces where there are several networks and cores."""
    device = question.backend
    if not isinstance(device, PredictedDevice):
        return question
    workers = prefetch_workers(len(recipes), probe())
    if not workers:
        return question
    wanted = [
        TraceRequest(configuration, training, device.is_gpu)
        for name, recipe in recipes.items()
        for configuration, training in expected_traces(question, recipe, needs[name])
    ]
    prefetcher = stack.enter_context(TracePrefetcher(wanted, workers))
    return replace(question, backend=replace(device, prefetcher=prefetcher))


def _prepare(
    question: Question, recipes: dict[str, Recipe], needs: dict[str, DataNeeds], told: OnProgress
) -> None:
    """Measure the most important configurations of every network first; the device caches them.

    A quick measurement may run out of time: then only the latency of the heaviest networks and
    refinements are missing.
    """
    if question.thorough or not isinstance(question.backend, MeasuredDevice):
        return
    light_first = sorted(recipes.items(), key=lambda entry: entry[1].data.window)
    for number, (name, recipe) in enumerate(light_first):
        told(f"{name}: a training step", number // 2, len(recipes))
        with suppress(DoesNotFitError, NotTriedError):
            question.backend.training(configuration_of(recipe, needs[name]).with_micro_batch(1))
    for number, (name, recipe) in enumerate(light_first, len(recipes)):
        told(f"{name}: inference", number // 2, len(recipes))
        inference_fit(question, recipe, needs[name])


def _report(
    question: Question, speeds: dict[str, Span], done: Sequence[ModelFit], *, finished: bool
) -> FitReport:
    device = question.backend.describe()
    machine: dict[str, Any] = {}
    if question.machine is not None:
        found = {name: vars(span) for name, span in speeds.items()}
        machine = {**question.machine.to_dict(), "speeds": found}
    measured = question.backend.measured
    return FitReport(
        measured=measured,
        thorough=question.thorough,
        device={
            "memory_limit": question.backend.memory_limit,
            **device,
            "remark": remark(question.backend),
        },
        machine=machine,
        models=tuple(done),
        answer=overall_answer(
            done,
            name=str(device["name"]),
            measured=measured,
            memory="RAM" if device.get("kind") == "cpu" else "GPU memory",
        ),
        recommended=recommend(done),
        finished=finished,
    )
