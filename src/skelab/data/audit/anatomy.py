"""Do these joints make a body? Proof that an array means what it is taken for.

A network trains on scrambled joints without complaint and no shape gives them away; anatomy does.
The strongest sign is compactness: the bones of a body are together hardly longer than the minimum
spanning tree of its joints. That holds in every single pose, moving or not, whatever the units and
in two dimensions as in three. Beside it stand bones that are shorter than those of joints in
random order, no two joints whose exchange makes bones shorter, bone lengths that hardly change,
limbs that match, a head above the feet, and toes that point away from the back.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from skelab.data.audit.body_measures import POSES, BodyMeasures, coordinate_axes, measure_body
from skelab.data.audit.scrambles import Scramble, known_scrambles
from skelab.data.clips.clip import Clip, RawClip
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.store import StoreInfo
from skelab.data.datasets import find_datasets
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

_SEARCHED: Final = (8, 6)  # clips, and poses of each, with which the right order is searched
_ENOUGH: Final = 8  # clips that may decide by anything but the compactness of their bones
_SOUND: Final = 0.66  # compactness of the bones above which nothing is searched
_SOUND_FEW: Final = {2: 0.40, 3: 0.56}  # the same for fewer clips than are enough
_RIGHT: Final = {2: 0.50, 3: 0.66}  # compactness that the right order must give at least
_MOST_VANISHED: Final = 0.2  # share of its bones that may have no length
_HOPELESS: Final = {2: 0.30, 3: 0.42}  # compactness, by dimensions, that no body has
_BETTER: Final = 1.2  # how much shorter the bones must be in another order
_MOST_VARIATION: Final = 0.35
_MOST_ASYMMETRY: Final = 0.40
_SHUFFLES: Final = 200  # random orders of the joints to compare with
_MOST_CHANCE: Final = 0.02  # share of them whose bones may be as short; 0 in all recordings
_EXCHANGED: Final = 0.95  # bones with two joints exchanged, over the bones as they are
_MIRRORED: Final = -0.5  # cosine between toes and front; above 0.9 in all recordings
_LONGEST_BONE: Final = 3.0  # metres
_ODD: Final = {2: 0.35, 3: 0.50}  # compactness below which one clip among sound ones is named
_AGREE: Final = 0.90  # share of the clips whose heads must lie in one wrong direction
_CLEAR: Final = 0.60  # cosine from which a direction counts


@dataclass(frozen=True)
class AnatomyReport:
    """The anatomy check of some clips against their layout.

    Attributes:
        layout: Name of the layout that was tested.
        num_clips: Clips that had a pose to look at.
        verdict: ``plausible``, ``scrambled``, or ``unknown`` where there was no pose.
        compactness: Length of the minimum spanning tree over the length of all bones, median of
            the clips; 1 at best, above 0.7 in recordings, about 0.1 to 0.6 scrambled.
        variation: Variation of bone length over time, as a share of the mean bone; None in 2D.
        asymmetry: How much left and right bones differ, as a share of the longer; None in 2D.
        up: Direction from the feet to the head in most clips, say ``+y``; None where unclear.
        upright: Share of the clips whose heads lie there.
        not_finite: Clips with a value that is NaN or infinite.
        odd: Names of clips whose bones are strangely long, though the whole is plausible.
        likely: The likely cause, which names the correct order; None if sound or unknown.
        reason: The verdict in one line.
        notes: Unusual properties that are no reason to refuse the clips, one line each.
    """

    layout: str
    num_clips: int
    verdict: str
    compactness: float | None
    variation: float | None
    asymmetry: float | None
    up: str | None
    upright: float | None
    not_finite: int
    odd: tuple[str, ...]
    likely: str | None
    reason: str
    notes: tuple[str, ...] = ()

    @property
    def plausible(self) -> bool:
        """False only if the joints are proven not to be those of the layout."""
        return self.verdict != SCRAMBLED

    def to_dict(self) -> dict[str, Any]:
        """Verdict and figures, for tables and JSON."""
        figures = {
            "compactness of bones": self.compactness,
            "variation of bones": self.variation,
            "left against right": self.asymmetry,
            "clips upright": self.upright,
        }
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            **{name: round(value, 3) for name, value in figures.items() if value is not None},
            **({"up": self.up} if self.up else {}),
            **({"clips with NaN or inf": self.not_finite} if self.not_finite else {}),
            **({"odd clips": list(self.odd)} if self.odd else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }


@runtime_checkable
class ClipSet(Protocol):
    """Clips that can be read one by one."""

    @property
    def info(self) -> StoreInfo:
        """The description that all clips share."""

    @property
    def index(self) -> ClipIndex:
        """The index: label, subject, camera and so on of each clip."""

    def __len__(self) -> int:
        """The number of clips."""

    def clip(self, row: int) -> Clip:
        """The clip of a row; raises DataError if it cannot be read."""


def check_anatomy(
    sample: Iterable[Clip | RawClip | Poses],
    layout: Layout,
    *,
    up: str | None = None,
    units: str = "",
    names: Sequence[str] = (),
) -> AnatomyReport:
    """Check whether clips have the joints of a layout, and name the likely order if not.

    The verdict is on all clips together; give a few dozen, spread over a set. Right clips are
    never called scrambled: that takes bones that are too long in the median clip *and* an order
    in which they are clearly shorter, or bones longer than any body has them.

    Args:
        sample: Clips, recordings, or arrays M T V C; zeros where a body is absent.
        layout: Their claimed layout.
        up: Direction in which heads must lie above feet, ``+y`` in the frame of a camera, where
            it is known for certain; see :func:`usual_up`.
        units: Units of the coordinates; of ``metres`` it is known how long a bone can be.
        names: Names of the clips, by which odd ones are named; their numbers by default.

    Raises:
        DataError: A clip has not the joints and axes of the layout.
    """
    clips = [_array(clip, layout) for clip in sample]
    not_finite = sum(not np.isfinite(clip).all() for clip in clips)
    measured = [measure_body(clip, layout, POSES) for clip in clips]
    known = [measure for measure in measured if measure is not None]
    if not known:
        return AnatomyReport(
            *(layout.name, 0, UNKNOWN, None, None, None, None, None, not_finite, (), None),
            reason="no body to look at",
        )
    compactness = _median(measure.compactness for measure in known)
    variation = _median(measure.variation for measure in known)
    asymmetry = _median(measure.asymmetry for measure in known)
    direction, upright = _direction(known, layout)
    likely, fault = _fault(clips, layout, known)
    if fault is None and up is not None and len(known) >= _ENOUGH:
        likely, fault = _turned(direction, upright, up)
    if fault is None and units == "metres":
        likely, fault = _not_in_metres(known, layout)
    mirrored = fault is None and _is_mirrored(known)
    if mirrored and up is not None:
        likely, fault = _MIRROR, "left and right are swapped"
    threshold = _ODD[_dimensions(layout)]
    numbers = [k for k, m in enumerate(measured) if m is not None and m.compactness < threshold]
    odd = tuple(names[row] if names else str(row) for row in numbers)
    return AnatomyReport(
        layout=layout.name,
        num_clips=len(known),
        verdict=SCRAMBLED if fault else PLAUSIBLE,
        compactness=compactness,
        variation=None if _dimensions(layout) < 3 else variation,
        asymmetry=None if _dimensions(layout) < 3 else asymmetry,
        up=direction,
        upright=upright,
        not_finite=not_finite,
        odd=() if fault else odd,
        likely=likely,
        reason=_reason(layout, compactness, fault, likely),
        notes=() if fault else tuple(_notes(known, layout, mirrored)),
    )


def check_source(source: Source, items: Sequence[SourceItem] | None = None) -> AnatomyReport:
    """Check the anatomy of evenly spaced samples of a source; damaged ones are skipped.

    Args:
        source: The source.
        items: The samples to choose from; all by default.
    """
    listed = source.items() if items is None else items
    sample, names = [], []
    for row in spread(len(listed)):
        with contextlib.suppress(DataError):
            sample.append(_array(source.read(listed[row]), source.layout))
            names.append(listed[row].info.name)
    up = usual_up(source.kind)
    return check_anatomy(sample, source.layout, up=up, units=source.units, names=names)


def check_clips(clips: ClipSet, rows: Iterable[int] | None = None) -> AnatomyReport:
    """Check the anatomy of some clips; damaged ones are skipped.

    Args:
        clips: The clips.
        rows: The rows to check; evenly spaced ones by default.
    """
    sample, names = [], []
    for row in spread(len(clips)) if rows is None else rows:
        with contextlib.suppress(DataError):
            sample.append(clips.clip(row))
            names.append(clips.index.names[row])
    info = clips.info
    up = usual_up(info.dataset, info.pipeline)
    return check_anatomy(sample, info.layout, up=up, units=info.units, names=names)


def refuse_if_scrambled(report: AnatomyReport, where: Path) -> AnatomyReport:
    """Return the report, or raise an error if the joints are scrambled.

    Args:
        report: The report on the clips.
        where: Their path, for the message.

    Raises:
        SourceError: They are scrambled; the message names the likely cause.
    """
    if not report.plausible:
        raise SourceError(f"{where}: {report.reason}; --no-anatomy-check goes on all the same")
    return report


def spread(count: int, most: int = SAMPLED) -> list[int]:
    """At most ``most`` of ``count`` rows, evenly spaced, including the first and the last."""
    chosen = np.linspace(0, count - 1, min(most, count)).round().astype(int)
    return [int(row) for row in chosen]


def usual_up(dataset: str, pipeline: str | None = None) -> str | None:
    """The vertical axis of a data set, such as ``+y``; None if it is not certain.

    Args:
        dataset: Kind of the source.
        pipeline: What prepared the clips; None for recordings.
    """
    if pipeline == "msg3d":
        return "+z"  # it turns the spine of the first frame there
    if pipeline == "as-given":
        return None
    return next((card.up for card in find_datasets(dataset)), None)


def _direction(measured: Sequence[BodyMeasures], layout: Layout) -> tuple[str | None, float | None]:
    """The axis along which most heads lie, with its sign, and the share of the clips."""
    votes: Counter[str] = Counter()
    for measure in measured:
        axis = int(np.abs(measure.feet_to_head).argmax())
        height = float(measure.feet_to_head[axis])
        if abs(height) >= _CLEAR:
            name = layout.axes[coordinate_axes(layout)[axis]]
            votes[f"{'+' if height > 0 else '-'}{name}"] += 1
    if not votes:
        return None, None
    ((direction, count),) = votes.most_common(1)
    return direction, count / len(measured)


def _fault(
    clips: Sequence[Poses], layout: Layout, known: Sequence[BodyMeasures]
) -> tuple[str | None, str | None]:
    """The likely cause and the symptom of scrambled joints; None and None if they are sound."""
    compactness = _median(measure.compactness for measure in known)
    dimensions, enough = _dimensions(layout), len(known) >= _ENOUGH
    if compactness < (_SOUND if enough else _SOUND_FEW[dimensions]):
        found = _search(clips, layout)
        if found is not None:
            return found, "their bones are far too long"
    distances = np.median([measure.distances for measure in known], axis=0)
    if enough and not _is_star(layout):
        if _is_chance(distances, layout):
            return None, "their bones are no shorter than those of joints in random order"
        if pair := _exchanged(distances, layout):
            return f"{pair[0]} and {pair[1]} exchanged", "two joints stand in each other's place"
    if layout not in list_layouts():  # custom layouts may have long bones
        return None, None
    if compactness < _HOPELESS[dimensions]:
        return None, "their bones are far too long"
    if dimensions == 3 and enough:
        variation = _median(measure.variation for measure in known)
        asymmetry = _median(measure.asymmetry for measure in known)
        if variation > _MOST_VARIATION:
            return None, f"their bones change by {variation:.0%} over time"
        if asymmetry > _MOST_ASYMMETRY:
            return None, f"their left and right bones differ by {asymmetry:.0%}"
    return None, None


def _is_star(layout: Layout) -> bool:
    """Whether most bones share one joint, so that the order of the others hardly matters."""
    return bool(np.bincount(np.array(layout.bones).ravel()).max() > layout.num_joints / 2)


def _is_chance(distances: Float64[ndarray, "V V"], layout: Layout) -> bool:
    """Whether too many random orders of the joints give bones as short."""
    ends, starts = np.array(layout.bones).T
    own = distances[ends, starts].sum()
    rng = np.random.default_rng(0)
    orders = rng.permuted(np.tile(np.arange(layout.num_joints), (_SHUFFLES, 1)), axis=1)
    shuffled = distances[orders[:, ends], orders[:, starts]].sum(axis=1)
    return bool((shuffled <= own).mean() > _MOST_CHANCE)


def _exchanged(distances: Float64[ndarray, "V V"], layout: Layout) -> tuple[str, str] | None:
    """Two joints whose swap makes the bones clearly shorter; None without any."""
    ends, starts = np.array(layout.bones).T
    own = distances[ends, starts].sum()
    order = np.arange(layout.num_joints)
    shortest, pair = _EXCHANGED * own, None
    for one, other in combinations(range(layout.num_joints), 2):
        order[[one, other]] = other, one
        length = distances[order[ends], order[starts]].sum()
        if length < shortest:
            shortest, pair = length, (layout.joints[one], layout.joints[other])
        order[[one, other]] = one, other
    return pair


def _search(clips: Sequence[Poses], layout: Layout) -> str | None:
    """The known scramble whose inverse gives plausible bodies; None without one."""
    most, poses = _SEARCHED
    some = [clips[row] for row in np.linspace(0, len(clips) - 1, min(most, len(clips))).astype(int)]
    usual = _undone(None, some, layout, poses)
    if usual is None:
        return None
    found = [
        (each.compactness, candidate.name)
        for candidate in _candidates(some, layout)
        if (each := _undone(candidate, some, candidate.layout, poses)) is not None
        and each.variation < _MOST_VARIATION
        and each.asymmetry < _MOST_ASYMMETRY
        and each.vanished <= _MOST_VANISHED
    ]
    top = max((compactness for compactness, _ in found), default=0.0)
    if top < max(usual.compactness * _BETTER, _RIGHT[_dimensions(layout)]):
        return None
    return next(name for compactness, name in found if compactness >= top * 0.98)


class _Undone(NamedTuple):
    """Figures of the median clip, see :class:`BodyMeasures`."""

    compactness: float
    variation: float
    asymmetry: float
    vanished: float


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
) -> _Undone | None:
    """Figures of the median clip once a scramble is undone."""
    arrays = [clip if candidate is None else candidate.undo(clip) for clip in clips]
    measured = [measure_body(array, layout, poses) for array in arrays]
    known = [each for each in measured if each is not None]
    if len(known) < len(clips) / 2:
        return None
    return _Undone(
        _median(each.compactness for each in known),
        _median(each.variation for each in known),
        _median(each.asymmetry for each in known),
        _median(each.vanished for each in known),
    )


def _turned(direction: str | None, upright: float | None, up: str) -> tuple[str | None, str | None]:
    """The fault of the axes if nearly all heads point in one direction that is not up."""
    if direction is None or upright is None or direction == up or upright < _AGREE:
        return None, None
    likely = f"{up} is up here, so that {direction} stands where {up} should"
    return (
        likely,
        f"their heads lie towards {direction} of their feet in {upright:.0%} of the clips",
    )


def _not_in_metres(known: Sequence[BodyMeasures], layout: Layout) -> tuple[str | None, str | None]:
    """The fault of the units if a bone is longer than a person."""
    bone = _median(measure.bone for measure in known)
    if _dimensions(layout) < 3 or bone <= _LONGEST_BONE:
        return None, None
    unit = "millimetres" if bone > 30 * _LONGEST_BONE / 3 else "centimetres"
    return f"units: {unit}", f"a bone is {bone:.3g} metres long"


def _is_mirrored(known: Sequence[BodyMeasures]) -> bool:
    """Whether the toes point backwards in nearly all clips."""
    facing = np.array([measure.facing for measure in known])
    facing = facing[np.isfinite(facing)]
    return len(facing) >= _ENOUGH and float((facing < _MIRRORED).mean()) >= _AGREE


_MIRROR: Final = "left and right exchanged, two axes exchanged, or one axis pointing the other way"


def _notes(known: Sequence[BodyMeasures], layout: Layout, mirrored: bool) -> Iterator[str]:
    """Unusual properties that do not prevent training."""
    if mirrored:
        yield f"the bodies are mirror images, their toes point backwards: {_MIRROR}"
    if all(measure.rooted for measure in known):
        root = layout.joints[layout.origin]
        yield f"{root} is at the origin in every pose: where the bodies went is not in the clips"


def _reason(layout: Layout, compactness: float, fault: str | None, likely: str | None) -> str:
    if fault is None:
        return f"the joints make bodies of layout {layout.name}"
    said = (
        f"the joints are scrambled, {fault} for layout {layout.name}"
        f" (compactness {compactness:.2f})"
    )
    if likely is None:
        return f"{said}; none of the known wrong orders explains it"
    return f"{said}; most likely {likely}"


def _dimensions(layout: Layout) -> int:
    """The number of coordinate axes (without scores)."""
    return len(coordinate_axes(layout))


def _median(values: Iterable[float]) -> float:
    return float(np.median(list(values)))


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
    """The bodies of a recording as one array."""
    pose = next((t.joints.shape[1:] for t in raw.bodies.values()), (layout.num_joints, 3))
    joints = np.zeros((len(raw.bodies), raw.num_frames, *pose))
    for body, track in zip(joints, raw.bodies.values(), strict=True):
        body[track.frames] = track.joints
    return joints
