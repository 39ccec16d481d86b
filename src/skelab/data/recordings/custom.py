"""A data set of one's own: a folder with ``dataset.yaml``, a table of clips, and the clips."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.data.recordings.base import SourceItem, read_bytes
from skelab.data.recordings.class_names import numbered_classes
from skelab.data.recordings.custom_sequences import (
    SegmentLine,
    SequenceTable,
    label_sequence,
    read_segment_table,
)
from skelab.data.recordings.frame_csv import parse_frame_csv
from skelab.data.recordings.tables import read_table
from skelab.data.recordings.untrimmed import label_words, seen_bodies
from skelab.errors import DataError, LayoutError, SourceError
from skelab.files.npy import parse_npy
from skelab.files.strict_yaml import load_yaml, read_yaml_text
from skelab.skeleton import Layout, get_layout

DATASET_FILE: Final = "dataset.yaml"
"""The file that makes a folder a data set of one's own."""

_ENDINGS: Final = (".npy", ".csv")
_NUMBERS: Final = ("subject", "camera", "setup", "replication", "script")
_COLUMNS: Final = ("name", "label", *_NUMBERS, "part", "file")
_MAX_BODIES: Final = 8
_LARGEST_NUMBER: Final = 1 << 31

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
            LayoutError: A joint is unknown, or the bones are no tree.
        """
        centre = self._number(self.centre, name)
        return Layout(
            name=name,
            title=f"written out in {DATASET_FILE}",
            joints=self.joints,
            bones=_towards(centre, [self._pair(bone, name) for bone in self.bones]),
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
            raise LayoutError(f"layout {layout!r}: expected one of its joints, found {joint!r}")
        return self.joints.index(joint)


class DatasetTable(BaseModel):
    """What stands in ``dataset.yaml``.

    Attributes:
        name: Name of the data set.
        layout: A layout by name, or written out.
        table: The table of clips.
        clips: Folder of the clips.
        units: Unit of the coordinates.
        classes: Names of the classes, by label; None takes them from the table.
        synthetic: Whether the clips were computed; every result says so.
        sequences: Where the labels are, if the clips are untrimmed recordings; None if each clip
            has one label.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    layout: str | LayoutTable
    table: str = "clips.csv"
    clips: str = "."
    units: str = Field(default="metres", min_length=1)
    classes: tuple[str, ...] | None = Field(default=None, min_length=1)
    synthetic: bool = False
    sequences: SequenceTable | None = None


class CustomSource:
    """A folder with ``dataset.yaml``, a table of clips, and a ``.npy`` or ``.csv`` file for each.

    An array is frames x joints x axes, or bodies x frames x joints x axes. A csv file has a line a
    frame, with the values of one joint after the other, body after body, and may have a headline.
    A body whose values are all zero in a frame is absent in it.

    The table has a line a clip and at least the columns ``name`` and ``label``; ``subject``,
    ``camera``, ``setup``, ``replication`` and ``script`` are whole numbers from 0, ``part`` is a
    part of the data set's own split (``train``, ``test``), and ``file`` says which file it is, if
    it is not called as the clip is.

    With ``sequences`` in ``dataset.yaml`` each clip is an untrimmed recording: the table needs no
    label, and segments or labels of frames say what happens when.

    Args:
        path: The folder.
        layout: A layout to use in place of the one in ``dataset.yaml``.

    Raises:
        SourceError: ``dataset.yaml`` cannot be read, or a key in it is unknown or wrong.
        LayoutError: Its layout is unknown, or contradicts itself.
    """

    kind: ClassVar[str] = "custom"
    title: ClassVar[str] = "a data set of your own"
    expects: ClassVar[str] = f"{DATASET_FILE} (a data set of your own)"

    def __init__(self, path: Path, layout: Layout | None = None) -> None:
        self.path = Path(path)
        self.layout = layout or self._own_layout()

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether ``path`` is a folder with ``dataset.yaml``."""
        return (path / DATASET_FILE).is_file()

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class, by label."""
        return self._classes

    @property
    def synthetic(self) -> bool:
        """True where ``dataset.yaml`` says that the clips were computed."""
        return self._about.synthetic

    @property
    def units(self) -> str:
        """What ``dataset.yaml`` says that the coordinates are in."""
        return self._about.units

    @property
    def rejected(self) -> Sequence[tuple[str, str]]:
        """Lines of the tables that are not samples, each with the reason."""
        about = self._about.sequences
        if about is None or about.segments is None:
            return self._listing[1]
        known = {item.info.name for item in self.items()}
        alone = [
            (name, f"{lines[0].where}: expected a clip of the table, found {name!r}")
            for name, lines in self._segments.items()
            if name not in known
        ]
        return (*self._listing[1], *alone)

    def items(self) -> Sequence[SourceItem]:
        """The samples, by name; reads the table and no clip."""
        return self._listing[0]

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, every body in it.

        Raises:
            DataError: The file is missing, damaged, or has the wrong shape, or a value is missing
                or not finite; the message names file and line.
        """
        path = self.path / item.location
        if self._about.sequences is not None:
            return self._read_sequence(item, self._about.sequences)
        stored = _parse_csv(path) if path.suffix == ".csv" else _parse_array(path)
        joints = self._checked(stored, path)
        return RawClip(joints.shape[1], seen_bodies(joints), actors_chosen=True)

    def _read_sequence(self, item: SourceItem, about: SequenceTable) -> RawClip:
        """An untrimmed recording with its labels."""
        path = self.path / item.location
        if path.suffix != ".csv":
            joints, frames = self._checked(_parse_array(path), path), None
        else:
            frames = parse_frame_csv(
                read_bytes(path),
                str(path),
                self.layout,
                separator=about.separator,
                words=self._words if about.in_recordings else None,
            )
            joints = frames.joints
        lines = self._segments.get(item.info.name, ()) if about.segments else ()
        return label_sequence(about, item.info.name, path, joints, frames, lines, self._words)

    def _checked(self, stored: Shaped[ndarray, " ..."], path: Path) -> Float64[ndarray, "M T V C"]:
        """The bodies of an array, all values finite."""
        joints = _as_bodies(stored, self.layout, str(path))
        with np.errstate(over="ignore"):
            finite = np.isfinite(joints.astype(np.float32))
        if not finite.all():
            body, frame, joint, axis = map(int, np.argwhere(~finite)[0])
            raise DataError(
                f"{path}: expected finite numbers, found {joints[body, frame, joint, axis]} at"
                f" frame {frame}, joint {self.layout.joints[joint]!r}, axis"
                f" {self.layout.axes[axis]}; write zeros where a joint was not seen"
            )
        return joints

    def digest(self) -> str:
        """A cheap fingerprint of the two tables and of the sizes of all clips, in hexadecimal."""
        fingerprint = hashlib.sha256(self.kind.encode())
        about = self._about.sequences
        tables = [self.path / DATASET_FILE, self._table_path]
        for path in (*tables, self._segments_path) if about and about.segments else tables:
            fingerprint.update(read_bytes(path))
        beside = about.frame_labels if about and about.beside_recordings else None
        for item in self.items():
            path = self.path / item.location
            for file in (path, path.with_name(path.stem + beside)) if beside else (path,):
                size = file.stat().st_size if file.is_file() else -1
                name = item.location if file == path else file.name
                fingerprint.update(f"{name}\0{size}\n".encode(errors="surrogateescape"))
        return fingerprint.hexdigest()

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: workers read single items and need no listing."""
        return {"path": self.path, "layout": self.layout}

    @property
    def _table_path(self) -> Path:
        return self.path / _inside(self._about.table, f"{self.path / DATASET_FILE}: table")

    @cached_property
    def _about(self) -> DatasetTable:
        return _read_about(self.path / DATASET_FILE)

    def _own_layout(self) -> Layout:
        chosen = self._about.layout
        try:
            if isinstance(chosen, str):
                return get_layout(chosen)
            return chosen.layout(self._about.name)
        except LayoutError as error:
            raise LayoutError(f"{self.path / DATASET_FILE}: {error}") from None

    @property
    def _segments_path(self) -> Path:
        about = self._about.sequences
        table = about.segments if about and about.segments else ""
        return self.path / _inside(table, f"{self.path / DATASET_FILE}: sequences.segments")

    @cached_property
    def _segments(self) -> Mapping[str, Sequence[SegmentLine]]:
        return read_segment_table(self._segments_path)

    @cached_property
    def _words(self) -> Mapping[str, int]:
        return self._vocabulary[1]

    @cached_property
    def _vocabulary(self) -> tuple[tuple[str, ...], Mapping[str, int]]:
        """The classes without the background, and the label of each word of the files."""
        about = self._about.sequences or SequenceTable(segments="")
        return label_words(self._listed_classes, about.background)

    @cached_property
    def _rows(self) -> Sequence[tuple[int, Mapping[str, str]]]:
        wanted = ("name",) if self._about.sequences else ("name", "label")
        return list(read_table(self._table_path, _COLUMNS, wanted, "table of clips"))

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        return self._vocabulary[0] if self._about.sequences else self._listed_classes

    @cached_property
    def _listed_classes(self) -> tuple[str, ...]:
        """As listed; else the labels of the table, sorted, or as many as it counts."""
        if self._about.classes is not None:
            return self._about.classes
        about = self._about.sequences
        if about is not None and about.segments is None:
            raise SourceError(
                f"{self.path / DATASET_FILE}: expected classes, since labels of frames do not name"
                " them all, found none"
            )
        labels = {row["label"] for _, row in self._rows if row["label"]}
        if about is not None:
            labels = {line.label for lines in self._segments.values() for line in lines}
        if not labels:
            raise SourceError(
                f"{self._table_path}: expected labels, or classes in {DATASET_FILE}, found neither"
            )
        if all(label.isascii() and label.isdigit() and len(label) < 6 for label in labels):
            return numbered_classes(1 + max(map(int, labels)))
        return tuple(sorted(labels))

    @cached_property
    def _listing(self) -> tuple[tuple[SourceItem, ...], tuple[tuple[str, str], ...]]:
        files = set(_files_in(self.path / self._clips))
        classes = self.classes
        items: dict[str, SourceItem] = {}
        rejected = []
        for line, row in self._rows:
            where = f"{self._table_path}, line {line}"
            try:
                info = _describe(row, classes, where, untrimmed=self._about.sequences is not None)
                if info.name in items:
                    raise DataError(f"{where}: {info.name} stands in the table twice")
                items[info.name] = SourceItem(info, self._locate(row, files, where))
            except DataError as error:
                rejected.append((row["name"] or f"line {line}", str(error)))
        return tuple(items[name] for name in sorted(items)), tuple(rejected)

    @property
    def _clips(self) -> str:
        return _inside(self._about.clips, f"{self.path / DATASET_FILE}: clips")

    def _locate(self, row: Mapping[str, str], files: set[str], where: str) -> str:
        """The file of a clip, inside the folder."""
        candidates = (
            [row["file"]] if row["file"] else [f"{row['name']}{ending}" for ending in _ENDINGS]
        )
        for candidate in candidates:
            inside = _inside(candidate, where)
            if inside in files or (self.path / self._clips / inside).is_file():
                if not inside.endswith(_ENDINGS):
                    raise DataError(
                        f"{where}: expected a file that ends in {' or '.join(_ENDINGS)}, found"
                        f" {inside}"
                    )
                return str(PurePosixPath(self._clips) / inside)
        raise DataError(f"{where}: expected a file {' or '.join(candidates)}, found none")


def _read_about(path: Path) -> DatasetTable:
    """The content of ``dataset.yaml``; what is wrong with it in one line."""
    content = load_yaml(read_yaml_text(path, f"{path}: it", SourceError), str(path), SourceError)
    if not isinstance(content, dict):
        raise SourceError(
            f"{path}: expected keys such as name, layout and table, found a"
            f" {type(content).__name__}"
        )
    try:
        return DatasetTable.model_validate(content)
    except ValidationError as error:
        faults = error.errors()
        fault = next((each for each in faults if "str" not in each["loc"][1:2]), faults[0])
        where = ".".join(str(key) for key in fault["loc"] if key != "LayoutTable")
        known = ", ".join(DatasetTable.model_fields)
        hint = f"; known: {known}" if fault["type"] == "extra_forbidden" else ""
        raise SourceError(f"{path}: {where}: {fault['msg']}{hint}") from None


def _describe(
    row: Mapping[str, str], classes: Sequence[str], where: str, *, untrimmed: bool
) -> SampleInfo:
    """What a line of the table says of its clip."""
    if not row["name"]:
        raise DataError(f"{where}: expected a name, found nothing")
    if set(row["part"]) & set(",/"):
        raise DataError(f"{where}: expected a part in plain letters, found {row['part']!r}")
    if untrimmed and row["label"]:
        raise DataError(
            f"{where}: expected no label for an untrimmed recording, found {row['label']!r}"
        )
    subject, camera, setup, replication, script = (
        _number(row[column], f"{where}, {column}") for column in _NUMBERS
    )
    return SampleInfo(
        row["name"],
        _label(row["label"], classes, where),
        subject,
        camera,
        setup,
        replication,
        parts=(row["part"],) if row["part"] else (),
        script=script,
        untrimmed=untrimmed,
    )


def _label(text: str, classes: Sequence[str], where: str) -> int | None:
    """A label by the name of its class or by its number; None where there is none."""
    if not text:
        return None
    if text in classes:
        return classes.index(text)
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) < len(classes):
        return int(text)
    shown = ", ".join(classes[:8]) + (", …" if len(classes) > 8 else "")
    raise DataError(
        f"{where}: expected a label that is a class ({shown}) or a number below {len(classes)},"
        f" found {text!r}"
    )


def _number(text: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text[-12:]) >= _LARGEST_NUMBER:
        raise DataError(f"{where}: expected a whole number from 0, found {text!r}")
    return int(text)


def _inside(text: str, where: str) -> str:
    """A path as it stands, if it stays inside the folder."""
    path = PurePosixPath(text.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise SourceError(f"{where}: expected a path inside the folder, found {text!r}")
    return str(path)


def _files_in(path: Path) -> Iterator[str]:
    if path.is_dir():
        yield from (entry.name for entry in path.iterdir() if entry.name.endswith(_ENDINGS))


def _parse_array(path: Path) -> Shaped[ndarray, " ..."]:
    array = parse_npy(read_bytes(path), str(path))
    if array.dtype.kind == "b":
        raise DataError(f"{path}: expected numbers, found truth values")
    return array


def _parse_csv(path: Path) -> Float64[ndarray, "T F"]:
    """The numbers of each line; the first may be a headline."""
    lines = read_bytes(path).decode("utf-8-sig", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        fields = line.split(",")
        try:
            values = [float(field) for field in fields]
            if "_" in line:  # Python alone would read 1_0 as ten
                raise ValueError
        except ValueError:
            if number == 1:
                continue
            raise DataError(
                f"{path}, line {number}: expected numbers with commas between them, found"
                f" {line[:40]!r}; write 0 where a joint was not seen"
            ) from None
        if rows and len(values) != len(rows[0]):
            raise DataError(
                f"{path}, line {number}: expected {len(rows[0])} numbers as in the lines above,"
                f" found {len(values)}"
            )
        rows.append(values)
    if not rows:
        raise DataError(f"{path}: expected a line of numbers a frame, found none")
    return np.array(rows, dtype=np.float64)


def _as_bodies(
    stored: Shaped[ndarray, " ..."], layout: Layout, where: str
) -> Float64[ndarray, "M T V C"]:
    """A clip with an axis of bodies, whichever way it was stored."""
    joints, axes = layout.num_joints, len(layout.axes)
    shape = stored.shape
    if len(shape) == 2:
        each = joints * axes
        if shape[1] % each or not 1 <= shape[1] // each <= _MAX_BODIES:
            raise DataError(
                f"{where}: expected {each} numbers a line for each body ({joints} joints of"
                f" {layout.name}, {axes} axes), found {shape[1]}"
            )
        stored = stored.reshape(len(stored), -1, joints, axes).swapaxes(0, 1)
    elif len(shape) == 3:
        stored = stored[None]
    fits = stored.ndim == 4 and stored.shape[2:] == (joints, axes)
    if not fits or not 1 <= stored.shape[0] <= _MAX_BODIES or stored.shape[1] < 1:
        raise DataError(
            f"{where}: expected frames x {joints} joints x {axes} axes, or up to {_MAX_BODIES}"
            f" bodies of that, found the shape {' x '.join(map(str, shape))}"
        )
    return stored.astype(np.float64)


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
