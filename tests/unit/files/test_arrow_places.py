"""Buffers of an Arrow file, found as Arrow itself finds them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tiny_clips import tiny_store

from skelab.files.arrow_places import find_buffers
from skelab.files.steady import SteadyFile


def written(path: Path, *, compression: str | None = None, batches: int = 2) -> Path:
    """A file of a number, a text and a list a row."""
    schema = pa.schema([("a", pa.int32()), ("b", pa.string()), ("c", pa.list_(pa.float32()))])
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(str(path), schema, options=options) as writer:
        for number in range(batches):
            rows = [[1, 2, 3], ["x", "yy", "zzz"], [[1.5], [], [2.5, number]]]
            arrays = [pa.array(row, each.type) for row, each in zip(rows, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return path


def buffers(path: Path) -> list[list[tuple[int, int]]]:
    file = SteadyFile(path)
    return [[(b.start, b.size) for b in batch] for batch in find_buffers(file.read_at, file.size)]


def test_every_buffer_lies_where_arrow_reads_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.arrow")
    content = path.read_bytes()

    found = buffers(path)

    assert len(found) == 2
    for number, batch in enumerate(found):
        assert len(batch) == 2 + 3 + 4
        values, texts, starts, floats = (batch[place] for place in (1, 4, 6, 8))
        assert np.frombuffer(content, "<i4", 3, values[0]).tolist() == [1, 2, 3]
        assert content[texts[0] : texts[0] + 6] == b"xyyzzz"
        assert np.frombuffer(content, "<i4", 4, starts[0]).tolist() == [0, 1, 1, 3]
        assert np.frombuffer(content, "<f4", 3, floats[0]).tolist() == [1.5, 2.5, number]


def test_a_file_without_a_batch_has_no_buffers(tmp_path: Path) -> None:
    assert buffers(written(tmp_path / "a.arrow", batches=0)) == []


def test_compressed_batches_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.arrow", compression="zstd")

    with pytest.raises(ValueError, match="its batches are compressed"):
        buffers(path)


def test_no_damaged_byte_leads_outside_of_the_file(tmp_path: Path) -> None:
    path = tiny_store(tmp_path / "clips.arrow", clips=3).path
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0

    for _ in range(600):
        damaged = bytearray(whole)
        place = len(whole) - 1 - int(rng.integers(min(len(whole), 1500)))
        damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        try:
            found = buffers(path)
        except ValueError:
            refused += 1
            continue
        assert all(0 <= start <= start + size <= len(whole) for b in found for start, size in b)

    assert refused > 0  # most of the last bytes are text of the description
