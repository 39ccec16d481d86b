"""What the tests of fitting share: a small recipe, a device of made-up costs, a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from module_kit import SMALL

from skelab.fit.demand import data_needs
from skelab.fit.figures import (
    Configuration,
    Cost,
    DoesNotFitError,
    MemoryParts,
    NotTriedError,
    Span,
)
from skelab.fit.outcome import FitReport, InferenceFit, ModelFit, Verdict
from skelab.fit.search import largest_that_fits
from skelab.recipes import Recipe

GIB = 2**30


def small_recipe(**changes: Any) -> Recipe:
    """A narrow CTR-GCN on short windows, eight clips a batch."""
    options = {key: value for key, value in SMALL["ctrgcn"].items() if key != "layout"}
    content: dict[str, Any] = {
        "name": "small",
        "model": {"name": "ctrgcn", **options},
        "data": {"window": 8},
        "training": {"epochs": 2, "batch_size": 8, "warmup_epochs": 0},
    }
    return Recipe.model_validate(content | changes)


@dataclass
class MadeUpDevice:
    """Costs that are linear in the clips; ``faults`` name precisions that cannot be tried.

    A clip takes ``clip_bytes`` in fp32, half in 16 bits, a quarter of either if recomputed; 16 bits
    take half the time.
    """

    memory_limit: int = 8 * GIB
    clip_bytes: int = GIB // 16
    clip_seconds: float = 0.01
    measured: bool = False
    faults: Mapping[str, str] = field(default_factory=dict)
    asked: list[Configuration] = field(default_factory=list)

    def training(self, configuration: Configuration) -> Cost:
        """A training step."""
        recipe = configuration.recipe
        self.asked.append(configuration)
        if recipe.precision.value in self.faults:
            raise NotTriedError(self.faults[recipe.precision.value])
        memory = self._memory(configuration)
        if memory.total > self.memory_limit:
            raise DoesNotFitError("too large")
        faster = 1 if recipe.precision.value == "fp32" else 2
        seconds = self.clip_seconds * configuration.micro_batch / faster
        return Cost(memory, Span(seconds, seconds, 2 * seconds))

    def inference(self, configuration: Configuration) -> Cost:
        """A forward pass."""
        seconds = self.clip_seconds * configuration.micro_batch * configuration.bodies / 2
        return Cost(MemoryParts(weights=GIB // 8), Span(seconds, seconds, seconds))

    def largest_micro_batch(self, configuration: Configuration, limit: int) -> int:
        """Clips at once that fit."""
        if configuration.recipe.precision.value in self.faults:
            raise NotTriedError(self.faults[configuration.recipe.precision.value])

        def fits(clips: int) -> bool:
            return self._memory(configuration.with_micro_batch(clips)).total <= limit

        return largest_that_fits(fits, configuration.recipe.training.batch_size)

    def describe(self) -> dict[str, Any]:
        """The device."""
        return {"name": "a made-up card"}

    def _memory(self, configuration: Configuration) -> MemoryParts:
        recipe = configuration.recipe
        each = self.clip_bytes // (1 if recipe.precision.value == "fp32" else 2)
        each //= 4 if recipe.memory.activations == "recompute" else 1
        return MemoryParts(weights=GIB // 8, activations=each * configuration.micro_batch)


def small_report(name: str, *, measured: bool) -> FitReport:
    """What a device makes of the small recipe, the settings aside."""
    recipe = small_recipe()
    model = ModelFit(
        model="small",
        title="Small net",
        recipe=recipe,
        data=data_needs(recipe),
        verdict=Verdict.NO,
        reason="not one clip fits",
        settings=None,
        options=(),
        inference=InferenceFit("fp32", None, None),
    )
    return FitReport(
        measured=measured,
        thorough=False,
        device={"name": name, "memory_limit": GIB},
        machine={},
        models=(model,),
        answer="No.",
        recommended="",
    )
