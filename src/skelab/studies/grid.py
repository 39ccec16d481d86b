"""The runs of a plan: the product of its data, recipes, streams, splits, settings and seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from skelab.errors import StudyError
from skelab.recipes import Recipe, load_recipe
from skelab.studies.plan import StudyPlan, recipe_path, slug


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
        name: Its name, also of its folder.
        data: Name of its data in the plan.
        recipe: Its recipe, as the plan names it.
        stream: Input stream.
        split: Split of the clips.
        setting: Name of its setting; empty for the recipe as it is.
        seed: Its seed.
        overrides: What is set in the recipe, ``KEY=VALUE``.
    """

    name: str
    data: str
    recipe: str
    stream: str
    split: str
    setting: str
    seed: int
    overrides: tuple[str, ...]

    @property
    def group(self) -> tuple[str, str, str, str, str]:
        """The fields that it shares with the runs of other seeds."""
        return (self.data, self.recipe, self.stream, self.split, self.setting)


def list_runs(plan: StudyPlan, folder: Path) -> tuple[StudyRun, ...]:
    """All runs of a plan, those of one group next to each other.

    Args:
        plan: The plan.
        folder: Its folder, which recipe files are relative to.

    Raises:
        StudyError: Two runs have one name.
    """
    runs: dict[str, StudyRun] = {}
    settings = plan.settings or {"": ()}
    for data, recipe in product(plan.data, plan.recipes):
        for setting, overrides in settings.items():
            loaded = load_recipe(recipe_path(recipe, folder), overrides)
            for run in _runs_of(plan, loaded, data, recipe, setting, overrides):
                if run.name in runs:
                    raise StudyError(
                        f"{plan.name}: two runs have the name {run.name}: {_told(runs[run.name])},"
                        f" and {_told(run)}; rename a recipe file, setting or data set"
                    )
                runs[run.name] = run
    return tuple(runs.values())


def _runs_of(
    plan: StudyPlan,
    loaded: Recipe,
    data: str,
    recipe: str,
    setting: str,
    overrides: tuple[str, ...],
) -> Iterator[StudyRun]:
    """The runs of one recipe with one setting on some data."""
    streams, splits = [str(each) for each in plan.streams], plan.splits_of(data)
    for stream, split, seed in product(
        streams or [str(loaded.data.stream)],
        splits or [loaded.data.split],
        plan.seeds or [loaded.training.seed],
    ):
        chosen = [f"data.stream={stream}"] if streams else []
        chosen += [f"data.split={split}"] if splits else []
        parts = [
            data,
            Path(recipe).stem if recipe.endswith((".yaml", ".yml")) else recipe,
            stream,
            split,
            setting,
        ]
        name = "_".join(slug(part) for part in (*parts, f"seed{seed}") if part)
        yield StudyRun(
            name=name,
            data=data,
            recipe=recipe,
            stream=stream,
            split=split,
            setting=setting,
            seed=seed,
            overrides=(*overrides, *chosen, f"training.seed={seed}", "seeds=1"),
        )


def _told(run: StudyRun) -> str:
    pieces = (run.data, run.recipe, run.stream, run.split, run.setting)
    return " · ".join(piece for piece in pieces if piece)
