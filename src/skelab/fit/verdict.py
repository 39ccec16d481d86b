"""The verdict on a network (comfortable, workable or not), its reason, and settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from skelab.fit.outcome import FitReport, ModelFit, OptionFit, Settings, Verdict
from skelab.models import get_card
from skelab.recipes import Recipe
from skelab.training.config import BatchNormPolicy

SHARE: Final = 0.8
"""Largest share of the memory for a comfortable training."""

DAY: Final = 86_400.0
"""Longest comfortable training, seconds."""

LONGEST: Final = 7 * DAY
"""Longest workable training, seconds."""

FEWEST_CLIPS: Final = 8
"""Micro-batch below which batch-norm statistics become unreliable."""

_EQUAL: Final = 1.1  # how much slower an option may be to count as equally fast

_GIB: Final = 2**30
_UNITS: Final = (("days", "d", DAY), ("hours", "h", 3600.0), ("minutes", "min", 60.0))


@dataclass(frozen=True)
class Assessment:
    """A verdict on training.

    Attributes:
        verdict: The verdict.
        reason: One sentence, without capital and full stop.
        settings: Settings to train with; None if nothing fits or is known.
    """

    verdict: Verdict
    reason: str
    settings: Settings | None = None


def assess(recipe: Recipe, options: Sequence[OptionFit], limit: int) -> Assessment:
    """The verdict on training a recipe.

    Comfortable: the unchanged recipe takes at most 80 % of the memory and ends within a day.
    Workable: with other settings it fits and ends within a week.

    Args:
        recipe: The recipe.
        options: The options tried, beginning with the recipe's own.
        limit: Memory that a process may use, bytes.
    """
    own = options[0]
    fitting = [option for option in options if _is_usable(option, recipe)]
    if not fitting:
        return _nothing_fits(options, limit)
    batch = own_batch(recipe)
    as_it_is = own in fitting and (own.largest_micro_batch or 0) >= batch
    roomy = as_it_is and own.micro_batch == batch and is_roomy(own, limit)
    best = _best(fitting, recipe, limit)
    change = settings_in_words(recipe, _settings(best))
    if roomy and _lasts(own) <= DAY:
        reason = f"as it is, {_takes(own, limit)}"
        if best is not own:
            reason += f"; with {change} about {lasts(_lasts(best))}"
        return Assessment(Verdict.COMFORTABLE, reason, _settings(best))
    why = _why_not(own, recipe, limit, as_it_is=as_it_is, roomy=roomy)
    if _lasts(best) > LONGEST:
        reason = f"it fits, but {_takes(best, limit)}; a week is the most that is called workable"
        return Assessment(Verdict.NO, reason, _settings(best))
    return Assessment(
        Verdict.WORKABLE, f"{why}; with {change} {_takes(best, limit)}", _settings(best)
    )


def is_roomy(option: OptionFit, limit: int) -> bool:
    """Whether an option leaves a fifth of the memory free."""
    return option.memory is not None and option.memory.total <= SHARE * limit


def own_batch(recipe: Recipe) -> int:
    """The micro-batch of the recipe itself."""
    given = recipe.memory.micro_batch
    batch = recipe.training.batch_size
    return batch if given == "auto" else min(given, batch)


def settings_in_words(recipe: Recipe, settings: Settings | None) -> str:
    """The differences from the recipe, in a few words."""
    if settings is None:
        return "nothing"
    words = []
    if settings.precision != recipe.precision.value:
        words.append(settings.precision)
    if settings.activations != recipe.memory.activations:
        words.append({"recompute": "recompute", "keep": "kept activations"}[settings.activations])
    if settings.micro_batch != own_batch(recipe):
        words.append(f"{settings.micro_batch} clips at once")
    return ", ".join(words) or "the recipe as it is"


def recommend(models: Sequence[ModelFit]) -> str:
    """The name of the recommended entry: best verdict first, then published accuracy.

    Empty if none can be trained.
    """
    order = (Verdict.COMFORTABLE, Verdict.WORKABLE)
    able = [model for model in models if model.verdict in order]
    best = min(able, key=lambda model: (order.index(model.verdict), -_top1(model)), default=None)
    return "" if best is None else best.model


def overall_answer(
    models: Sequence[ModelFit], *, name: str, measured: bool, memory: str = "memory"
) -> str:
    """The answer to "can it run modern skeleton models comfortably?", in a few sentences.

    The first names the network to start with, its settings, and what it needs.

    Args:
        models: Results of each network.
        name: Name of the device.
        measured: Whether the figures are measured.
        memory: What the memory of the device is called.
    """
    known = [model for model in models if model.verdict is not Verdict.UNKNOWN]
    if not known:
        return f"{name}: nothing could be determined; see the reason of each network."
    of = {verdict: [m for m in known if m.verdict is verdict] for verdict in Verdict}
    able = len(of[Verdict.COMFORTABLE]) + len(of[Verdict.WORKABLE])
    opening = "Yes"
    if able < len(known):
        opening = "Mostly" if 2 * able > len(known) else "In part"
    said = [f"{opening}: {_start(models, memory)}." if able else "No."]
    if len(models) == 1:
        said.append(f"{models[0].reason[0].upper()}{models[0].reason[1:]}.")
    else:
        said.append(f"{_counted(of, len(known), len(models) - len(known))}.")
        used = [model for model in known if model.inference.verdict is not Verdict.UNKNOWN]
        fast = [model for model in used if model.inference.verdict is Verdict.COMFORTABLE]
        if used:
            said.append(f"In use, {len(fast)} of {len(used)} answer every frame of 30 a second.")
    return " ".join([*said, *([] if measured else ["These are predictions."])])


def _start(models: Sequence[ModelFit], memory: str) -> str:
    """Which network to start with, under which settings, and what that takes."""
    recommended = recommend(models)
    model = next(each for each in models if each.model == recommended)
    option = model.chosen
    if option is None or option.memory is None:
        return f"start with {model.model}"
    batch = model.recipe.training.batch_size
    settings = f"{option.precision}, batch {batch}"
    if option.micro_batch and option.micro_batch < batch:
        settings += f" in parts of {option.micro_batch}"
    if option.activations == "recompute":
        settings += ", recomputing activations"
    needs = f"{gib(model.data.disk)} on disk, {gib(option.memory.total)} of {memory}"
    return (
        f"start with {model.model}, {settings}; about {lasts(_lasts(option))} for"
        f" {model.data.title}, {needs}"
    )


def _counted(of: Mapping[Verdict, Sequence[ModelFit]], known: int, untried: int) -> str:
    """How many networks train comfortably, workably and not, where there are any."""
    words = {Verdict.COMFORTABLE: "train comfortably", Verdict.WORKABLE: "workably"}
    said: list[str] = []
    for verdict, word in {**words, Verdict.NO: "not"}.items():
        if models := of[verdict]:
            count = str(len(models)) if said else f"{len(models)} of {known}"
            word = word if said or verdict is Verdict.COMFORTABLE else f"train {word}"
            word = "cannot be trained" if word == "train not" else word
            said.append(f"{count} {word}{_named(models)}")
    return ", ".join(said) + (f", {untried} could not be tried" if untried else "")


def recipe_file(report: FitReport) -> str:
    """The text of the recommended recipe with a comment on its purpose; empty if none."""
    recipe = report.recommended_recipe
    model = next((each for each in report.models if each.model == report.recommended), None)
    if recipe is None or model is None or model.chosen is None:
        return ""
    option = model.chosen
    lines = [
        f"# {recipe.name} for {report.device['name']}, by skelab fit: {model.verdict.value}.",
        f"# Changed: {settings_in_words(model.recipe, model.settings)}.",
    ]
    if option.memory is not None:
        how = "measured" if report.measured else "predicted"
        lines.append(f"# Memory, {how}: {gib(option.memory.total)}.")
    return "\n".join([*lines, recipe.to_yaml()])


def gib(size: float) -> str:
    """Bytes in GiB, with significant digits."""
    return f"{size / _GIB:.2f} GiB" if size < _GIB else f"{size / _GIB:.1f} GiB"


def lasts(seconds: float, *, short: bool = False) -> str:
    """A duration in one unit and two digits, such as ``9.5 hours``, or ``9.5 h``."""
    for unit, brief, length in _UNITS:
        if seconds >= 1.5 * length:
            amount = seconds / length
            digits = 0 if amount >= 9.95 else 1
            return f"{amount:,.{digits}f} {brief if short else unit}"
    return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"


def _is_usable(option: OptionFit, recipe: Recipe) -> bool:
    if not option.micro_batch or option.recipe is None:
        return False
    whole = recipe.memory.batch_norm is BatchNormPolicy.EXACT
    return not whole or option.micro_batch >= recipe.training.batch_size


def _best(fitting: Sequence[OptionFit], recipe: Recipe, limit: int) -> OptionFit:
    """The fastest of the options with enough clips at once and headroom.

    Among options that are about as fast, the one with the fewest changes to the recipe.
    """

    def lacks(option: OptionFit) -> tuple[bool, bool]:
        few = (option.micro_batch or 0) < min(FEWEST_CLIPS, own_batch(recipe))
        return few, not is_roomy(option, limit)

    def changes(option: OptionFit) -> int:
        return sum(
            (
                option.precision != recipe.precision.value,
                option.activations != recipe.memory.activations,
                option.micro_batch != own_batch(recipe),
            )
        )

    least = min(map(lacks, fitting))
    sound = [option for option in fitting if lacks(option) == least]
    near = _EQUAL * min(map(_lasts, sound))
    quick = [option for option in sound if _lasts(option) <= near]
    return min(quick, key=lambda option: (changes(option), _lasts(option)))


def _lasts(option: OptionFit) -> float:
    return math.inf if option.recipe is None else option.recipe.typical


def _takes(option: OptionFit, limit: int) -> str:
    memory = 0 if option.memory is None else option.memory.total
    return f"it takes {gib(memory)} of {gib(limit)} and about {lasts(_lasts(option))}"


def _why_not(own: OptionFit, recipe: Recipe, limit: int, *, as_it_is: bool, roomy: bool) -> str:
    """The reason why the unchanged recipe is not comfortable."""
    if roomy:
        return f"as it is, it takes about {lasts(_lasts(own))}"
    if own.largest_micro_batch is None:
        return f"as it is, it could not be tried ({own.note})"
    if as_it_is:
        return f"as it is, it takes more than four fifths of {gib(limit)}"
    if own.largest_micro_batch == 0:
        return f"as it is, not one clip fits into {gib(limit)}"
    batch = own_batch(recipe)
    return f"as it is, {own.largest_micro_batch} of {batch} clips at once fit into {gib(limit)}"


def _nothing_fits(options: Sequence[OptionFit], limit: int) -> Assessment:
    tried = [option for option in options if option.largest_micro_batch is not None]
    if not tried:
        return Assessment(Verdict.UNKNOWN, options[0].note or "it was not tried")
    unknown = [option.note for option in options if option.largest_micro_batch is None]
    rest = f"; {unknown[0]}" if unknown else ""
    return Assessment(Verdict.NO, f"not one clip fits into {gib(limit)}{rest}")


def _settings(option: OptionFit) -> Settings:
    return Settings(option.precision, option.activations, option.micro_batch or 1)


def _top1(model: ModelFit) -> float:
    """The published top-1 of the joint stream on NTU RGB+D 60 X-Sub; 0 if there is none."""
    found = [
        reported.top1
        for reported in get_card(model.recipe.model.name).reported
        if (reported.dataset, reported.split, reported.streams) == ("NTU60", "xsub", "joint")
    ]
    return max(found, default=0.0)


def _named(models: Sequence[ModelFit]) -> str:
    return f" ({', '.join(model.model for model in models)})" if models else ""
