"""Do these joints make a body? Proof that an array means what it is taken for.

A network trains on scrambled joints without complaint and no shape gives them away; anatomy does.
The strongest sign is how short the bones are: joined by the bones of their layout, the joints of
a body hang together on little more than the shortest tree that joins them at all. That holds in
every single pose, moving or not, whatever the units and in two dimensions as in three. Bone
lengths that hardly change, limbs that match, and a head above the feet are checked beside it.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray

from skelab.data.audit.scrambles import Scramble, known_scrambles
from skelab.data.clips.clip import Clip, RawClip
from skelab.data.datasets import find_datasets
from skelab.data.opened import OpenedClips
from skelab.data.recordings import Source, SourceItem
from skelab.errors import DataError, SourceError
from skelab.skeleton import Layout, list_layouts

Poses = Float[ndarray, "_ _ V C"]
"""One clip M T V C of a set; clips differ in bodies and frames."""

PLAUSIBLE: Final = "plausible"
SCRAMBLED: Final = "scrambled"
UNKNOWN: Final = "unknown"
SAMPLED: Final = 64
"""Clips of a set that are looked at."""

_POSES: Final = 16  # of a body that are looked at
_SEARCHED: Final = (8, 6)  # clips, and poses of each, with which the right order is searched
_ENOUGH: Final = 8  # clips that may decide by anything but the shortness of their bones
_SOUND: Final = 0.66  # shortness of the bones above which nothing is searched
_SOUND_FEW: Final = {2: 0.40, 3: 0.56}  # the same for fewer clips than are enough
_RIGHT: Final = {2: 0.50, 3: 0.66}  # shortness that the right order must give at least
_MOST_VANISHED: Final = 0.2  # share of its bones that may have no length
_HOPELESS: Final = {2: 0.30, 3: 0.42}  # shortness, by dimensions, that no body has
_BETTER: Final = 1.2  # how much shorter the bones must be in another order
_MOST_WOBBLE: Final = 0.35
_MOST_ASYMMETRY: Final = 0.40
_ODD: Final = {2: 0.35, 3: 0.50}  # shortness below which one clip among sound ones is named
_AGREE: Final = 0.90  # share of the clips whose heads must lie in one wrong direction
_CLEAR: Final = 0.60  # cosine from which a direction counts


@dataclass(frozen=True)
class AnatomyReport:
    """What the joints of some clips say of their layout.

    Attributes:
        layout: Name of the layout that was tested.
        num_clips: Clips that had a pose to look at.
        verdict: ``plausible``, ``scrambled``, or ``unknown`` where there was no pose.
        shortness: Length of the shortest tree through the joints over the length of all bones,
            median of the clips; 1 at best, above 0.7 in recordings, about 0.1 to 0.6 scrambled.
        wobble: How far bone lengths stray over time, as a share of the mean bone; None in 2D.
        asymmetry: How much left and right bones differ, as a share of the longer; None in 2D.
        up: Direction from the feet to the head in most clips, say ``+y``; None where unclear.
        upright: Share of the clips whose heads lie there.
        not_finite: Clips with a value that is NaN or infinite.
        odd: Positions of clips whose bones are strangely long, though the whole is plausible.
        likely: What happened, and so what would be right; None where nothing is wrong or known.
        reason: The verdict in one line.
    """

    layout: str
    num_clips: int
    verdict: str
    shortness: float | None
    wobble: float | None
    asymmetry: float | None
    up: str | None
    upright: float | None
    not_finite: int
    odd: tuple[int, ...]
    likely: str | None
    reason: str

    @property
    def plausible(self) -> bool:
        """False only where the joints are proven not to be those of the layout."""
        return self.verdict != SCRAMBLED

    def to_dict(self) -> dict[str, Any]:
        """Verdict and figures, for tables and JSON."""
        figures = {
            "shortness of bones": self.shortness,
            "wobble of bones": self.wobble,
            "left against right": self.asymmetry,
            "clips upright": self.upright,
        }
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            **{name: round(value, 3) for name, value in figures.items() if value is not None},
            **({"up": self.up} if self.up else {}),
            **({"clips with NaN or inf": self.not_finite} if self.not_finite else {}),
        }


def check_anatomy(
    sample: Iterable[Clip | RawClip | Poses],
    layout: Layout,
    *,
    up: str | None = None,
) -> AnatomyReport:
    """Judge whether clips have the joints of a layout, and name the order that they likely have.

    The verdict is on all clips together; give a few dozen, spread over a set. Right clips are
    never called scrambled: that takes bones that are too long in the median clip *and* an order
    in which they are clearly shorter, or bones longer than any body has them.

    Args:
        sample: Clips, recordings, or arrays M T V C; zeros where a body is absent.
        layout: What they are said to be.
        up: Direction in which heads must lie above feet, ``+y`` in the frame of a camera, where
            it is known for certain; see :func:`usual_up`.

    Raises:
        DataError: A clip has not the joints and axes of the layout.
    """
    clips = [_array(clip, layout) for clip in sample]
    not_finite = sum(not np.isfinite(clip).all() for clip in clips)
    measured = [_measure(clip, layout) for clip in clips]
    known = [measure for measure in measured if measure is not None]
    if not known:
        return AnatomyReport(
            *(layout.name, 0, UNKNOWN, None, None, None, None, None, not_finite, (), None),
            reason="no body to look at",
        )
    shortness = _median(measure.shortness for measure in known)
    wobble = _median(measure.wobble for measure in known)
    asymmetry = _median(measure.asymmetry for measure in known)
    direction, upright = _direction(known, layout)
    likely, fault = _fault(clips, layout, len(known), (shortness, wobble, asymmetry))
    if fault is None and up is not None and len(known) >= _ENOUGH:
        likely, fault = _turned(direction, upright, up)
    odd = [
        row
        for row, m in enumerate(measured)
        if m is not None and m.shortness < _ODD[_dimensions(layout)]
    ]
    return AnatomyReport(
        layout=layout.name,
        num_clips=len(known),
        verdict=SCRAMBLED if fault else PLAUSIBLE,
        shortness=shortness,
        wobble=None if _dimensions(layout) < 3 else wobble,
        asymmetry=None if _dimensions(layout) < 3 else asymmetry,
        up=direction,
        upright=upright,
        not_finite=not_finite,
        odd=() if fault else tuple(odd),
        likely=likely,
        reason=_reason(layout, shortness, fault, likely),
    )


def check_source(source: Source, items: Sequence[SourceItem] | None = None) -> AnatomyReport:
    """The report on some samples of a source, spread evenly over it; damaged ones are passed over.

    Args:
        source: The source.
        items: The samples to choose from; all by default.
    """
    listed = source.items() if items is None else items
    sample = []
    for row in spread(len(listed)):
        with contextlib.suppress(DataError):
            sample.append(_array(source.read(listed[row]), source.layout))
    return check_anatomy(sample, source.layout, up=usual_up(source.kind))


def check_clips(clips: OpenedClips) -> AnatomyReport:
    """The report on some opened clips, spread evenly over them; damaged ones are passed over."""
    sample = []
    for row in spread(len(clips)):
        with contextlib.suppress(DataError):
            sample.append(clips.clip(row))
    up = usual_up(clips.info.dataset, clips.info.pipeline)
    return check_anatomy(sample, clips.info.layout, up=up)


def refuse_if_scrambled(report: AnatomyReport, where: Path) -> AnatomyReport:
    """The report, unless it says that the joints are scrambled.

    Args:
        report: What the clips looked like.
        where: What they are from, for the message.

    Raises:
        SourceError: They are scrambled; the message says what is likely right.
    """
    if not report.plausible:
        raise SourceError(f"{where}: {report.reason}; --no-anatomy-check goes on all the same")
    return report


def spread(count: int, most: int = SAMPLED) -> list[int]:
    """Up to ``most`` rows of ``count``, evenly spread, the first and the last among them."""
    chosen = np.linspace(0, count - 1, min(most, count)).round().astype(int)
    return [int(row) for row in chosen]


def usual_up(dataset: str, pipeline: str | None = None) -> str | None:
    """Where heads lie above feet, as ``+y``; None where nothing is known for certain.

    Args:
        dataset: Kind of the source.
        pipeline: What prepared the clips; None for recordings.
    """
    if pipeline == "msg3d":
        return "+z"  # it turns the spine of the first frame there
    if pipeline == "as-given":
        return None
    return next((card.up for card in find_datasets(dataset)), None)


@dataclass(frozen=True)
class _Measure:
    """One clip: shortness, wobble and asymmetry of its bones, and from the feet to the head.

    ``vanished`` is the share of its bones that have no length.
    """

    shortness: float
    wobble: float
    asymmetry: float
    vanished: float
    feet_to_head: Float64[ndarray, " D"]


_COORDINATES: Final = ("x", "y", "z")
_TINY: Final = 1e-12


def _array(
    clip: Clip | RawClip | Float[ndarray, "M T V C"], layout: Layout
) -> Float[ndarray, "M T V C"]:
    if isinstance(clip, RawClip):
        array = _dense(clip, layout)
    else:
        array = clip.joints if isinstance(clip, Clip) else clip
    if array.shape[2:] != (layout.num_joints, len(layout.axes)):
        raise DataError(
            f"expected {layout.num_joints} joints of {len(layout.axes)} values for layout"
            f" {layout.name}, found {array.shape[2]} of {array.shape[3]}"
        )
    return array


def _dense(raw: RawClip, layout: Layout) -> Float64[ndarray, "M T V C"]:
    """Every body of a recording where it stands."""
    pose = next((t.joints.shape[1:] for t in raw.bodies.values()), (layout.num_joints, 3))
    joints = np.zeros((len(raw.bodies), raw.num_frames, *pose))
    for body, track in zip(joints, raw.bodies.values(), strict=True):
        body[track.frames] = track.joints
    return joints


def _measure(
    clip: Float[ndarray, "M T V C"], layout: Layout, poses: int = _POSES
) -> _Measure | None:
    """Figures of one clip; None where it has no pose."""
    coordinates = [i for i, axis in enumerate(layout.axes) if axis in _COORDINATES]
    if len(coordinates) < 2:
        return None
    bodies = [_some_poses(body[..., coordinates], poses) for body in clip]
    bodies = [body for body in bodies if len(body)]
    if not bodies:
        return None
    ends, starts = np.array(layout.bones).T
    lengths = [np.linalg.norm(body[:, ends] - body[:, starts], axis=-1) for body in bodies]  # P B
    joined = np.concatenate(bodies)
    together = np.concatenate(lengths)
    ratios = _shortest_tree(joined) / together.sum(axis=1).clip(_TINY)
    return _Measure(
        shortness=float(np.median(ratios)),
        wobble=float(np.median([_wobble(each) for each in lengths])),
        asymmetry=float(np.median([_asymmetry(each, layout) for each in lengths])),
        vanished=float((together <= _TINY).mean()),
        feet_to_head=_feet_to_head(joined, layout),
    )


def _some_poses(body: Float[ndarray, "T V D"], most: int) -> Float64[ndarray, "P V D"]:
    """Up to ``most`` poses, spread over the clip; those at one point or not finite are passed."""
    finite = np.isfinite(body).all(axis=(1, 2))
    extent = np.ptp(np.where(finite[:, None, None], body, 0), axis=1).max(axis=1)
    present = np.flatnonzero(extent > _TINY)
    missing: Bool[ndarray, "P V"] = (body[present] == 0).all(axis=2)  # joints that were not found
    complete = present[~missing.any(axis=1)]
    if len(complete) * 4 >= len(present):
        present = complete
    chosen = np.linspace(0, len(present) - 1, min(most, len(present))).round().astype(int)
    return np.asarray(body[present[chosen]], dtype=np.float64)


def _shortest_tree(poses: Float64[ndarray, "P V D"]) -> Float64[ndarray, " P"]:
    """Length of the shortest tree that joins all joints, for each pose (Prim's algorithm)."""
    rows = np.arange(len(poses))
    distance = np.linalg.norm(poses[:, :, None] - poses[:, None], axis=-1)  # P V V
    outside: Bool[ndarray, "P V"] = np.ones(poses.shape[:2], dtype=bool)
    outside[:, 0] = False
    nearest = distance[:, 0]
    total = np.zeros(len(poses))
    for _ in range(poses.shape[1] - 1):
        reached = np.where(outside, nearest, np.inf).argmin(axis=1)
        total += nearest[rows, reached]
        outside[rows, reached] = False
        nearest = np.minimum(nearest, distance[rows, reached])
    return total


def _wobble(lengths: Float64[ndarray, "P B"]) -> float:
    """Median absolute deviation of a bone over time, of the median bone, over the mean bone."""
    usual = np.median(lengths, axis=0)
    stray = np.median(np.abs(lengths - usual), axis=0)
    return float(np.median(stray) / max(float(usual.mean()), _TINY))


def _asymmetry(lengths: Float64[ndarray, "P B"], layout: Layout) -> float:
    """Difference of a left and a right bone over the longer one, of the median pair."""
    place = {frozenset(bone): number for number, bone in enumerate(layout.bones)}
    mirror = layout.mirror
    twins = [place.get(frozenset((mirror[a], mirror[b]))) for a, b in layout.bones]
    pairs = [(one, other) for one, other in enumerate(twins) if other is not None and other > one]
    if not pairs:
        return 0.0
    usual = np.median(lengths, axis=0)
    left, right = usual[np.array(pairs).T]
    return float(np.median(np.abs(left - right) / np.maximum(left, right).clip(_TINY)))


def _feet_to_head(poses: Float64[ndarray, "P V D"], layout: Layout) -> Float64[ndarray, " D"]:
    """Mean direction from the feet to the head, 1 long where it never changes; 0 where unknown."""
    names = list(layout.joints)
    head = [names.index(name) for name in ("head", "nose") if name in names][:1]
    feet = [i for i, name in enumerate(names) if name.endswith((" foot", " ankle"))]
    if not head or not feet:
        return np.zeros(poses.shape[-1])
    upwards = poses[:, head[0]] - poses[:, feet].mean(axis=1)
    units = upwards / np.linalg.norm(upwards, axis=1, keepdims=True).clip(_TINY)
    return np.asarray(units.mean(axis=0))


def _direction(measured: Sequence[_Measure], layout: Layout) -> tuple[str | None, float | None]:
    """The axis along which most heads lie, with its sign, and the share of the clips."""
    votes: Counter[str] = Counter()
    for measure in measured:
        axis = int(np.abs(measure.feet_to_head).argmax())
        height = float(measure.feet_to_head[axis])
        if abs(height) >= _CLEAR:
            name = [name for name in layout.axes if name in _COORDINATES][axis]
            votes[f"{'+' if height > 0 else '-'}{name}"] += 1
    if not votes:
        return None, None
    ((direction, count),) = votes.most_common(1)
    return direction, count / len(measured)


def _fault(
    clips: Sequence[Poses],
    layout: Layout,
    num_clips: int,
    figures: tuple[float, float, float],
) -> tuple[str | None, str | None]:
    """What likely happened to the joints, and the sign of it; None and None where they are fine."""
    shortness, wobble, asymmetry = figures
    dimensions = _dimensions(layout)
    if shortness < (_SOUND if num_clips >= _ENOUGH else _SOUND_FEW[dimensions]):
        found = _search(clips, layout)
        if found is not None:
            return found, "their bones are far too long"
    if layout not in list_layouts():  # bones of one's own may be meant to be long
        return None, None
    if shortness < _HOPELESS[dimensions]:
        return None, "their bones are far too long"
    if dimensions == 3 and num_clips >= _ENOUGH:
        if wobble > _MOST_WOBBLE:
            return None, f"their bones change by {wobble:.0%} over time"
        if asymmetry > _MOST_ASYMMETRY:
            return None, f"their left and right bones differ by {asymmetry:.0%}"
    return None, None


def _search(clips: Sequence[Poses], layout: Layout) -> str | None:
    """The name of the known scramble that, undone, makes bodies of the clips."""
    most, poses = _SEARCHED
    some = [clips[row] for row in np.linspace(0, len(clips) - 1, min(most, len(clips))).astype(int)]
    usual = _undone(None, some, layout, poses)
    if usual is None:
        return None
    found = [
        (each.shortness, candidate.name)
        for candidate in _candidates(some, layout)
        if (each := _undone(candidate, some, candidate.layout, poses)) is not None
        and each.wobble < _MOST_WOBBLE
        and each.asymmetry < _MOST_ASYMMETRY
        and each.vanished <= _MOST_VANISHED
    ]
    top = max((shortness for shortness, _ in found), default=0.0)
    if top < max(usual.shortness * _BETTER, _RIGHT[_dimensions(layout)]):
        return None
    return next(name for shortness, name in found if shortness >= top * 0.98)


def _candidates(clips: Sequence[Poses], layout: Layout) -> list[Scramble]:
    """The scrambles of clips of this shape."""
    bodies = max(len(clip) for clip in clips)
    frames = max(clip.shape[1] for clip in clips)
    return list(known_scrambles((bodies, frames, layout.num_joints, len(layout.axes)), layout))


def _undone(
    candidate: Scramble | None,
    clips: Sequence[Poses],
    layout: Layout,
    poses: int,
) -> _Measure | None:
    """Figures of the median clip once a scramble is undone."""
    arrays = [clip if candidate is None else candidate.undo(clip) for clip in clips]
    measured = [_measure(array, layout, poses) for array in arrays]
    known = [each for each in measured if each is not None]
    if len(known) < len(clips) / 2:
        return None
    return _Measure(
        _median(each.shortness for each in known),
        _median(each.wobble for each in known),
        _median(each.asymmetry for each in known),
        _median(each.vanished for each in known),
        known[0].feet_to_head,
    )


def _turned(direction: str | None, upright: float | None, up: str) -> tuple[str | None, str | None]:
    """What is wrong with the axes where nearly all heads lie in one direction that is not up."""
    if direction is None or upright is None or direction == up or upright < _AGREE:
        return None, None
    likely = f"{up} is up here, so that {direction} stands where {up} should"
    return (
        likely,
        f"their heads lie towards {direction} of their feet in {upright:.0%} of the clips",
    )


def _reason(layout: Layout, shortness: float, fault: str | None, likely: str | None) -> str:
    if fault is None:
        return f"the joints make bodies of layout {layout.name}"
    said = f"the joints are scrambled, {fault} for layout {layout.name} (shortness {shortness:.2f})"
    if likely is None:
        return f"{said}; none of the known wrong orders explains it"
    return f"{said}; most likely {likely}"


def _dimensions(layout: Layout) -> int:
    """Axes that are coordinates; a score is none."""
    return sum(axis in _COORDINATES for axis in layout.axes)


def _median(values: Iterable[float]) -> float:
    return float(np.median(list(values)))
