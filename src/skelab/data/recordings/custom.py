"""A data set of one's own: a folder with ``dataset.yaml``, a table of clips, and the clips."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.data.recordings.base import MISSING_FILE, WRONG_LINE, SourceItem, read_bytes
from skelab.data.recordings.class_names import numbered_classes
from skelab.data.recordings.custom_files import finite_bodies, parse_array
from skelab.data.recordings.custom_layout import DATASET_FILE, LayoutTable, list_names
from skelab.data.recordings.custom_sequences import (
    SegmentLine,
    SequenceTable,
    label_sequence,
    read_segment_table,
)
from skelab.data.recordings.frame_csv import parse_frame_csv
from skelab.data.recordings.label_base import check_label_base, is_number
from skelab.data.recordings.one_file import read_recording
from skelab.data.recordings.tables import read_table
from skelab.data.recordings.untrimmed import label_words
from skelab.errors import DataError, LayoutError, SourceError, unknown_name
from skelab.files.strict_yaml import load_yaml, read_yaml_text
from skelab.skeleton import Layout, get_layout

_ENDINGS: Final = (".npy", ".csv")
_NUMBERS: Final = ("subject", "camera", "setup", "replication", "script")
_COLUMNS: Final = ("name", "label", *_NUMBERS, "part", "file")
_CATEGORY: Final = re.compile(r"[^\W\d_]")
_LARGEST_NUMBER: Final = 1 << 31


class DatasetTable(BaseModel):
    """What stands in ``dataset.yaml``.

    Attributes:
        name: Name of the data set.
        layout: A layout by name, or written out.
        table: The table of clips.
        clips: Folder of the clips.
        units: Unit of the coordinates.
        classes: Names of the classes, by label; None takes them from the table.
        labels_from: The number of the first class where labels are numbers; None takes 0, if one
            of the labels is 0.
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
    labels_from: int | None = Field(default=None, ge=0, le=9)
    synthetic: bool = False
    sequences: SequenceTable | None = None


class _MissingFileError(DataError):
    """The file of a clip is not there."""


class _Listing(NamedTuple):
    """The samples of the table, the lines that are none, and those of them without a file."""

    items: tuple[SourceItem, ...]
    rejected: tuple[tuple[str, str], ...]
    missing: frozenset[str]


class CustomSource:
    """A folder with ``dataset.yaml``, a table of clips, and a ``.npy`` or ``.csv`` file for each.

    An array is frames x joints x axes, or bodies x frames x joints x axes. A csv file has a line a
    frame, with the values of one joint after the other, body after body, and may have a headline.
    A body whose values are all zero in a frame is absent in it.

    The table has a line a clip and at least the columns ``name`` and ``label``; ``subject``,
    ``camera``, ``setup``, ``replication`` and ``script`` are whole numbers from 0, or words, which
    are then numbered from 1 in sorted order, ``part`` is a
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
    def own_title(self) -> str:
        """What its owner calls the data set."""
        return self._about.name

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
            return self._listing.rejected
        known = {item.info.name for item in self.items()}
        alone = [
            (name, f"{lines[0].where}: expected a clip of the table, found {name!r}")
            for name, lines in self._segments.items()
            if name not in known
        ]
        return (*self._listing.rejected, *alone)

    def cause(self, name: str) -> str:
        """Why a rejected name is no sample: ``missing file`` or ``wrong line``."""
        return MISSING_FILE if name in self._listing.missing else WRONG_LINE

    @property
    def categories(self) -> Mapping[str, Mapping[str, int]]:
        """Of each column that holds words, say ``subject``, the number of each word, from 1."""
        found = {}
        for column in _NUMBERS:
            words = {row[column] for _, row in self._rows if row[column]}
            if words and all(_CATEGORY.match(word) for word in words):
                ordered = sorted(words, key=_in_words_and_numbers)
                found[column] = {word: number for number, word in enumerate(ordered, start=1)}
        return found

    def items(self) -> Sequence[SourceItem]:
        """The samples, by name; reads the table and no clip."""
        return self._listing.items

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, every body in it.

        Raises:
            DataError: The file is missing, damaged, or has the wrong shape, or a value is missing
                or not finite; the message names file and line.
        """
        path = self.path / item.location
        if self._about.sequences is not None:
            return self._read_sequence(item, self._about.sequences)
        return read_recording(path, self.layout)

    def _read_sequence(self, item: SourceItem, about: SequenceTable) -> RawClip:
        """An untrimmed recording with its labels."""
        path = self.path / item.location
        if path.suffix != ".csv":
            joints, frames = finite_bodies(parse_array(path), self.layout, str(path)), None
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
        classes = self._listed_classes
        return label_words(classes, about.background, first=self._first_label)

    @cached_property
    def _rows(self) -> Sequence[tuple[int, Mapping[str, str]]]:
        wanted = ("name",) if self._about.sequences else ("name", "label")
        return list(read_table(self._table_path, _COLUMNS, wanted, "table of clips"))

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        return self._vocabulary[0] if self._about.sequences else self._listed_classes

    @cached_property
    def _labels(self) -> Sequence[tuple[str, str]]:
        """Every label that a table gives to a clip or a segment, with its place."""
        if self._about.sequences is None:
            return [
                (f"{self._table_path}, line {line}", row["label"])
                for line, row in self._rows
                if row["label"]
            ]
        if self._about.sequences.segments is None:
            return []
        background = self._about.sequences.background
        lines = [line for lines in self._segments.values() for line in lines]
        return [(line.where, line.label) for line in lines if line.label != background]

    @cached_property
    def _first_label(self) -> int:
        """The number of the first class."""
        about, names = self._about.sequences, self._about.classes or ()
        table = self._segments_path if about and about.segments else self._table_path
        numbers = [int(each) for _, each in self._labels if is_number(each) and each not in names]
        if about and names[:1] == (about.background,):
            numbers = []  # number 0 is the background, which no segment has
        if about and about.frame_labels and about.background not in names:
            numbers += [int(about.background) + 1] if is_number(about.background) else []
        key = f"labels_from: {{}} in {DATASET_FILE}"
        return check_label_base(numbers, self._about.labels_from, str(table), key)

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
        labels = {label for _, label in self._labels}
        if not labels:
            raise SourceError(
                f"{self._table_path}: expected labels, or classes in {DATASET_FILE}, found neither"
            )
        if all(map(is_number, labels)):
            first = self._first_label
            count = max(1, 1 + max(map(int, labels)) - first)
            return numbered_classes(count, first=first)
        return tuple(sorted(labels))

    @cached_property
    def _listing(self) -> _Listing:
        files = set(_files_in(self.path / self._clips))
        classes, first = self.classes, self._first_label
        categories = self.categories
        items: dict[str, SourceItem] = {}
        rejected, missing = [], set()
        for line, row in self._rows:
            where = f"{self._table_path}, line {line}"
            _check_number(row["label"], classes, first, where)
            try:
                label = _label(row["label"], classes, first, where)
                info = _describe(
                    row, label, where, categories, untrimmed=self._about.sequences is not None
                )
                if info.name in items:
                    raise DataError(f"{where}: {info.name} stands in the table twice")
                items[info.name] = SourceItem(info, self._locate(row, files, where))
            except _MissingFileError as error:
                rejected.append((row["name"], str(error)))
                missing.add(row["name"])
            except DataError as error:
                rejected.append((row["name"] or f"line {line}", str(error)))
        found = tuple(items[name] for name in sorted(items))
        return _Listing(found, tuple(rejected), frozenset(missing))

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
        raise _MissingFileError(f"{where}: expected a file {' or '.join(candidates)}, found none")


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
        raise SourceError(f"{path}: {_fault(error)}") from None


def _fault(error: ValidationError) -> str:
    """What is wrong with a key; a name that was misspelt goes before one that is missing then."""
    faults = [each for each in error.errors() if "str" not in each["loc"][1:2]] or error.errors()
    fault = next((each for each in faults if each["type"] == "extra_forbidden"), faults[0])
    keys = [str(key) for key in fault["loc"] if key != LayoutTable.__name__]
    where = ".".join(keys)
    if fault["type"] != "extra_forbidden":
        return f"{where}: {fault['msg']}"
    tables: Mapping[str, type[BaseModel]] = {"layout": LayoutTable, "sequences": SequenceTable}
    table = tables.get(keys[0], DatasetTable) if keys[1:] else DatasetTable
    return f"{where}: {unknown_name('key', keys[-1], table.model_fields)}"


def _describe(
    row: Mapping[str, str],
    label: int | None,
    where: str,
    categories: Mapping[str, Mapping[str, int]],
    *,
    untrimmed: bool,
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
        _number(row[column], categories.get(column, {}), f"{where}, {column}")
        for column in _NUMBERS
    )
    return SampleInfo(
        row["name"],
        label,
        subject,
        camera,
        setup,
        replication,
        parts=(row["part"],) if row["part"] else (),
        script=script,
        untrimmed=untrimmed,
    )


def _check_number(text: str, classes: Sequence[str], first: int, where: str) -> None:
    """Refuse a number that is none of the classes: then the others may be the wrong ones, too."""
    if text in classes or not is_number(text) or 0 <= int(text) - first < len(classes):
        return
    raise SourceError(
        f"{where}: expected a label from {first} to {first + len(classes) - 1}, the numbers of"
        f" {len(classes)} classes, found {text}; `labels_from` in {DATASET_FILE} is the number of"
        " the first class, `classes` names them all"
    )


def _label(text: str, classes: Sequence[str], first: int, where: str) -> int | None:
    """A label by the name of its class or by its number; None where there is none."""
    if not text:
        return None
    if text in classes:
        return classes.index(text)
    if is_number(text):
        return int(text) - first
    raise DataError(
        f"{where}: expected a label that is a class ({list_names(classes)}) or a number from"
        f" {first} to {first + len(classes) - 1}, found {text!r}"
    )


def _number(text: str, words: Mapping[str, int], where: str) -> int | None:
    if not text:
        return None
    if text in words:
        return words[text]
    if not (text.isascii() and text.isdigit()) or int(text[-12:]) >= _LARGEST_NUMBER:
        raise DataError(
            f"{where}: expected a whole number from 0, or words in all lines, found {text!r}"
        )
    return int(text)


def _in_words_and_numbers(text: str) -> list[tuple[int, str]]:
    """A key that sorts s2 before s10."""
    pieces = re.split(r"([0-9]+)", text)
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]


def _inside(text: str, where: str) -> str:
    """A path as it stands, if it stays inside the folder."""
    path = PurePosixPath(text.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise SourceError(f"{where}: expected a path inside the folder, found {text!r}")
    return str(path)


def _files_in(path: Path) -> Iterator[str]:
    if path.is_dir():
        yield from (entry.name for entry in path.iterdir() if entry.name.endswith(_ENDINGS))
