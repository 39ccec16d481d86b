"""Correspondence between the joints of two layouts, by name."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from skelab.skeleton.layout import Layout

_SPELLINGS: Final = {"center": "centre", "l": "left", "r": "right"}
_SIDES: Final = ("left", "right")

# Aliases of a joint, without its side, and the canonical name.
_ALIASES: Final = {
    "hip centre": "base of spine",
    "mid hip": "base of spine",
    "hips": "base of spine",
    "pelvis": "base of spine",
    "spine base": "base of spine",
    "spine": "middle of spine",
    "spine mid": "middle of spine",
    "shoulder centre": "spine at the shoulders",
    "spine shoulder": "spine at the shoulders",
    "hand tip": "tip of hand",
}

# Neighbouring joints: one substitutes the other where a layout lacks it.
_NEAR: Final = {
    "neck": "spine at the shoulders",
    "torso": "middle of spine",
    "nose": "head",
    "wrist": "hand",
    "ankle": "foot",
}


@dataclass(frozen=True)
class JointPair:
    """A joint of one layout and its counterpart in another.

    Attributes:
        source: Index in the first layout.
        target: Index in the second.
        same: Whether both are the same point of the body; otherwise they are neighbours.
    """

    source: int
    target: int
    same: bool


@dataclass(frozen=True)
class JointMap:
    """The shared joints of two layouts.

    Attributes:
        source: The first layout.
        target: The second.
        pairs: Each joint with its counterpart, in the order of the second layout.
    """

    source: Layout
    target: Layout
    pairs: tuple[JointPair, ...]

    @property
    def source_only(self) -> tuple[str, ...]:
        """Joints of the first layout without a counterpart."""
        paired = {pair.source for pair in self.pairs}
        return tuple(name for i, name in enumerate(self.source.joints) if i not in paired)

    @property
    def target_only(self) -> tuple[str, ...]:
        """Joints of the second layout without a counterpart."""
        paired = {pair.target for pair in self.pairs}
        return tuple(name for i, name in enumerate(self.target.joints) if i not in paired)


def match_joints(source: Layout, target: Layout) -> JointMap:
    """Pair the joints of two layouts by name: equal names first, then aliases, then neighbours.

    Neighbours are paired only if both have no other counterpart: wrist and hand, ankle and foot,
        nose
    and head, torso and mid-spine, neck and upper spine. No joint is paired twice.
    """
    sources, targets = set(range(source.num_joints)), set(range(target.num_joints))
    pairs: list[JointPair] = []
    steps: tuple[tuple[Callable[[str], str], bool], ...] = (
        (str, True),
        (canonical_name, True),
        (_neighbourhood, False),
    )
    for key, same in steps:
        by_name: dict[str, int] = {}
        for joint in sorted(sources):
            by_name.setdefault(key(source.joints[joint]), joint)
        for joint in sorted(targets):
            found = by_name.pop(key(target.joints[joint]), None)
            if found is not None:
                pairs.append(JointPair(found, joint, same))
                sources.remove(found)
                targets.remove(joint)
    return JointMap(source, target, tuple(sorted(pairs, key=lambda pair: pair.target)))


def canonical_name(joint: str) -> str:
    """The canonical name of a joint across data sets: ``HipCenter`` is ``base of spine``.

    Case, underscores and the position of left and right are ignored.

    Source: joint names of the Kinect SDKs 1.8 and 2.0 for the two Kinects; OpenNI, COCO and
    OpenPose have the names of the layouts here.
    """
    side, rest = _split(joint)
    return f"{side}{_ALIASES.get(rest, rest)}"


def _neighbourhood(joint: str) -> str:
    side, rest = _split(joint)
    rest = _ALIASES.get(rest, rest)
    return f"{side}{_NEAR.get(rest, rest)}"


def _split(joint: str) -> tuple[str, str]:
    """The side of a joint, ``"left "`` or ``"right "`` or empty, and its name without it."""
    words = list(_words(joint))
    side = next((word for word in words if word in _SIDES), "")
    rest = " ".join(word for word in words if word != side)
    return (f"{side} " if side else ""), rest


def _words(joint: str) -> Iterator[str]:
    for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", joint):
        yield _SPELLINGS.get(word.lower(), word.lower())
