"""Can a machine run these networks comfortably? Asks a device about each, and judges."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from skelab.errors import GpuError
from skelab.fit.ahead import TracesAhead, Wanted, helpers_for
from skelab.fit.demand import data_needs, read_recipe
from skelab.fit.figures import (
    Backend,
    Configuration,
    Cost,
    DoesNotFitError,
    NotTriedError,
    Span,
)
from skelab.fit.gpus import parse_memory
from skelab.fit.measure import MeasuredDevice
from skelab.fit.outcome import (
    DataNeeds,
    FitReport,
    InferenceFit,
    Loading,
    ModelFit,
    OptionFit,
)
from skelab.fit.predict import PredictedDevice
from skelab.fit.verdict import (
    FEWEST_CLIPS,
    SHARE,
    answer,
    is_roomy,
    judge,
    own_batch,
    recommend,
)
from skelab.host.probe import Probe, probe
from skelab.models import get_card, list_models
from skelab.recipes import Recipe
from skelab.runs.synthetic import synthetic_store
from skelab.training.config import Precision

Told = Callable[[str, int, int], None]
"""What is being done, and how many networks of how many are done."""

QUICK_SECONDS: Final = 45.0
"""After so long a quick measurement tries nothing more."""

_LOADED_CLIPS: Final = 64
_LOADER_WORKERS: Final = 4
_PREFETCHED: Final = 2  # batches that a loader worker reads ahead
_THROUGHPUT: Final = 16
_LIKELY: Final = 2  # options after which a quick look has what it needs, as a rule


class FitStopped(KeyboardInterrupt):
    """Ctrl-C, with what was found out until then.

    Attributes:
        report: The networks that were done.
    """

    def __init__(self, report: FitReport) -> None:
        super().__init__("stopped")
        self.report = report


@dataclass(frozen=True)
class _Question:
    """What is asked about, and of whom."""

    backend: Backend
    machine: Probe | None
    thorough: bool
    precisions: tuple[Precision, ...]
    beside: Backend | None = None
    store: Path | None = None


def fit(
    models: Sequence[str] = (),
    *,
    device: str = "auto",
    gpu: str | None = None,
    vram: str | None = None,
    clips: int | None = None,
    thorough: bool = False,
    on_progress: Told | None = None,
) -> FitReport:
    """Find out how well networks train and run, here or on a card that is not there.

    Args:
        models: Families, recipes or recipe files; all families by default.
        device: What is measured: ``cpu``, ``cuda:0``, or ``auto`` for a GPU where there is one.
        gpu: Predict for this card instead, say ``RTX 3060``.
        vram: Predict for a card with so much memory, say ``8GB``; with ``gpu``, that card with it.
        clips: Training clips, where they are not those of the recipe's data set.
        thorough: Try every option, and search by running. Otherwise an option is tried where those
            before it are not comfortable, and a measurement ends within a minute.
        on_progress: Told what is being done.

    Raises:
        ModelError: There is no such family or recipe.
        RecipeError: A file is no recipe, or its data set is not known and ``clips`` not given.
        GpuError: There is no such GPU, or ``vram`` is no amount of memory.
        FitStopped: Ctrl-C; it carries what was found out.
    """
    asked = list(models) or [card.name for card in list_models()]
    recipes = {name: read_recipe(name) for name in asked}
    needs = {name: data_needs(recipe, clips) for name, recipe in recipes.items()}
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
            question = _with_helpers(question, recipes, needs, stack)
            _prepare(question, recipes, needs, told)
            for number, (name, recipe) in enumerate(recipes.items()):
                told(name, number, len(recipes))
                done.append(_explore(question, name, recipe, needs[name]))
            told("done", len(recipes), len(recipes))
        except KeyboardInterrupt:
            raise FitStopped(report(finished=False)) from None
        return report(finished=True)


@contextmanager
def _ask(
    device: str, gpu: str | None, vram: str | None, *, thorough: bool, networks: int
) -> Iterator[_Question]:
    """The device that is asked about, until the block ends."""
    on_gpu = (Precision.FP32, Precision.FP16, Precision.BF16)
    if gpu is not None or vram is not None:
        memory = None if vram is None else parse_memory(vram)
        if gpu is not None:
            predicted = PredictedDevice.named(gpu, memory)
        else:
            predicted = PredictedDevice.of_memory(memory or 0)
        yield _Question(predicted, None, thorough, on_gpu)
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
        yield _Question(measured, machine, thorough, precisions if chosen == "cpu" else on_gpu)


def choose_device(device: str, machine: Probe) -> str:
    """The device to measure, by what was asked for and what is there.

    Raises:
        GpuError: It is none, or it is not there.
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
            f"--device {device}: this machine has {len(machine.gpus)} GPUs that the driver shows;"
            " --device cpu measures the processor, --gpu NAME predicts for a card"
        )
    return f"cuda:{number or 0}"


def _speeds(question: _Question) -> dict[str, Span]:
    """What the processor reaches; empty where nothing is measured, or it cannot be."""
    if not isinstance(question.backend, MeasuredDevice):
        return {}
    try:
        if question.backend.device == "cpu":
            question.backend.idle()  # now, since a quick measurement may have no time left later
        return question.backend.speeds()
    except NotTriedError:
        return {}


def _predicted_here(question: _Question, speeds: dict[str, Span]) -> Backend | None:
    """The same device by its figures, so that one can be held against the other."""
    device = question.backend
    if not isinstance(device, MeasuredDevice) or device.device != "cpu":
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


def _with_store(question: _Question, stack: ExitStack) -> _Question:
    """With a few synthetic clips to load, where loading can be measured."""
    if not question.backend.measured:
        return question
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="skelab-fit-"))
    return replace(question, store=synthetic_store(Path(folder), clips=_LOADED_CLIPS).path)


def _with_helpers(
    question: _Question, recipes: dict[str, Recipe], needs: dict[str, DataNeeds], stack: ExitStack
) -> _Question:
    """With processes that trace ahead, where there are several networks and cores."""
    device = question.backend
    if not isinstance(device, PredictedDevice):
        return question
    helpers = helpers_for(len(recipes), probe())
    if not helpers:
        return question
    wanted = [
        Wanted(configuration, training, device.is_gpu)
        for name, recipe in recipes.items()
        for configuration, training in _to_be_asked(question, recipe, needs[name])
    ]
    ahead = stack.enter_context(TracesAhead(wanted, helpers))
    return replace(question, backend=replace(device, ahead=ahead))


def _to_be_asked(
    question: _Question, recipe: Recipe, needs: DataNeeds
) -> Iterator[tuple[Configuration, bool]]:
    """Configurations of a network, and whether in training; a quick look rarely takes more."""
    options = _options(question, recipe)
    for precision, activations in options if question.thorough else options[:_LIKELY]:
        yield _of(_changed(recipe, precision, activations), needs), True
    for bodies in (2, 1):
        yield _of(recipe, needs, bodies), False


def _prepare(
    question: _Question, recipes: dict[str, Recipe], needs: dict[str, DataNeeds], told: Told
) -> None:
    """Try first what counts most, for every network; a measured device remembers it.

    A quick measurement may run out of time; what is left out then are answers of the heaviest
    networks, and refinements.
    """
    if question.thorough or not isinstance(question.backend, MeasuredDevice):
        return
    light_first = sorted(recipes.items(), key=lambda entry: entry[1].data.window)
    for number, (name, recipe) in enumerate(light_first):
        told(f"{name}: a training step", number // 2, len(recipes))
        with suppress(DoesNotFitError, NotTriedError):
            question.backend.training(_of(recipe, needs[name]).with_micro_batch(1))
    for number, (name, recipe) in enumerate(light_first, len(recipes)):
        told(f"{name}: an answer", number // 2, len(recipes))
        _in_use(question, recipe, needs[name])


def _explore(question: _Question, name: str, recipe: Recipe, needs: DataNeeds) -> ModelFit:
    """Everything about one network."""
    loading = _load(question, recipe, needs)
    options: list[OptionFit] = []
    limit = question.backend.memory_limit
    for precision, activations in _options(question, recipe):
        options.append(_option(question, recipe, needs, precision, activations, loading))
        if not question.thorough and _suffices(question, options, recipe):
            break
    judgement = judge(recipe, options, limit)
    return ModelFit(
        model=name,
        title=get_card(recipe.model.name).title,
        recipe=recipe,
        data=needs,
        verdict=judgement.verdict,
        reason=judgement.reason,
        settings=judgement.settings,
        options=tuple(options),
        inference=_in_use(question, recipe, needs),
        loading=loading,
    )


def _options(question: _Question, recipe: Recipe) -> list[tuple[Precision, str]]:
    """Precision and activations of each option: the recipe's own first, then what costs least."""
    own = (recipe.precision, str(recipe.memory.activations))
    # Formats of 16 bits are alike in cost: a quick look takes the first.
    precisions = question.precisions if question.thorough else question.precisions[:2]
    others = [
        (precision, activations)
        for activations in ("keep", "recompute")
        for precision in precisions
    ]
    return list(dict.fromkeys([own, *others]))


def _suffices(question: _Question, options: Sequence[OptionFit], recipe: Recipe) -> bool:
    """Whether further options would save memory that is not short, at the price of time."""
    if len(options) < min(2, len(question.precisions)):
        return False
    enough = min(FEWEST_CLIPS, own_batch(recipe))
    return any(
        (option.micro_batch or 0) >= enough and is_roomy(option, question.backend.memory_limit)
        for option in options
    )


def _option(
    question: _Question,
    recipe: Recipe,
    needs: DataNeeds,
    precision: Precision,
    activations: str,
    loading: Loading | None,
) -> OptionFit:
    """A network in one precision, its activations kept or recomputed."""
    backend = question.backend
    configuration = _of(_changed(recipe, precision, activations), needs)
    found = OptionFit(precision.value, activations)
    try:
        largest = backend.largest_micro_batch(configuration, backend.memory_limit)
        if not largest:
            return replace(found, largest_micro_batch=0, note=_too_large(backend, configuration))
        at_once, cost = _parted(backend, configuration, largest)
    except DoesNotFitError as error:
        return replace(found, largest_micro_batch=0, note=str(error))
    except NotTriedError as error:
        return replace(found, note=str(error))
    epoch = _epoch(cost, at_once, needs, loading)
    return replace(
        found,
        largest_micro_batch=largest,
        micro_batch=at_once,
        memory=cost.memory,
        points=_points(backend, configuration, {1, at_once, largest}, {at_once: cost}),
        step=cost.seconds,
        epoch=epoch,
        recipe=epoch.times(recipe.training.epochs * recipe.seeds),
        note=cost.note.replace(_remark(backend), "").strip(),
        predicted=_beside(question, configuration.with_micro_batch(at_once)),
    )


def _parted(backend: Backend, configuration: Configuration, largest: int) -> tuple[int, Cost]:
    """Clips at once that part the recipe's batch evenly, and what they cost.

    As many as leave a fifth of the memory free, or a single clip if none do.
    """
    own = own_batch(configuration.recipe)
    parts = -(-own // largest)
    while True:
        at_once = -(-own // parts)
        cost = backend.training(configuration.with_micro_batch(at_once))
        memory = 0 if cost.memory is None else cost.memory.total
        if at_once == 1 or memory <= SHARE * backend.memory_limit:
            return at_once, cost
        parts += 1


def _remark(backend: Backend) -> str:
    """What must be known of every time of a device; it is said once."""
    return backend.remark if isinstance(backend, PredictedDevice) else ""


def _too_large(backend: Backend, configuration: Configuration) -> str:
    """Why not even one clip fits."""
    try:
        backend.training(configuration.with_micro_batch(1))
    except (DoesNotFitError, NotTriedError) as error:
        return str(error)
    return "one clip takes more than there is"


def _epoch(cost: Cost, at_once: int, needs: DataNeeds, loading: Loading | None) -> Span:
    """Seconds of an epoch: computing, and reading where it does not happen beside it."""
    computing = cost.seconds.times(needs.training_clips / at_once)
    if loading is None:
        return computing
    reading = needs.training_clips / loading.clips_per_second.typical
    if not loading.workers:
        return Span(*(seconds + reading for seconds in _of_span(computing)))
    reading /= loading.workers
    return Span(*(max(seconds, reading) for seconds in _of_span(computing)))


def _of_span(span: Span) -> tuple[float, float, float]:
    return span.low, span.typical, span.high


def _points(
    backend: Backend, configuration: Configuration, clips: set[int], known: Mapping[int, Cost]
) -> tuple[tuple[int, int], ...]:
    """Clips at once and bytes in all, as far as they are known or can be found out."""
    found = []
    for count in sorted(clips):
        with suppress(DoesNotFitError, NotTriedError):
            cost = known.get(count) or backend.training(configuration.with_micro_batch(count))
            found += [] if cost.memory is None else [(count, cost.memory.total)]
    return tuple(found)


def _beside(question: _Question, configuration: Configuration) -> Cost | None:
    """What is predicted of what was measured."""
    if question.beside is None:
        return None
    try:
        return question.beside.training(configuration)
    except (DoesNotFitError, NotTriedError):
        return None


def _in_use(question: _Question, recipe: Recipe, needs: DataNeeds) -> InferenceFit:
    """A network in use: one clip of one body, and of two."""
    backend = question.backend
    found = InferenceFit(recipe.precision.value)
    try:
        both = backend.inference(_of(recipe, needs, bodies=2).with_micro_batch(1))
        found = replace(found, two_people=both.seconds, memory=both.memory)
        alone = backend.inference(_of(recipe, needs, bodies=1).with_micro_batch(1))
        found = replace(found, one_person=alone.seconds)
        if question.thorough or not backend.measured:
            many = backend.inference(_of(recipe, needs).with_micro_batch(_THROUGHPUT)).seconds
            rate = Span(_THROUGHPUT / many.high, _THROUGHPUT / many.typical, _THROUGHPUT / many.low)
            found = replace(found, batch=_THROUGHPUT, clips_per_second=rate)
    except (DoesNotFitError, NotTriedError) as error:
        return replace(found, note=str(error))
    return found


def _load(question: _Question, recipe: Recipe, needs: DataNeeds) -> Loading | None:
    """How fast clips come; None where that is not measured."""
    device, machine = question.backend, question.machine
    usual = needs.layout == "ntu25"
    if question.store is None or machine is None or not usual:
        return None
    if not isinstance(device, MeasuredDevice):
        return None
    try:
        speed, batch = device.loading(_of(recipe, needs), question.store)
    except NotTriedError:
        return None
    workers = recipe.data.workers
    if workers is None:
        workers = 0 if device.device == "cpu" else _LOADER_WORKERS
    shared = workers * _PREFETCHED * batch
    enough = None if not workers else (machine.shared_free or 0) >= shared
    return Loading(speed, batch, workers, shared, enough)


def _changed(recipe: Recipe, precision: Precision, activations: str) -> Recipe:
    """A recipe in another precision, its activations kept or recomputed."""
    memory = recipe.memory.model_copy(update={"activations": activations})
    return recipe.model_copy(update={"precision": precision, "memory": memory})


def _of(recipe: Recipe, needs: DataNeeds, bodies: int | None = None) -> Configuration:
    bodies = bodies or recipe.data.max_bodies or needs.bodies
    return Configuration(recipe, needs.layout, needs.classes, bodies)


def _report(
    question: _Question, speeds: dict[str, Span], done: Sequence[ModelFit], *, finished: bool
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
            "remark": _remark(question.backend),
        },
        machine=machine,
        models=tuple(done),
        answer=answer(done, name=str(device["name"]), measured=measured),
        recommended=recommend(done),
        finished=finished,
    )
