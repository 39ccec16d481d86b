"""The layouts of public data sets, by name."""

from collections.abc import Iterable

from skelab.errors import LayoutError, unknown_name
from skelab.skeleton.layout import Layout


def get_layout(name: str) -> Layout:
    """The layout called ``name``.

    Raises:
        LayoutError: There is no such layout; the message lists the known ones.
    """
    try:
        return _LAYOUTS[name]
    except KeyError:
        raise LayoutError(unknown_name("layout", name, _LAYOUTS)) from None


def list_layouts() -> tuple[Layout, ...]:
    """All layouts, by name."""
    return tuple(_LAYOUTS[name] for name in sorted(_LAYOUTS))


def _from_one(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Convert joint numbers, which sources count from one, to indices."""
    return tuple((a - 1, b - 1) for a, b in pairs)


_ARM = ("shoulder", "elbow", "wrist", "hand")
_LEG = ("hip", "knee", "ankle", "foot")
_KINECT1_LIMBS = (
    *(f"left {part}" for part in _ARM),
    *(f"right {part}" for part in _ARM),
    *(f"left {part}" for part in _LEG),
    *(f"right {part}" for part in _LEG),
)
_KINECT1_PAIRS = _from_one(
    [(5, 9), (6, 10), (7, 11), (8, 12), (13, 17), (14, 18), (15, 19), (16, 20)]
)

NTU25 = Layout(
    name="ntu25",
    title="Kinect v2: NTU RGB+D 60 and 120, PKU-MMD",
    joints=(
        "base of spine",
        "middle of spine",
        "neck",
        "head",
        *_KINECT1_LIMBS,
        "spine at the shoulders",
        "tip of left hand",
        "left thumb",
        "tip of right hand",
        "right thumb",
    ),
    bones=_from_one(
        [
            *[(1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9)],
            *[(11, 10), (12, 11), (13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17)],
            *[(19, 18), (20, 19), (22, 23), (23, 8), (24, 25), (25, 12)],
        ]
    ),
    pairs=(*_KINECT1_PAIRS, *_from_one([(22, 24), (23, 25)])),
    centre=20,
    origin=1,
    source="shahroudy/NTURGB-D, README (joint order); edges of arXiv:2107.12213 and 2003.14111",
)

KINECT20 = Layout(
    name="kinect20",
    title="Kinect v1: NW-UCLA",
    joints=("hip centre", "spine", "shoulder centre", "head", *_KINECT1_LIMBS),
    bones=_from_one(
        [
            *[(1, 2), (2, 3), (4, 3), (5, 3), (6, 5), (7, 6), (8, 7), (9, 3), (10, 9), (11, 10)],
            *[(12, 11), (13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18)],
            *[(20, 19)],
        ]
    ),
    pairs=_KINECT1_PAIRS,
    centre=2,
    origin=1,
    source="Kinect for Windows SDK 1.8, JointType; edges of NW-UCLA as in arXiv:2107.12213",
)

UTD20 = Layout(
    name="utd20",
    title="Kinect v1, trunk from the head down: UTD-MHAD",
    joints=("head", "shoulder centre", "spine", "hip centre", *_KINECT1_LIMBS),
    bones=_from_one(
        [
            *[(4, 3), (3, 2), (1, 2), (5, 2), (6, 5), (7, 6), (8, 7), (9, 2), (10, 9), (11, 10)],
            *[(12, 11), (13, 4), (14, 13), (15, 14), (16, 15), (17, 4), (18, 17), (19, 18)],
            *[(20, 19)],
        ]
    ),
    pairs=_KINECT1_PAIRS,
    centre=1,
    origin=2,
    source="UTD-MHAD, Skeleton_joint_order.txt; bones as in kinect20",
)

SBU15 = Layout(
    name="sbu15",
    title="Kinect v1 with OpenNI: SBU Kinect Interaction",
    joints=(
        "head",
        "neck",
        "torso",
        *("left shoulder", "left elbow", "left hand"),
        *("right shoulder", "right elbow", "right hand"),
        *("left hip", "left knee", "left foot"),
        *("right hip", "right knee", "right foot"),
    ),
    bones=_from_one(
        [
            *[(1, 2), (2, 3), (4, 2), (5, 4), (6, 5), (7, 2), (8, 7), (9, 8)],
            *[(10, 3), (11, 10), (12, 11), (13, 3), (14, 13), (15, 14)],
        ]
    ),
    pairs=_from_one([(4, 7), (5, 8), (6, 9), (10, 13), (11, 14), (12, 15)]),
    centre=2,
    origin=2,
    source="Yun et al., CVPRW 2012, README of the data set",
)

COCO17 = Layout(
    name="coco17",
    title="COCO keypoints: HRNet poses of PYSKL and MMAction2, UAV-Human",
    joints=(
        "nose",
        *("left eye", "right eye", "left ear", "right ear"),
        *("left shoulder", "right shoulder", "left elbow", "right elbow"),
        *("left wrist", "right wrist", "left hip", "right hip"),
        *("left knee", "right knee", "left ankle", "right ankle"),
    ),
    bones=(
        *[(15, 13), (13, 11), (16, 14), (14, 12), (11, 5), (12, 6), (9, 7), (7, 5), (10, 8)],
        *[(8, 6), (5, 0), (6, 0), (1, 0), (3, 1), (2, 0), (4, 2)],
    ),
    pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    centre=0,
    origin=0,
    axes=("x", "y", "score"),
    source="COCO keypoint annotation; tree of arXiv:2104.13586",
)

OPENPOSE18 = Layout(
    name="openpose18",
    title="OpenPose: Kinetics-Skeleton",
    joints=(
        *("nose", "neck"),
        *("right shoulder", "right elbow", "right wrist"),
        *("left shoulder", "left elbow", "left wrist"),
        *("right hip", "right knee", "right ankle"),
        *("left hip", "left knee", "left ankle"),
        *("right eye", "left eye", "right ear", "left ear"),
    ),
    bones=(
        *[(4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (11, 5), (8, 2)],
        *[(5, 1), (2, 1), (0, 1), (15, 0), (14, 0), (17, 15), (16, 14)],
    ),
    pairs=((5, 2), (6, 3), (7, 4), (11, 8), (12, 9), (13, 10), (15, 14), (17, 16)),
    centre=1,
    origin=1,
    axes=("x", "y", "score"),
    source="OpenPose, COCO model output; tree of arXiv:1801.07455",
)

_LAYOUTS = {layout.name: layout for layout in (NTU25, KINECT20, UTD20, SBU15, COCO17, OPENPOSE18)}
