"""What a store says of sequences beside its columns, and when it is written at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tiny_clips import SBU15, tiny_clip, tiny_info
from untrimmed_files import tiny_sequence

from skelab.data.clips import store_format
from skelab.data.clips.annotations import ANNOTATIONS_KEY, annotations_digest
from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.sequence import Note, Segment, UntrimmedSequence
from skelab.data.clips.store import ClipStore, Excluded, open_store
from skelab.data.clips.write import (
    inspect_shard,
    join_shards,
    shard_notes,
    write_shard,
    write_store,
)
from skelab.errors import StoreError

NOTE = Note("seq000", "segment left out", "a.csv, line 3: expected an end after frame 9, found 2")


def mixed(folder: Path) -> ClipStore:
    """Two sequences and a clip; one sequence has labels of frames, the other a script."""
    clips = [
        tiny_sequence(0, labelled=True),
        tiny_clip(1),
        tiny_sequence(1, (Segment(1, 0, 12),), script=4, subject=2),
    ]
    write_store(folder / "mixed.arrow", clips, tiny_info())
    return open_store(folder / "mixed.arrow")


def metadata_of(path: Path) -> dict[bytes, bytes]:
    with pa.memory_map(str(path)) as file:
        return dict(pa.ipc.open_file(file).schema.metadata)


def rewritten(path: Path, change: Any) -> Path:
    """The store with another text of annotations, and honest digests where ``change`` is told."""
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    metadata = change(dict(table.schema.metadata))
    copy = path.with_name("copy.arrow")
    schema = table.schema.with_metadata(metadata)
    with pa.ipc.new_file(str(copy), schema) as writer:
        writer.write_table(table.replace_schema_metadata(metadata))
    return copy


def test_sequences_and_clips_come_back_from_one_store(tmp_path: Path) -> None:
    store = mixed(tmp_path)

    first, clip, second = store.clips()

    assert isinstance(first, UntrimmedSequence)
    assert isinstance(second, UntrimmedSequence)
    assert not isinstance(clip, UntrimmedSequence)
    expected = tiny_sequence(0, labelled=True)
    assert first.info == expected.info
    assert first.segments == store.segments(0) == expected.segments
    assert first.joints.tobytes() == expected.joints.tobytes()
    np.testing.assert_array_equal(store.frame_labels(0), expected.frame_labels)
    assert (store.segments(1), store.frame_labels(1), store.frame_labels(2)) == (None, None, None)
    assert store.index.untrimmed.tolist() == [True, False, True]
    assert store.index.scripts.tolist() == [-1, -1, 4]
    assert store.index.select([2]).sample(0) == second.info


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_that_is_not_there_has_no_segments(tmp_path: Path, row: int) -> None:
    store = mixed(tmp_path)

    for ask in (store.segments, store.frame_labels):
        with pytest.raises(IndexError, match=f"row {row} of a store of 3 clips"):
            ask(row)


def test_a_store_of_clips_is_written_as_before_there_were_sequences(tmp_path: Path) -> None:
    path = tmp_path / "clips.arrow"

    write_store(path, [tiny_clip(0), tiny_clip(1)], tiny_info())

    metadata = metadata_of(path)
    about = json.loads(metadata[b"skelab"])
    assert set(metadata) == {b"skelab", b"skelab-check", b"skelab-frame-numbers"}
    assert about["format"] == 1
    assert set(about) == {
        *("classes", "dataset", "digest", "excluded", "format", "layout", "pipeline"),
        *("source_digest", "synthetic", "units", "versions"),
    }


def test_only_sequences_and_scripts_raise_the_version_of_the_format(tmp_path: Path) -> None:
    scripted = Clip(SampleInfo("a", 0, script=1), tiny_clip(0).joints, tiny_clip(0).frame_numbers)

    formats = {}
    for name, clip in (("clip", tiny_clip(0)), ("script", scripted), ("seq", tiny_sequence(0))):
        write_store(tmp_path / name, [clip], tiny_info())
        formats[name] = json.loads(metadata_of(tmp_path / name)[b"skelab"])["format"]

    assert formats == {"clip": 1, "script": 2, "seq": 2}
    assert open_store(tmp_path / "script").clip(0).info == scripted.info


def test_the_columns_are_those_of_every_store_so_that_old_readers_look_at_the_version(
    tmp_path: Path,
) -> None:
    store = mixed(tmp_path)

    with pa.memory_map(str(store.path)) as file:
        schema = pa.ipc.open_file(file).schema

    assert schema == store_format.SCHEMA


@pytest.mark.parametrize(
    "segments",
    [
        (Segment(0, 1, 4), Segment(2, 4, 8, 2.0)),
        (Segment(1, 1, 4), Segment(2, 4, 9, 2.0)),
        (Segment(0, 1, 4), Segment(2, 4, 9, 1.0)),
        (Segment(0, 1, 4),),
        (),
    ],
)
def test_the_digest_changes_with_the_segments(
    tmp_path: Path, segments: tuple[Segment, ...]
) -> None:
    before = write_store(tmp_path / "a.arrow", [tiny_sequence(0)], tiny_info()).digest

    after = write_store(tmp_path / "b.arrow", [tiny_sequence(0, segments)], tiny_info()).digest

    assert before != after
    assert open_store(tmp_path / "a.arrow").digests == open_store(tmp_path / "b.arrow").digests


def test_the_digest_changes_with_labels_of_frames_and_script(tmp_path: Path) -> None:
    digests = {
        write_store(tmp_path / f"{number}.arrow", [sequence], tiny_info()).digest
        for number, sequence in enumerate(
            [tiny_sequence(0), tiny_sequence(0, labelled=True), tiny_sequence(0, script=1)]
        )
    }

    assert len(digests) == 3


def test_equal_sequences_give_equal_bytes_however_they_are_parted(tmp_path: Path) -> None:
    sequences = [tiny_sequence(row, labelled=True) for row in range(4)]
    write_store(tmp_path / "whole.arrow", sequences, tiny_info())

    parts = [tmp_path / "0.part", tmp_path / "1.part"]
    write_shard(parts[0], sequences[:1], SBU15)
    write_shard(parts[1], sequences[1:], SBU15)
    join_shards(tmp_path / "joined.arrow", parts, tiny_info())

    assert (tmp_path / "whole.arrow").read_bytes() == (tmp_path / "joined.arrow").read_bytes()


def test_notes_of_the_parts_are_in_the_description(tmp_path: Path) -> None:
    parts = [tmp_path / "0.part", tmp_path / "1.part"]
    write_shard(parts[0], [tiny_sequence(0)], SBU15, notes=[NOTE])
    write_shard(parts[1], [tiny_clip(1)], SBU15)

    info = join_shards(tmp_path / "s.arrow", parts, tiny_info())

    assert info.notes == open_store(tmp_path / "s.arrow").info.notes == (NOTE,)
    assert [shard_notes(part) for part in parts] == [[NOTE], []]
    assert inspect_shard(parts[0]) == (1, [])


def test_what_is_left_out_takes_its_segments_along(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.part", [tiny_sequence(0), tiny_sequence(1)], SBU15)
    lost = Excluded("seq000", "leak", "seq000: equals another")
    told = []

    def leave_out(index: Any, digests: Any) -> list[Excluded]:
        told.append(index.untrimmed.tolist())
        return [lost]

    join_shards(tmp_path / "s.arrow", [tmp_path / "0.part"], tiny_info(), leave_out)

    store = open_store(tmp_path / "s.arrow")
    assert told == [[True, True]]
    assert store.index.names == ("seq001",)
    assert store.segments(0) == tiny_sequence(1).segments
    assert b"seq000" not in metadata_of(store.path)[ANNOTATIONS_KEY]


def test_segments_that_were_changed_or_lost_are_noticed(tmp_path: Path) -> None:
    path = mixed(tmp_path).path

    changed = rewritten(
        path, lambda found: found | {ANNOTATIONS_KEY: found[ANNOTATIONS_KEY].replace(b"4", b"5")}
    )
    with pytest.raises(StoreError, match="its segments do not match their digest"):
        open_store(changed)
    lost = rewritten(path, lambda found: {k: v for k, v in found.items() if k != ANNOTATIONS_KEY})
    with pytest.raises(StoreError, match="its segments do not match their digest"):
        open_store(lost)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"seq000":{"segments":[[0,5,99,null]]}}', "within 12 frames, found one up to frame 99"),
        (b'{"seq000":{"segments":[[0,5,2,null]]}}', "found frames 5 to 2"),
        (b'{"nobody":{"segments":[]}}', "a sequence that is not there: 'nobody'"),
        (b'{"seq000":{"segments":[[0]]}}', "missing"),
        (b"{", "the store is damaged"),
    ],
)
def test_segments_that_do_not_fit_are_damage_in_one_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    def forged(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
        about = json.loads(found[b"skelab"]) | {"annotations": annotations_digest(text)}
        described = json.dumps(about, sort_keys=True).encode()
        check = store_format.description_digest(described)
        return {b"skelab": described, b"skelab-check": check, ANNOTATIONS_KEY: text}

    path = rewritten(mixed(tmp_path).path, forged)

    with pytest.raises(StoreError, match="the store is damaged") as caught:
        open_store(path)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
