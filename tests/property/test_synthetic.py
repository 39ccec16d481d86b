"""What holds for every synthetic clip; and that a set can be learnt, but not from one pose."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float64, Int64
from numpy import ndarray

from skelab.data.datasets import parse_split
from skelab.data.preprocessing.ctrgcn import prepare_ctrgcn
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.data.recordings.skeleton_file import parse_skeleton
from skelab.skeleton import get_layout
from skelab.synthetic import clip_names, list_actions, synthetic_clip, synthetic_file

LAYOUT = get_layout("ntu25")
CHILD, PARENT = np.array(LAYOUT.bones).T
HEAD, FEET = LAYOUT.joint("head"), [LAYOUT.joint("left foot"), LAYOUT.joint("right foot")]
FRAMES = 12


@st.composite
def names(draw: st.DrawFn) -> str:
    """Any name that a set may hold."""
    action = draw(st.sampled_from(list_actions(23)))
    setup, camera = draw(st.integers(1, 17)), draw(st.integers(1, 3))
    performer, replication = draw(st.integers(1, 40)), draw(st.integers(1, 2))
    return f"S{setup:03d}C{camera:03d}P{performer:03d}R{replication:03d}{action.code}"


@settings(max_examples=60)
@given(names(), st.integers(0, 2**70))
def test_any_clip_reads_back_and_passes_for_a_human_body(name: str, seed: int) -> None:
    clip = synthetic_clip(name, seed=seed)

    read = parse_skeleton(synthetic_file(name, seed=seed), name)
    joints = prepare_ctrgcn(read, LAYOUT).joints.astype(np.float64)
    assert list(read.bodies) == list(clip.bodies)
    for body in joints:
        present = body[body.any(axis=(1, 2))]
        bones = np.linalg.norm(present[:, CHILD] - present[:, PARENT], axis=2)
        median = np.median(bones, axis=0)
        assert (np.median(abs(bones - median), axis=0) < 0.04).all()
        lengths = dict(zip(CHILD.tolist(), median.tolist(), strict=True))
        for left, right in LAYOUT.pairs:
            assert abs(lengths[left] - lengths[right]) < 0.05
        over = present[:, HEAD, 1] - present[:, FEET, 1].max(axis=1)
        assert np.median(over) > 0.5


@settings(max_examples=30)
@given(st.integers(2, 23), st.integers(1, 300), st.integers(0, 300))
def test_a_set_begins_like_every_larger_set(actions: int, clips: int, more: int) -> None:
    smaller = clip_names(clips, actions=actions)

    larger = clip_names(clips + more, actions=actions)

    assert larger[:clips] == smaller
    assert len(set(larger)) == len(larger)


@cache
def sequences() -> tuple[Float64[ndarray, "N T D"], Int64[ndarray, " N"], Int64[ndarray, " N"]]:
    """Clips brought to 12 frames, their actions and their performers."""
    clips, infos = [], []
    for name in clip_names(420):
        joints = prepare_ctrgcn(synthetic_clip(name), LAYOUT).joints
        chosen = np.linspace(0, joints.shape[1] - 1, FRAMES).round().astype(int)
        clip = np.zeros((FRAMES, 2, 25, 3))
        clip[:, : len(joints)] = joints[:2, chosen].transpose(1, 0, 2, 3)
        clips.append(clip.reshape(FRAMES, -1))
        infos.append(parse_sample_name(name))
    labels = np.array([info.label for info in infos])
    return np.stack(clips), labels, np.array([info.subject for info in infos])


def accuracy_of_nearest_centroids(features: Float64[ndarray, "N D"]) -> float:
    """Centroids of the training performers of X-Sub, tried on the others."""
    _, labels, subjects = sequences()
    trained = np.isin(subjects, sorted(parse_split("xsub").train))
    classes = np.unique(labels)
    centroids = np.stack([features[trained & (labels == c)].mean(axis=0) for c in classes])
    distance = ((features[~trained, None] - centroids) ** 2).sum(axis=2)
    return float(np.mean(classes[distance.argmin(axis=1)] == labels[~trained]))


@pytest.mark.slow
def test_motion_tells_the_actions_apart_and_the_first_pose_does_not() -> None:
    clips, labels, _ = sequences()

    whole = accuracy_of_nearest_centroids(clips.reshape(len(clips), -1))
    first = accuracy_of_nearest_centroids(clips[:, 0])

    assert len(np.unique(labels)) == 14
    assert whole > 0.6
    assert first < 0.4
    assert whole > first + 0.3
