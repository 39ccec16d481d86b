"""From a store to others' files and back; whole, in constant memory, or not at all."""

import dataclasses
import errno
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_clips import tiny_clip, tiny_info

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.store import StoreInfo
from skelab.data.clips.write import write_store
from skelab.data.convert import convert, list_targets
from skelab.data.copying import copy_clips
from skelab.data.datasets import open_source, parse_split
from skelab.data.opened import open_clips
from skelab.data.preprocessing import pad_loop
from skelab.errors import DataError, OutputError, SplitError
from skelab.files.plain_pickle import load_plain_pickle
from skelab.skeleton import get_layout

UTD20 = get_layout("utd20")
SPLIT = "subject:1,3/2,4"


NAMES = {"ctrgcn": "out.npz", "msg3d": "out", "pyskl": "out.pkl"}


def store_of(
    folder: Path, pipeline: str = "ctrgcn", *, clips: int = 12, **changes: Any
) -> OpenedClips:
    """A store of tiny clips of 20 joints and subjects 1 to 4."""
    path = folder / f"{pipeline}.arrow"
    made = [tiny_clip(row, layout=UTD20, label=row % 3) for row in range(clips)]
    write_store(path, made, tiny_info(layout=UTD20, pipeline=pipeline, **changes))
    return open_clips(path)


def one_clip(folder: Path, pipeline: str, shape: tuple[int, ...], **changes: Any) -> OpenedClips:
    """A store of a training clip of this shape, and a test clip."""
    path = folder / "odd.arrow"
    info = SampleInfo("odd", **{"label": 0, "subject": 1, **changes})
    clip = Clip(info, np.ones(shape, np.float32), np.arange(shape[1], dtype=np.int32))
    other = tiny_clip(1, layout=UTD20, label=1)
    write_store(path, [clip, other], tiny_info(layout=UTD20, pipeline=pipeline))
    return open_clips(path)


def rows_of(clips: OpenedClips, split: str) -> list[list[int]]:
    return [rows.tolist() for rows in parse_split(split).rows(clips.index)]


def test_every_form_says_what_it_is_and_which_pipelines_it_holds() -> None:
    assert [(each.name, each.pipelines) for each in list_targets()] == [
        ("clips", ("ctrgcn", "clean", "as-given")),
        ("ctrgcn", ("ctrgcn",)),
        ("msg3d", ("msg3d",)),
        ("pyskl", ("clean", "ctrgcn")),
    ]
    assert all(each.title and each.source for each in list_targets())


def test_the_npz_equals_the_loops_over_clips_frames_bodies_and_joints(tmp_path: Path) -> None:
    clips = store_of(tmp_path)
    longest = max(clips.clip(row).num_frames for row in range(len(clips)))

    convert(clips, tmp_path / "out.npz", to="ctrgcn", splits=[SPLIT])

    with np.load(tmp_path / "out.npz") as written:
        for part, rows in zip(("train", "test"), rows_of(clips, SPLIT), strict=True):
            ordered = sorted(rows, key=lambda r: (clips.index.subjects[r], clips.index.names[r]))
            expected = np.zeros((len(rows), longest, 2 * 20 * 3), np.float32)
            labels = np.zeros((len(rows), 3))
            for place, row in enumerate(ordered):
                clip = clips.clip(row)
                labels[place, clip.info.label] = 1
                for body, frame in np.ndindex(clip.joints.shape[:2]):
                    values = clip.joints[body, frame].reshape(-1)
                    expected[place, frame, body * 60 : body * 60 + 60] = values
            np.testing.assert_array_equal(written[f"x_{part}"], expected, strict=True)
            np.testing.assert_array_equal(written[f"y_{part}"], labels, strict=True)


def test_members_of_the_npz_are_stored_uncompressed_and_the_same_every_time(
    tmp_path: Path,
) -> None:
    clips = store_of(tmp_path)

    for name in ("one.npz", "two.npz"):
        convert(clips, tmp_path / name, to="ctrgcn", splits=[SPLIT])

    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        assert archive.testzip() is None
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_an_npz_opened_again_has_the_clips_that_were_written(tmp_path: Path) -> None:
    clips = store_of(tmp_path)
    convert(clips, tmp_path / "out.npz", to="ctrgcn", splits=[SPLIT])

    again = open_clips(tmp_path / "out.npz", layout="utd20", anatomy_check=False)

    written = {clip.joints.tobytes() for clip in (clips.clip(r) for r in range(len(clips)))}
    found = {clip.joints.tobytes() for clip in (again.clip(r) for r in range(len(again)))}
    assert len(again) == len(clips)
    assert found == written
    assert sorted(again.index.labels) == sorted(clips.index.labels)


def test_msg3d_has_looped_joints_bones_names_and_labels_in_the_order_of_names(
    tmp_path: Path,
) -> None:
    clips = store_of(tmp_path, "msg3d", synthetic=False)

    done = convert(clips, tmp_path / "out", to="msg3d", splits=[SPLIT])

    names = [
        f"{part}_{what}"
        for part in ("train", "val")
        for what in ("label.pkl", "data_joint.npy", "data_bone.npy")
    ]
    assert [file.name for file in done.files] == names
    for part, rows in zip(("train", "val"), rows_of(clips, SPLIT), strict=True):
        joints = np.load(tmp_path / "out" / f"{part}_data_joint.npy")
        bones = np.load(tmp_path / "out" / f"{part}_data_bone.npy")
        content = load_plain_pickle(tmp_path / "out" / f"{part}_label.pkl", DataError)
        ordered = sorted(rows, key=lambda row: clips.index.names[row])
        assert content == (
            [clips.index.names[row] for row in ordered],
            [int(clips.index.labels[row]) for row in ordered],
        )
        assert joints.shape == bones.shape == (len(rows), 3, 300, 20, 2)
        for place, row in enumerate(ordered):
            expected = pad_loop(clips.clip(row).joints)
            np.testing.assert_array_equal(joints[place], expected)
            for joint, parent in enumerate(UTD20.parents):
                bone = expected[:, :, joint] - expected[:, :, parent]
                np.testing.assert_array_equal(bones[place, :, :, joint], bone)


def test_names_of_ntu_samples_are_those_of_their_files_as_the_authors_list_them(
    tmp_path: Path,
) -> None:
    clips = store_of(tmp_path, "msg3d", dataset="ntu")

    convert(clips, tmp_path / "out", to="msg3d", splits=[SPLIT])

    names, _ = load_plain_pickle(tmp_path / "out" / "train_label.pkl", DataError)
    assert names[0] == "clip000.skeleton"


@pytest.mark.parametrize("pipeline", ["clean", "ctrgcn"])
def test_pyskl_has_every_split_once_and_half_precision(tmp_path: Path, pipeline: str) -> None:
    clips = store_of(tmp_path, pipeline, synthetic=False)

    done = convert(clips, tmp_path / "out.pkl", to="pyskl", splits=[SPLIT, "camera:1/2"])

    content = load_plain_pickle(tmp_path / "out.pkl", DataError)
    assert list(content) == ["split", "annotations"]
    assert list(content["split"]) == list(done.counts)
    words = {SPLIT: "subject-1-3-2-4", "camera:1/2": "camera-1-2"}
    assert list(done.counts) == [f"{w}_{p}" for w in words.values() for p in ("train", "val")]
    for split, word in words.items():
        for side, rows in zip(("train", "val"), rows_of(clips, split), strict=True):
            names = sorted(clips.index.names[row] for row in rows)
            assert content["split"][f"{word}_{side}"] == names
    assert len(content["annotations"]) == len(clips)
    for row, entry in enumerate(content["annotations"]):
        clip = clips.clip(row)
        assert (entry["frame_dir"], entry["label"]) == (clip.info.name, clip.info.label)
        assert entry["total_frames"] == clip.num_frames
        assert entry["keypoint"].dtype == np.float16
        np.testing.assert_array_equal(entry["keypoint"], clip.joints.astype(np.float16))


def test_pyskls_pickle_is_plain_for_every_python_3_and_both_numpy(tmp_path: Path) -> None:
    convert(store_of(tmp_path), tmp_path / "out.pkl", to="pyskl", splits=[SPLIT])

    content = (tmp_path / "out.pkl").read_bytes()

    assert content[:2] == pickle.PROTO + b"\x03"
    assert b"numpy._core" not in content
    with (tmp_path / "out.pkl").open("rb") as file:
        loaded = pickle.load(file)  # noqa: S301 - our own file
    assert len(loaded["annotations"]) == 12


def test_a_pickle_read_as_a_source_has_the_clips_that_were_written(tmp_path: Path) -> None:
    clips = store_of(tmp_path, "clean")
    convert(clips, tmp_path / "out.pkl", to="pyskl", splits=[SPLIT])

    source = open_source(tmp_path / "out.pkl", layout=UTD20)

    names = set()
    for item in source.items():
        row = clips.index.rows_by_name[item.info.name]
        raw, clip = source.read(item), clips.clip(row)
        names.add(item.info.name)
        assert raw.num_frames == clip.num_frames
        for body, track in enumerate(raw.bodies.values()):
            expected = clip.joints[body, track.frames].astype(np.float16)
            np.testing.assert_array_equal(track.joints, expected)
    assert names == set(clips.index.names)


def test_clips_in_no_part_of_the_split_are_counted(tmp_path: Path) -> None:
    for to, pipeline in (("ctrgcn", "ctrgcn"), ("msg3d", "msg3d"), ("pyskl", "clean")):
        clips = store_of(tmp_path, pipeline)

        done = convert(clips, tmp_path / NAMES[to], to=to, splits=["subject:1/2"])

        assert done.left_over == 6
        assert sum(done.counts.values()) == 6


@pytest.mark.parametrize("to", ["ctrgcn", "msg3d", "pyskl"])
def test_progress_ends_with_all_clips(tmp_path: Path, to: str) -> None:
    seen: list[tuple[int, int]] = []
    clips = store_of(tmp_path, {"pyskl": "clean"}.get(to, to))

    convert(
        clips,
        tmp_path / NAMES[to],
        to=to,
        splits=[SPLIT],
        on_progress=lambda *numbers: seen.append(numbers),
    )

    assert seen == [(done, 12) for done in range(1, 13)]


@pytest.mark.parametrize(
    ("to", "pipeline", "needed"),
    [
        ("ctrgcn", "msg3d", "pipeline ctrgcn for CTR-GCN's npz, found those of msg3d"),
        ("msg3d", "ctrgcn", "pipeline msg3d for MS-G3D's npy and pkl, found those of ctrgcn"),
        ("pyskl", "msg3d", "pipeline clean or ctrgcn for PYSKL's pkl, found those of msg3d"),
    ],
)
def test_a_store_of_another_pipeline_is_refused_with_the_one_that_is_needed(
    tmp_path: Path, to: str, pipeline: str, needed: str
) -> None:
    with pytest.raises(DataError) as caught:
        convert(store_of(tmp_path, pipeline), tmp_path / "out", to=to, splits=[SPLIT])

    right = {"pyskl": "clean"}.get(to, to)
    assert f"expected clips of {needed}" in str(caught.value)
    assert str(caught.value).endswith(
        f"; `skelab ingest SOURCE STORE --pipeline {right}` makes them"
    )
    assert not (tmp_path / "out").exists()


def test_an_unknown_form_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        convert(store_of(tmp_path), tmp_path / "out", to="ctrgc", splits=[SPLIT])

    assert str(caught.value) == (
        "unknown form 'ctrgc', did you mean 'ctrgcn'? Known: clips, ctrgcn, msg3d, pyskl"
    )


@pytest.mark.parametrize(
    ("to", "splits"), [("ctrgcn", []), ("ctrgcn", ["utd", "xsub"]), ("pyskl", [])]
)
def test_the_split_must_be_said(tmp_path: Path, to: str, splits: list[str]) -> None:
    with pytest.raises(DataError, match=rf"expected .*one split, found {len(splits)}; see --split"):
        convert(store_of(tmp_path), tmp_path / "out", to=to, splits=splits)


def test_a_split_that_does_not_fit_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="no clip for the test part"):
        convert(store_of(tmp_path), tmp_path / "out.npz", to="ctrgcn", splits=["subject:1/99"])

    assert not (tmp_path / "out").exists()


def test_a_clip_without_a_label_is_refused_by_name(tmp_path: Path) -> None:
    clips = one_clip(tmp_path, "ctrgcn", (1, 5, 20, 3), label=None)

    with pytest.raises(DataError, match="a label for every clip, found none for odd and 0 more"):
        convert(clips, tmp_path / "out.npz", to="ctrgcn", splits=[SPLIT])


@pytest.mark.parametrize(
    ("to", "shape", "message"),
    [
        ("ctrgcn", (3, 5, 20, 3), "odd: expected at most 2 bodies, found 3"),
        (
            "msg3d",
            (1, 301, 20, 3),
            "odd: expected at most 300 frames and 2 bodies, found 301 and 1",
        ),
    ],
)
def test_a_clip_that_has_no_room_is_refused_by_name_and_leaves_nothing(
    tmp_path: Path, to: str, shape: tuple[int, ...], message: str
) -> None:
    clips = one_clip(tmp_path, to, shape)

    with pytest.raises(DataError, match=message):
        convert(clips, tmp_path / NAMES[to], to=to, splits=[SPLIT])

    assert sorted(path.name for path in tmp_path.iterdir()) in (["odd.arrow"], ["odd.arrow", "out"])
    assert [path.suffix for path in tmp_path.iterdir()] == [".arrow"]


def test_coordinates_beyond_half_precision_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "odd.arrow"
    info = SampleInfo("far", label=0, subject=1)
    far = Clip(info, np.full((1, 2, 20, 3), 1e5, np.float32), np.arange(2, dtype=np.int32))
    near = tiny_clip(1, layout=UTD20, label=1)
    write_store(path, [far, near], tiny_info(layout=UTD20, pipeline="clean"))

    with pytest.raises(DataError, match="far: expected coordinates below 65,504"):
        convert(open_clips(path), tmp_path / "out.pkl", to="pyskl", splits=[SPLIT])


def test_poses_in_an_image_have_no_place_in_these_forms(tmp_path: Path) -> None:
    coco = get_layout("coco17")
    path = tmp_path / "image.arrow"
    clips = [tiny_clip(row, layout=coco, label=0) for row in range(4)]
    info: StoreInfo = tiny_info(layout=coco)
    write_store(path, clips, info)

    with pytest.raises(
        DataError, match="expected coordinates x, y, z for CTR-GCN's npz, found x, y"
    ):
        convert(open_clips(path), tmp_path / "out.npz", to="ctrgcn", splits=[SPLIT])


@pytest.mark.parametrize("to", ["ctrgcn", "msg3d", "pyskl"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = store_of(tmp_path, {"pyskl": "clean"}.get(to, to))
    done = convert(clips, tmp_path / NAMES[to], to=to, splits=[SPLIT])
    before = {file: file.read_bytes() for file in done.files}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        convert(clips, tmp_path / NAMES[to], to=to, splits=["subject:2,4/1,3"], force=True)

    assert {file: file.read_bytes() for file in done.files} == before
    folder = tmp_path / "out" if to == "msg3d" else tmp_path
    assert not [path for path in folder.iterdir() if path.suffix == ".part"]


@pytest.mark.parametrize("to", ["ctrgcn", "msg3d", "pyskl"])
def test_memory_does_not_grow_with_the_set(tmp_path: Path, to: str) -> None:
    peaks = []
    for count in (8, 64):
        folder = tmp_path / str(count)
        folder.mkdir()
        base = [tiny_clip(row, layout=UTD20, label=row % 3) for row in range(count)]
        long = [
            Clip(
                dataclasses.replace(clip.info),
                np.resize(clip.joints, (1, 300, 20, 3)),
                np.arange(300, dtype=np.int32),
            )
            for clip in base
        ]
        pipeline = {"pyskl": "clean"}.get(to, to)
        write_store(folder / "s.arrow", long, tiny_info(layout=UTD20, pipeline=pipeline))
        clips = open_clips(folder / "s.arrow")
        tracemalloc.start()
        convert(clips, folder / NAMES[to], to=to, splits=[SPLIT])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    clip_bytes = 2 * 300 * 20 * 3 * 4
    assert peaks[1] - peaks[0] < 2 * clip_bytes  # 56 more clips


@pytest.mark.parametrize("synthetic", [True, False])
@pytest.mark.parametrize(
    ("to", "pipeline", "name"),
    [("ctrgcn", "ctrgcn", "out.npz"), ("msg3d", "msg3d", "out"), ("pyskl", "ctrgcn", "out.pkl")],
)
def test_clips_that_were_made_stay_labelled_synthetic_in_every_form(
    tmp_path: Path, to: str, pipeline: str, name: str, synthetic: bool
) -> None:
    clips = store_of(tmp_path, pipeline, synthetic=synthetic)
    convert(clips, tmp_path / name, to=to, splits=[SPLIT])

    if to == "pyskl":
        found = open_source(tmp_path / name, layout=UTD20).synthetic
    else:
        found = open_clips(tmp_path / name, layout="utd20", anatomy_check=False).info.synthetic

    assert found is synthetic


def test_a_clip_of_300_frames_that_ends_in_an_empty_one_comes_back_whole(tmp_path: Path) -> None:
    shape = (1, 300, 20, 3)
    rng = np.random.default_rng(0)
    joints = rng.normal(size=shape).astype(np.float32)
    joints[:, :, UTD20.origin] = 0
    joints[:, -1] = 0
    others = [dataclasses.replace(tiny_clip(row, layout=UTD20, label=1)) for row in (1, 2, 3)]
    clips = [
        Clip(SampleInfo("a", 0, 1), joints, np.arange(300, dtype=np.int32)),
        *(
            Clip(
                dataclasses.replace(each.info, subject=1 + number % 2),
                each.joints - each.joints[:1, :, UTD20.origin : UTD20.origin + 1],
                each.frame_numbers,
            )
            for number, each in enumerate(others)
        ),
    ]
    write_store(tmp_path / "s.arrow", clips, tiny_info(layout=UTD20, pipeline="msg3d"))
    convert(open_clips(tmp_path / "s.arrow"), tmp_path / "one", to="msg3d", splits=["subject:1/2"])

    again = open_clips(tmp_path / "one", layout="utd20")
    convert(again, tmp_path / "two", to="msg3d", splits=["given"])

    assert again.info.pipeline == "msg3d"
    assert again.clip(0).num_frames == 300
    for file in sorted((tmp_path / "one").glob("*.npy")):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_rows_without_names_keep_their_order_by_way_of_a_store(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = {part: rng.normal(size=(13, 9, 150)).astype(np.float32) for part in ("train", "test")}
    for rows in x.values():
        rows[:, 0, 3:6] = 0  # the origin joint, as CTR-GCN leaves it
    y = {part: np.eye(60)[rng.integers(60, size=13)] for part in x}
    arrays: dict[str, Any] = {f"x_{part}": rows for part, rows in x.items()}
    arrays |= {f"y_{part}": rows for part, rows in y.items()}
    np.savez(tmp_path / "one.npz", **arrays)
    opened = open_clips(tmp_path / "one.npz", anatomy_check=False)
    copy_clips(opened, tmp_path / "s.arrow", anatomy_check=False)

    convert(open_clips(tmp_path / "s.arrow"), tmp_path / "two.npz", to="ctrgcn", splits=["given"])

    with np.load(tmp_path / "two.npz") as found:
        for part in x:
            np.testing.assert_array_equal(found[f"x_{part}"], x[part])
            np.testing.assert_array_equal(found[f"y_{part}"], y[part])


CONVERTED = """
import os, sys
from pathlib import Path
import skelab.files.atomic as atomic
from skelab.data.convert import convert
from skelab.data.opened import open_clips

left = [int(sys.argv[4])]
flush = atomic._flush

def count(path):
    flush(path)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), 9)

def progress(done, total):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), 9)

atomic._flush = count
convert(
    open_clips(Path(sys.argv[1])), Path(sys.argv[2]), to=sys.argv[3], splits=["subject:1,3/2,4"],
    on_progress=progress,
)
"""


@pytest.mark.parametrize("to", ["msg3d", "ctrgcn"])
def test_a_conversion_that_is_killed_anywhere_and_given_again_gives_what_it_should(
    tmp_path: Path, to: str
) -> None:
    clips = store_of(tmp_path, to)
    store = clips.path
    name = "out" if to == "msg3d" else "out.npz"
    convert(clips, tmp_path / "sound" / name, to=to, splits=[SPLIT])
    expected = contents(tmp_path / "sound")

    for moment in (1, 7, 13, 15, 18, 19, 20):
        folder = tmp_path / f"killed-{moment}"
        folder.mkdir()
        words = [sys.executable, "-c", CONVERTED, str(store), str(folder / name), to]
        subprocess.run([*words, str(moment)], check=False)
        convert(open_clips(store), folder / name, to=to, splits=[SPLIT], force=True)

        assert contents(folder) == expected, moment


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("to", "name"), [("ctrgcn", "out.npz"), ("msg3d", "out"), ("pyskl", "o.pkl")]
)
def test_what_is_there_is_replaced_by_force_only(tmp_path: Path, to: str, name: str) -> None:
    clips = store_of(tmp_path, "msg3d" if to == "msg3d" else "ctrgcn")
    convert(clips, tmp_path / name, to=to, splits=[SPLIT])

    with pytest.raises(OutputError, match="--force replaces it"):
        convert(clips, tmp_path / name, to=to, splits=[SPLIT])
    convert(clips, tmp_path / name, to=to, splits=[SPLIT], force=True)


def test_the_store_that_is_read_is_never_the_one_that_is_written(tmp_path: Path) -> None:
    clips = store_of(tmp_path)
    before = clips.path.read_bytes()
    (tmp_path / "link.npz").symlink_to(clips.path)

    for out, message in (
        (clips.path, "ends with .npz"),
        (tmp_path / "link.npz", "is what is being"),
    ):
        with pytest.raises(OutputError, match=message):
            convert(clips, out, to="ctrgcn", splits=[SPLIT], force=True)

    assert clips.path.read_bytes() == before


def test_a_marker_of_synthetic_clips_does_not_outlive_them(tmp_path: Path) -> None:
    convert(store_of(tmp_path, "msg3d"), tmp_path / "out", to="msg3d", splits=[SPLIT])
    assert (tmp_path / "out" / "SYNTHETIC.json").exists()
    clips = store_of(tmp_path, "msg3d", synthetic=False)

    convert(clips, tmp_path / "out", to="msg3d", splits=[SPLIT], force=True)

    assert not (tmp_path / "out" / "SYNTHETIC.json").exists()
