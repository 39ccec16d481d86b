"""UTD-MHAD: 27 actions of eight subjects, one Kinect v1 body a clip, as MATLAB files."""

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, RawClip, SampleInfo
from skelab.data.clips.splits import Split
from skelab.data.recordings.base import FolderSource, SourceItem, files_below, read_bytes
from skelab.data.recordings.card import DatasetCard
from skelab.errors import DataError

_SUFFIX = "_skeleton.mat"
_NAME = re.compile(r"(a(\d{1,2})_s(\d{1,2})_t(\d{1,3}))_skeleton\.mat", re.ASCII)
_VARIABLE = "d_skel"

UTD_MHAD_CLASSES = (
    *("right arm swipe to the left", "right arm swipe to the right", "right hand wave"),
    *("two hand front clap", "right arm throw", "cross arms in the chest", "basketball shoot"),
    *("right hand draw x", "right hand draw circle clockwise"),
    *("right hand draw circle counter-clockwise", "draw triangle", "bowling", "front boxing"),
    *("baseball swing from right", "tennis forehand swing", "arm curl", "tennis serve"),
    *("two hand push", "knock on door", "catch an object", "pick up and throw", "jog in place"),
    *("walk in place", "sit to stand", "stand to sit", "forward lunge", "squat"),
)
"""The 27 actions, by label."""


class UtdMhadSource(FolderSource):
    """A folder of UTD-MHAD skeleton files, ``a{action}_s{subject}_t{trial}_skeleton.mat``.

    Coordinates are metres in the frame of the Kinect; one body, chosen by the makers.

    Source: Chen, Jafari and Kehtarnavaz, ICIP 2015; layout of its Skeleton_joint_order.txt.
    """

    kind: ClassVar[str] = "utd-mhad"
    title: ClassVar[str] = "UTD-MHAD"
    expects: ClassVar[str] = "a1_s1_t1_skeleton.mat (UTD-MHAD)"
    layout_name: ClassVar[str] = "utd20"

    @property
    def classes(self) -> tuple[str, ...]:
        """The 27 actions, by label."""
        return UTD_MHAD_CLASSES

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, one body in every frame.

        Raises:
            DataError: The file is missing, is not a MATLAB file, or its ``d_skel`` is not a
                finite array of 20 joints x 3 axes x frames.
        """
        path = self.path / item.location
        joints = _load_joints(path, self.layout.num_joints)
        frames = np.arange(len(joints), dtype=np.int32)
        return RawClip(len(joints), {"1": BodyTrack(frames, joints)}, actors_chosen=True)

    @classmethod
    def _files(cls, path: Path) -> Iterable[str]:
        return files_below(path, lambda name: name.endswith(_SUFFIX))

    @classmethod
    def _describe(cls, location: str) -> SampleInfo:
        match = _NAME.fullmatch(location.rpartition("/")[2])
        if match is None:
            raise DataError(
                f"{location}: expected a name like a1_s1_t1{_SUFFIX}, found another form"
            )
        action, subject, trial = (int(match[group]) for group in (2, 3, 4))
        if not 1 <= action <= len(UTD_MHAD_CLASSES):
            raise DataError(
                f"{location}: expected an action from 1 to {len(UTD_MHAD_CLASSES)}, found {action}"
            )
        return SampleInfo(match[1], label=action - 1, subject=subject, replication=trial)


def _load_joints(path: Path, num_joints: int) -> Float64[ndarray, "T V 3"]:
    """The joints of one file; loadmat reads data only and runs nothing that is in the file."""
    from scipy.io import loadmat  # half a second that only who reads such a file should pay

    content = read_bytes(path)
    try:
        variables = loadmat(io.BytesIO(content), variable_names=[_VARIABLE])
    except Exception as error:  # a damaged file makes scipy raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: expected a MATLAB file (version 4 to 7.2), found one that cannot be read:"
            f" {reason}"
        ) from error
    joints = variables.get(_VARIABLE)
    expected = f"{path}: expected {_VARIABLE} of {num_joints} joints x 3 axes x frames"
    if joints is None:
        raise DataError(f"{expected}, found no variable of that name")
    if not isinstance(joints, ndarray) or joints.dtype.kind not in "fiu":
        raise DataError(f"{expected}, found something that is not an array of real numbers")
    if joints.ndim != 3 or joints.shape[:2] != (num_joints, 3) or joints.shape[2] < 1:
        raise DataError(f"{expected}, found the shape {' x '.join(map(str, joints.shape))}")
    if not np.isfinite(joints).all():
        missing = int(np.count_nonzero(~np.isfinite(joints)))
        raise DataError(f"{expected}, all finite, found {missing} values that are not")
    return np.ascontiguousarray(joints.transpose(2, 0, 1), dtype=np.float64)


CARDS: Final = (
    DatasetCard(
        name="utd-mhad",
        title="UTD-MHAD",
        kind=UtdMhadSource.kind,
        paper="Chen, Jafari and Kehtarnavaz, ICIP 2015",
        home="https://www.utdallas.edu/~kehtar/UTD-MHAD.html",
        licence="freely available, as the paper says; no licence text",
        layout=UtdMhadSource.layout_name,
        classes=UTD_MHAD_CLASSES,
        bodies=1,
        recorded=861,
        splits=(
            Split(
                "utd",
                "subject",
                frozenset({1, 3, 5, 7}),
                frozenset({2, 4, 6, 8}),
                "Chen et al., ICIP 2015: odd subjects train, even ones test",
            ),
        ),
        counts={"utd": (431, 430)},
        readers=(UtdMhadSource,),
    ),
)
"""UTD-MHAD."""
