"""Both pipelines against the arrays that the authors' programs made of 63 synthetic files.

Origin: Uason-Chen/CTR-GCN@e13d758 and kenziyuliu/MS-G3D@2f927f4, run unchanged but for numpy's
renamed types, on kinematic bodies written for the purpose; only their output is kept. Of the
cross-view arrays and the bone stream only the sha256 of the bytes is.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import golden_files
import numpy as np
import pytest
from jaxtyping import Float32
from numpy import ndarray
from numpy.testing import assert_allclose, assert_array_equal

from skelab.data.clips.clip import RawClip
from skelab.data.foreign.orders import ctrgcn_row_order
from skelab.data.preprocessing import get_pipeline, pad_loop
from skelab.data.preprocessing.ctrgcn import choose_bodies
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import NoBodyError
from skelab.skeleton import get_layout

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "preprocess"
NTU25 = get_layout("ntu25")
PADDED = 120
"""Frames of the authors' arrays: the longest of the 61 sequences."""


def facts(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


ORDER = facts("ctrgcn/order.json")
BODIES = {entry["name"]: entry for entry in facts("ctrgcn/bodies.json")["files"]}
SEVERAL = [name for name, entry in BODIES.items() if len(entry["bodies"]) > 1]
LABELS = facts("msg3d/labels.json")["xsub"]
NAMES = (GOLDEN / "available_names.txt").read_text().split()


@pytest.fixture(scope="module")
def recordings() -> Mapping[str, RawClip]:
    """Every file by sample name."""
    return golden_files.recordings()


def ctrgcn_array(clips: list[RawClip]) -> Float32[ndarray, "N 120 150"]:
    """Our clips as the authors store them: padded with zeros to two bodies and 120 frames."""
    padded = np.zeros((len(clips), PADDED, 2, 25, 3), dtype=np.float32)
    for row, clip in zip(padded, clips, strict=True):
        joints = get_pipeline("ctrgcn").prepare(clip, NTU25).joints  # M T V C
        row[: joints.shape[1], : len(joints)] = joints.transpose(1, 0, 2, 3)
    return padded.reshape(len(clips), PADDED, 150)


def one_hot(names: list[str]) -> ndarray[Any, Any]:
    labels = [parse_sample_name(name).label for name in names]
    return np.asarray(np.eye(60)[np.array(labels)])


def sha256(array: ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_every_file_is_read_with_the_frames_and_bodies_it_was_written_with(
    recordings: Mapping[str, RawClip],
) -> None:
    cases = facts("cases.json")["files"]

    assert len(cases) == len(recordings) == 63
    for case in cases:
        clip = recordings[case["name"]]
        assert clip.num_frames == case["frames"]
        written = dict(zip(case["body_ids"], case["body_frames"], strict=True))
        assert {body: len(track.frames) for body, track in clip.bodies.items()} == written


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(("key", "benchmark"), [("CS", "xsub"), ("CV", "xview")])
def test_ctrgcn_rows_labels_and_values_are_the_authors_exactly(
    recordings: Mapping[str, RawClip], key: str, benchmark: str, part: str
) -> None:
    infos = [parse_sample_name(name) for name in NAMES]

    rows = ctrgcn_row_order(infos, benchmark)[part == "test"]
    names = [NAMES[row] for row in rows]
    x = ctrgcn_array([recordings[name] for name in names])

    assert names == ORDER[key][part]
    assert sha256(x) == ORDER[key]["sha256"][f"x_{part}"]
    assert sha256(one_hot(names)) == ORDER[key]["sha256"][f"y_{part}"]


@pytest.mark.parametrize("part", ["train", "test"])
def test_ctrgcn_values_equal_the_stored_array(recordings: Mapping[str, RawClip], part: str) -> None:
    with np.load(GOLDEN / "ctrgcn" / "NTU60_CS.npz") as stored:
        expected, labels = stored[f"x_{part}"], stored[f"y_{part}"]

    names = ORDER["CS"][part]
    x = ctrgcn_array([recordings[name] for name in names])

    for name, row, wanted in zip(names, x, expected, strict=True):
        assert_array_equal(row, wanted, err_msg=f"{name} ({BODIES[name]['case']})")
    assert_array_equal(one_hot(names), labels)


@pytest.mark.parametrize("name", SEVERAL)
def test_ctrgcn_decides_on_bodies_as_the_authors_do(
    recordings: Mapping[str, RawClip], name: str
) -> None:
    entry = BODIES[name]

    choice = choose_bodies(recordings[name])

    tracked = {body.body: body for body in choice.tracked}
    assert list(tracked) == [body["id"] for body in entry["bodies"]]
    for body in entry["bodies"]:
        ours = tracked[body["id"]]
        assert [ours.start, ours.end] == body["interval"]
        assert ours.motion == pytest.approx(body["motion"], abs=1e-5)
    assert list(choice.dropped) == [(body["id"], body["reason"]) for body in entry["dropped"]]
    for update in entry["motion_updates"]:
        assert dict(choice.motions)[update["id"]] == pytest.approx(update["after"], abs=1e-5)
    assert sorted(choice.unused) == sorted(entry["survived_but_unused"])


@pytest.mark.parametrize("name", SEVERAL)
def test_ctrgcn_casts_the_same_actors(recordings: Mapping[str, RawClip], name: str) -> None:
    entry = BODIES[name]

    choice = choose_bodies(recordings[name])
    prepared = get_pipeline("ctrgcn").prepare(recordings[name], NTU25)

    cast = [[body.body for body in actor] for actor in choice.actors]
    if "main_actor_only" in entry:
        assert choice.single
        assert cast == [[entry["main_actor_only"]]]
    else:
        wanted = [[body["id"] for body in entry.get(actor, [])] for actor in ("actor1", "actor2")]
        assert cast == [actor for actor in wanted if actor]
    assert prepared.joints.shape[1] == entry["final_frames"]


@pytest.mark.parametrize("name", list(BODIES))
def test_ctrgcn_numbers_the_frames_that_have_a_body(
    recordings: Mapping[str, RawClip], name: str
) -> None:
    without_body = set(BODIES[name]["frames_without_body"])

    prepared = get_pipeline("ctrgcn").prepare(recordings[name], NTU25)

    assert np.all(np.diff(prepared.frame_numbers) > 0)
    assert without_body.isdisjoint(prepared.frame_numbers.tolist())


@pytest.mark.parametrize("part", ["train", "val"])
def test_msg3d_joints_names_and_labels_are_the_authors(
    recordings: Mapping[str, RawClip], part: str
) -> None:
    ignored = set((GOLDEN / "ignored_samples.txt").read_text().split())
    split = ctrgcn_row_order([parse_sample_name(name) for name in sorted(recordings)], "xsub")
    rows = sorted(split[part == "val"])
    with np.load(GOLDEN / "msg3d" / "xsub_joint.npz") as stored:
        expected = stored[f"{part}_data"]

    names = [name for name in (sorted(recordings)[row] for row in rows) if name not in ignored]

    assert [f"{name}.skeleton" for name in names] == LABELS[part]["sample_name"]
    assert [parse_sample_name(name).label for name in names] == LABELS[part]["label"]
    for name, wanted in zip(names, expected, strict=True):
        if recordings[name].bodies:
            prepared = get_pipeline("msg3d").prepare(recordings[name], NTU25)
            assert_allclose(pad_loop(prepared.joints), wanted, rtol=0, atol=2e-6, err_msg=name)
        else:  # the authors keep such a sample as zeros, we leave it out
            assert not wanted.any()
            with pytest.raises(NoBodyError):
                get_pipeline("msg3d").prepare(recordings[name], NTU25)


@pytest.mark.parametrize("part", ["train", "val"])
def test_msg3d_bones_of_the_layout_give_the_authors_bone_stream(part: str) -> None:
    with np.load(GOLDEN / "msg3d" / "xsub_joint.npz") as stored:
        joints = stored[f"{part}_data"]  # N C T V M

    bones = joints - joints[:, :, :, list(NTU25.parents)]

    assert sha256(joints) == LABELS[part]["sha256_joint"]
    assert sha256(bones) == LABELS[part]["sha256_bone"]
