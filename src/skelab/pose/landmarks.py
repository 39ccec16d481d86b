"""The landmarks of the people in a video, as they were estimated, and the file that keeps them.

They are kept so that clips can be made of them anew, with another layout or a better map of joints,
without the video.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from jaxtyping import Float32, Int32, Shaped
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from skelab.errors import DataError
from skelab.files.archives import is_archive, open_archive, read_member
from skelab.files.atomic import atomic_write
from skelab.files.description import Name, read_description
from skelab.files.npy import parse_npy

LANDMARK_NAMES: Final = (
    *("nose", "left eye (inner)", "left eye", "left eye (outer)"),
    *("right eye (inner)", "right eye", "right eye (outer)", "left ear", "right ear"),
    *("mouth (left)", "mouth (right)", "left shoulder", "right shoulder", "left elbow"),
    *("right elbow", "left wrist", "right wrist", "left little finger", "right little finger"),
    *("left index finger", "right index finger", "left thumb", "right thumb", "left hip"),
    *("right hip", "left knee", "right knee", "left ankle", "right ankle", "left heel"),
    *("right heel", "left foot", "right foot"),
)
"""The 33 landmarks of BlazePose, in its order; left and right are those of the person."""

NUM_LANDMARKS: Final = len(LANDMARK_NAMES)

SUFFIX: Final = ".landmarks.npz"
"""How the names of such files end."""

FORMAT: Final = 1
_ARRAYS: Final = ("frames", "bodies", "picture", "world", "visibility", "scores")
_LARGEST: Final = 1 << 32
_LARGEST_TEXT: Final = 1 << 16


@dataclass(frozen=True)
class LandmarkInfo:
    """Where landmarks come from.

    Attributes:
        video: Name of the video's file.
        video_digest: sha256 of its content.
        width: Of the pictures, pixels.
        height: Likewise.
        frames_per_second: Of the pictures that were looked at.
        num_frames: Pictures that were looked at.
        mirrored: Whether the picture shows left on the right, as a mirror does.
        estimator: What estimated them, say ``blazepose-full``.
        estimator_digest: sha256 of its model.
        joint_map: Version of the maps from landmarks to joints when they were made.
    """

    video: str
    video_digest: str
    width: int
    height: int
    frames_per_second: float
    num_frames: int
    mirrored: bool
    estimator: str
    estimator_digest: str
    joint_map: int


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of everybody in a video: E entries, each one person in one picture.

    Attributes:
        info: Where they come from.
        frames: Number of the picture, from 0, ascending.
        bodies: Number of the person, from 1, the same in all pictures.
        picture: Pixels to the right and downwards, and depth in the same unit.
        world: Metres from the middle of the hips: right, down and away from the camera.
        visibility: How likely a landmark is in the picture and not hidden; 0..1.
        scores: How likely the entry is a person at all; 0..1.

    Raises:
        DataError: The arrays do not fit each other or the description, or hold numbers that are
            not finite.
    """

    info: LandmarkInfo
    frames: Int32[ndarray, " E"] = field(repr=False)
    bodies: Int32[ndarray, " E"] = field(repr=False)
    picture: Float32[ndarray, "E 33 3"] = field(repr=False)
    world: Float32[ndarray, "E 33 3"] = field(repr=False)
    visibility: Float32[ndarray, "E 33"] = field(repr=False)
    scores: Float32[ndarray, " E"] = field(repr=False)

    def __post_init__(self) -> None:
        """Check the arrays once."""
        _check_arrays(self.info, {name: getattr(self, name) for name in _ARRAYS})

    def of_body(self, body: int) -> "Landmarks":
        """The entries of one person."""
        own = self.bodies == body
        return Landmarks(self.info, *(getattr(self, name)[own] for name in _ARRAYS))

    def body_numbers(self) -> list[int]:
        """The people, in order of first appearance."""
        return list(dict.fromkeys(self.bodies.tolist()))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OutputError: The folder cannot be written.
        """
        about = json.dumps({"format": FORMAT, **asdict(self.info)}, sort_keys=True)
        with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            archive.writestr("about.json", about)
            for name in _ARRAYS:
                content = io.BytesIO()
                np.save(content, getattr(self, name), allow_pickle=False)
                archive.writestr(f"{name}.npy", content.getvalue())


def _check_arrays(info: LandmarkInfo, arrays: Mapping[str, Shaped[ndarray, " ..."]]) -> None:
    """Refuse arrays that do not fit each other or the description."""
    frames, bodies = arrays["frames"], arrays["bodies"]
    count = len(frames)
    inner: dict[str, tuple[int, ...]] = {"visibility": (NUM_LANDMARKS,)}
    inner |= dict.fromkeys(("picture", "world"), (NUM_LANDMARKS, 3))
    for name, values in arrays.items():
        shape = (count, *inner.get(name, ()))
        if values.shape != shape or not np.isfinite(values).all():
            raise DataError(
                f"{info.video}: landmarks, {name}: expected finite numbers of shape"
                f" {' x '.join(map(str, shape))}, found {' x '.join(map(str, values.shape))}"
            )
    inside = not count or (frames.min() >= 0 and frames.max() < info.num_frames)
    if not inside or np.any(np.diff(frames) < 0):
        raise DataError(
            f"{info.video}: landmarks, frames: expected ascending numbers below {info.num_frames}"
        )
    if len(np.unique(np.stack([frames, bodies], axis=1), axis=0)) != count:
        raise DataError(f"{info.video}: landmarks: expected each body once in a frame")


class _About(BaseModel):
    """The description in a file of landmarks."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1]
    video: Name
    video_digest: Name
    width: Annotated[int, Field(ge=1, lt=1 << 16)]
    height: Annotated[int, Field(ge=1, lt=1 << 16)]
    frames_per_second: Annotated[float, Field(gt=0, le=1000)]
    num_frames: Annotated[int, Field(ge=1, lt=1 << 31)]
    mirrored: bool
    estimator: Name
    estimator_digest: Name
    joint_map: Annotated[int, Field(ge=1)]


_SCHEMA: Final[TypeAdapter[_About]] = TypeAdapter(_About)


def is_landmark_file(path: Path) -> bool:
    """Whether a file is called as one of landmarks is, and is an archive."""
    return path.name.endswith(SUFFIX) and is_archive(path)


def read_landmark_info(path: Path) -> LandmarkInfo:
    """The description of a file of landmarks, without its numbers.

    Raises:
        DataError: The file is missing, damaged or of another kind.
    """
    with open_archive(path) as archive:
        about = read_description(
            read_member(archive, "about.json", _LARGEST_TEXT),
            _SCHEMA,
            f"{path}: expected landmarks of skelab",
            DataError,
        )
    return LandmarkInfo(**about.model_dump(exclude={"format"}))


def read_landmarks(path: Path) -> Landmarks:
    """The landmarks of a file; nothing in it is run.

    Raises:
        DataError: The file is missing, damaged or of another kind.
    """
    info = read_landmark_info(path)
    arrays: dict[str, Shaped[ndarray, " ..."]] = {}
    with open_archive(path) as archive:
        for name in _ARRAYS:
            values = parse_npy(read_member(archive, f"{name}.npy", _LARGEST), f"{path}: {name}.npy")
            kind = np.int32 if name in ("frames", "bodies") else np.float32
            if values.dtype != kind or (values.ndim == 0):
                raise DataError(
                    f"{path}: {name}.npy: expected {np.dtype(kind)}, found {values.dtype}"
                )
            arrays[name] = values
    try:
        _check_arrays(info, arrays)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return Landmarks(info, **arrays)
