"""The side-car store: one memory-mapped Arrow file of features, keyed by the names of clips.

A side-car belongs to a clip by name, and to moments of it by frame numbers of the recording, so
that neither the order of clips nor the length of a video matters. The file is written whole under
a temporary name; its description and every side-car have a digest.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float16, Int32, Shaped
from numpy import ndarray
from pydantic import Field, TypeAdapter

from skelab.data.clips.description import Described
from skelab.data.clips.store_format import description_digest
from skelab.errors import SideCarError
from skelab.files.atomic import atomic_write
from skelab.files.description import Name, Text, read_description
from skelab.fusion.spec import SideCarInfo

FORMAT: Final = 1
_KEY: Final = b"skelab-side-cars"
_DIGEST_KEY: Final = b"skelab-side-cars-check"
_ROWS_PER_BATCH: Final = 256
_LARGEST: Final = float(np.finfo(np.float16).max)
_SCHEMA: Final = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("frames", pa.list_(pa.int32()), nullable=False),
        pa.field("valid", pa.list_(pa.uint8()), nullable=False),
        pa.field("features", pa.list_(pa.float16()), nullable=False),
        pa.field("digest", pa.binary(16), nullable=False),
    ]
)


@dataclass(frozen=True, eq=False)
class SideCar:
    """Features of one clip.

    Attributes:
        name: The name of the clip.
        features: One vector per described frame, T' D.
        frames: Number of each described frame in the recording, from 0, ascending.
        valid: Whether the vector of a frame means anything.
        length: Frames of the recording that was read, described or not.

    Raises:
        SideCarError: The lengths differ, the frames do not ascend, or the values are not finite or
            all zero.
    """

    name: str
    features: Float16[ndarray, "T D"] = field(repr=False)
    frames: Int32[ndarray, " F"] = field(repr=False)
    valid: Bool[ndarray, " S"] = field(repr=False)
    length: int

    def __post_init__(self) -> None:
        """Check the entries against each other."""
        where, count = f"side-car {self.name!r}", len(self.frames)
        if not count or len(self.features) != count or len(self.valid) != count:
            raise SideCarError(
                f"{where}: expected one vector and one mask entry for each of its frames, found"
                f" {count} frames, {len(self.features)} vectors, {len(self.valid)} entries"
            )
        if self.frames[0] < 0 or (np.diff(self.frames) <= 0).any():
            raise SideCarError(f"{where}: expected frame numbers that ascend from 0 or later")
        if self.frames[-1] >= self.length:
            raise SideCarError(
                f"{where}: expected frames of a recording of {self.length} frames, found number"
                f" {self.frames[-1]}"
            )
        used = self.features[self.valid]
        if not np.isfinite(used).all():
            raise SideCarError(f"{where}: expected finite numbers, found NaN or infinity")
        if not used.any():
            raise SideCarError(f"{where}: expected features, found nothing but zeros")


class _Description(Described):
    """The description in the file."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    encoder: Name
    version: Name
    size: Annotated[int, Field(ge=1, le=1 << 20)]
    skipped: tuple[tuple[Text, Text], ...] = ()
    digest: Name


_DESCRIPTION: Final[TypeAdapter[_Description]] = TypeAdapter(_Description)


def make_side_car(
    name: str,
    features: Shaped[ndarray, "T D"],
    frames: Shaped[ndarray, " T"] | Sequence[int] | None = None,
    *,
    valid: Bool[ndarray, " T"] | None = None,
    length: int | None = None,
) -> SideCar:
    """A side-car from arrays of any kind of number; vectors that are not finite become invalid.

    Args:
        name: The name of the clip.
        features: One vector per frame.
        frames: Their frame numbers; 0, 1, 2... if None.
        valid: Which vectors count; all finite ones if None.
        length: Frames of the recording; up to the last described one if None.

    Raises:
        SideCarError: No vector is finite, a number is too large for float16, or as ``SideCar``.
    """
    values = np.asarray(features, dtype=np.float32)
    numbers = np.arange(len(values)) if frames is None else np.asarray(frames)
    finite: Bool[ndarray, " T"] = np.asarray(np.isfinite(values).all(axis=1))
    if not finite.any():
        raise SideCarError(f"side-car {name!r}: expected finite numbers, found none in any frame")
    mask = finite if valid is None else finite & valid
    values = np.where(mask[:, None], values, 0)
    if np.abs(values).max() > _LARGEST:
        raise SideCarError(
            f"side-car {name!r}: expected numbers up to {_LARGEST:,.0f} (float16), found"
            f" {np.abs(values).max():,.0f}; scale the features"
        )
    last = int(numbers[-1]) + 1 if length is None else length
    return SideCar(name, values.astype(np.float16), numbers.astype(np.int32), mask, last)


class SideCarStore:
    """Side-cars by the names of their clips, read in place; made by :func:`open_side_cars`.

    Attributes:
        path: The file.
        info: What the features are.
        names: The names of the clips, in the order of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path):
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            metadata = reader.schema.metadata or {}
            if _KEY not in metadata:
                raise SideCarError(
                    f"{path}: an Arrow file, but not a side-car store; `skelab features SOURCE OUT"
                    " --encoder NAME` makes one"
                )
            text = metadata[_KEY]
            if metadata.get(_DIGEST_KEY) != description_digest(text) or reader.schema != _SCHEMA:
                raise ValueError("its description does not match its digest")
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            for batch in batches:
                batch.validate(full=True)
            self._table = pa.Table.from_batches(batches, _SCHEMA).combine_chunks()
        where = f"{path}: the side-car store's description is damaged"
        described = read_description(text, _DESCRIPTION, where, SideCarError)
        self.info = SideCarInfo(
            described.encoder,
            described.version,
            described.size,
            described.skipped,
            described.digest,
        )
        self.names: tuple[str, ...] = tuple(self._table.column("name").to_pylist())
        self._rows = {name: row for row, name in enumerate(self.names)}
        if _digest_of(self._table.column("digest").to_pylist(), self.names) != self.info.digest:
            raise _damaged(path, "its side-cars do not match their digest")

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def get(self, name: str) -> SideCar | None:
        """The side-car of a clip; None where it has none.

        Raises:
            SideCarError: It does not match its digest.
        """
        row = self._rows.get(name)
        if row is None:
            return None
        features = _row(self._table, "features", row)
        frames, valid = _row(self._table, "frames", row), _row(self._table, "valid", row)
        length = self._table.column("length")[row].as_py()
        if len(features) != len(frames) * self.info.size or len(valid) != len(frames):
            raise _damaged(self.path, f"side-car {name} has another length than its frames")
        shaped = features.reshape(len(frames), self.info.size)
        found = SideCar(name, shaped, frames, valid.astype(bool), length)
        if _side_car_digest(found) != self._table.column("digest")[row].as_py():
            raise _damaged(self.path, f"side-car {name} does not match its digest")
        return found


def open_side_cars(path: Path | str) -> SideCarStore:
    """Open a side-car store.

    Raises:
        SideCarError: There is none, it is damaged, or it is another kind of file.
    """
    return SideCarStore(Path(path))


def write_side_cars(path: Path, side_cars: Iterable[SideCar], info: SideCarInfo) -> SideCarInfo:
    """Write side-cars to one store, atomically; returns its description with the digest.

    Raises:
        SideCarError: There is none, two have one name, or one has vectors of another size.
        OutputError: The disk is full or the folder cannot be written.
    """
    entries = list(side_cars)
    if not entries:
        raise SideCarError(f"{path}: expected at least one side-car to write, found none")
    names = [entry.name for entry in entries]
    for place, entry in enumerate(entries):
        if entry.name in names[:place]:
            raise SideCarError(f"{path}: two side-cars have the name {entry.name!r}")
        if entry.features.shape[1] != info.size:
            raise SideCarError(
                f"{path}: expected vectors of {info.size} numbers, found {entry.features.shape[1]}"
                f" in {entry.name!r}"
            )
    digests = [_side_car_digest(entry) for entry in entries]
    info = replace(info, digest=_digest_of(digests, names))
    text = json.dumps({"format": FORMAT, **asdict(info)}, sort_keys=True).encode()
    schema = _SCHEMA.with_metadata({_KEY: text, _DIGEST_KEY: description_digest(text)})
    with atomic_write(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for start in range(0, len(entries), _ROWS_PER_BATCH):
            own = slice(start, start + _ROWS_PER_BATCH)
            writer.write_batch(_batch(entries[own], digests[own], schema))
    return info


def _batch(
    entries: Sequence[SideCar], digests: Sequence[bytes], schema: pa.Schema
) -> pa.RecordBatch:
    columns = [
        pa.array([entry.name for entry in entries], pa.string()),
        pa.array([entry.length for entry in entries], pa.int32()),
        _lists([entry.frames for entry in entries], pa.int32()),
        _lists([entry.valid.astype(np.uint8) for entry in entries], pa.uint8()),
        _lists([entry.features.reshape(-1) for entry in entries], pa.float16()),
        pa.array(digests, pa.binary(16)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _lists(rows: Sequence[Any], kind: pa.DataType) -> pa.ListArray:
    starts = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int32)
    return pa.ListArray.from_arrays(starts, pa.array(np.concatenate(rows), kind))


def _row(table: pa.Table, column: str, row: int) -> Any:
    """The values of a list entry, not copied."""
    return table.column(column)[row].values.to_numpy(zero_copy_only=True)


def _side_car_digest(entry: SideCar) -> bytes:
    digest = hashlib.blake2b(f"{entry.features.shape} {entry.length}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(entry.frames, dtype="<i4").data)
    digest.update(np.ascontiguousarray(entry.valid, dtype=np.uint8).data)
    digest.update(np.ascontiguousarray(entry.features, dtype="<f2").data)
    return digest.digest()


def _digest_of(digests: Sequence[bytes], names: Sequence[str]) -> str:
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=16)
    for entry in digests:
        digest.update(entry)
    return digest.hexdigest()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn errors of reading a file into SideCarErrors."""
    if not path.is_file():
        raise SideCarError(
            f"{path}: there is no side-car store; `skelab features SOURCE OUT --encoder NAME`"
            " makes one"
        )
    try:
        yield
    except SideCarError:
        raise
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError) as error:
        raise _damaged(path, " ".join(str(error).split())[:160]) from None


def _damaged(path: Path, reason: str) -> SideCarError:
    return SideCarError(
        f"{path}: the side-car store is damaged or another kind of file: {reason}; `skelab features"
        " SOURCE OUT` makes it anew"
    )
