"""What evaluations on sequences share: a network, the rows of its part, their segments."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.sequence import Segment
from skelab.data.clips.windows import WindowClips, segments_by_row
from skelab.data.datasets import check_split
from skelab.errors import NetworkError
from skelab.evaluation import Order
from skelab.inference.network import Network
from skelab.recipes import Recipe
from skelab.runs.evaluate import recipe_of, refuse_known_clips, with_split
from skelab.runs.parts import choose_parts
from skelab.tasks import clips_of


@dataclass(frozen=True)
class SequenceRun:
    """A network, its windows, and which sequences train, validate and test.

    Attributes:
        network: The network.
        recipe: Its recipe, with the split that is asked for.
        store: The sequences.
        windows: The windows that the task makes of them.
        segments: Segments of each sequence, by row.
        train: Rows of the training sequences.
        validation: Rows of the validation sequences.
        test: Rows of the asked part.
        test_windows: Rows of its windows.
    """

    network: Network
    recipe: Recipe
    store: OpenedClips
    windows: WindowClips
    segments: dict[int, tuple[Segment, ...]]
    train: Int64[ndarray, " A"]
    validation: Int64[ndarray, " B"]
    test: Int64[ndarray, " C"]
    test_windows: Int64[ndarray, " D"]

    @property
    def title(self) -> str:
        """What is evaluated."""
        return f"{self.recipe.model.name} on {self.store.info.dataset}, {self.recipe.data.split}"

    def orders(self, rows: Int64[ndarray, " R"]) -> list[Order]:
        """The labels of sequences in the order of time."""
        return [tuple(segment.label for segment in self.segments[row]) for row in rows.tolist()]


def open_sequence_run(
    network: Network, store: OpenedClips, *, task: str, split: str | None, part: str
) -> SequenceRun:
    """Check that a network is of a task, and find the sequences of its part.

    Raises:
        NetworkError: Its task is another one.
        DataError: There is no sequence with segments.
        SplitError: The clips do not fit the split, or the network was trained on some of the part.
    """
    spec = network.spec
    if spec.task.name != task:
        raise NetworkError(
            f"{network.path}: expected a network of the task {task}, found {spec.task.name}; train"
            f" one with --set task.name={task}"
        )
    windows = clips_of(network.task, store, spec.inputs.feeder)
    if not isinstance(windows, WindowClips):
        raise NetworkError(f"{network.path}: the task {task} makes no windows of sequences")
    spec.check_store(windows.info, store.path, str(network.path))
    if split is not None:
        check_split(split, store.info.dataset, store.index, store.path, option="--split ")
    trained = recipe_of(network, split)
    recipe = trained if split is None else with_split(trained, split)
    parts = choose_parts(recipe, windows)
    asked: Int64[ndarray, " D"] = getattr(parts, part)
    if recipe != trained:
        refuse_known_clips(trained, recipe, windows, asked, Path(network.path))
    own = [np.unique([windows.windows[row].row for row in rows.tolist()]).astype(np.int64)
           for rows in (parts.train, parts.validation, asked)]  # fmt: skip
    return SequenceRun(
        network, recipe, store, windows, segments_by_row(store, task), own[0], own[1], own[2], asked
    )


def frame_logits(
    network: Network, store: OpenedClips, rows: Int64[ndarray, " R"]
) -> Iterator[Float32[ndarray, "T L"]]:
    """Logits at each frame of each sequence, as a stream gives them: no later frame is read."""
    stream = network.stream()
    for row in rows.tolist():
        stream.restart()
        joints = store.clip(row).joints[: network.spec.max_bodies]
        yield np.stack([stream.step(joints[:, frame]) for frame in range(joints.shape[1])])
