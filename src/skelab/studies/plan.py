"""The plan of a study: recipes, streams, splits, seeds, settings and data in one YAML file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from skelab.data.datasets import parse_split
from skelab.data.feeding.config import Stream
from skelab.errors import RecipeError, SplitError, StudyError, unknown_name
from skelab.files.strict_yaml import load_yaml, read_yaml_text
from skelab.recipes import Protocol, Recipe, load_recipe
from skelab.recipes.recipe import first_fault

Name = Annotated[str, Field(pattern=r"^[\w][\w .+-]*$", max_length=60)]
"""The name of a data set, a setting or a fusion in tables and file names."""

OWN_KEYS: Final = ("data.split", "data.stream", "training.seed", "seeds", "name")
"""Keys of a recipe that the plan itself sets."""


class _Section(BaseModel):
    """A part of a plan; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanData(_Section):
    """The clips of some of the runs.

    Attributes:
        path: A clip store, prepared clips of other code, or recordings, which are ingested first. A
            relative path starts from the folder of the study's data.
        pipeline: Preprocessing of recordings; None takes what fits them.
        splits: Splits of these clips; empty for those of the plan.
    """

    path: str = Field(min_length=1)
    pipeline: str | None = None
    splits: tuple[str, ...] = ()

    @field_validator("splits")
    @classmethod
    def _splits_are_known(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        return _known_splits(splits)


class Fusion(_Section):
    """Runs whose scores are fused by sample name.

    The listed values are fused, once for each value of the fields that are not listed, and always
    for each data set, split and seed.

    Attributes:
        streams: Streams to fuse.
        recipes: Recipes to fuse.
        settings: Settings to fuse.
        weights: ``equal``, ``authors`` (by stream), ``fitted`` on the validation part, or numbers.
    """

    streams: tuple[Stream, ...] = ()
    recipes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    weights: Literal["equal", "authors", "fitted"] | tuple[Annotated[float, Field(ge=0)], ...] = (
        "equal"
    )

    @property
    def size(self) -> int:
        """How many runs are fused."""
        return max(1, len(self.streams)) * max(1, len(self.recipes)) * max(1, len(self.settings))

    @model_validator(mode="after")
    def _fuses_several(self) -> Self:
        if self.size < 2:
            raise ValueError("expected two or more streams, recipes or settings to fuse")
        if isinstance(self.weights, tuple) and len(self.weights) != self.size:
            raise ValueError(f"expected {self.size} weights, one each, found {len(self.weights)}")
        if isinstance(self.weights, tuple) and not any(self.weights):
            raise ValueError("expected weights that are not all 0")
        return self


class Baseline(_Section):
    """The run that others are compared with, on the same clips and split.

    Attributes:
        recipe: None takes the plan's first.
        stream: None takes the plan's first.
        setting: None takes the plan's first.
    """

    recipe: str | None = None
    stream: Stream | None = None
    setting: str | None = None


class Range(_Section):
    """Numbers that a search draws from.

    Attributes:
        low: The lowest.
        high: The highest.
        log: Draw on a logarithmic scale.
        whole: Draw whole numbers.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"expected low < high, found {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic scale begins above 0, found low {self.low:g}")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("expected whole numbers as low and high")
        return self


Choices = Annotated[tuple[bool | int | float | str, ...], Field(min_length=2)]
"""Values that a search chooses from."""


class Search(_Section):
    """A search for the best settings of a recipe by the validation metric.

    Attributes:
        trials: Number of trials.
        space: The range or list of values of each searched key of the recipe.
        prune: Stop a trial that does worse than the median of the others at the same epoch.
        seed: Seed of the random draws.
        part: The part that trials are evaluated on; only validation is possible.
    """

    trials: int = Field(default=20, ge=1, le=10_000, strict=True)
    space: Mapping[str, Range | Choices] = Field(min_length=1)
    prune: bool = True
    seed: int = Field(default=0, ge=0, lt=2**32, strict=True)
    part: str = "validation"

    @field_validator("part")
    @classmethod
    def _never_the_test_part(cls, part: str) -> str:
        if part != "validation":
            raise ValueError(
                f"a search is judged on the validation part alone, found {part!r}: whatever is"
                " chosen on the test part can no longer be tested on it"
            )
        return part

    @field_validator("space")
    @classmethod
    def _keys_are_free(cls, space: Mapping[str, Any]) -> Mapping[str, Any]:
        for key in space:
            _check_key(key)
        return space


class Slurm(_Section):
    """SLURM resources of each run.

    Attributes:
        partition: None for the cluster's default.
        minutes: Time limit of a job; a job that reaches it is requeued and resumes.
        cpus: Processors of a run.
        memory_gb: Memory of a run; None for the cluster's default.
        gpus: GPUs of a run.
        options: Further options of ``sbatch``, without the dashes.
    """

    partition: str | None = None
    minutes: int = Field(default=24 * 60, ge=1, strict=True)
    cpus: int = Field(default=1, ge=1, strict=True)
    memory_gb: float | None = Field(default=None, gt=0)
    gpus: int = Field(default=0, ge=0, strict=True)
    options: Mapping[str, str | int | float | bool] = {}


class StudyPlan(_Section):
    """Many runs, as one experiment.

    The runs are the product of data, recipes, streams, splits, settings and seeds.

    Attributes:
        name: Its name.
        summary: The question of the study, in one line.
        data: The clips, by name within the plan.
        recipes: Recipes by name, or files relative to the plan's folder.
        streams: Input streams; empty takes the one of each recipe.
        splits: Splits; empty takes the one of each recipe.
        folds: The splits are folds of one protocol with disjoint test parts: the table has a row
            over all of them as well.
        seeds: Seeds; empty takes the one of each recipe.
        settings: Named lists of ``KEY=VALUE``; empty for the recipes as they are.
        fuse: Named fusions.
        baseline: The run that others are compared with; None for no comparison.
        search: Search the settings instead of running the named ones.
        slurm: SLURM resources of each run.
    """

    name: Name
    summary: str = ""
    data: Mapping[Name, PlanData] = Field(min_length=1)
    recipes: tuple[str, ...] = Field(min_length=1)
    streams: tuple[Stream, ...] = ()
    splits: tuple[str, ...] = ()
    folds: bool = Field(default=False, strict=True)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63, strict=True)], ...] = ()
    settings: Mapping[Name, tuple[str, ...]] = {}
    fuse: Mapping[Name, Fusion] = {}
    baseline: Baseline | None = None
    search: Search | None = None
    slurm: Slurm = Slurm()

    @field_validator("data", mode="before")
    @classmethod
    def _a_path_alone_is_data(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {
            name: {"path": entry} if isinstance(entry, str) else entry
            for name, entry in data.items()
        }

    @field_validator("splits")
    @classmethod
    def _splits_are_known(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        return _known_splits(splits)

    @field_validator("settings")
    @classmethod
    def _settings_can_be_set(
        cls, settings: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, tuple[str, ...]]:
        for name, overrides in settings.items():
            for override in overrides:
                key, equals, _ = override.partition("=")
                if not equals or not key:
                    raise ValueError(f"{name}: expected KEY=VALUE, found {override!r:.80}")
                _check_key(key)
        return settings

    @model_validator(mode="after")
    def _nothing_stands_twice(self) -> Self:
        for name in ("recipes", "streams", "splits", "seeds"):
            values = [str(value) for value in getattr(self, name)]
            for place, value in enumerate(values):
                if value in values[:place]:
                    raise ValueError(f"{name}: {value} stands twice")
        return self

    @model_validator(mode="after")
    def _names_are_those_of_the_plan(self) -> Self:
        for name, fusion in self.fuse.items():
            _check_names(f"fuse: {name}", fusion.recipes, self.recipes, "recipe")
            _check_names(f"fuse: {name}", fusion.streams, self.streams, "stream")
            _check_names(f"fuse: {name}", fusion.settings, self.settings, "setting")
        if self.baseline:
            base = self.baseline
            for value, known, kind in (
                (base.recipe, self.recipes, "recipe"),
                (base.stream, self.streams, "stream"),
                (base.setting, self.settings, "setting"),
            ):
                if value is not None:
                    _check_names("baseline", [value], known, kind)
        return self

    @model_validator(mode="after")
    def _a_search_has_one_recipe(self) -> Self:
        if self.search is None:
            return self
        for name in ("recipes", "streams", "data"):
            if len(getattr(self, name)) > 1:
                raise ValueError(f"search: expected one entry of {name}, found several")
        for name in ("settings", "fuse", "baseline"):
            if getattr(self, name):
                raise ValueError(f"search: makes its own settings, found {name} beside it")
        return self

    def splits_of(self, data: str) -> tuple[str, ...]:
        """The splits of some data; empty for those of the recipes."""
        return self.data[data].splits or self.splits

    @property
    def num_runs(self) -> int:
        """Number of runs of the plan; of a search, the maximum over its trials."""
        splits = sum(max(1, len(self.splits_of(name))) for name in self.data)
        others = (self.recipes, self.streams, self.seeds, self.settings)
        count = splits
        for values in others:
            count *= max(1, len(values))
        return count * (self.search.trials if self.search else 1)


def load_plan(path: Path) -> StudyPlan:
    """Read a plan, and check everything that can be checked before a run.

    Raises:
        StudyError: The file cannot be read, is no YAML, has an unknown key or a value out of
            range, or names a recipe or setting that does not exist.
    """
    text = read_yaml_text(path, f"{path}: the plan", StudyError)
    content = load_yaml(text, str(path), StudyError)
    if not isinstance(content, Mapping):
        raise StudyError(f"{path}: expected keys and values, found {type(content).__name__}")
    try:
        plan = StudyPlan.model_validate(content)
    except ValidationError as error:
        raise StudyError(f"{path}: {first_fault(error, _known_keys, 'plan')}") from None
    _check_recipes(plan, path)
    return plan


def recipe_path(name: str, folder: Path) -> str:
    """The name of a recipe, or the path of its file relative to the plan."""
    return str(folder / name) if name.endswith((".yaml", ".yml")) else name


def _check_recipes(plan: StudyPlan, path: Path) -> None:
    """Load every recipe with every setting, to find mistakes before the first run."""
    for name in plan.recipes:
        for setting, overrides in (plan.settings or {"": ()}).items():
            where = f"{path}: setting {setting}" if setting else str(path)
            try:
                recipe = load_recipe(recipe_path(name, path.parent), overrides)
            except RecipeError as error:
                raise StudyError(f"{where}: {error}") from None
            _check_validation(plan, name, recipe, where)


def _check_validation(plan: StudyPlan, name: str, recipe: Recipe, where: str) -> None:
    """Refuse a validation part that is empty or equals the test part."""
    fitted = any(fusion.weights == "fitted" for fusion in plan.fuse.values())
    if not fitted and plan.search is None:
        return
    what = "fitted weights" if fitted else "a search"
    if recipe.protocol is Protocol.PAPER:
        raise StudyError(
            f"{where}: {what} and recipe {name} of protocol paper: its validation part is the test"
            " part, on which nothing may be chosen; a setting protocol=honest mends it"
        )
    if not recipe.data.validation_subjects and not recipe.data.held_out:
        raise StudyError(
            f"{where}: {what} need a validation part, and recipe {name} holds nobody out; a setting"
            " data.validation_subjects=N does"
        )


def _known_splits(splits: tuple[str, ...]) -> tuple[str, ...]:
    for split in splits:
        try:
            parse_split(split)
        except SplitError as error:
            raise ValueError(str(error)) from None
    return splits


def _check_key(key: str) -> None:
    if key in OWN_KEYS:
        raise ValueError(f"{key} is set by the plan itself: splits, streams, seeds, name")


def _check_names(
    where: str, names: Sequence[str], known: Sequence[str] | Mapping[str, Any], kind: str
) -> None:
    for name in names:
        if name not in known:
            unknown = unknown_name(f"{kind} of the plan", str(name), map(str, known))
            raise ValueError(f"{where}: {unknown}")


def _known_keys(above: Sequence[str]) -> list[str]:
    """The keys of a section of a plan."""
    sections: dict[str, type[BaseModel]] = {
        "data": PlanData,
        "fuse": Fusion,
        "baseline": Baseline,
        "search": Search,
        "slurm": Slurm,
        "space": Range,
    }
    model: type[BaseModel] = StudyPlan
    for name in above:
        model = sections.get(name, model)
    return list(model.model_fields)


def slug(text: str) -> str:
    """A text made safe for a file name."""
    return re.sub(r"[^\w.,+-]+", ".", text).strip(".") or "-"
