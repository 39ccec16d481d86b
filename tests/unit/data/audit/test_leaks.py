"""Clips on both sides of a split, found by their joints."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from shared_data import shared_data
from tiny_clips import tiny_clip, tiny_info

from skelab.data.audit.leaks import Leak, find_leaks, find_other_views, leave_out_leaks
from skelab.data.clips import write as write_module
from skelab.data.clips.clip import Clip, SampleInfo, joints_digest
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.store import ClipStore, Excluded, open_store
from skelab.data.clips.write import join_shards, write_shard, write_store
from skelab.data.datasets import open_source, parse_split
from skelab.data.ingest import ingest
from skelab.errors import SplitError, StoreError

SPLIT = parse_split("camera:1/2")


def copy_of(clip: Clip, name: str, camera: int) -> Clip:
    """The same joints under another name, seen by another camera."""
    info = dataclasses.replace(clip.info, name=name, camera=camera)
    return Clip(info, clip.joints.copy(), clip.frame_numbers)


def leaking_clips() -> list[Clip]:
    """Eight clips of cameras 1 and 2; two of camera 2 are copies of one of camera 1."""
    clips = [tiny_clip(row) for row in range(6)]
    return [*clips, copy_of(clips[2], "twin", 2), copy_of(clips[2], "again", 2)]


def leaking_store(path: Path) -> ClipStore:
    write_store(path, leaking_clips(), tiny_info())
    return open_store(path)


def test_training_clips_that_equal_a_test_clip_are_found_by_their_joints(tmp_path: Path) -> None:
    store = leaking_store(tmp_path / "clips.arrow")

    leaks = find_leaks(store.index, store.digests, SPLIT)

    assert leaks == (Leak("clip002", "twin"),)


def test_equal_clips_on_one_side_are_no_leak(tmp_path: Path) -> None:
    clip = tiny_clip(0)
    clips = [clip, copy_of(clip, "same side", 1), tiny_clip(1)]
    write_store(tmp_path / "clips.arrow", clips, tiny_info())
    store = open_store(tmp_path / "clips.arrow")

    assert find_leaks(store.index, store.digests, SPLIT) == ()


def test_one_changed_number_is_no_leak(tmp_path: Path) -> None:
    clip = tiny_clip(0)
    other = copy_of(clip, "nearly", 2)
    other.joints[0, 0, 0, 0] = np.nextafter(other.joints[0, 0, 0, 0], np.float32(9))
    write_store(tmp_path / "clips.arrow", [clip, other], tiny_info())
    store = open_store(tmp_path / "clips.arrow")

    assert find_leaks(store.index, store.digests, SPLIT) == ()


def test_a_split_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    store = leaking_store(tmp_path / "clips.arrow")

    with pytest.raises(SplitError, match="no clip for the test part"):
        find_leaks(store.index, store.digests, parse_split("camera:1/3"))


def test_what_is_left_out_is_the_training_copy_with_its_reason(tmp_path: Path) -> None:
    store = leaking_store(tmp_path / "clips.arrow")

    (lost,) = leave_out_leaks(SPLIT)(store.index, store.digests)

    assert (lost.name, lost.cause) == ("clip002", "leak")
    assert lost.reason == "clip002: equals twin of the test part of camera:1/2"


def test_a_joined_store_lacks_what_was_left_out_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_module, "_BATCH_BYTES", 1)  # each part a batch of its own
    clips = leaking_clips()
    parts = [tmp_path / f"{number}.arrow" for number in range(4)]
    for part, some in zip(parts, (clips[:2], clips[2:3], clips[3:5], clips[5:]), strict=True):
        write_shard(part, some, tiny_info().layout)

    join_shards(tmp_path / "store.arrow", parts, tiny_info(), leave_out_leaks(SPLIT))

    store = open_store(tmp_path / "store.arrow")
    assert store.index.names == (
        "clip000",
        "clip001",
        "clip003",
        "clip004",
        "clip005",
        "twin",
        "again",
    )
    assert [entry.cause for entry in store.info.excluded] == ["leak"]
    for row, clip in enumerate([*clips[:2], *clips[3:]]):
        np.testing.assert_array_equal(store.clip(row).joints, clip.joints)
    write_store(tmp_path / "plain.arrow", [*clips[:2], *clips[3:]], tiny_info())
    assert open_store(tmp_path / "plain.arrow").info.digest == store.info.digest


def test_a_store_of_which_everything_is_left_out_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "part.arrow", [tiny_clip(0)], tiny_info().layout)

    with pytest.raises(StoreError, match="no clip is left to store"):
        join_shards(
            tmp_path / "store.arrow",
            [tmp_path / "part.arrow"],
            tiny_info(),
            lambda index, digests: [Excluded(index.names[0], "leak", "all of it")],
        )


def test_the_digest_of_arrays_tells_shapes_and_values_apart() -> None:
    joints = np.arange(12.0).reshape(2, 2, 3)

    assert joints_digest(joints) == joints_digest(joints.copy())
    assert joints_digest(joints) != joints_digest(joints.reshape(1, 4, 3))
    assert joints_digest(joints) != joints_digest(joints, joints)
    assert joints_digest(joints) != joints_digest(joints + 1e-12)


def test_view_3_of_nw_ucla_copied_from_view_2_is_found_and_dropped(tmp_path: Path) -> None:
    recorded = shared_data("nw-ucla", "all_sqe")
    folder = tmp_path / "all_sqe"
    folder.mkdir()
    copied = []
    for file in sorted(recorded.glob("a0[1-3]_s0[1-3]_*_v0[12].json")):
        shutil.copy(file, folder)
        if file.name.endswith("_v02.json"):
            twin = folder / file.name.replace("_v02", "_v03")
            content = json.loads(file.read_text())
            if file.name.startswith("a01"):  # a real view 3: other numbers
                content["skeletons"] = (np.array(content["skeletons"]) * 1.01).tolist()
            else:
                copied.append(file.stem)
            twin.write_text(json.dumps({**content, "file_name": twin.stem}))
    source, split = open_source(folder), parse_split("ucla")

    whole = open_store(ingest(source, tmp_path / "whole.arrow", workers=1).path)
    strict = ingest(source, tmp_path / "strict.arrow", workers=1, leave_out=leave_out_leaks(split))

    leaks = find_leaks(whole.index, whole.digests, split)
    assert [leak.train for leak in leaks] == copied
    assert len(copied) >= 20
    assert all(leak.test == leak.train.replace("_v02", "_v03") for leak in leaks)
    assert [lost.name for lost in strict.info.excluded] == copied
    assert strict.num_clips == len(whole) - len(copied)
    again = open_store(strict.path)
    assert find_leaks(again.index, again.digests, split) == ()
    assert len(split.rows(again.index)[1]) == len(split.rows(whole.index)[1])


def viewed(
    name: str, camera: int, replication: int | None, *, untrimmed: bool = True
) -> SampleInfo:
    return SampleInfo(name, camera=camera, replication=replication, untrimmed=untrimmed)


def test_a_sequence_tested_from_another_camera_is_a_leak_of_what_happens() -> None:
    index = ClipIndex.of(
        [
            *(viewed(f"0001-{view}", camera, 1) for camera, view in ((1, "L"), (2, "M"), (3, "R"))),
            viewed("0002-M", 2, 2),
            viewed("0003-L", 1, 3),
        ]
    )

    leaks = find_other_views(index, parse_split("camera:2,3/1"))

    assert leaks == (Leak("0001-M", "0001-L"), Leak("0001-R", "0001-L"))
    assert find_other_views(index, parse_split("replication:1/2,3")) == ()


def test_recordings_of_unknown_number_and_trimmed_clips_are_no_views_of_one_another() -> None:
    index = ClipIndex.of(
        [
            *(viewed(f"a{camera}", camera, None) for camera in (1, 2)),
            *(viewed(f"b{camera}", camera, 1, untrimmed=False) for camera in (1, 2)),
        ]
    )

    assert find_other_views(index, parse_split("camera:2/1")) == ()


def test_sequences_differ_by_subject_and_script_too() -> None:
    infos = [
        SampleInfo("a", camera=1, replication=1, subject=1, script=1, untrimmed=True),
        SampleInfo("b", camera=2, replication=1, subject=2, script=1, untrimmed=True),
        SampleInfo("c", camera=2, replication=1, subject=1, script=2, untrimmed=True),
        SampleInfo("d", camera=2, replication=1, subject=1, script=1, untrimmed=True),
    ]

    leaks = find_other_views(ClipIndex.of(infos), parse_split("camera:2/1"))

    assert leaks == (Leak("d", "a"),)
