"""A recipe: one experiment, whole, in one YAML file.

Unknown keys are refused and every number has its range, so that a slip of the pen is an error
that names the line's key and not a run of two days with the default. A recipe may say ``extends:``
and another recipe's name or file: it then is that one with the keys that it gives itself.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from skelab import tasks
from skelab.data.datasets import parse_split
from skelab.data.feeding.config import FeederConfig
from skelab.data.feeding.transforms.settings import TRANSFORM_SETTINGS
from skelab.errors import RecipeError, SplitError, TaskError, unknown_name
from skelab.files.description import WRITABLE, Name
from skelab.files.strict_yaml import (
    YamlFaultError,
    dump_yaml,
    load_yaml,
    parse_yaml,
    read_yaml_text,
)
from skelab.fusion.spec import FusionConfig
from skelab.models.options import COMMON_ARGUMENTS
from skelab.training.config import (
    GroupConfig,
    MemoryConfig,
    Precision,
    TrainingConfig,
    TransferConfig,
)


class Protocol(StrEnum):
    """How the epoch that counts is chosen; every score file and report carries it."""

    HONEST = "honest"
    PAPER = "paper"


class ModelConfig(BaseModel):
    """Which network; keys beside ``name`` are options of that family.

    Attributes:
        name: Family, as in ``skelab models``.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Name

    @property
    def options(self) -> dict[str, Any]:
        """What was set beside the name."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _clips_decide_the_rest(self) -> Self:
        for argument in COMMON_ARGUMENTS:
            if argument in self.options:
                raise ValueError(
                    f"{argument} follows from the clips and is no option of a network; leave it out"
                )
        return self


class TaskConfig(BaseModel):
    """What is predicted; keys beside ``name`` are options of that task.

    Attributes:
        name: The task.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Name = tasks.DEFAULT_TASK

    @property
    def options(self) -> dict[str, Any]:
        """What was set beside the name."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _task_takes_the_options(self) -> Self:
        if self.name in tasks.BUILT_IN_TASKS and not self.options:
            return self  # takes its defaults; PyTorch, which a task needs, is not imported
        try:
            tasks.get_task(self.name, self.options)
        except TaskError as error:
            raise ValueError(str(error)) from None
        return self


class DataConfig(FeederConfig):
    """Which clips train and test, and how they are shaped.

    Attributes:
        split: Protocol by name (``xsub``) or written out (``subject:1,3,5/7``).
        validation_subjects: Training subjects that choose the epoch instead of training; 0 trains
            on all of them and takes the last epoch.
        held_out: Who these are, by number; None draws them by ``training.seed``. The recipe of a
            run names them, so that an evaluation needs no second draw.
        max_bodies: Bodies of an input; None takes what the store has, at most 2.
        workers: Processes that read clips ahead; None decides by device. Fewer are taken where
            shared memory has no room for their batches.
    """

    split: str = "xsub"
    validation_subjects: int = Field(default=0, ge=0, lt=2**31, strict=True)
    held_out: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] | None = Field(
        default=None, min_length=1
    )
    max_bodies: int | None = Field(default=None, ge=1, le=8, strict=True)
    workers: int | None = Field(default=None, ge=0, le=64, strict=True)

    @field_validator("split")
    @classmethod
    def _split_is_known(cls, text: str) -> str:
        try:
            parse_split(text)
        except SplitError as error:
            raise ValueError(str(error)) from None
        return text

    @property
    def feeder(self) -> FeederConfig:
        """The part that a network depends on."""
        return FeederConfig.model_validate(self.model_dump(include=set(FeederConfig.model_fields)))


class Recipe(BaseModel):
    """One experiment, whole.

    Attributes:
        name: Its name.
        summary: What it is for, in a line.
        model: Which network.
        task: What is predicted.
        data: Which clips, and how they are shaped.
        training: Optimiser, schedule, length, seed.
        memory: What is traded for memory.
        precision: Number format of forward and backward pass.
        protocol: ``honest`` chooses the epoch without the test part; ``paper`` takes the best
            epoch on it, as the papers do.
        transfer: Which weights it starts from, what of them is frozen, and the rates of the blocks.
        fusion: Side-cars beside the skeletons; None for skeletons alone.
        seeds: Runs of the recipe, each with the next seed from ``training.seed`` on; figures are
            given as their mean, with an interval.
    """

    # An infinite option of a model is written as it is; without this it would become null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    name: Annotated[str, Field(min_length=1, max_length=200), WRITABLE]
    summary: Name = ""
    model: ModelConfig
    task: TaskConfig = TaskConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    memory: MemoryConfig = MemoryConfig()
    precision: Precision = Precision.FP32
    protocol: Protocol = Protocol.HONEST
    transfer: TransferConfig = TransferConfig()
    fusion: FusionConfig | None = None
    seeds: int = Field(default=1, ge=1, le=100, strict=True)

    def to_yaml(self) -> str:
        """The resolved recipe, every default written out.

        A run that starts from drawn weights has no section ``transfer``, as before there was one,
        and one without side-cars has no section ``fusion``.
        """
        unsaid = {"transfer"} if self.transfer == TransferConfig() else set()
        if self.fusion is None:
            unsaid.add("fusion")
        content = self.model_dump(mode="json", exclude=unsaid)
        return dump_yaml(content)


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by its name or file, with ``key=value`` overrides such as ``training.epochs=3``.

    Raises:
        RecipeError: There is no such recipe, a key is unknown, or a value is out of range.
    """
    return parse_recipe(_read_recipe(name, Path()), where=name, overrides=overrides)


def parse_recipe(text: str, *, where: str = "recipe", overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from its YAML text.

    Raises:
        RecipeError: It is not YAML, a key is unknown or stands twice, a value is out of range, or
            what it extends cannot be read.
    """
    folder = Path(where).parent if _is_file(where) else Path()
    content = _whole(_mapping(text, where), where, folder, seen=(where,))
    for override in overrides:
        _check_section(override)
        _apply_override(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{where}: {first_fault(error, _known_keys)}") from None


def _is_file(name: str) -> bool:
    """Whether a recipe's name is a path, and not that of one which comes with the lab."""
    return name.endswith((".yaml", ".yml")) or Path(name).is_file()


def _read_recipe(name: str, folder: Path) -> str:
    """The text of a recipe by its name, or by its path from a folder."""
    if not _is_file(str(folder / name)):
        files = _builtin_files()
        if name not in files:
            raise RecipeError(unknown_name("recipe", name, files))
        text: str = files[name].read_text(encoding="utf-8")
        return text
    return read_yaml_text(folder / name, f"{name}: the recipe", RecipeError)


def _mapping(text: str, where: str) -> dict[Any, Any]:
    """The keys and values of a recipe's text."""
    content = load_yaml(text, where, RecipeError)
    if not isinstance(content, dict):
        raise RecipeError(f"{where}: expected keys and values, found {type(content).__name__}")
    return content


def _whole(
    content: dict[Any, Any], where: str, folder: Path, seen: tuple[str, ...]
) -> dict[Any, Any]:
    """A recipe's keys and values with those that it takes over from what it extends."""
    if "extends" not in content:
        return content
    name = content.pop("extends")
    if not isinstance(name, str):
        raise RecipeError(f"{where}: extends: expected the name of a recipe, found {_shown(name)}")
    if name in seen:
        raise RecipeError(f"{where}: extends itself, by way of {' -> '.join([*seen, name])}")
    base = _mapping(_read_recipe(name, folder), name)
    nearby = (folder / name).parent if _is_file(str(folder / name)) else Path()
    return _merged(_whole(base, name, nearby, (*seen, name)), content)


def _merged(base: dict[Any, Any], own: Mapping[Any, Any]) -> dict[Any, Any]:
    """A recipe's keys over those of its base; sections are merged key by key."""
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged


def list_recipes() -> tuple[Recipe, ...]:
    """The recipes that come with the lab, by name."""
    return tuple(load_recipe(name) for name in sorted(_builtin_files()))


def _builtin_files() -> Mapping[str, Any]:
    folder = resources.files("skelab") / "recipes"
    return {
        entry.name.removesuffix(".yaml"): entry
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }


def whole_key(key: str) -> str | None:
    """The key of a recipe with its section, say ``training.epochs`` for ``epochs``.

    None for a key of the recipe itself, one with a section, and one that there is not.
    """
    if key in Recipe.model_fields:
        return None
    sections = ("training", "data", "memory", "transfer")
    found = (name for name in sections if key in _SECTIONS[name].model_fields)
    section = next(found, None)
    return section and f"{section}.{key}"


def _check_section(override: str) -> None:
    """Refuse a key without its section; the message has the whole key.

    Raises:
        RecipeError: There is no such key at the top of a recipe, but in a section.
    """
    key, equals, value = override.partition("=")
    if equals and (whole := whole_key(key)):
        section = whole.split(".")[0]
        raise RecipeError(
            f"--set {_cut(override)}: {key} is a key of {section}: --set {whole}={_cut(value)}"
        )


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {override}: expected KEY=VALUE, say training.epochs=3")
    try:
        value = parse_yaml(text)
    except YamlFaultError as fault:
        shown = _cut(override)
        raise RecipeError(f"--set {shown}: the value is not YAML: {fault.reason}") from None
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise RecipeError(f"--set {override}: {parent} is a value, it has no keys below it")
    content[last] = value


def first_fault(
    error: ValidationError,
    known_keys: Callable[[Sequence[str]], Sequence[str]],
    whole: str = "recipe",
) -> str:
    """One line for the first fault: its key, what was expected, what was found.

    Args:
        error: What pydantic found.
        known_keys: The keys of the section under some keys.
        whole: What to call a fault that no key has.
    """
    fault = error.errors()[0]
    *above, last = [str(piece) for piece in fault["loc"]] or [whole]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if fault["type"] == "extra_forbidden":
        kind = f"key of {'.'.join(above)}" if above else "key"
        return f"{unknown_name(kind, last, known_keys(above))}{more}"
    if fault["type"] == "missing":
        return f"key {'.'.join([*above, last])} is missing{more}"
    said = " ".join(fault["msg"].removeprefix("Value error, ").split())
    said = said[0].lower() + said[1:]
    if fault["type"] == "value_error":
        return f"{'.'.join([*above, last])}: {said}{more}"
    return f"{'.'.join([*above, last])}: {said}, found {_shown(fault['input'])}{more}"


def _shown(value: object) -> str:
    return _cut(ascii(value), 60)


def _cut(text: str, length: int = 200) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


def _known_keys(above: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for name in above:
        model = _SECTIONS.get(name, model)
    return list(model.model_fields)


_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "data": DataConfig,
    "training": TrainingConfig,
    "groups": GroupConfig,
    "memory": MemoryConfig,
    "transfer": TransferConfig,
    "fusion": FusionConfig,
    **TRANSFORM_SETTINGS,  # entries of data.transforms
}
