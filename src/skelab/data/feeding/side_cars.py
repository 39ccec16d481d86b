"""Side-cars in batches: further features of each clip, placed by frame numbers in its window."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.data.feeding.batch import SideCarBatch
from skelab.data.feeding.transforms.window import CropResize, PickFrames


@runtime_checkable
class SideCarReader(Protocol):
    """What reads the side-cars of clips; a feeder knows them only through it."""

    def batch(self, names: Sequence[str], places: Sequence[Float64[ndarray, " W"]]) -> SideCarBatch:
        """The side-cars of some clips.

        Args:
            names: The clips.
            places: For each clip, the stored frame at each frame of the window; -1 for none.
        """
        ...


def window_places(
    transform: CropResize | PickFrames, drawn: Sequence[Sequence[int]]
) -> list[Float64[ndarray, " W"]]:
    """The stored frame at each frame of the window, -1 for none, as the window was filled.

    Args:
        transform: The step that filled the window.
        drawn: What it drew, for each clip.
    """
    if isinstance(transform, PickFrames):
        return [np.asarray(frames, dtype=np.float64) for frames in drawn]
    output = np.arange(transform.window)
    places: list[Any] = []
    for start, length in drawn:
        position = (output + 0.5) * length / transform.window - 0.5
        places.append(start + np.clip(position, 0, length - 1))
    return places
