"""Stores whose bytes change under the hands of who reads them."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tiny_clips import SBU15, tiny_clip, tiny_info, tiny_store
from untrimmed_files import tiny_sequence

from skelab.data.clips import store_format
from skelab.data.clips import write as write_module
from skelab.data.clips.store import ClipStore, Excluded, open_store
from skelab.data.clips.write import join_shards, write_shard, write_store
from skelab.data.feeding.dataset import ClipDataset, pad_clips, read_ahead
from skelab.errors import StoreError


def values_of(path: Path, name: str) -> tuple[int, int]:
    """Where the values of a ragged column begin and end in the file of a small store."""
    with pa.memory_map(str(path)) as file:
        base = file.read_buffer(1).address
        column = pa.ipc.open_file(file).get_batch(0).column(name)
        buffer = column.values.buffers()[1]
        return buffer.address - base, buffer.address - base + 4 * len(column.values)


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Turn one bit of a file over, as a disk may."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_one_flipped_bit_in_the_joints_is_always_seen(tmp_path: Path) -> None:
    path = tiny_store(tmp_path / "clips.arrow", clips=6).path
    sound = path.read_bytes()
    start, end = values_of(path, "joints")
    rng = np.random.default_rng(0)
    seen = 0

    for place in rng.integers(start, end, size=250):
        flip(path, int(place), int(rng.integers(8)))
        with pytest.raises(
            StoreError, match=r"clips\.arrow: the store is damaged: clip clip00\d doe"
        ):
            list(open_store(path).clips())
        seen += 1
        path.write_bytes(sound)

    assert seen == 250


def test_one_flipped_bit_in_the_frame_numbers_is_seen(tmp_path: Path) -> None:
    path = tiny_store(tmp_path / "clips.arrow", clips=6).path
    start, end = values_of(path, "frame_numbers")

    flip(path, (start + end) // 2)

    with pytest.raises(
        StoreError, match=r"clips\.arrow: .* its frame numbers do not match their dig"
    ):
        open_store(path).clip(0)


def test_a_damaged_clip_is_refused_in_a_batch_and_the_others_are_not(tmp_path: Path) -> None:
    path = tiny_store(tmp_path / "clips.arrow", clips=6).path
    flip(path, values_of(path, "joints")[1] - 2)

    store = open_store(path)

    assert len(store.pack([0, 1, 2], 1).poses) > 0
    with pytest.raises(StoreError, match=r"clip clip005 does not match its digest"):
        store.pack([0, 5], 1)  # the damage is in the second body, which is not asked for


def test_a_clip_is_compared_once_until_the_file_is_written_to(tmp_path: Path) -> None:
    path = tiny_store(tmp_path / "clips.arrow", clips=6).path
    start, _ = values_of(path, "joints")
    store = open_store(path)
    store.clip(0)
    assert store._ragged.is_sound(0)

    with path.open("r+b") as file:  # the same file, unlike one that is renamed into place
        file.seek(start)
        file.write(b"\xff\xff\xff\x3f")
    os.utime(path, ns=(0, 0))

    with pytest.raises(StoreError, match="clip clip000 does not match its digest"):
        store.pack([0], 2)


def test_a_store_that_is_replaced_stays_the_one_that_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "clips.arrow"
    store = tiny_store(path, clips=6)
    pickled = pickle.dumps(store)
    expected = store.clip(3).joints

    write_store(path, [tiny_clip(row) for row in range(50, 56)], tiny_info())

    np.testing.assert_array_equal(store.clip(3).joints, expected)
    with pytest.raises(
        StoreError, match=r"clips\.arrow: expected the store that this command has op"
    ):
        pickle.loads(pickled)  # noqa: S301 - as a worker does that is started anew


def test_a_store_without_a_digest_of_frame_numbers_still_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(write_module, "FRAME_NUMBERS_KEY", b"other")
        tiny_store(tmp_path / "clips.arrow", clips=4)

    store = open_store(tmp_path / "clips.arrow")

    assert not store.frame_numbers_are_checked
    assert store.find_damage() == ()
    assert next(store.clips()).info.name == "clip000"


def test_sequences_are_checked_as_clips_are(tmp_path: Path) -> None:
    path = tmp_path / "mixed.arrow"
    write_store(path, [tiny_sequence(0), tiny_clip(1), tiny_sequence(1)], tiny_info())
    sound = open_store(path)
    assert (sound.info.format, sound.frame_numbers_are_checked) == (2, True)
    assert sound.find_damage() == ()

    flip(path, values_of(path, "joints")[1] - 1)

    store = open_store(path)
    assert store.clip(0).info.name == "seq000"
    with pytest.raises(StoreError, match=r"mixed\.arrow: .* clip seq001 does not match its digest"):
        store.clip(2)


def test_a_store_of_sequences_without_a_digest_of_frame_numbers_still_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mixed.arrow"
    with monkeypatch.context() as patch:
        patch.setattr(write_module, "FRAME_NUMBERS_KEY", b"other")
        write_store(path, [tiny_sequence(0), tiny_clip(1)], tiny_info())

    store = open_store(path)

    assert not store.frame_numbers_are_checked
    assert store.segments(0) == tiny_sequence(0).segments
    assert [clip.info.name for clip in store.clips()] == ["seq000", "clip001"]


def test_the_digest_of_frame_numbers_is_of_the_clips_that_are_kept(tmp_path: Path) -> None:
    parts = [tmp_path / "a", tmp_path / "b"]
    write_shard(parts[0], [tiny_sequence(0), tiny_clip(1)], SBU15)
    write_shard(parts[1], [tiny_sequence(1), tiny_clip(2)], SBU15)
    unwanted = [Excluded("seq000", "leak", "a copy"), Excluded("clip002", "leak", "a copy")]

    join_shards(tmp_path / "s.arrow", parts, tiny_info(), lambda index, digests: unwanted)

    store = open_store(tmp_path / "s.arrow")
    assert store.index.names == ("clip001", "seq001")
    assert (store.frame_numbers_are_checked, store.find_damage()) == (True, ())


def test_all_damage_is_found_at_once(tmp_path: Path) -> None:
    path = tiny_store(tmp_path / "clips.arrow", clips=6).path
    start, end = values_of(path, "joints")
    for place in (start, end - 1, values_of(path, "frame_numbers")[0]):
        flip(path, place)
    calls: list[tuple[int, int]] = []

    found = open_store(path).find_damage(lambda done, total: calls.append((done, total)))

    assert found == (
        "the frame numbers do not match their digest",
        "clip clip000 does not match its digest",
        "clip clip005 does not match its digest",
    )
    assert calls == [(6, 6)]


def test_a_store_that_is_cut_off_while_it_is_open_is_one_line(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=6)

    os.truncate(store.path, 5000)

    for read in (lambda: store.clip(5), lambda: store.pack([5], 2), store.find_damage):
        with pytest.raises(
            StoreError, match=r"clips\.arrow: the file has become shorter while it was"
        ):
            read()


def test_the_threads_of_arrow_never_need_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that still reads when the interpreter ends aborts the process, on a busy machine."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file object of Python is given to Arrow")

    monkeypatch.setattr(pa, "PythonFile", refuse)
    store = tiny_store(tmp_path / "clips.arrow", clips=6)

    assert len(open_store(store.path)) == 6
    os.truncate(store.path, 3000)
    with pytest.raises(StoreError, match="expected a finished clip store"):
        open_store(store.path)


def test_a_store_that_is_replaced_is_read_from_the_file_that_was_opened(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=6)

    with store_format.index_reader(store.path) as (reader, _):
        tiny_store(tmp_path / "other.arrow", clips=2).path.replace(store.path)
        rows = sum(reader.get_batch(n).num_rows for n in range(reader.num_record_batches))

    assert rows == 6


READER = """
import sys
from pathlib import Path
from functools import partial
from torch.utils.data import DataLoader
from skelab.data.clips.store import open_store
from skelab.data.feeding.dataset import ClipDataset, pad_clips, read_ahead
from skelab.data.opened import open_clips
from skelab.errors import SkelabError

clips = open_clips(Path(sys.argv[1]), anatomy_check=False)
loader = DataLoader(
    ClipDataset(clips, list(range(len(clips))) * 200),
    batch_size=2,
    num_workers=int(sys.argv[2]),
    collate_fn=partial(pad_clips, max_bodies=2),
    multiprocessing_context=sys.argv[3] or None,
)
batches = read_ahead(loader)
next(batches)
print("reading", flush=True)
sys.stdin.readline()
try:
    for batch in batches:
        batch.poses.sum()
except SkelabError as error:
    print(type(error).__name__, error)
    raise SystemExit(2)
"""


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("kind", ["store", "npz"])
@pytest.mark.parametrize("change", ["cut off", "overwritten"])
def test_a_file_that_is_changed_under_a_reading_process_ends_it_in_one_line(
    tmp_path: Path, kind: str, workers: str, change: str
) -> None:
    path = tmp_path / ("clips.arrow" if kind == "store" else "clips.npz")
    if kind == "store":
        tiny_store(path, clips=24)
    else:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(24, 40, 150)).astype(np.float32)
        np.savez(path, x_train=x, y_train=np.arange(24) % 3)
    size = path.stat().st_size

    with subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            READER,
            str(path),
            workers,
            "fork" * (workers > "0"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        if change == "cut off":
            os.truncate(path, 4096)
        else:
            with path.open("r+b") as file:
                file.write(bytes(size))
        out, err = process.communicate("go on\n")

    assert process.returncode == 2, (out, err)
    assert len(out.splitlines()) == 1
    words = {
        ("store", "cut off"): "StoreError .*shorter",
        ("store", "overwritten"): "StoreError .*the store is damaged",
        ("npz", "cut off"): "SourceError .*clips.npz.*(shorter|was written to)",
        ("npz", "overwritten"): "SourceError .*clips.npz.*was written to",
    }[kind, change]
    assert re.search(words, out), out


def test_a_fault_of_ours_is_worded_the_same_whoever_raises_it(tmp_path: Path) -> None:
    said = "Caught StoreError in DataLoader worker process 0.\nOriginal Traceback (most recent"
    said += (
        " call last):\n  File x\nskelab.errors.StoreError: clips.arrow: it is damaged: so it is\n"
    )

    def fail(text: str) -> int:
        raise StoreError(text)

    for text in (said, "clips.arrow: it is damaged: so it is"):
        with pytest.raises(StoreError) as caught:
            list(read_ahead(map(fail, [text])))
        assert str(caught.value) == "clips.arrow: it is damaged: so it is"


def test_reading_through_a_loader_gives_the_clips(tmp_path: Path) -> None:
    store: ClipStore = tiny_store(tmp_path / "clips.arrow", clips=4)
    dataset = ClipDataset(store, [0, 1, 2, 3])

    for _ in range(2):  # compared the first time, not the second
        batch = pad_clips(dataset.__getitems__([0, 1, 2, 3]), 2)
        expected = [store.clip(row).joints.reshape(-1, 15, 3) for row in range(4)]
        np.testing.assert_array_equal(batch.poses.numpy(), np.concatenate(expected))
