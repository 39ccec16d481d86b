"""What checkpoints and exported networks say of themselves: schemas, strict and bounded.

Such a file may come from anybody. Each number has a range, each list a length, and nothing is
converted, so that what comes out can be used without another look.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    JsonValue,
    TypeAdapter,
    model_validator,
)

from skelab.data.clips.description import Described, LayoutTable
from skelab.data.feeding.config import FeederConfig
from skelab.files.description import WRITABLE, Count, Name
from skelab.fusion import FusionSpec
from skelab.models import ModelSpec
from skelab.tasks.spec import DEFAULT_TASK, TaskSpec

Number = Annotated[float, Field(allow_inf_nan=True)]
Option = bool | Annotated[int, Field(ge=-(2**31), lt=2**31)] | float | Name | None
Scalar = bool | Annotated[int, Field(ge=0, le=2**63)] | Number | None
Frames = Annotated[int, Field(ge=1, le=1 << 20)]


def fields_of(described: BaseModel) -> dict[str, Any]:
    """The fields of a description as they are."""
    return {name: getattr(described, name) for name in type(described).model_fields}


class ModelDescription(Described):
    """What a network was made with."""

    name: Name
    num_classes: Annotated[int, Field(ge=1, le=100_000)]
    layout: LayoutTable
    in_channels: Annotated[int, Field(ge=1, le=16)]
    max_bodies: Annotated[int, Field(ge=1, le=64)]
    options: dict[Name, Option] = Field(default_factory=dict)

    @property
    def spec(self) -> ModelSpec:
        """The same as ``create_model`` takes it."""
        return ModelSpec(
            self.name,
            self.num_classes,
            self.layout.layout,
            self.in_channels,
            self.max_bodies,
            dict(self.options),
        )


class InputsDescription(Described):
    """What a network was trained on, and so must be shown."""

    pipeline: Name
    units: Name
    dataset: Name
    classes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100_000)]
    feeder: FeederConfig
    digest: Name = ""
    synthetic: bool = False
    split: Name = ""


class TaskDescription(Described):
    """What a network predicts."""

    name: Name = DEFAULT_TASK
    options: dict[Name, JsonValue] = Field(default_factory=dict)

    @property
    def spec(self) -> TaskSpec:
        """The same as ``get_task`` takes it."""
        return TaskSpec(self.name, dict(self.options))


class FusionDescription(Described):
    """How a network takes side-cars."""

    kind: Literal["late", "gated", "attend", "side-car"]
    size: Annotated[int, Field(ge=1, le=1 << 20)]
    encoder: Name
    version: Name
    drop: Annotated[float, Field(ge=0, lt=1)]
    width: Annotated[int, Field(ge=1, le=4_096)]

    @property
    def spec(self) -> FusionSpec:
        """The same as ``attach_fuser`` takes it."""
        return FusionSpec(**fields_of(self))


class TotalsDescription(Described):
    """Sums over the steps of an epoch; before there were tasks, that of top-1 was ``correct``."""

    loss: Number = 0.0
    sums: dict[Name, Number] = Field(default_factory=dict)
    correct: Number | None = None
    clips: Count = 0
    seconds: Number = 0.0
    data_seconds: Number = 0.0


class TrainerDescription(Described):
    """Where training stands."""

    epoch: Count
    step: Count
    totals: TotalsDescription
    best_epoch: Count | None
    best_value: Number | None = None
    micro_batch: Annotated[int, Field(ge=1, le=2**31)] | None = None
    average_steps: Count = 0
    scaler: dict[Name, Scalar | dict[Name, Scalar]] = Field(default_factory=dict)


def _one_of(*known: int) -> AfterValidator:
    def check(found: int) -> int:
        if found not in known:
            expected = " or ".join(map(str, known))
            raise ValueError(f"expected format {expected}, found {str(found)[:20]}")
        return found

    return AfterValidator(check)


class NetworkDescription(Described):
    """What descriptions of checkpoints and of exported networks have in common."""

    format: int
    model: ModelDescription
    inputs: InputsDescription
    recipe: Annotated[str, Field(max_length=1 << 20), WRITABLE] = ""
    epoch: Count
    protocol: Literal["honest", "paper"]
    task: TaskDescription = TaskDescription()

    @model_validator(mode="after")
    def _classes_are_counted(self) -> Self:
        named, counted = len(self.inputs.classes), self.model.num_classes
        if self.task.name == DEFAULT_TASK and named != counted:
            raise ValueError(f"expected the names of {counted} classes, found {named}")
        return self


class CheckpointDescription(NetworkDescription):
    """The description of a checkpoint."""

    format: Annotated[int, _one_of(1)]
    trainer: TrainerDescription | None = None
    origin: Annotated[dict[Name, JsonValue], Field(alias="from", default_factory=dict)]
    fusion: FusionDescription | None = None
    digest: Name


class AxesDescription(Described):
    """Name and axes of an input or output."""

    name: Name
    axes: Annotated[tuple[Name, ...], Field(max_length=16)]


class ExportDescription(NetworkDescription):
    """The description in an exported file."""

    format: Annotated[int, _one_of(1, 2)]
    title: Name
    checkpoint: Name
    target: Name
    precision: Name = "fp32"
    dynamic_frames: bool = False
    frames_multiple_of: Frames = 1
    min_frames: Frames = 1
    max_frames: Frames | None = None
    calibration: dict[Name, JsonValue] = Field(default_factory=dict)
    versions: dict[Name, Name] = Field(default_factory=dict)
    origin: dict[Name, JsonValue] = Field(default_factory=dict)
    input: AxesDescription
    output: AxesDescription


CHECKPOINT_SCHEMA: Final[TypeAdapter[CheckpointDescription]] = TypeAdapter(CheckpointDescription)
EXPORT_SCHEMA: Final[TypeAdapter[ExportDescription]] = TypeAdapter(ExportDescription)
