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
    """What a network is shown."""

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
    """How clips become the input of a network.

    A feeder is a list of transforms. The short keys stand for those that nearly every feeder has:
    one that fills the window, then turns, then other bone lengths. ``transforms`` lists what
    training does after them, in order.

    Attributes:
        stream: What the network is shown.
        window: Frames of an input.
        fill: How a clip becomes that many frames: ``resize`` interpolates; the others take frames
            as they are: ``loop`` repeats the clip, ``zeros`` pads it (both cut a longer one), and
            ``sample`` takes frames from the whole of it, in training at random.
        train_crop: Lowest and highest share of a clip that a training crop keeps.
        eval_crop: Share of a clip, cut from its middle, that is kept everywhere else.
        rotation: Limit of the random rotation in training, radians; 0 for none.
        yaw: Limit of its angle about the vertical axis, where that is another: cameras of other
            views stand around people rather than above them. None for ``rotation``.
        limbs: Limit of the random change of bone lengths in training, a share; 0 for none.
        transforms: Further transforms of training, by name with their options.
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
        """Take a bare name for a transform with its defaults, and refuse names that are unknown."""
        if not isinstance(listed, list | tuple):
            return listed
        entries = [{"name": entry} if isinstance(entry, str) else entry for entry in listed]
        for entry in entries:
            name = entry.get("name") if isinstance(entry, dict) else None
            if name in WINDOW_FILLERS:
                raise ValueError(
                    f"{name} fills the window, which every feeder does once and first: data.window,"
                    " data.fill, data.train_crop and data.eval_crop say how"
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
                raise ValueError(f"{entry.name} stands twice; once is enough")
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
                    f"transforms: {name} stands twice, since data.{key} asks for it too;"
                    f" --set data.{key}=0 leaves it to the list"
                )
        return self
