"""Scenes: poses over time in one or two panes, with names and optional explanations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32
from numpy import ndarray

from skelab.data.clips.clip import Clip, RawClip
from skelab.errors import DataError
from skelab.skeleton import Layout

FRAMES_PER_SECOND: Final = 30.0
"""Frame rate of Kinects and most video cameras."""

METRES: Final = "metres"
_MOST_BODIES: Final = 6  # of a recording, including false detections


@dataclass(frozen=True)
class Pane:
    """One view of the clip: as recorded, or as preprocessed for a network.

    Attributes:
        title: Heading.
        poses: In space, right-handed, y up; NaN where a body or a joint is absent.
        units: Unit of the coordinates.

    Raises:
        DataError: No joint is present, or a coordinate is infinite.
    """

    title: str
    poses: Float32[ndarray, "M T V 3"]
    units: str = METRES

    def __post_init__(self) -> None:
        """Check that a joint is present."""
        if np.isinf(self.poses).any():
            raise DataError(f"{self.title}: expected finite coordinates, found infinity")
        if not np.isfinite(self.poses).any():
            raise DataError(f"{self.title}: expected a body in at least one frame, found none")

    @property
    def present(self) -> Bool[ndarray, "M T"]:
        """Which bodies are present in which frames."""
        return np.asarray(np.isfinite(self.poses).any(axis=(2, 3)))


@dataclass(frozen=True)
class Evidence:
    """Evidence of each joint for a class by one method; positive values support it.

    Attributes:
        method: Name of the method.
        joints: A value for each body, frame and joint, of the last pane.
        frames: A value for each frame.
    """

    method: str
    joints: Float32[ndarray, "M T V"]
    frames: Float32[ndarray, " T"]


@dataclass(frozen=True)
class Links:
    """The topology of one layer: weights between joints.

    Attributes:
        layer: Name of the layer.
        weights: Weight of the second joint in the output of the first.
    """

    layer: str
    weights: Float32[ndarray, "V V"]


@dataclass(frozen=True)
class Answer:
    """The prediction of a network for the clip, with evidence.

    Attributes:
        network: Its title.
        trained_on: Data set that it was trained on.
        top: The most likely classes with their probabilities.
        target: The class that the evidence is about.
        evidence: By each method.
        agreement: Spearman correlation of the first two methods over joints, and over frames; NaN
            if a method is constant.
        layers: Learned topologies in order of the layers; empty without any.
        note: Meaning of the joints, if they are not positions.
    """

    network: str
    trained_on: str
    top: tuple[tuple[str, float], ...]
    target: str
    evidence: tuple[Evidence, ...] = ()
    agreement: tuple[float, float] = (float("nan"), float("nan"))
    layers: tuple[Links, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Scene:
    """A clip to view.

    Attributes:
        name: Name of the clip.
        layout: Its joints.
        panes: One, or the recording and its preprocessed clip.
        frame_numbers: Number of each frame in the recording.
        frames_per_second: Speed at which it was recorded.
        label: Its class; empty if unknown.
        synthetic: A program has made it.
        answer: The prediction of a network.

    Raises:
        DataError: Panes differ in their frames or joints, or the speed is out of range.
    """

    name: str
    layout: Layout
    panes: tuple[Pane, ...]
    frame_numbers: Int32[ndarray, " T"]
    frames_per_second: float = FRAMES_PER_SECOND
    label: str = ""
    synthetic: bool = False
    answer: Answer | None = None

    def __post_init__(self) -> None:
        """Check that all panes show the same frames and joints."""
        for pane in self.panes:
            if pane.poses.shape[1:3] != (self.num_frames, self.layout.num_joints):
                raise DataError(
                    f"{self.name}: {pane.title}: expected {self.num_frames} frames of"
                    f" {self.layout.num_joints} joints, found {pane.poses.shape[1]} of"
                    f" {pane.poses.shape[2]}"
                )
        if not 1 <= self.frames_per_second <= 1000:
            raise DataError(
                f"{self.name}: expected 1 to 1000 frames a second, found {self.frames_per_second:g}"
            )

    @property
    def num_frames(self) -> int:
        """Frames, T."""
        return len(self.frame_numbers)

    @property
    def is_flat(self) -> bool:
        """Whether the joints are in image coordinates, without depth."""
        return "z" not in self.layout.axes

    @property
    def sides(self) -> tuple[int, ...]:
        """1 for left joints, -1 for right ones, 0 for those in the middle."""
        sides = [0] * self.layout.num_joints
        for left, right in self.layout.pairs:
            sides[left], sides[right] = 1, -1
        return tuple(sides)

    def between(self, start: int, end: int) -> "Scene":
        """Frames ``start`` to ``end`` of the scene, excluding ``end``.

        Raises:
            DataError: They are not within the scene.
        """
        if not 0 <= start < end <= self.num_frames:
            raise DataError(
                f"{self.name}: expected frames within 0:{self.num_frames}, found {start}:{end}"
            )
        kept = slice(start, end)
        answer = self.answer and replace(
            self.answer,
            evidence=tuple(
                replace(each, joints=each.joints[:, kept], frames=each.frames[kept])
                for each in self.answer.evidence
            ),
        )
        panes = tuple(replace(pane, poses=pane.poses[:, kept]) for pane in self.panes)
        return replace(self, panes=panes, frame_numbers=self.frame_numbers[kept], answer=answer)


def scene_of(
    name: str,
    layout: Layout,
    *,
    clip: Clip | None = None,
    raw: RawClip | None = None,
    pipeline: str = "",
    units: str = METRES,
) -> Scene:
    """A scene of a recording, of its preprocessed clip, or of both side by side.

    Both are synchronised: each frame of the clip is shown beside the recorded frame that it was
    made from. Frames dropped by preprocessing are shown without a body in the second pane,
    unless it has repeated frames.

    Args:
        name: Name of the clip.
        layout: The joints.
        clip: The clip.
        raw: The recording.
        pipeline: Name of the preprocessing.
        units: Unit of the coordinates.

    Raises:
        DataError: Neither is given, joints are others than the layout's, nobody is there, or a
            number of a clip is not finite.
    """
    prepared = f"Preprocessed: {pipeline}" if pipeline else "Clip"
    if raw is None:
        if clip is None:
            raise DataError(f"{name}: expected a clip or a recording, found neither")
        pane = Pane(prepared, _in_space(_clip_poses(clip, layout), layout), units)
        return Scene(name, layout, (pane,), clip.frame_numbers)
    poses = _in_space(_raw_poses(raw, layout, name), layout)
    every = np.arange(raw.num_frames, dtype=np.int32)
    recorded = Pane("As recorded", poses, units)
    if clip is None:
        return Scene(name, layout, (recorded,), every)
    made = _in_space(_clip_poses(clip, layout), layout)
    numbers = clip.frame_numbers
    beside = poses[:, np.clip(numbers, 0, raw.num_frames - 1)]
    order = _same_people(beside, made)
    recorded = replace(recorded, poses=poses[order])
    if (np.diff(numbers) > 0).all() and numbers[0] >= 0 and numbers[-1] < raw.num_frames:
        spread = np.full((len(made), raw.num_frames, *made.shape[2:]), np.nan, np.float32)
        spread[:, numbers] = made
        return Scene(name, layout, (recorded, Pane(prepared, spread, units)), every)
    recorded = replace(recorded, poses=beside[order])
    return Scene(name, layout, (recorded, Pane(prepared, made, units)), numbers)


def on_timeline(
    scene: Scene, clip: Clip, values: Float[ndarray, "*axes T"]
) -> Float32[ndarray, "*axes S"]:
    """Map values of a clip's frames to the S frames of its scene; 0 elsewhere."""
    values = np.asarray(values, np.float32)
    if scene.num_frames == clip.num_frames:
        return values
    spread = np.zeros((*values.shape[:-1], scene.num_frames), np.float32)
    spread[..., clip.frame_numbers] = values
    return spread


def strongest_links(
    weights: Float32[ndarray, "V V"], bones: Iterable[Sequence[int]], *, most: int
) -> list[tuple[int, int, float]]:
    """The joint pairs with the largest weights other than bones, in descending order.

    Returns:
        Two joints and the larger of their two weights, relative to the strongest pair.
    """
    both = np.maximum(weights, weights.T)
    np.fill_diagonal(both, 0.0)
    for a, b in bones:
        both[a, b] = both[b, a] = 0.0
    rows, columns = np.triu_indices(len(both), 1)
    order = np.argsort(-both[rows, columns], kind="stable")[:most]
    peak = float(both.max()) or 1.0
    pairs = [(int(rows[k]), int(columns[k])) for k in order]
    return [(a, b, float(both[a, b]) / peak) for a, b in pairs if both[a, b] > 0]


def share_beyond_bones(weights: Float32[ndarray, "V V"], bones: Iterable[Sequence[int]]) -> float:
    """The share of the weight between different joints that is not along a bone."""
    between = weights.copy()
    np.fill_diagonal(between, 0.0)
    total = float(between.sum())
    along = sum(float(between[a, b] + between[b, a]) for a, b in bones)
    return 1.0 - along / total if total else 0.0


def _clip_poses(clip: Clip, layout: Layout) -> Float32[ndarray, "M T V C"]:
    """A clip's bodies, with NaN for absent (all-zero) ones."""
    expected = (layout.num_joints, len(layout.axes))
    if clip.joints.shape[2:] != expected:
        raise DataError(
            f"{clip.info.name}: expected {expected[0]} joints of {layout.name} with {expected[1]}"
            f" values, found {clip.joints.shape[2]} with {clip.joints.shape[3]}"
        )
    if not np.isfinite(clip.joints).all():
        raise DataError(
            f"{clip.info.name}: expected finite coordinates, found NaN or infinity; write 0 where a"
            " body was not seen"
        )
    poses = clip.joints.astype(np.float32)
    poses[~poses.any(axis=(2, 3))] = np.nan
    return poses


def _raw_poses(raw: RawClip, layout: Layout, name: str) -> Float32[ndarray, "M T V C"]:
    """The longest-tracked bodies of a recording, in order of appearance."""
    tracks = [track for track in raw.bodies.values() if len(track.frames)]
    longest = sorted(range(len(tracks)), key=lambda k: -len(tracks[k].frames))[:_MOST_BODIES]
    chosen = [tracks[k] for k in sorted(longest)]
    shape = (layout.num_joints, len(layout.axes))
    poses = np.full((len(chosen), raw.num_frames, *shape), np.nan, np.float32)
    for body, track in zip(poses, chosen, strict=True):
        if track.joints.shape[1:] != shape:
            raise DataError(
                f"{name}: expected {shape[0]} joints of {layout.name} with {shape[1]} values, found"
                f" {track.joints.shape[1]} with {track.joints.shape[2]}"
            )
        body[track.frames] = track.joints
    return poses


def _same_people(
    recorded: Float32[ndarray, "B T V 3"], made: Float32[ndarray, "M T V 3"]
) -> list[int]:
    """The order of the recorded bodies that puts those of the clip first.

    A body of the clip is matched to the recorded one with the least variable offset.
    """
    left = list(range(len(recorded)))
    order = []
    for body in made[: len(recorded)]:
        offsets = (recorded[left] - body).reshape(len(left), -1, 3)
        seen = np.isfinite(offsets).all(axis=-1)
        spread = [
            float(offset[there].std(axis=0).sum()) if there.any() else np.inf
            for offset, there in zip(offsets, seen, strict=True)
        ]
        order.append(left.pop(int(np.argmin(spread))))
    return order + left


def _in_space(poses: Float32[ndarray, "M T V C"], layout: Layout) -> Float32[ndarray, "M T V 3"]:
    """Poses as points in space; image coordinates lie in the plane z = 0."""
    if "z" in layout.axes:
        return np.ascontiguousarray(poses[..., [layout.axes.index(axis) for axis in "xyz"]])
    flat = np.zeros((*poses.shape[:3], 3), np.float32)
    # x is turned round, since space is looked at from behind z = 0; a picture's y points down.
    flat[..., 0], flat[..., 1] = -poses[..., 0], -poses[..., 1]
    flat[np.isnan(poses).any(axis=-1)] = np.nan
    if "score" in layout.axes:
        flat[poses[..., layout.axes.index("score")] <= 0] = np.nan
    return flat
