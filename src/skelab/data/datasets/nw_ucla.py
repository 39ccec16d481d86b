"""NW-UCLA: ten actions seen by three Kinects, one body a clip, as json files."""

import json
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

_NAME: Final = re.compile(r"a(\d+)_s(\d+)_e(\d+)_v(\d+)\.json", re.ASCII)
_LAYOUT: Final = "kinect20"

_ACTIONS: Final = {
    1: "pick up with one hand",
    2: "pick up with two hands",
    3: "drop trash",
    4: "walk around",
    5: "sit down",
    6: "stand up",
    8: "put on",
    9: "take off",
    11: "throw",
    12: "carry",
}
_LABELS: Final = {action: label for label, action in enumerate(_ACTIONS)}

NW_UCLA_CLASSES: Final = tuple(_ACTIONS.values())
"""The ten actions, by label; action numbers 7 and 10 were never used."""


class NwUclaSource(FolderSource):
    """A folder of NW-UCLA json files, ``a{action}_s{subject}_e{episode}_v{view}.json``.

    Coordinates are metres in the frame of each Kinect; one body, chosen by the makers. The view is
    given as camera, the episode as replication.

    Source: Wang et al., CVPR 2014; the json files that CTR-GCN reads,
    Uason-Chen/CTR-GCN@e13d758, ``feeders/feeder_ucla.py``.
    """

    kind: ClassVar[str] = "nw-ucla"
    title: ClassVar[str] = "NW-UCLA"
    expects: ClassVar[str] = "a01_s01_e00_v01.json (NW-UCLA)"
    layout_name: ClassVar[str] = _LAYOUT

    @property
    def classes(self) -> tuple[str, ...]:
        """The ten actions, by label."""
        return NW_UCLA_CLASSES

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, one body in every frame.

        Raises:
            DataError: The file is missing, is not json, its label contradicts its name, or its
                skeletons are not frames x 20 joints x 3 finite numbers.
        """
        path = self.path / item.location
        content = _load_json(path)
        _check_label(path, content.get("label"), item.info.label)
        joints = _joints(path, content.get("skeletons"), self.layout.num_joints)
        frames = np.arange(len(joints), dtype=np.int32)
        return RawClip(len(joints), {"1": BodyTrack(frames, joints)}, actors_chosen=True)

    @classmethod
    def _files(cls, path: Path) -> Iterable[str]:
        return files_below(path, lambda name: _NAME.fullmatch(name) is not None)

    @classmethod
    def _describe(cls, location: str) -> SampleInfo:
        file_name = location.rpartition("/")[2]
        match = _NAME.fullmatch(file_name)
        numbers = [_small(text) for text in match.groups()] if match else []
        if not numbers or numbers[0] not in _LABELS:
            known = ", ".join(map(str, _LABELS))
            found = numbers[0] if numbers else "another form of name"
            raise DataError(f"{location}: expected one of the actions {known}, found {found}")
        action, subject, episode, view = numbers
        return SampleInfo(
            file_name.removesuffix(".json"),
            label=_LABELS[action],
            subject=subject,
            camera=view,
            replication=episode,
        )


def _small(text: str) -> int:
    return int(text[-9:])


def _load_json(path: Path) -> dict[str, object]:
    content = read_bytes(path)
    try:
        loaded = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected json, found a file that is not: {error}") from error
    if not isinstance(loaded, dict):
        raise DataError(
            f"{path}: expected json with file_name, skeletons and label, found a"
            f" {type(loaded).__name__}"
        )
    return loaded


def _check_label(path: Path, found: object, label: int | None) -> None:
    """The file counts labels from 1."""
    expected = None if label is None else label + 1
    if found != expected:
        raise DataError(f"{path}: expected label {expected} as its name says, found {found!r}")


def _joints(path: Path, skeletons: object, num_joints: int) -> Float64[ndarray, "T V 3"]:
    expected = f"{path}: expected skeletons of frames x {num_joints} joints x 3 numbers"
    try:
        joints = np.array(skeletons)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{expected}, found lists of unequal length") from error
    if joints.dtype.kind not in "fiu":
        raise DataError(f"{expected}, found something that is not a number")
    if joints.ndim != 3 or joints.shape[1:] != (num_joints, 3) or len(joints) < 1:
        raise DataError(f"{expected}, found the shape {' x '.join(map(str, joints.shape))}")
    joints = joints.astype(np.float64)
    if not np.isfinite(joints).all():
        missing = int(np.count_nonzero(~np.isfinite(joints)))
        raise DataError(f"{expected}, all finite, found {missing} values that are not")
    return joints


CARDS: Final = (
    DatasetCard(
        name="nw-ucla",
        title="NW-UCLA",
        kind=NwUclaSource.kind,
        paper="Wang et al., CVPR 2014",
        home="https://wangjiangb.github.io/my_data.html; as json with Uason-Chen/CTR-GCN",
        licence="none stated",
        layout=_LAYOUT,
        classes=NW_UCLA_CLASSES,
        bodies=1,
        recorded=1_484,
        splits=(
            Split(
                "ucla",
                "camera",
                frozenset({1, 2}),
                frozenset({3}),
                "Wang et al., CVPR 2014: views 1 and 2 train, view 3 tests",
            ),
        ),
        counts={"ucla": (1_020, 464)},
        readers=(NwUclaSource,),
    ),
)
"""NW-UCLA; the counts are those of the json files."""
