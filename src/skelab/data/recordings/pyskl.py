"""PYSKL's and MMAction2's pickle: annotations with keypoints, in space or in the image."""

import hashlib
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.recordings.base import HeldInMemory, SourceItem
from skelab.data.recordings.class_names import classes_of, describe_sample, is_from_ntu
from skelab.data.recordings.label_base import INGEST_OPTION, check_label_base
from skelab.errors import DataError, SourceError
from skelab.files.plain_pickle import load_plain_pickle
from skelab.files.reading import read_start
from skelab.files.safetensors_head import is_safetensors
from skelab.skeleton import Layout, get_layout

_LAYOUTS: Final = {25: "ntu25", 17: "coco17", 18: "openpose18"}
_KEYPOINT: Final = "keypoint"
_SCORE: Final = "keypoint_score"
_IMAGE: Final = "img_shape"
_LARGEST_LABEL: Final = 100_000
_PICKLE_MAGIC: Final = b"\x80"


class PysklSource(HeldInMemory):
    """A pickle of annotations: ``frame_dir``, ``label``, ``keypoint`` M x T x V x C.

    Keypoints in space are taken as they are, in metres. Those in the image, x and y in pixels with
    ``keypoint_score`` beside them, become x, y and score, with x and y counted from the middle of
    the image in halves of its width and height, where the annotation has ``img_shape``; a joint
    without a score stays at zero. The bodies were chosen by the makers. The splits of the file are
    kept: each sample knows the parts that it is in, say ``xsub_train``.

    The pickle may hold numpy arrays and plain containers only, and is held in memory whole.

    Args:
        path: The file.
        layout: The joints; None goes by their number.
        labels_from: The number of the first class; None takes 0, where one label is 0 or names of
            NTU RGB+D say the same action as the label.

    Raises:
        SourceError: The file is damaged, could run code, or holds no annotations.

    Source: Duan et al., ACM MM 2022 (arXiv:2205.09443); ``tools/data/README.md`` of PYSKL.
    """

    kind: ClassVar[str] = "pyskl"
    title: ClassVar[str] = "PYSKL pickle"
    expects: ClassVar[str] = "a pickle of annotations (PYSKL, MMAction2)"

    def __init__(
        self, path: Path, layout: Layout | None = None, labels_from: int | None = None
    ) -> None:
        self.path = Path(path)
        self.labels_from = labels_from
        self.layout = layout or self._usual_layout()

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether ``path`` is a file that begins as a pickle does."""
        start = read_start(path, 2)
        known = range(2, pickle.HIGHEST_PROTOCOL + 1)
        begins = len(start) == 2 and start[:1] == _PICKLE_MAGIC and start[1] in known
        return begins and not is_safetensors(path)  # whose length may begin alike

    @property
    def classes(self) -> tuple[str, ...]:
        """The actions of NTU RGB+D where the samples are its own, else numbers."""
        return classes_of((item.info for item in self.items()), first=self._first_label)

    @property
    def synthetic(self) -> bool:
        """True where the pickle says that its recordings were computed."""
        return bool(self._content[2])

    @property
    def units(self) -> str:
        """Metres; for keypoints in the image, ``normalised`` if all image sizes are known."""
        if self.layout.axes == ("x", "y", "z"):
            return "metres"
        known = all(_IMAGE in annotation for annotation in self._content[0])
        return "normalised" if known else "pixels"

    @property
    def rejected(self) -> Sequence[tuple[str, str]]:
        """Annotations that are not samples, each with the reason."""
        return self._listing[1]

    def items(self) -> Sequence[SourceItem]:
        """The samples, by name."""
        return self._listing[0]

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, the bodies that the makers chose.

        Raises:
            DataError: The annotation is missing, or its keypoints have the wrong shape or are not
                finite.
        """
        where = f"{self.path}: {item.info.name}"
        if item.location not in self._rows:
            raise DataError(f"{where}: expected an annotation of that name, found none")
        joints = self._joints(self._content[0][self._rows[item.location]], where)
        bodies = {}
        for number, poses in enumerate(joints, start=1):
            frames = np.flatnonzero(poses.any(axis=(1, 2)))
            bodies[str(number)] = BodyTrack(frames.astype(np.int32), poses[frames])
        return RawClip(joints.shape[1], bodies, actors_chosen=True)

    def digest(self) -> str:
        """A fingerprint of the whole file, in hexadecimal."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: workers load the file again."""
        return {"path": self.path, "layout": self.layout, "labels_from": self.labels_from}

    @cached_property
    def _content(self) -> tuple[list[Mapping[str, Any]], Mapping[str, Any], bool]:
        """Annotations, splits, and whether they are synthetic."""
        content = load_plain_pickle(self.path, SourceError)
        splits, synthetic = {}, False
        annotations = content
        if isinstance(content, dict):
            annotations = content.get("annotations")
            splits, synthetic = content.get("split", {}), bool(content.get("synthetic", False))
        if not isinstance(annotations, list) or not annotations or not isinstance(splits, dict):
            raise SourceError(
                f"{self.path}: expected a pickle of split and annotations, found"
                f" {_described(content)}"
            )
        wrong = next((each for each in annotations if not _is_annotation(each)), None)
        if wrong is not None:
            raise SourceError(
                f"{self.path}: expected annotations with frame_dir, label and {_KEYPOINT}, found"
                f" {_described(wrong)}"
            )
        return annotations, splits, synthetic

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        """The annotation of each name; the first where there are several."""
        rows: dict[str, int] = {}
        for row, annotation in enumerate(self._content[0]):
            rows.setdefault(annotation["frame_dir"], row)
        return rows

    @cached_property
    def _listing(self) -> tuple[tuple[SourceItem, ...], tuple[tuple[str, str], ...]]:
        annotations, splits, _ = self._content
        parts = _parts_by_name(splits, self.path)
        rejected = [
            (name, f"{self.path}: {name} stands in the file {count} times; the first is taken")
            for name, count in Counter(each["frame_dir"] for each in annotations).items()
            if count > 1
        ]
        items = []
        for name in sorted(self._rows):
            label = _label(annotations[self._rows[name]]["label"])
            first = self._first_label
            if label is None or label < first:
                found = annotations[self._rows[name]]["label"]
                wanted = f"expected a label from {first}, found {found!r:.40}"
                rejected.append((name, f"{self.path}: {name}: {wanted}"))
                continue
            info = describe_sample(name, label - first, tuple(parts.get(name, ())))
            items.append(SourceItem(info, name))
        return tuple(items), tuple(rejected)

    @cached_property
    def _first_label(self) -> int:
        """The number of the first class."""
        found = {name: _label(self._content[0][row]["label"]) for name, row in self._rows.items()}
        infos = [describe_sample(name, each) for name, each in found.items() if each is not None]
        if self.labels_from is None and all(map(is_from_ntu, infos)):
            return 0
        numbers = [info.label for info in infos if info.label is not None]
        return check_label_base(numbers, self.labels_from, str(self.path), INGEST_OPTION)

    def _usual_layout(self) -> Layout:
        """The layout with as many joints as the first annotation that has a body."""
        shapes = [np.shape(each[_KEYPOINT]) for each in self._content[0]]
        joints = next((shape[2] for shape in shapes if len(shape) == 4), None)
        if joints not in _LAYOUTS:
            known = ", ".join(map(str, _LAYOUTS))
            found = "none" if joints is None else str(joints)
            raise SourceError(
                f"{self.path}: expected keypoints of bodies x frames x joints x axes with {known}"
                f" joints, found {found}; --layout NAME says which they are"
            )
        return get_layout(_LAYOUTS[joints])

    def _joints(self, annotation: Mapping[str, Any], where: str) -> Float64[ndarray, "M T V C"]:
        keypoint = np.asarray(annotation[_KEYPOINT])
        axes = self.layout.axes
        expected = (
            f"{where}: expected {_KEYPOINT} of bodies x frames x {self.layout.num_joints} joints x"
            f" {'2 axes' if 'score' in axes else f'{len(axes)} axes'}"
        )
        scored = axes[-1] == "score"
        if keypoint.ndim != 4 or keypoint.shape[2] != self.layout.num_joints:
            raise DataError(f"{expected}, found the shape {' x '.join(map(str, keypoint.shape))}")
        if keypoint.shape[3] not in ((2, 3) if scored else (len(axes),)):
            raise DataError(f"{expected}, found the shape {' x '.join(map(str, keypoint.shape))}")
        if keypoint.dtype.kind not in "fiu":
            raise DataError(f"{expected}, found something that is not a number")
        joints = keypoint.astype(np.float64)
        if scored:
            joints = _with_scores(joints, annotation, where)
        if not np.isfinite(joints).all():
            missing = int(np.count_nonzero(~np.isfinite(joints)))
            raise DataError(f"{expected}, all finite, found {missing} values that are not")
        return joints


def _with_scores(
    joints: Float64[ndarray, "M T V A"], annotation: Mapping[str, Any], where: str
) -> Float64[ndarray, "M T V 3"]:
    """Points of an image with their scores; the image is 2 wide and 2 high where its size is known.

    Without scores a point that is not at the corner counts as seen.
    """
    scores: Shaped[ndarray, "M T V"]
    if _SCORE in annotation:
        scores = np.asarray(annotation[_SCORE])
        if scores.shape != joints.shape[:3] or scores.dtype.kind not in "fiu":
            raise DataError(
                f"{where}: expected {_SCORE} of {' x '.join(map(str, joints.shape[:3]))} numbers,"
                f" found {' x '.join(map(str, scores.shape))} of {scores.dtype}"
            )
    elif joints.shape[3] == 3:
        scores = joints[..., 2]
    else:
        scores = np.asarray(joints.any(axis=3))
    made = np.concatenate([joints[..., :2], scores[..., None].astype(np.float64)], axis=3)
    if _IMAGE in annotation:
        height, width = _image_size(annotation[_IMAGE], where)
        seen = made.any(axis=3)
        made[..., 0] = (made[..., 0] * 2 - width) / width
        made[..., 1] = (made[..., 1] * 2 - height) / height
        made[~seen] = 0.0
    return made


def _image_size(found: Any, where: str) -> tuple[float, float]:
    size: Shaped[ndarray, " ..."] = np.asarray(found)
    if size.shape != (2,) or size.dtype.kind not in "fiu" or not (size > 0).all():
        raise DataError(f"{where}: expected {_IMAGE} as height and width, found {found!r:.40}")
    return float(size[0]), float(size[1])


def _parts_by_name(splits: Mapping[str, Any], path: Path) -> Mapping[str, list[str]]:
    """The parts that each name stands in."""
    parts: dict[str, list[str]] = {}
    for part, names in splits.items():
        usable = isinstance(part, str) and not set(part) & set(",/")
        if not usable or not isinstance(names, list | tuple):
            raise SourceError(
                f"{path}: expected a split as names under the name of a part, found"
                f" {type(names).__name__} under {part!r:.40}"
            )
        for name in dict.fromkeys(map(str, names)):
            parts.setdefault(name, []).append(part)
    return parts


def _label(found: Any) -> int | None:
    """A label as a number; None if it is none."""
    if isinstance(found, ndarray | np.generic):
        found = found.item() if found.size == 1 else None
    right = isinstance(found, int) and not isinstance(found, bool)
    return found if right and 0 <= found < _LARGEST_LABEL else None


def _is_annotation(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("frame_dir"), str)
        and "label" in found
        and isinstance(found.get(_KEYPOINT), ndarray)
    )


def _described(found: Any) -> str:
    if isinstance(found, dict):
        return f"a dict of {', '.join(map(str, list(found)[:6])) or 'nothing'}"
    return f"a {type(found).__name__}"
