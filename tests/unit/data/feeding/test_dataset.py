"""Reading rows and laying clips side by side."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_clips import SBU15, tiny_clip, tiny_info, tiny_store
from torch.utils.data import DataLoader

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.store import open_store
from skelab.data.clips.write import write_store
from skelab.data.feeding.dataset import (
    ClipDataset,
    ClipSource,
    RowsOfSource,
    killed_workers_named,
    pad_clips,
)
from skelab.errors import LoaderError


def clip_of(joints: np.ndarray, label: int | None = 0) -> Clip:
    frames = np.arange(joints.shape[1], dtype=np.int32)
    return Clip(SampleInfo("made up", label), joints.astype(np.float32), frames)


def test_a_store_is_a_source_of_clips(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=3)

    assert isinstance(store, ClipSource)


def test_an_item_is_the_row_in_the_source_and_its_clip(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=6)
    dataset = ClipDataset(store, [5, 2])

    items = [dataset[0], dataset[1]]

    assert len(dataset) == 2
    assert [row for row, _ in items] == [5, 2]
    assert [clip.info.name for _, clip in items] == ["clip005", "clip002"]


def test_frames_and_bodies_that_are_not_there_are_zeros() -> None:
    short, long = tiny_clip(0), tiny_clip(1)
    assert short.num_bodies == 1
    assert short.num_frames != long.num_frames

    padded = pad_clips([(7, short), (9, long)], max_bodies=2)

    expected = np.zeros((2, 3, max(short.num_frames, long.num_frames), 15, 2), np.float32)
    for slot, clip in zip(expected, (short, long), strict=True):
        for m in range(clip.num_bodies):
            for t in range(clip.num_frames):
                slot[:, t, :, m] = clip.joints[m, t].T
    np.testing.assert_array_equal(padded.joints.numpy(), expected)
    assert padded.rows == (7, 9)
    assert padded.names == (short.info.name, long.info.name)
    assert padded.valid == (short.num_frames, long.num_frames)


def test_only_the_first_bodies_are_taken() -> None:
    clip = clip_of(np.random.default_rng(0).normal(size=(3, 4, 15, 3)))

    padded = pad_clips([(0, clip)], max_bodies=1)

    assert padded.joints.shape == (1, 3, 4, 15, 1)
    np.testing.assert_array_equal(padded.joints[0, ..., 0].permute(1, 2, 0).numpy(), clip.joints[0])


def test_frames_whose_values_sum_to_zero_do_not_count_as_valid() -> None:
    joints = np.ones((1, 6, 15, 3))
    joints[0, [2, 5]] = 0
    joints[0, 3, 0, 0], joints[0, 3, 1:], joints[0, 3, 0, 1:] = 0, 0, 0

    padded = pad_clips([(0, clip_of(joints))], max_bodies=2)

    assert padded.valid == (3,)


def test_a_clip_of_zeros_keeps_its_length() -> None:
    padded = pad_clips([(0, clip_of(np.zeros((1, 6, 15, 3))))], max_bodies=2)

    assert padded.valid == (6,)


@pytest.mark.parametrize("max_bodies", [1, 2, 3])
def test_valid_frames_count_as_each_clip_counts_its_own(max_bodies: int) -> None:
    rng = np.random.default_rng(0)
    clips = []
    for bodies, frames in [(1, 7), (3, 5), (1, 4), (2, 6), (1, 1)]:
        joints = rng.normal(size=(bodies, frames, 15, 3))
        joints[:, rng.integers(0, frames)] = 0
        clips.append(clip_of(joints))

    padded = pad_clips(list(enumerate(clips)), max_bodies)

    assert padded.valid == tuple(clip.valid_frames() or clip.num_frames for clip in clips)
    assert padded.valid == (6, 4, 3, 5, 1)


def test_an_unknown_label_is_minus_one() -> None:
    padded = pad_clips([(0, tiny_clip(0, label=None)), (1, tiny_clip(1, label=2))], max_bodies=2)

    assert padded.labels.tolist() == [-1, 2]
    assert padded.known_labels == (-1, 2)
    assert padded.labels.dtype is torch.int64


def test_moving_to_a_device_keeps_everything() -> None:
    padded = pad_clips([(3, tiny_clip(0))], max_bodies=2)

    moved = padded.to(torch.device("cpu"))

    assert torch.equal(moved.joints, padded.joints)
    assert (moved.valid, moved.rows) == (padded.valid, padded.rows)


def test_stored_clips_are_not_changed_by_padding(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=2)
    padded = pad_clips([(0, store.clip(0))], max_bodies=2)
    before = store.clip(0).joints.copy()

    padded.joints.zero_()

    np.testing.assert_array_equal(store.clip(0).joints, before)


@pytest.mark.parametrize("max_bodies", [1, 2, 3])
def test_a_batch_that_is_read_in_one_go_is_that_of_its_clips(
    tmp_path: Path, max_bodies: int
) -> None:
    clips = [tiny_clip(row, label=None if row == 3 else row % 3) for row in range(7)]
    clips[1].joints[:, 2] = 0
    clips[5].joints[0, 1:3] = 0  # of two bodies, so that the frames count for the other
    write_store(tmp_path / "clips.arrow", clips, tiny_info())
    dataset = ClipDataset(open_store(tmp_path / "clips.arrow"), [6, 5, 3, 1, 0])
    positions = [3, 0, 1, 2, 1]

    together = pad_clips(dataset.__getitems__(positions), max_bodies)

    alone = pad_clips([dataset[position] for position in positions], max_bodies)
    assert isinstance(dataset.__getitems__(positions), RowsOfSource)
    assert together.rows == alone.rows == (1, 6, 5, 3, 5)
    assert (together.frames, together.bodies) == (alone.frames, alone.bodies)
    assert together.valid == alone.valid == tuple(clips[row].valid_frames() for row in alone.rows)
    assert torch.equal(together.poses, alone.poses)
    assert torch.equal(together.labels, alone.labels)
    assert together.known_labels == alone.known_labels == tuple(alone.labels.tolist())
    assert together.names == alone.names == tuple(clips[row].info.name for row in alone.rows)
    assert together.labels.dtype == alone.labels.dtype


class OneByOne:
    """A source that knows of no batches."""

    index = ClipIndex.of([tiny_clip(row).info for row in range(3)])

    def clip(self, row: int) -> Clip:
        return tiny_clip(row)


def test_a_source_that_knows_of_no_batches_gives_clip_after_clip() -> None:
    dataset = ClipDataset(OneByOne(), [2, 0, 1])

    items = dataset.__getitems__([0, 2])

    assert isinstance(items, list)
    assert [row for row, _ in items] == [2, 1]
    assert pad_clips(items, 2).frames == (tiny_clip(2).num_frames, tiny_clip(1).num_frames)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_reads_the_same_with_and_without_a_process_of_its_own(
    tmp_path: Path, workers: int
) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=4)

    loader: DataLoader[tuple[int, Clip]] = DataLoader(
        ClipDataset(store, [3, 1, 0]),
        batch_size=2,
        collate_fn=lambda items: pad_clips(items, max_bodies=2),
        num_workers=workers,
    )
    batches = list(loader)

    assert [batch.rows for batch in batches] == [(3, 1), (0,)]
    np.testing.assert_array_equal(
        batches[1].joints[0, ..., 0].permute(1, 2, 0).numpy(), store.clip(0).joints[0]
    )
    assert batches[0].joints.shape[3] == SBU15.num_joints


@pytest.mark.parametrize(
    "said",
    [
        "DataLoader worker (pid 7) is killed by signal: Killed. ",
        "DataLoader worker (pid(s) 7) exited unexpectedly",
    ],
)
def test_a_worker_that_is_killed_is_named_with_the_way_to_go_on(said: str) -> None:
    with (
        pytest.raises(LoaderError, match=r"loader process 7 was killed.*; --resume goes on, and"),
        killed_workers_named("--resume goes on"),
    ):
        raise RuntimeError(said)


def test_another_fault_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="of another kind"), killed_workers_named("no hint"):
        raise RuntimeError("of another kind")
