"""The verdict on a network (comfortable, workable or not), its reason, and settings."""

import math
from collections.abc import Sequence
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
    if roomy and _lasts(own) <= DAY:
        reason = f"as it is, {_takes(own, limit)}"
        return Assessment(Verdict.COMFORTABLE, reason, _settings(own))
    best = min(fitting, key=lambda option: _rank(option, recipe, limit))
    why = _why_not(own, recipe, limit, as_it_is=as_it_is, roomy=roomy)
    if _lasts(best) > LONGEST:
        reason = f"it fits, but {_takes(best, limit)}; a week is the most that is called workable"
        return Assessment(Verdict.NO, reason, _settings(best))
    change = settings_in_words(recipe, _settings(best))
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


def overall_answer(models: Sequence[ModelFit], *, name: str, measured: bool) -> str:
    """The answer to "can it run modern skeleton models comfortably?", in a few sentences.

    Args:
        models: Results of each network.
        name: Name of the device.
        measured: Whether the figures are measured.
    """
    known = [model for model in models if model.verdict is not Verdict.UNKNOWN]
    if not known:
        return f"{name}: nothing could be determined; see the reason of each network."
    of = {verdict: [m for m in known if m.verdict is verdict] for verdict in Verdict}
    comfortable, workable = of[Verdict.COMFORTABLE], of[Verdict.WORKABLE]
    able = len(comfortable) + len(workable)
    opening = "No"
    if len(comfortable) == len(known):
        opening = "Yes"
    elif able == len(known):
        opening = "Yes, with the settings named"
    elif able:
        opening = "Mostly" if 2 * able > len(known) else "In part"
    how = "" if measured else " These are predictions."
    if len(models) == 1:
        return f"{opening}: {models[0].reason}.{how}"
    said = [f"{len(comfortable)} of {len(known)} train comfortably{_named(comfortable)}"]
    if workable:
        said.append(f"{len(workable)} workably{_named(workable)}")
    if of[Verdict.NO]:
        said.append(f"{len(of[Verdict.NO])} not{_named(of[Verdict.NO])}")
    if len(known) < len(models):
        said.append(f"{len(models) - len(known)} could not be tried")
    used = [model for model in known if model.inference.verdict is not Verdict.UNKNOWN]
    fast = [model for model in used if model.inference.verdict is Verdict.COMFORTABLE]
    use = ""
    if used:
        use = f" In use, {len(fast)} of {len(used)} answer every frame of 30 a second."
    return f"{opening}: {', '.join(said)}.{use}{how}"


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


def _rank(option: OptionFit, recipe: Recipe, limit: int) -> tuple[bool, bool, bool, int, float]:
    """Sort key: enough clips at once, headroom, in time, fewest changes, fastest."""
    enough = min(FEWEST_CLIPS, own_batch(recipe))
    differs = (
        option.precision != recipe.precision.value,
        option.activations != recipe.memory.activations,
        option.micro_batch != own_batch(recipe),
    )
    late = _lasts(option) > DAY
    few = (option.micro_batch or 0) < enough
    return few, not is_roomy(option, limit), late, 0 if late else sum(differs), _lasts(option)


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
