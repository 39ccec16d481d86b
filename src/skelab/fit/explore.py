"""Explores one network on a device: memory and time of its options, inference, verdict."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from skelab.fit.figures import Backend, Configuration, Cost, DoesNotFitError, NotTriedError, Span
from skelab.fit.measure import MeasuredDevice
from skelab.fit.outcome import DataNeeds, InferenceFit, Loading, ModelFit, OptionFit
from skelab.fit.predict import PredictedDevice
from skelab.fit.verdict import FEWEST_CLIPS, SHARE, assess, is_roomy, own_batch
from skelab.host.probe import Probe
from skelab.models import get_card
from skelab.recipes import Recipe
from skelab.training.config import Precision

_LOADER_WORKERS: Final = 4
_PREFETCH_FACTOR: Final = 2  # batches that a loader worker reads ahead
_THROUGHPUT: Final = 16  # clips per batch
_QUICK_OPTIONS: Final = 2  # options that a quick run usually needs


@dataclass(frozen=True)
class Question:
    """The device that is asked, and how thoroughly.

    Attributes:
        backend: The device.
        machine: This machine; None where another one is asked about.
        thorough: Try every option.
        precisions: Number formats to try.
        beside: Predicts what is measured, for comparison.
        store: Clips whose loading is measured.
    """

    backend: Backend
    machine: Probe | None
    thorough: bool
    precisions: tuple[Precision, ...]
    beside: Backend | None = None
    store: Path | None = None


def expected_traces(
    question: Question, recipe: Recipe, needs: DataNeeds
) -> Iterator[tuple[Configuration, bool]]:
    """The configurations that will probably be needed, each with whether it is a training step."""
    options = _options(question, recipe)
    for precision, activations in options if question.thorough else options[:_QUICK_OPTIONS]:
        yield configuration_of(_changed(recipe, precision, activations), needs), True
    for bodies in (2, 1):
        yield configuration_of(recipe, needs, bodies), False


def explore(question: Question, name: str, recipe: Recipe, needs: DataNeeds) -> ModelFit:
    """Try the options of one network, and give its verdict."""
    loading = _load(question, recipe, needs)
    options: list[OptionFit] = []
    limit = question.backend.memory_limit
    for precision, activations in _options(question, recipe):
        options.append(_option(question, recipe, needs, precision, activations, loading))
        if not question.thorough and _suffices(question, options, recipe):
            break
    assessment = assess(recipe, options, limit)
    return ModelFit(
        model=name,
        title=get_card(recipe.model.name).title,
        recipe=recipe,
        data=needs,
        verdict=assessment.verdict,
        reason=assessment.reason,
        settings=assessment.settings,
        options=tuple(options),
        inference=inference_fit(question, recipe, needs),
        loading=loading,
    )


def _options(question: Question, recipe: Recipe) -> list[tuple[Precision, str]]:
    """Precision and activations of each option: the recipe's own first, then the cheapest."""
    own = (recipe.precision, str(recipe.memory.activations))
    # 16-bit formats cost about the same: a quick run takes the first.
    precisions = question.precisions if question.thorough else question.precisions[:2]
    others = [
        (precision, activations)
        for activations in ("keep", "recompute")
        for precision in precisions
    ]
    return list(dict.fromkeys([own, *others]))


def _suffices(question: Question, options: Sequence[OptionFit], recipe: Recipe) -> bool:
    """Whether the tried options suffice: others would save memory that is not scarce, for time."""
    if len(options) < min(2, len(question.precisions)):
        return False
    enough = min(FEWEST_CLIPS, own_batch(recipe))
    return any(
        (option.micro_batch or 0) >= enough and is_roomy(option, question.backend.memory_limit)
        for option in options
    )


def _option(
    question: Question,
    recipe: Recipe,
    needs: DataNeeds,
    precision: Precision,
    activations: str,
    loading: Loading | None,
) -> OptionFit:
    """Try a network in one precision, with its activations kept or recomputed."""
    backend = question.backend
    configuration = configuration_of(_changed(recipe, precision, activations), needs)
    found = OptionFit(precision.value, activations)
    try:
        largest = backend.largest_micro_batch(configuration, backend.memory_limit)
        if not largest:
            return replace(found, largest_micro_batch=0, note=_too_large(backend, configuration))
        at_once, cost = _divided_batch(backend, configuration, largest)
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
        note=cost.note.replace(remark(backend), "").strip(),
        predicted=_prediction(question, configuration.with_micro_batch(at_once)),
    )


def _divided_batch(
    backend: Backend, configuration: Configuration, largest: int
) -> tuple[int, Cost]:
    """The largest micro-batch that divides the batch and leaves headroom, and its cost.

    Headroom is a fifth of the memory; a single clip is taken without it.
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


def remark(backend: Backend) -> str:
    """The caveat of a device that holds for all of its times; shown once."""
    return backend.remark if isinstance(backend, PredictedDevice) else ""


def _too_large(backend: Backend, configuration: Configuration) -> str:
    """The reason why not even one clip fits."""
    try:
        backend.training(configuration.with_micro_batch(1))
    except (DoesNotFitError, NotTriedError) as error:
        return str(error)
    return "one clip needs more memory than there is"


def _epoch(cost: Cost, at_once: int, needs: DataNeeds, loading: Loading | None) -> Span:
    """Seconds of an epoch: compute time plus loading that does not overlap it."""
    computing = cost.seconds.times(needs.training_clips / at_once)
    if loading is None:
        return computing
    reading = needs.training_clips / loading.clips_per_second.typical
    if not loading.workers:
        return Span(*(seconds + reading for seconds in _bounds(computing)))
    reading /= loading.workers
    return Span(*(max(seconds, reading) for seconds in _bounds(computing)))


def _bounds(span: Span) -> tuple[float, float, float]:
    return span.low, span.typical, span.high


def _points(
    backend: Backend, configuration: Configuration, clips: set[int], known: Mapping[int, Cost]
) -> tuple[tuple[int, int], ...]:
    """Micro-batch and total bytes of each count that is known or can be determined."""
    found = []
    for count in sorted(clips):
        with suppress(DoesNotFitError, NotTriedError):
            cost = known.get(count) or backend.training(configuration.with_micro_batch(count))
            found += [] if cost.memory is None else [(count, cost.memory.total)]
    return tuple(found)


def _prediction(question: Question, configuration: Configuration) -> Cost | None:
    """The prediction for a measured configuration."""
    if question.beside is None:
        return None
    try:
        return question.beside.training(configuration)
    except (DoesNotFitError, NotTriedError):
        return None


def inference_fit(question: Question, recipe: Recipe, needs: DataNeeds) -> InferenceFit:
    """Latency of a network for one clip with one body, and with two; its throughput."""
    backend = question.backend
    found = InferenceFit(recipe.precision.value)
    try:
        both = backend.inference(configuration_of(recipe, needs, bodies=2).with_micro_batch(1))
        found = replace(found, two_people=both.seconds, memory=both.memory)
        alone = backend.inference(configuration_of(recipe, needs, bodies=1).with_micro_batch(1))
        found = replace(found, one_person=alone.seconds)
        if question.thorough or not backend.measured:
            many = backend.inference(
                configuration_of(recipe, needs).with_micro_batch(_THROUGHPUT)
            ).seconds
            rate = Span(_THROUGHPUT / many.high, _THROUGHPUT / many.typical, _THROUGHPUT / many.low)
            found = replace(found, batch=_THROUGHPUT, clips_per_second=rate)
    except (DoesNotFitError, NotTriedError) as error:
        return replace(found, note=str(error))
    return found


def _load(question: Question, recipe: Recipe, needs: DataNeeds) -> Loading | None:
    """The loading speed; None where it is not measured."""
    device, machine = question.backend, question.machine
    usual = needs.layout == "ntu25"
    if question.store is None or machine is None or not usual:
        return None
    if not isinstance(device, MeasuredDevice):
        return None
    try:
        speed, batch = device.loading(configuration_of(recipe, needs), question.store)
    except NotTriedError:
        return None
    workers = recipe.data.workers
    if workers is None:
        workers = 0 if device.device == "cpu" else _LOADER_WORKERS
    shared = workers * _PREFETCH_FACTOR * batch
    enough = None if not workers else (machine.shared_free or 0) >= shared
    return Loading(speed, batch, workers, shared, enough)


def _changed(recipe: Recipe, precision: Precision, activations: str) -> Recipe:
    """A recipe in another precision, with its activations kept or recomputed."""
    memory = recipe.memory.model_copy(update={"activations": activations})
    return recipe.model_copy(update={"precision": precision, "memory": memory})


def configuration_of(recipe: Recipe, needs: DataNeeds, bodies: int | None = None) -> Configuration:
    """A recipe with the data that it trains on, as a configuration."""
    bodies = bodies or recipe.data.max_bodies or needs.bodies
    return Configuration(recipe, needs.own_layout or needs.layout, needs.classes, bodies)
