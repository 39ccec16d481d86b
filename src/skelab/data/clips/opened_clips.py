"""What every set of prepared clips offers, wherever it lies."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.clip import Clip
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.store import StoreInfo


@runtime_checkable
class OpenedClips(Protocol):
    """Indexed clips with their description; a clip store is one, an opened npz another.

    They can be pickled, so that the workers of a loader can read from them.
    """

    @property
    def path(self) -> Path:
        """What was opened."""

    @property
    def info(self) -> StoreInfo:
        """Layout, preprocessing, classes and so on."""

    @property
    def index(self) -> ClipIndex:
        """Names, labels and so on, one row a clip."""

    @property
    def max_bodies(self) -> int:
        """Bodies that a clip has at most; known without reading any."""

    def __len__(self) -> int: ...

    def lengths(self) -> Int64[ndarray, " N"]:
        """Frames of each clip; may read all of them."""

    def clip(self, row: int) -> Clip:
        """The clip of a row.

        Raises:
            DataError: It cannot be read.
        """
