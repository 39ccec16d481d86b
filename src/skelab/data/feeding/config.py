"""How clips become the input of a network: what a recipe says of it, read without PyTorch."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from skelab.data.feeding.transforms.settings import (
    TRANSFORM_SETTINGS,
    WINDOW_FILLERS,
    Fill,
    ListedTransform,
    TransformSettings,
)
from skelab.errors import unknown_name


class Stream(StrEnum):
    """Input stream of a network."""

    JOINT = "joint"
    BONE = "bone"
    JOINT_MOTION = "joint-motion"
    BONE_MOTION = "bone-motion"

    @property
    def of_bones(self) -> bool:
        """Whether the stream shows bones instead of joints."""
        return self in (Stream.BONE, Stream.BONE_MOTION)

    @property
    def of_motion(self) -> bool:
        """Whether the stream shows differences between frames."""
        return self in (Stream.JOINT_MOTION, Stream.BONE_MOTION)


class FeederConfig(BaseModel):
    """Configuration of a feeder.

    A feeder is a list of transforms. The short keys configure the usual ones: filling the window,
    then rotation, then bone lengths. ``transforms`` lists further training transforms, in order.

    Attributes:
        stream: Input stream: joint, bone, or their motion.
        window: Frames of the input.
        fill: How a clip is brought to the window: ``resize`` interpolates; the others keep frames
            unchanged: ``loop`` repeats the clip, ``zeros`` pads it (both truncate a longer one),
            and ``sample`` picks frames over the whole clip, randomly in training.
        train_crop: Smallest and largest share of a clip in a training crop.
        eval_crop: Share of a clip in the centre crop of evaluation.
        rotation: Limit of the random rotation in training, radians; 0 for none.
        yaw: Limit of the angle about the vertical axis, if it differs: cameras are placed around
            people rather than above them. None for ``rotation``.
        limbs: Limit of the random relative change of bone lengths in training; 0 for none.
        transforms: Further training transforms, by name, with options.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stream: Stream = Stream.JOINT
    window: int = Field(default=64, ge=4, le=4096, strict=True)
    fill: Fill = Fill.RESIZE
    train_crop: tuple[float, float] = (0.5, 1.0)
    eval_crop: float = Field(default=0.95, gt=0, le=1)
    rotation: float = Field(default=0.3, ge=0, le=3.15)
    yaw: float | None = Field(default=None, ge=0, le=3.15)
    limbs: float = Field(default=0.0, ge=0, le=0.9)
    transforms: tuple[ListedTransform, ...] = ()

    @field_validator("train_crop")
    @classmethod
    def _crop_is_a_range(cls, crop: tuple[float, float]) -> tuple[float, float]:
        if not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError(
                "expected a lowest and a highest share, 0 < lowest <= highest <= 1, found"
                f" {list(crop)}"
            )
        return crop

    @field_validator("transforms", mode="before")
    @classmethod
    def _transforms_are_known(cls, listed: Any) -> Any:
        """Read a bare name as a transform with defaults; refuse unknown names."""
        if not isinstance(listed, list | tuple):
            return listed
        entries = [{"name": entry} if isinstance(entry, str) else entry for entry in listed]
        for entry in entries:
            name = entry.get("name") if isinstance(entry, dict) else None
            if name in WINDOW_FILLERS:
                raise ValueError(
                    f"{name} fills the window, which every feeder does once and first: data.window,"
                    " data.fill, data.train_crop and data.eval_crop configure it"
                )
            if isinstance(name, str) and name not in TRANSFORM_SETTINGS:
                raise ValueError(unknown_name("transform", name, TRANSFORM_SETTINGS))
        return entries

    @field_validator("transforms")
    @classmethod
    def _transforms_have_an_order(
        cls, listed: tuple[TransformSettings, ...]
    ) -> tuple[TransformSettings, ...]:
        names = [entry.name for entry in listed]
        for place, entry in enumerate(listed):
            if entry.name in names[:place] and not entry.repeatable:
                raise ValueError(f"{entry.name} is listed twice; once is enough")
        if "mix" in names[:-1]:
            raise ValueError(
                f"mix comes last, since {names[names.index('mix') + 1]} would take two clips for"
                " one"
            )
        return listed

    @model_validator(mode="after")
    def _nothing_is_done_twice(self) -> "FeederConfig":
        names = [entry.name for entry in self.transforms]
        for key, name in (("rotation", "rotate"), ("yaw", "rotate"), ("limbs", "limbs")):
            if name in names and getattr(self, key):
                raise ValueError(
                    f"transforms: {name} applies twice, since data.{key} enables it, too;"
                    f" --set data.{key}=0 leaves it to the list"
                )
        return self
