"""The clip store: what comes back, and what a damaged or foreign file is met with."""

import errno
import gc
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tiny_clips import CLASSES, SBU15, tiny_clip, tiny_info

from skelab.data.clips import store_format
from skelab.data.clips import write as write_module
from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.store import Excluded, StoreInfo, open_store
from skelab.data.clips.write import inspect_shard, join_shards, write_shard, write_store
from skelab.errors import OutputError, StoreError
from skelab.skeleton import get_layout


def some_clips(number: int = 6) -> list[Clip]:
    return [tiny_clip(row, label=row % 3) for row in range(number)]


def written(folder: Path, clips: list[Clip] | None = None, **info: Any) -> Path:
    path = folder / "clips.arrow"
    write_store(path, some_clips() if clips is None else clips, tiny_info(**info))
    return path


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(StoreError) as caught:
        open_store(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewritten(path: Path, change: Any, *, honest: bool = True) -> None:
    """Write the store again with another description; ``honest`` gives it the right digest."""
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    metadata = dict(table.schema.metadata)
    text = change(metadata[b"skelab"])
    metadata[b"skelab"] = text
    if honest:
        metadata[b"skelab-check"] = store_format.description_digest(text)
    schema = table.schema.with_metadata(metadata)
    copy = path.with_suffix(".copy")
    with pa.ipc.new_file(str(copy), schema) as writer:
        writer.write_table(table.replace_schema_metadata(metadata))
    copy.replace(path)


def test_every_clip_comes_back_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    clips = some_clips()
    clips.append(Clip(SampleInfo("nobody knows"), clips[0].joints, clips[0].frame_numbers + 7))

    store = open_store(written(tmp_path, clips))

    assert len(store) == len(clips)
    for found, clip in zip(store.clips(), clips, strict=True):
        assert found.info == clip.info
        assert found.joints.tobytes() == clip.joints.tobytes()
        assert found.joints.shape == clip.joints.shape
        assert found.frame_numbers.tolist() == clip.frame_numbers.tolist()


def test_sizes_are_known_without_reading_a_clip(tmp_path: Path) -> None:
    clips = some_clips()

    store = open_store(written(tmp_path, clips))

    assert store.frames.tolist() == [clip.num_frames for clip in clips]
    assert store.bodies.tolist() == [clip.num_bodies for clip in clips]
    assert store.index.names == tuple(clip.info.name for clip in clips)


def test_more_clips_than_fit_a_part_keep_their_order(tmp_path: Path) -> None:
    clips = [tiny_clip(row) for row in range(300)]

    store = open_store(written(tmp_path, clips))

    assert store.index.names == tuple(clip.info.name for clip in clips)
    for row in (0, 127, 128, 255, 256, 299):
        np.testing.assert_array_equal(store.clip(row).joints, clips[row].joints)


def test_the_description_carries_the_whole_layout_and_all_that_was_said(tmp_path: Path) -> None:
    said = tiny_info(
        excluded=(Excluded("S001", "damaged", "S001.txt, line 3: expected a pose, found ü"),),
        source_digest="abc",
        units="normalised",
        versions={"skelab": "0.1", "numpy": "2.0"},
    )
    path = tmp_path / "clips.arrow"

    finished = write_store(path, some_clips(), said)

    found = open_store(path).info
    assert found == finished
    assert found.layout == SBU15
    assert found.classes == CLASSES
    assert found.excluded == said.excluded
    assert (found.synthetic, found.units, found.versions) == (True, "normalised", said.versions)


def test_a_description_survives_being_written_and_read() -> None:
    info = tiny_info(digest="12", excluded=(Excluded("a", "ignored", "b"),))

    again = StoreInfo.from_json(info.to_json())

    assert again == info


def test_joints_cannot_be_written(tmp_path: Path) -> None:
    store = open_store(written(tmp_path))

    clip = store.clip(1)

    with pytest.raises(ValueError, match="read-only"):
        clip.joints[:] = 0


def test_a_clip_outlives_the_store_that_it_came_from(tmp_path: Path) -> None:
    path = written(tmp_path)
    expected = some_clips()[2].joints

    clip = open_store(path).clip(2)
    gc.collect()
    path.unlink()

    np.testing.assert_array_equal(clip.joints, expected)


def test_a_store_keeps_its_file_open_once_and_gives_it_back(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))

    stores = [open_store(path) for _ in range(5)]

    assert len(list(Path("/proc/self/fd").iterdir())) == before + 5
    assert len(stores[0].clip(0).joints) > 0
    del stores
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_store_is_pickled_as_its_path(tmp_path: Path) -> None:
    store = open_store(written(tmp_path))

    pickled = pickle.dumps(store)

    again = pickle.loads(pickled)  # noqa: S301
    assert len(pickled) < 500
    assert again.info == store.info
    np.testing.assert_array_equal(again.clip(3).joints, store.clip(3).joints)


@pytest.mark.parametrize("row", [-1, 6, 1000])
def test_a_row_that_is_not_there_is_an_index_error(tmp_path: Path, row: int) -> None:
    store = open_store(written(tmp_path))

    with pytest.raises(IndexError, match=f"row {row} of a store of 6 clips"):
        store.clip(row)


@pytest.mark.parametrize("rows", [[], [0, -1], [6], [2, 1000]])
def test_rows_that_are_not_there_are_not_packed(tmp_path: Path, rows: list[int]) -> None:
    store = open_store(written(tmp_path))

    with pytest.raises(IndexError, match="of a store of 6 clips"):
        store.pack(rows, 2)


@pytest.mark.parametrize("batch_bytes", [1, 1 << 26])
def test_packed_poses_are_those_of_the_clips_and_can_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_bytes: int
) -> None:
    monkeypatch.setattr("skelab.data.clips.write._BATCH_BYTES", batch_bytes)
    monkeypatch.setattr("skelab.data.clips.write.CLIPS_PER_SHARD", 2)
    store = open_store(written(tmp_path))
    rows = [5, 0, 3, 3]

    packed = store.pack(rows, 1)
    packed.poses[:] += 1

    clips = [store.clip(row) for row in rows]
    expected = np.concatenate([clip.joints[0] for clip in clips])
    np.testing.assert_array_equal(packed.poses, expected + 1)
    assert packed.frames == tuple(clip.num_frames for clip in clips)
    assert packed.bodies == (1, 1, 1, 1)
    assert packed.present == tuple(clip.num_bodies for clip in clips)


def test_the_digest_does_not_depend_on_where_the_clips_were_parted(tmp_path: Path) -> None:
    clips = some_clips()
    whole = write_store(tmp_path / "whole.arrow", clips, tiny_info()).digest

    digests = set()
    for cut in (1, 4):
        parts = [tmp_path / f"{cut}-first.part", tmp_path / f"{cut}-second.part"]
        write_shard(parts[0], clips[:cut], SBU15)
        write_shard(parts[1], clips[cut:], SBU15)
        digests.add(join_shards(tmp_path / f"{cut}.arrow", parts, tiny_info()).digest)

    assert digests == {whole}


def test_a_part_from_which_all_samples_were_left_out_joins_like_any_other(tmp_path: Path) -> None:
    clips, lost = some_clips(), Excluded("lost", "damaged", "lost.txt: expected a pose")
    parts = [tmp_path / f"{number}.part" for number in range(4)]
    for part, chunk in zip(parts, ([], clips[:2], [], clips[2:]), strict=True):
        write_shard(part, chunk, SBU15, [] if chunk else [lost])

    info = join_shards(tmp_path / "clips.arrow", parts, tiny_info())

    store = open_store(tmp_path / "clips.arrow")
    assert info.excluded == (lost, lost)
    assert inspect_shard(parts[0]) == (0, [lost])
    assert inspect_shard(parts[1]) == (2, [])
    for found, clip in zip(store.clips(), clips, strict=True):
        np.testing.assert_array_equal(found.joints, clip.joints)


@pytest.mark.parametrize("change", ["name", "label", "subject", "joints", "order"])
def test_the_digest_changes_with_what_the_clips_are(tmp_path: Path, change: str) -> None:
    first, second = some_clips(2)
    other = {
        "name": Clip(SampleInfo("other", 0, 1, 1, 1, 1), first.joints, first.frame_numbers),
        "label": Clip(SampleInfo("clip000", 2, 1, 1, 1, 1), first.joints, first.frame_numbers),
        "subject": Clip(SampleInfo("clip000", 0, 2, 1, 1, 1), first.joints, first.frame_numbers),
        "joints": Clip(first.info, -first.joints, first.frame_numbers),
        "order": second,
    }[change]
    rest = first if change == "order" else second

    before = write_store(tmp_path / "a.arrow", [first, second], tiny_info()).digest
    after = write_store(tmp_path / "b.arrow", [other, rest], tiny_info()).digest

    assert before != after


def test_equal_joints_have_equal_digests_in_their_column_whatever_they_are_called(
    tmp_path: Path,
) -> None:
    first, second = some_clips(2)
    twin = Clip(SampleInfo("twin", 2, subject=9), first.joints.copy(), first.frame_numbers + 3)
    path = written(tmp_path, [first, second, twin])

    with pa.memory_map(str(path)) as file:
        digests = pa.ipc.open_file(file).read_all().column("digest").to_pylist()

    assert digests[0] == digests[2]
    assert digests[0] != digests[1]


def test_equal_clips_give_equal_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    stores = [written(first), written(second)]

    assert stores[0].read_bytes() == stores[1].read_bytes()


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "nothing.arrow"

    message = refusal(path)

    assert message == f"{path}: there is no clip store; `skelab ingest SOURCE STORE` makes one"


def test_a_folder_in_place_of_a_store_is_taken_for_a_source(tmp_path: Path) -> None:
    message = refusal(tmp_path)

    assert "expected a clip store, found a folder" in message
    assert f"`skelab ingest {tmp_path} STORE` makes a store of a source" in message


def test_a_pipe_in_place_of_a_store_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    message = refusal(path)

    assert "there is no clip store" in message


@pytest.mark.parametrize(
    "content",
    [b"", b"ARROW1", b"ARROW1\0\0", b"PK\x03\x04 a zip", b"\0" * 4096, b"ARROW1\0\0" * 40],
    ids=["empty", "magic only", "magic padded", "zip", "zeros", "magic again and again"],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clips.arrow"
    path.write_bytes(content)

    message = refusal(path)

    assert message.startswith(f"{path}: expected a finished clip store, found another or half-writ")
    assert "`skelab ingest SOURCE STORE` makes it anew" in message


def test_a_store_whose_writer_never_closed_it_is_refused(tmp_path: Path) -> None:
    finished = written(tmp_path).read_bytes()
    path = tmp_path / "unfinished.arrow"
    schema = store_format.SCHEMA.with_metadata({b"skelab": tiny_info().to_json()})
    with path.open("wb") as sink:
        writer = pa.ipc.new_file(pa.PythonFile(sink), schema)
        with pa.memory_map(str(tmp_path / "clips.arrow")) as file:
            batch = pa.ipc.open_file(file).get_batch(0)
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
        sink.flush()
        begun = path.read_bytes()
        writer.close()
    path.write_bytes(begun)

    message = refusal(path)

    assert len(begun) > len(finished) // 2
    assert "expected a finished clip store, found another or half-written file" in message


def test_an_arrow_file_of_another_program_is_told_from_a_store(tmp_path: Path) -> None:
    path = tmp_path / "table.arrow"
    table = pa.table({"name": ["a"], "joints": [[1.0]]})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)

    message = refusal(path)

    assert message == (
        f"{path}: an Arrow file, but not a clip store; `skelab ingest SOURCE STORE` makes one"
    )


def test_a_part_of_an_unfinished_ingest_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "000000.arrow"
    write_shard(path, some_clips(), SBU15)

    message = refusal(path)

    assert "an Arrow file, but not a clip store" in message


def test_a_part_that_lost_some_of_its_numbers_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "0.part"
    write_shard(path, some_clips(), SBU15)
    with pa.memory_map(str(path)) as file:
        joints = pa.ipc.open_file(file).get_batch(0).column("joints").values
        place = path.read_bytes().index(joints.buffers()[1].to_pybytes())
    content = bytearray(path.read_bytes())
    content[place + 400 : place + 500] = bytes(100)
    path.write_bytes(content)

    with pytest.raises(StoreError, match="clip 0 does not match its digest") as caught:
        inspect_shard(path)

    assert str(path) in str(caught.value)


def test_parts_are_joined_to_batches_of_limited_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [tiny_clip(row) for row in range(300)]
    whole = written(tmp_path / "whole", clips)
    monkeypatch.setattr(write_module, "_BATCH_BYTES", 1)

    many = written(tmp_path / "many", clips)

    with pa.memory_map(str(whole)) as one, pa.memory_map(str(many)) as other:
        assert pa.ipc.open_file(one).num_record_batches == 1
        assert pa.ipc.open_file(other).num_record_batches == 3
    assert open_store(whole).info.digest == open_store(many).info.digest
    np.testing.assert_array_equal(open_store(many).clip(200).joints, clips[200].joints)


def test_a_store_is_no_part_of_an_ingest(tmp_path: Path) -> None:
    path = written(tmp_path)

    with pytest.raises(StoreError, match="the store is damaged"):
        inspect_shard(path)


def test_a_store_of_another_format_version_says_which_was_expected(tmp_path: Path) -> None:
    path = written(tmp_path)
    rewritten(path, lambda text: text.replace(b'"format": 1', b'"format": 3'))

    message = refusal(path)

    assert "expected a store of format version 1 or 2, found 3; ingest the source again" in message
    assert str(path) in message


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"{",
        lambda text: b"[]",
        lambda text: b"\xff",
        lambda text: text.replace(b'"pipeline"', b'"papeline"'),
        lambda text: text.replace(b'"joints"', b'"joined"'),
        lambda text: json.dumps({**json.loads(text), "excluded": [["a"]]}).encode(),
        lambda text: json.dumps({**json.loads(text), "layout": {}}).encode(),
    ],
    ids=["no JSON", "a list", "no text", "a key", "the layout", "what was excluded", "no layout"],
)
def test_a_description_that_makes_no_sense_is_refused(tmp_path: Path, change: Any) -> None:
    path = written(tmp_path)
    rewritten(path, change)

    message = refusal(path)

    assert message.startswith(f"{path}: the store's description is damaged")


def test_a_description_that_was_changed_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path)
    rewritten(path, lambda text: text.replace(b"wave", b"wove"), honest=False)

    message = refusal(path)

    assert "the store is damaged: its description does not match its digest" in message


def test_a_label_that_was_changed_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, [tiny_clip(row, label=77) for row in range(3)])
    content = path.read_bytes()
    labels = np.full(3, 77, dtype="<i4").tobytes()
    assert content.count(labels) == 1
    path.write_bytes(content.replace(labels, np.array([77, 78, 77], dtype="<i4").tobytes()))

    message = refusal(path)

    assert "the store is damaged: its index does not match its digest" in message


def test_a_clip_with_fewer_numbers_than_its_frames_need_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, layout=SBU15)
    coco = {**json.loads(tiny_info().to_json())["layout"], "axes": ["x", "y"]}
    rewritten(path, lambda text: json.dumps({**json.loads(text), "layout": coco}).encode())

    message = refusal(path)

    assert "a clip has more or fewer numbers than its frames and bodies" in message


def test_columns_of_another_type_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "clips.arrow"
    table = pa.table({"name": ["a"], "joints": [[1.0]]})
    table = table.replace_schema_metadata({b"skelab": tiny_info().to_json()})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)

    message = refusal(path)

    assert "the store is damaged: its columns are not those of a clip store" in message


def test_a_store_that_may_not_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    message = refusal(path)

    assert message == f"{path}: cannot be read: Permission denied"


def test_two_clips_of_one_name_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    clips = [*some_clips(), tiny_clip(2)]

    with pytest.raises(StoreError, match="two clips are called 'clip002'; names must be unique"):
        written(tmp_path, clips)

    assert list(tmp_path.iterdir()) == []


def test_no_clip_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no clip is left to store; none was given"):
        written(tmp_path, [])

    assert list(tmp_path.iterdir()) == []


def test_if_all_samples_were_left_out_the_first_reasons_are_given(tmp_path: Path) -> None:
    lost = tuple(Excluded(f"s{i}", "damaged", f"s{i}.txt: expected a pose") for i in range(5))

    with pytest.raises(
        StoreError, match=r"all 5 samples were left out \(s0\.txt: .*; s2\.txt: [^;]*\)"
    ):
        written(tmp_path, [], excluded=lost)


def test_a_clip_of_another_layout_is_refused_by_name(tmp_path: Path) -> None:
    clip = tiny_clip(0, layout=get_layout("utd20"))

    with pytest.raises(
        StoreError, match="clip000: expected 15 joints of 3 values for layout sbu15, found 20 of 3"
    ):
        written(tmp_path, [tiny_clip(1), clip])

    assert list(tmp_path.iterdir()) == []


class FullDisk:
    """Stands in for Arrow's writer on a disk that fills up."""

    def __init__(self, sink: str, schema: pa.Schema) -> None:
        Path(sink).write_bytes(b"ARROW1 and half a store")

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write_batch(self, batch: pa.RecordBatch) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_leaves_the_old_store_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    before = path.read_bytes()

    monkeypatch.setattr(pa.ipc, "new_file", FullDisk)
    with pytest.raises(OutputError, match="the disk is full"):
        write_store(path, some_clips(9), tiny_info())

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_while_the_parts_are_joined_leaves_the_old_store_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    parts = [tmp_path / "parts" / "000000.arrow"]
    write_shard(parts[0], some_clips(9), SBU15)

    monkeypatch.setattr(pa.ipc, "new_file", FullDisk)
    with pytest.raises(OutputError, match=r"clips\.arrow: the disk is full"):
        join_shards(path, parts, tiny_info())

    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clips.arrow", "parts"]


def test_a_file_size_limit_of_the_system_is_met_with_one_line(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tiny_clips import tiny_clip, tiny_info\n"
        "from skelab.data.clips.write import write_store\n"
        "from skelab.errors import OutputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    write_store(Path(sys.argv[1]), [tiny_clip(row) for row in range(90)], tiny_info())\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    path = tmp_path / "clips.arrow"
    tests = str(Path(__file__).parents[3])

    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env={**os.environ, "PYTHONPATH": tests},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "cannot be written: " in done.stdout
    assert "File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    path = tmp_path / "file" / "clips.arrow"

    with pytest.raises(OutputError, match=r"file/clips\.arrow: cannot be written: "):
        write_store(path, some_clips(), tiny_info())

    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_fault_while_clips_are_read_leaves_the_old_store(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()

    def clips() -> Iterator[Clip]:
        yield tiny_clip(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_store(path, clips(), tiny_info())

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
