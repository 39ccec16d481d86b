"""Workers have room in shared memory, or there are fewer of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_clips import SBU15, tiny_store

from skelab.data.clips.store import ClipStore
from skelab.data.opened import open_clips
from skelab.runs import workers as workers_module
from skelab.runs.workers import choose_workers, largest_batch_bytes, workers_that_fit

MIB = 2**20
NTU_BATCH = 64 * 300 * 2 * 25 * 3 * 4
"""Bytes of 64 clips of two bodies, 300 frames each: 11 MiB."""


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return tiny_store(tmp_path / "clips.arrow")


def shared_memory(patch: pytest.MonkeyPatch, free: int) -> None:
    """Let the machine have this much shared memory left."""
    patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))


@pytest.mark.parametrize(
    ("free", "batch", "expected"),
    [
        (8 * 1024 * MIB, NTU_BATCH, 4),
        (64 * MIB, NTU_BATCH, 2),  # what a container has if nothing is said
        (3 * NTU_BATCH, NTU_BATCH, 1),
        (3 * NTU_BATCH - 1, NTU_BATCH, 0),
        (0, NTU_BATCH, 0),
        (64 * MIB, 0, 4),
    ],
)
def test_each_worker_needs_room_for_two_batches_beside_the_one_in_use(
    free: int, batch: int, expected: int
) -> None:
    found = workers_that_fit(4, free_bytes=free, batch_bytes=batch)

    assert found == expected


def test_no_worker_is_added_where_there_is_room_for_more() -> None:
    assert workers_that_fit(1, free_bytes=8 * 1024 * MIB, batch_bytes=1) == 1


def test_the_largest_batch_of_a_store_has_its_longest_clips(store: ClipStore) -> None:
    poses = sorted(clip.num_frames * min(clip.num_bodies, 1) for clip in store.clips())

    found = largest_batch_bytes(store, batch_size=4, max_bodies=1)

    assert found == sum(poses[-4:]) * SBU15.num_joints * 3 * 4


def test_no_batch_that_is_read_is_larger_than_that(store: ClipStore) -> None:
    rng = np.random.default_rng(0)
    largest = largest_batch_bytes(store, batch_size=5, max_bodies=2)

    sizes = [
        store.pack(rng.permutation(len(store))[:5].tolist(), 2).poses.nbytes for _ in range(50)
    ]

    assert max(sizes) <= largest


def test_a_file_of_the_authors_is_not_read_for_its_lengths(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays: dict[str, Any] = {}
    for part, clips in (("train", 6), ("test", 2)):
        arrays[f"x_{part}"] = rng.normal(size=(clips, 300, 150)).astype(np.float32)
        arrays[f"y_{part}"] = np.eye(60)[:clips]
    path = tmp_path / "clips.npz"
    np.savez(path, **arrays)

    found = largest_batch_bytes(open_clips(path, anatomy_check=False), batch_size=64, max_bodies=2)

    assert found == 8 * 300 * 2 * 25 * 3 * 4


def test_fewer_workers_are_taken_and_that_is_said(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = largest_batch_bytes(store, batch_size=4, max_bodies=2)
    shared_memory(monkeypatch, 5 * batch)
    said: list[str] = []

    found = choose_workers(4, store, batch_size=4, max_bodies=2, on_message=said.append)

    assert found == 2
    assert len(said) == 1
    assert "going on with 2 instead of 4 workers" in said[0]
    assert "--shm-size=8g" in said[0]


def test_nothing_is_said_where_all_fit(store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_memory(monkeypatch, 1024 * MIB)
    said: list[str] = []

    found = choose_workers(4, store, batch_size=4, max_bodies=2, on_message=said.append)

    assert (found, said) == (4, [])


def test_processes_of_one_machine_share_its_memory(
    store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = largest_batch_bytes(store, batch_size=4, max_bodies=2)
    shared_memory(monkeypatch, 10 * batch)

    alone = choose_workers(4, store, batch_size=4, max_bodies=2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    shared = choose_workers(4, store, batch_size=4, max_bodies=2)

    assert (alone, shared) == (4, 2)


def test_a_system_without_such_a_folder_takes_what_was_asked(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "SHARED_MEMORY", tmp_path / "none")

    assert choose_workers(4, store, batch_size=4, max_bodies=2) == 4


def test_no_workers_need_no_memory(store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_memory(monkeypatch, 0)

    assert choose_workers(0, store, batch_size=4, max_bodies=2) == 0
