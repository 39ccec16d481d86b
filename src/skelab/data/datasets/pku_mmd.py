"""PKU-MMD phase 1: label files of untrimmed recordings, and the recordings where one has them."""

import hashlib
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.data.clips.sequence import SEGMENT_LEFT_OUT, Note, RawSequence, Segment
from skelab.data.clips.splits import Split
from skelab.data.recordings.base import FolderSource, SourceItem, files_below, read_bytes
from skelab.data.recordings.card import DatasetCard
from skelab.data.recordings.frame_csv import parse_frame_csv
from skelab.data.recordings.untrimmed import DOUBTFUL, LabelLine, arrange_segments, seen_bodies
from skelab.errors import DataError, SourceError
from skelab.files.archives import is_archive, list_members, open_archive, read_member

_VIEWS: Final = {"L": 1, "M": 2, "R": 3}
_NAME: Final = re.compile(r"(\d{4})-([LMR])", re.ASCII)
_LABELS: Final = ".txt"
_JOINTS: Final = ".skeleton"
_NUMBER: Final = re.compile(r"\s*-?\d{1,9}\s*", re.ASCII)
_FIELDS: Final = 4
_BODIES: Final = 2
_LARGEST: Final = 1 << 24

PKU_MMD_CLASSES: Final = (
    *("bow", "brushing hair", "brushing teeth", "check time (from watch)", "cheer up", "clapping"),
    *("cross hands in front (say stop)", "drink water", "drop", "eat meal/snack", "falling"),
    *("giving something to other person", "hand waving", "handshaking"),
    *("hopping (one foot jumping)", "hugging other person", "jump up", "kicking other person"),
    *("kicking something", "make a phone call/answer phone", "pat on back of other person"),
    *("pickup", "playing with phone/tablet", "point finger at the other person"),
    *("pointing to something with finger", "punching/slapping other person"),
    *("pushing other person", "put on a hat/cap", "put something inside pocket", "reading"),
    *("rub two hands together", "salute", "sitting down", "standing up", "take off a hat/cap"),
    *("take off glasses", "take off jacket", "take out something from pocket", "taking a selfie"),
    *("tear up paper", "throw", "touch back (backache)", "touch chest (stomachache/heart pain)"),
    *("touch head (headache)", "touch neck (neckache)", "typing on a keyboard"),
    *("use a fan (with hand or paper)/feeling warm", "wear jacket", "wear on glasses"),
    *("wipe face", "writing"),
)
"""The 51 actions, by label; files count them from 1."""


class PkuLabels:
    """The label files of PKU-MMD, ``{recording}-{view}.txt``: in a folder, below one, or in a zip.

    A line is ``label,start,end,confidence``. Frames are taken as counted from 0, and the end as
    the frame after the last one.

    Args:
        path: A folder, a zip, or a folder of either.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._archives: dict[Path, zipfile.ZipFile] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the recordings that have labels, such as ``0002-L``."""
        return tuple(sorted(self._files))

    def read(
        self, name: str, num_frames: int | None = None
    ) -> tuple[tuple[Segment, ...], tuple[Note, ...]]:
        """The segments of a recording, sorted by start, and what was wrong or doubtful in its file.

        Args:
            name: One of ``names``.
            num_frames: Frames of the recording, where they are known.

        Raises:
            DataError: There are no labels of that name, the file cannot be read, or two segments
                overlap.
        """
        if name not in self._files:
            raise DataError(f"{self.path}: expected labels {name}{_LABELS}, found none")
        file = self._files[name]
        lines: list[LabelLine] = []
        faults: list[Note] = []
        doubts: list[Note] = []
        for number, text in enumerate(self._content(file).decode("latin-1").splitlines(), start=1):
            where = f"{file.where}, line {number}"
            fields = text.split(",")
            if not text.strip():
                continue
            if fault := _fault(fields):
                reason = f"{where}: {fault}, found {text[:40]!r}; the segment is left out"
                faults.append(Note(name, SEGMENT_LEFT_OUT, reason))
                continue
            label, start, end, confidence = map(int, fields)
            lines.append(LabelLine(where, label - 1, start, end, float(confidence)))
            if confidence < 1:
                reason = f"{where}: expected a confidence of 1 or 2, found {confidence}"
                doubts.append(Note(name, DOUBTFUL, f"{reason}; the segment is kept"))
        segments, notes = arrange_segments(name, lines, num_frames)
        return segments, (*faults, *notes, *doubts)

    def digest(self) -> str:
        """Digest of all label files, in hexadecimal."""
        fingerprint = hashlib.sha256()
        for name in self.names:
            content = self._content(self._files[name])
            fingerprint.update(f"{name}\0{len(content)}\0".encode() + content)
        return fingerprint.hexdigest()

    def _content(self, file: "_LabelFile") -> bytes:
        if file.archive is None:
            return read_bytes(Path(file.where))
        if file.archive not in self._archives:
            self._archives[file.archive] = open_archive(file.archive)
        return read_member(self._archives[file.archive], file.member, _LARGEST)

    @cached_property
    def _files(self) -> Mapping[str, "_LabelFile"]:
        """The file of each recording; one that lies open goes before one in a zip."""
        found: dict[str, _LabelFile] = {}
        for file in _find(self.path):
            found.setdefault(Path(file.member or file.where).stem, file)
        return found


class _LabelFile(NamedTuple):
    """Where a label file lies: in the open, or as a member of an archive."""

    where: str
    archive: Path | None = None
    member: str = ""


class PkuMmdSource(FolderSource):
    """A folder of PKU-MMD recordings, ``{recording}-{view}.skeleton``, and their labels.

    A line of a recording is a frame of 150 numbers: two bodies of 25 Kinect v2 joints, metres,
    zeros where there is no second body. Labels lie beside them, as :class:`PkuLabels` finds them.
    The view is given as camera (L 1, M 2, R 3) and the recording as replication. Labels alone make
    no source: :func:`skelab.data.segments.read_segments` reads them.

    Source: Liu et al., arXiv:1703.07475, phase 1.
    """

    kind: ClassVar[str] = "pku-mmd"
    title: ClassVar[str] = "PKU-MMD"
    expects: ClassVar[str] = "0002-L.skeleton (PKU-MMD)"
    layout_name: ClassVar[str] = "ntu25"

    @classmethod
    def refuse_incomplete(cls, path: Path) -> None:
        """Refuse labels that lie without their recordings.

        Raises:
            SourceError: They do; the message says what can be done with them.
        """
        if labels := PkuLabels(path).names:
            raise SourceError(
                f"{path}: expected recordings such as {labels[0]}{_JOINTS} beside the labels of"
                f" PKU-MMD, found {len(labels):,} label files alone; a store needs joints;"
                f" `skelab inspect {path}` counts the segments"
            )

    @cached_property
    def labels(self) -> PkuLabels:
        """The label files that lie beside the recordings."""
        return PkuLabels(self.path)

    @property
    def classes(self) -> tuple[str, ...]:
        """The 51 actions, by label."""
        return PKU_MMD_CLASSES

    @property
    def rejected(self) -> Sequence[tuple[str, str]]:
        """Files that are not samples, labels without a recording too, each with the reason."""
        known = {item.info.name for item in self.items()}
        alone = [
            (name, f"{name}: expected a recording {name}{_JOINTS} for its labels, found none")
            for name in self.labels.names
            if name not in known
        ]
        return (*super().rejected, *alone)

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, with its segments.

        Raises:
            DataError: The recording or its labels are missing or damaged, or two segments overlap;
                the message names file and line.
        """
        path = self.path / item.location
        frames = parse_frame_csv(read_bytes(path), str(path), self.layout)
        bodies, num_frames = frames.joints.shape[:2]
        if frames.head or bodies != _BODIES:
            raise DataError(
                f"{path}, line 1: expected {_BODIES} bodies of {self.layout.num_joints} joints,"
                f" found {'a headline' if frames.head else bodies}"
            )
        segments, notes = self.labels.read(item.info.name, num_frames)
        return RawSequence(
            num_frames,
            {
                number: track
                for number, track in seen_bodies(frames.joints).items()
                if len(track.frames)
            },
            actors_chosen=True,
            segments=segments,
            notes=notes,
        )

    def digest(self) -> str:
        """A cheap fingerprint of the names and sizes of all recordings, and of the labels."""
        return hashlib.sha256(f"{super().digest()} {self.labels.digest()}".encode()).hexdigest()

    @classmethod
    def _files(cls, path: Path) -> Iterable[str]:
        return files_below(path, lambda name: _is_named(name, _JOINTS))

    @classmethod
    def _describe(cls, location: str) -> SampleInfo:
        return describe_recording(Path(location).stem)


def describe_recording(name: str) -> SampleInfo:
    """What the name of a recording says of it: ``0291-L`` is recording 291 from view L.

    Raises:
        DataError: It is no such name.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{name}: expected a name like 0002-L, found another form")
    return SampleInfo(name, camera=_VIEWS[match[2]], replication=int(match[1]), untrimmed=True)


def _fault(fields: Sequence[str]) -> str:
    """What a line of labels should have been; empty where it is sound."""
    whole = len(fields) == _FIELDS and all(map(_NUMBER.fullmatch, fields))
    if not whole:
        return "expected label,start,end,confidence as whole numbers"
    if not 1 <= int(fields[0]) <= len(PKU_MMD_CLASSES):
        return f"expected a label from 1 to {len(PKU_MMD_CLASSES)}"
    return ""


def _is_named(name: str, ending: str) -> bool:
    return name.endswith(ending) and _NAME.fullmatch(name.removesuffix(ending)) is not None


def _find(path: Path) -> Iterator[_LabelFile]:
    """The label files at a path, those in archives last."""
    if path.is_file() and is_archive(path):
        yield from _find_in(path)
        return
    if not path.is_dir():
        return
    for pattern in (f"*{_LABELS}", f"*/*{_LABELS}"):
        for file in sorted(path.glob(pattern)):
            if _is_named(file.name, _LABELS):
                yield _LabelFile(str(file))
    for archive in sorted(path.glob("*.zip")):
        if is_archive(archive):
            yield from _find_in(archive)


def _find_in(path: Path) -> Iterator[_LabelFile]:
    """The label files in an archive; one that cannot be opened has none."""
    with suppress(SourceError), open_archive(path) as archive:
        for member in list_members(archive):
            if _is_named(member.filename.rpartition("/")[2], _LABELS):
                yield _LabelFile(f"{path}: {member.filename}", path, member.filename)


_PAPER: Final = "Liu et al., arXiv:1703.07475"
_TEST: Final = frozenset(range(291, 335))  # recordings of the test subjects, in all views

CARDS: Final = (
    DatasetCard(
        name="pku-mmd",
        title=PkuMmdSource.title,
        kind=PkuMmdSource.kind,
        paper=_PAPER,
        home="https://www.icst.pku.edu.cn/struct/Projects/PKUMMD.html",
        licence="for research, by its makers",
        layout=PkuMmdSource.layout_name,
        classes=PKU_MMD_CLASSES,
        bodies=2,
        recorded=1_076,
        splits=(
            Split("pku-xsub", "replication", frozenset(range(1, 365)) - _TEST, _TEST, _PAPER),
            Split(
                "pku-xview", "camera", frozenset({2, 3}), frozenset({1}), f"{_PAPER}: view L tests"
            ),
        ),
        counts={"pku-xsub": (944, 132), "pku-xview": (718, 358)},
        readers=(PkuMmdSource,),
        untrimmed=True,
        up=None,
    ),
)
"""PKU-MMD phase 1; counts are sequences, those of the label files (`0060-L` is missing)."""
