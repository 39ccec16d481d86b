"""What a fused network was made with, as recipes and checkpoints say it; read without PyTorch."""

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from skelab.errors import SideCarError

Kind = Literal["late", "gated", "attend", "side-car"]
"""How side-cars join: three fusers, and the control that sees nothing but side-cars."""

FUSERS: Final = ("late", "gated", "attend")
SIDE_CAR_ONLY: Final = "side-car"


@dataclass(frozen=True)
class SideCarInfo:
    """What the features of a store are.

    Attributes:
        encoder: What made them.
        version: Its version; features of two versions do not mix.
        size: Numbers of a vector, D.
        skipped: Sources that gave no side-car: name and reason.
        digest: Digest of all side-cars.
    """

    encoder: str
    version: str
    size: int
    skipped: tuple[tuple[str, str], ...] = ()
    digest: str = ""

    @property
    def title(self) -> str:
        """Encoder, version and size in words."""
        return f"{self.encoder} {self.version}, {self.size} numbers a frame"


class FusionConfig(BaseModel):
    """What a recipe says of side-cars.

    Attributes:
        side_car: The side-car store.
        kind: ``late`` adds the scores of two classifiers, with a weight fitted on validation;
            ``gated`` adds pooled side-cars through a gate; ``attend`` lets skeleton tokens query
            side-cars, with a gate that starts at 0; ``side-car`` sees nothing but side-cars.
        drop: Probability that a clip's side-car is dropped in training, so that the network serves
            clips without one.
        width: Channels of the side-car's own layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    side_car: str = Field(min_length=1, max_length=4_000)
    kind: Kind = "gated"
    drop: float = Field(default=0.3, ge=0, lt=1)
    width: int = Field(default=64, ge=1, le=4_096, strict=True)


@dataclass(frozen=True)
class FusionSpec:
    """What the fuser of a network was made with.

    Attributes:
        kind: How side-cars join.
        size: Numbers of a side-car's vector.
        encoder: What made the vectors.
        version: Its version.
        drop: Probability that a side-car is dropped in training.
        width: Channels of the fuser's own layers.
    """

    kind: str
    size: int
    encoder: str
    version: str
    drop: float = 0.3
    width: int = 64

    @classmethod
    def of(cls, config: FusionConfig, info: SideCarInfo) -> "FusionSpec":
        """What a recipe and a side-car store decide together."""
        return cls(config.kind, info.size, info.encoder, info.version, config.drop, config.width)

    def check(self, info: SideCarInfo, store: object, where: str) -> None:
        """Refuse side-cars of another encoder than those of training.

        Raises:
            SideCarError: Encoder, version or size differ; the message says how.
        """
        pairs = {
            "encoder": (self.encoder, info.encoder),
            "encoder version": (self.version, info.version),
            "numbers a frame": (self.size, info.size),
        }
        for name, (expected, found) in pairs.items():
            if expected != found:
                raise SideCarError(
                    f"{where}: was trained with side-cars of {name} {expected}, but {store} has"
                    f" {found}; `skelab features` with the same encoder makes those that fit"
                )
