"""A layout written out in ``dataset.yaml``: joints by name or number, and the tree of bones."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from skelab.errors import LayoutError
from skelab.skeleton import Layout

DATASET_FILE: Final = "dataset.yaml"
"""The file that makes a folder a data set of one's own."""

SHOWN_NAMES: Final = 8
"""Names that a message lists before it says how many more there are."""

Joint = int | str
"""A joint by its number from 0, or by its name."""


class LayoutTable(BaseModel):
    """A layout written out in ``dataset.yaml``; joints are named or counted from 0.

    Attributes:
        joints: Their names, in the order of the data.
        bones: Pairs of joints that are tied, in either order; they form a tree.
        centre: The root of the tree.
        origin: The joint that preprocessing moves to zero; None takes the centre.
        pairs: Left and right joints that mirror each other.
        axes: What each value of a joint is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    joints: tuple[str, ...] = Field(min_length=2)
    bones: tuple[tuple[Joint, Joint], ...]
    centre: Joint
    origin: Joint | None = None
    pairs: tuple[tuple[Joint, Joint], ...] = ()
    axes: tuple[str, ...] = Field(default=("x", "y", "z"), min_length=1)

    def layout(self, name: str) -> Layout:
        """The layout under a name.

        Raises:
            LayoutError: A joint is unknown, or the bones are no tree; the message says which bone
                to add or to leave out.
        """
        centre = self._number(self.centre, name)
        bones = [self._pair(bone, name) for bone in self.bones]
        if self._all_known(centre, bones):
            self._check_tree(centre, bones, name)
        return Layout(
            name=name,
            title=f"written out in {DATASET_FILE}",
            joints=self.joints,
            bones=_towards(centre, bones),
            pairs=tuple(self._pair(pair, name) for pair in self.pairs),
            centre=centre,
            origin=centre if self.origin is None else self._number(self.origin, name),
            axes=self.axes,
            source=DATASET_FILE,
        )

    def _pair(self, pair: tuple[Joint, Joint], layout: str) -> tuple[int, int]:
        return self._number(pair[0], layout), self._number(pair[1], layout)

    def _number(self, joint: Joint, layout: str) -> int:
        if isinstance(joint, int):
            return joint
        if joint not in self.joints:
            near = get_close_matches(joint, self.joints, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise LayoutError(
                f"layout {layout!r}: expected one of its joints"
                f" ({list_names(self.joints)}), found {joint!r}{hint}"
            )
        return self.joints.index(joint)

    def _all_known(self, centre: int, bones: Sequence[tuple[int, int]]) -> bool:
        """Whether all numbers are those of joints; :class:`Layout` refuses others."""
        numbers = {centre, *(joint for bone in bones for joint in bone)}
        return numbers <= set(range(len(self.joints)))

    def _check_tree(self, centre: int, bones: Sequence[tuple[int, int]], layout: str) -> None:
        """Refuse bones that close a circle, or leave a joint without a way to the centre."""
        group = list(range(len(self.joints)))
        for one, two in bones:
            if group[one] == group[two]:
                bone = f"[{self.joints[one]}, {self.joints[two]}]"
                raise LayoutError(
                    f"layout {layout!r}: expected bones that form a tree, found that {bone} closes"
                    " a circle of bones; leave one bone of it out"
                )
            joined = group[two]
            group = [group[one] if each == joined else each for each in group]
        apart = [
            name for name, each in zip(self.joints, group, strict=True) if each != group[centre]
        ]
        if apart:
            raise LayoutError(
                f"layout {layout!r}: expected bones from every joint to the centre"
                f" {self.joints[centre]!r}, found none from {list_names(apart)}; add a bone that"
                " ties them to the rest"
            )


def list_names(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:SHOWN_NAMES])
    more = len(names) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _towards(centre: int, bones: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Bones as (joint, parent), the parent being the one nearer to the centre."""
    left = list(bones)
    turned: list[tuple[int, int]] = []
    reached = {centre}
    while True:
        near = [bone for bone in left if reached & set(bone)]
        if not near:
            return (*turned, *left)
        for bone in near:
            left.remove(bone)
            joint, parent = bone if bone[1] in reached else bone[::-1]
            turned.append((joint, parent))
            reached.add(joint)
