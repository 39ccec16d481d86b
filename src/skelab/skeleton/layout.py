"""A skeleton layout: joints in order, and the bones between them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from skelab.errors import LayoutError, unknown_name


@dataclass(frozen=True)
class Layout:
    """A skeleton layout: joints in file order, bones, and left/right pairs.

    Attributes:
        name: Short name, as in recipes and stores.
        title: Sensor or pose estimator, and data sets that use the layout.
        joints: Name of each of the V joints, in the order of the data.
        bones: ``(joint, parent)`` pairs, the parent being the one nearer to ``centre``. The bones
            form a tree: every joint but the centre has exactly one parent.
        pairs: ``(left, right)`` joints that mirror each other.
        centre: The root of the tree.
        origin: The joint that preprocessing moves to (0, 0, 0) in the first frame.
        axes: Name of each of the C channels; coordinates first.
        source: Where the order of the joints and bones is documented.

    Raises:
        LayoutError: The tables contradict each other.
    """

    name: str
    title: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    pairs: tuple[tuple[int, int], ...]
    centre: int
    origin: int
    axes: tuple[str, ...] = ("x", "y", "z")
    source: str = ""

    def __post_init__(self) -> None:
        """Check the tables."""
        joints = range(self.num_joints)
        named = [index for pair in (*self.bones, *self.pairs) for index in pair]
        if any(index not in joints for index in (*named, self.centre, self.origin)):
            self._fail(f"a bone, pair, centre or origin names a joint outside 0..{joints.stop - 1}")
        if len(set(self.joints)) != self.num_joints:
            self._fail("two joints have the same name")
        children = sorted(joint for joint, _ in self.bones)
        if children != [joint for joint in joints if joint != self.centre]:
            self._fail("every joint but the centre must have exactly one parent")
        if any(not self._reaches_centre(joint) for joint in joints):
            self._fail("the bones do not all lead to the centre")
        mirrored = [index for pair in self.pairs for index in pair]
        if len(set(mirrored)) != len(mirrored):
            self._fail("a joint is in two left/right pairs")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Layout":
        """Read a layout from the dictionary of :meth:`to_dict`, also after JSON or YAML.

        Raises:
            LayoutError: A key is missing, unknown or of the wrong kind, or the tables contradict
                each other.
        """
        fields = dict(content)
        try:
            for key in ("bones", "pairs"):
                fields[key] = tuple((int(a), int(b)) for a, b in fields[key])
            for key in ("joints", "axes"):
                fields[key] = tuple(str(name) for name in fields[key])
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise LayoutError(f"expected the table of a layout, found a fault: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """The layout as plain containers."""
        return asdict(self)

    @property
    def num_joints(self) -> int:
        """The number of joints, V."""
        return len(self.joints)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """The parent of each joint; the centre is its own."""
        table = dict(self.bones)
        return tuple(table.get(joint, joint) for joint in range(self.num_joints))

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """The mirror image of each joint."""
        table = {a: b for pair in self.pairs for a, b in (pair, pair[::-1])}
        return tuple(table.get(joint, joint) for joint in range(self.num_joints))

    def joint(self, name: str) -> int:
        """The index of the joint called ``name``.

        Raises:
            LayoutError: There is no such joint; the message lists the known ones.
        """
        if name not in self.joints:
            raise LayoutError(unknown_name(f"joint of {self.name}", name, self.joints))
        return self.joints.index(name)

    def _reaches_centre(self, joint: int) -> bool:
        for _ in range(self.num_joints):
            if joint == self.centre:
                return True
            joint = self.parents[joint]
        return False

    def _fail(self, reason: str) -> None:
        raise LayoutError(f"layout {self.name!r}: {reason}")
