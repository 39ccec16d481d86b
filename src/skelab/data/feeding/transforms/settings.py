"""Settings of the transforms that a recipe may list under ``data.transforms``.

Settings alone, read without PyTorch; ``build_transform`` makes what carries them out.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Fill(StrEnum):
    """How a crop is brought to the frames of a window."""

    RESIZE = "resize"
    LOOP = "loop"
    ZEROS = "zeros"
    SAMPLE = "sample"


WINDOW_FILLERS: Final = ("crop-resize", "pick-frames")
"""The transforms that fill the window; a recipe chooses one by ``data.fill`` and lists none."""


def _is_range(shares: tuple[float, float]) -> tuple[float, float]:
    if not 0 < shares[0] <= shares[1] <= 1:
        raise ValueError(
            "expected a lowest and a highest share, 0 < lowest <= highest <= 1, found"
            f" {list(shares)}"
        )
    return shares


Shares = Annotated[tuple[float, float], AfterValidator(_is_range)]
"""A range of shares: lowest and highest."""

Probability = Annotated[float, Field(gt=0, le=1)]


class TransformSettings(BaseModel):
    """One entry of ``data.transforms``.

    Attributes:
        repeatable: Whether it may be listed more than once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repeatable: ClassVar[bool] = False

    name: str


class RotateSettings(TransformSettings):
    """Random rotation, as ``data.rotation`` and ``data.yaw``, at another position in the list.

    Attributes:
        limit: Limit of each angle, radians.
        yaw: Limit of the angle about the vertical axis; None for ``limit``.
    """

    name: Literal["rotate"] = "rotate"
    limit: float = Field(default=0.3, ge=0, le=3.15)
    yaw: float | None = Field(default=None, ge=0, le=3.15)


class LimbsSettings(TransformSettings):
    """Random bone lengths, as ``data.limbs``, at another position in the list.

    Attributes:
        limit: Limit of the relative change.
    """

    name: Literal["limbs"] = "limbs"
    limit: float = Field(default=0.15, gt=0, le=0.9)


class MirrorSettings(TransformSettings):
    """Horizontal mirror.

    Attributes:
        probability: Share of the clips.
    """

    name: Literal["mirror"] = "mirror"
    probability: Probability = 0.5


class ShearSettings(TransformSettings):
    """Random shear.

    Attributes:
        limit: Limit of each share.
        probability: Share of the clips.
    """

    name: Literal["shear"] = "shear"
    limit: float = Field(default=0.5, gt=0, le=2)
    probability: Probability = 1.0


class ScaleSettings(TransformSettings):
    """Random scaling.

    Attributes:
        limit: Limit of the relative change.
        per_axis: One factor per coordinate.
        probability: Share of the clips.
    """

    name: Literal["scale"] = "scale"
    limit: float = Field(default=0.2, gt=0, le=0.9)
    per_axis: bool = Field(default=True, strict=True)
    probability: Probability = 1.0


class NoiseSettings(TransformSettings):
    """Gaussian noise on every coordinate.

    Attributes:
        std: Standard deviation, in the unit of the store.
        probability: Share of the clips.
    """

    name: Literal["noise"] = "noise"
    std: float = Field(default=0.01, gt=0, le=10)
    probability: Probability = 1.0


class DropJointsSettings(TransformSettings):
    """Joint drop-out.

    Attributes:
        limit: Largest share of the joints.
        frames: Smallest and largest share of the window in which they are missing.
        probability: Share of the clips.
    """

    repeatable: ClassVar[bool] = True

    name: Literal["drop-joints"] = "drop-joints"
    limit: float = Field(default=0.2, gt=0, lt=1)
    frames: Shares = (1.0, 1.0)
    probability: Probability = 0.5


class MaskTimeSettings(TransformSettings):
    """Time masking.

    Attributes:
        frames: Smallest and largest share of the window.
        freeze: Freeze the stretch; otherwise zero it.
        probability: Share of the clips.
    """

    repeatable: ClassVar[bool] = True

    name: Literal["mask-time"] = "mask-time"
    frames: Shares = (0.1, 0.3)
    freeze: bool = Field(default=False, strict=True)
    probability: Probability = 0.5


class ReverseTimeSettings(TransformSettings):
    """Reversed time.

    Attributes:
        probability: Share of the clips.
    """

    name: Literal["reverse-time"] = "reverse-time"
    probability: Probability = 0.5


class MixSettings(TransformSettings):
    """Mixup of two clips and their labels.

    Attributes:
        alpha: Parameter of the Beta distribution of the weights.
        probability: Share of the clips.
    """

    name: Literal["mix"] = "mix"
    alpha: float = Field(default=0.2, gt=0, le=100)
    probability: Probability = 1.0


ListedTransform = Annotated[
    RotateSettings
    | LimbsSettings
    | MirrorSettings
    | ShearSettings
    | ScaleSettings
    | NoiseSettings
    | DropJointsSettings
    | MaskTimeSettings
    | ReverseTimeSettings
    | MixSettings,
    Field(discriminator="name"),
]
"""An entry of ``data.transforms``, discriminated by its name."""

TRANSFORM_SETTINGS: Final[Mapping[str, type[TransformSettings]]] = {
    str(kind.model_fields["name"].default): kind for kind in TransformSettings.__subclasses__()
}
"""The settings of each transform by name."""
