"""Windows of sequences: what is in them, and that nothing else is."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_clips import tiny_info, tiny_store
from untrimmed_files import tiny_sequence

from skelab.data.clips.clip import Clip
from skelab.data.clips.sequence import Segment, UntrimmedSequence
from skelab.data.clips.store import ClipStore, open_store
from skelab.data.clips.windows import windows_before_actions, windows_of_frames
from skelab.data.clips.write import write_store
from skelab.data.feeding.batch import NO_FRAME
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.errors import DataError

SEGMENTS = (Segment(0, 4, 12), Segment(2, 14, 20), Segment(1, 22, 30))


def store_of(path: Path, *sequences: Clip) -> ClipStore:
    write_store(path, sequences, tiny_info())
    return open_store(path)


def long_sequence(row: int = 0) -> UntrimmedSequence:
    return tiny_sequence(row, SEGMENTS, frames=32, subject=row + 1, script=2)


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return store_of(tmp_path / "s.arrow", long_sequence(0), long_sequence(1))


def test_a_window_ends_at_its_horizon_and_is_named_for_action_and_horizon(
    store: ClipStore,
) -> None:
    made = windows_before_actions(store, (-4, 0, 3), observed=10)

    first = made.windows[:6]
    assert [(each.start, each.end) for each in first] == [
        *[(0, 10), (4, 14), (7, 17)],
        *[(8, 18), (12, 22), (15, 25)],
    ]
    assert [made.info.classes[each.label] for each in first[:3]] == [
        *["fall @-4", "fall @+0", "fall @+3"]
    ]
    assert made.index.names[2] == "seq000#002@+3"
    assert (made.index.subjects[0], made.index.scripts[0]) == (1, 2)
    assert not made.index.untrimmed.any()


def test_a_window_that_would_pass_the_end_of_its_action_is_left_out(store: ClipStore) -> None:
    made = windows_before_actions(store, (0, 7), observed=10)

    assert [name for name in made.index.names if name.startswith("seq000")] == [
        *["seq000#002@+0", "seq000#003@+0", "seq000#003@+7"]
    ]


@pytest.mark.parametrize("per_frame", [False, True])
def test_frames_behind_the_cut_change_nothing(tmp_path: Path, per_frame: bool) -> None:
    whole = long_sequence()
    planted = whole.joints.copy()
    planted[:, 14:] = 99.0
    stores = [
        store_of(tmp_path / "a.arrow", whole),
        store_of(tmp_path / "b.arrow", replace(whole, joints=planted)),
    ]

    if per_frame:
        one, two = (windows_of_frames(s, frames=14, background="none") for s in stores)
    else:
        one, two = (windows_before_actions(s, (-4, 0, 3), observed=10) for s in stores)

    seen = [row for row, window in enumerate(one.windows) if window.end <= 14]
    later = [row for row, window in enumerate(one.windows) if window.end > 14]
    assert seen
    assert later
    for row in seen:
        assert one.clip(row).joints.tobytes() == two.clip(row).joints.tobytes()
    assert any(one.clip(row).joints.tobytes() != two.clip(row).joints.tobytes() for row in later)


def test_the_latest_pose_of_a_window_is_at_the_origin_and_absent_frames_stay_zero(
    tmp_path: Path,
) -> None:
    whole = long_sequence()
    joints = whole.joints.copy()
    joints[:, 10:14] = 0
    store = store_of(tmp_path / "a.arrow", replace(whole, joints=joints))
    origin = store.info.layout.origin

    clip = windows_before_actions(store, (0,), observed=10).clip(0)

    assert not clip.joints[0, 6:].any()
    assert clip.joints[0, 5, origin].tolist() == [0, 0, 0]
    expected = joints[0, 4:10] - joints[0, 9, origin]
    assert np.allclose(clip.joints[0, :6], expected)


def test_windows_of_frames_cover_every_frame_and_carry_its_label(store: ClipStore) -> None:
    made = windows_of_frames(store, frames=12, background="none")

    covered = {f for each in made.windows if each.row == 0 for f in range(each.start, each.end)}
    clip = made.clip(0)
    assert covered == set(range(32))
    assert made.info.classes[-1] == "none"
    assert isinstance(clip, UntrimmedSequence)
    assert clip.frame_labels is not None
    assert clip.frame_labels.tolist() == [-1] * 4 + [0] * 8
    assert made.index.labels[0] == 0


def test_a_feeder_keeps_frames_beside_their_labels(store: ClipStore) -> None:
    made = windows_of_frames(store, frames=12, background="none")
    config = FeederConfig(
        window=12, fill="zeros", train_crop=(1.0, 1.0), eval_crop=1.0, rotation=0.0
    )
    last = len(made) // 2 - 1  # of the first sequence, shorter than the window

    clips = pad_clips([(row, made.clip(row)) for row in (0, last)], 1)
    feeder = Feeder(config, store.info.layout)
    for batch in (
        feeder.evaluation_batch(clips),
        feeder.training_batch(clips, seed=0, epoch=0),
    ):
        assert batch.frame_labels is not None
        assert batch.frame_labels.shape == (2, 12)
        assert np.array_equal(batch.joints[0, :, :, :, 0].numpy().transpose(1, 2, 0),
                              made.clip(0).joints[0])  # fmt: skip
        ends = made.windows[last].end - made.windows[last].start
        assert (batch.frame_labels[1] == NO_FRAME).sum() == 12 - ends
        part = batch.part(1, 1).frame_labels
        assert part is not None
        assert part.tolist() == batch.frame_labels[1:].tolist()


def test_windows_go_to_the_workers_of_a_loader(store: ClipStore) -> None:
    made = windows_before_actions(store, (0,), observed=10)
    clip = made.clip(1)

    again = pickle.loads(pickle.dumps(made))  # noqa: S301

    assert again.clip(1).joints.tobytes() == clip.joints.tobytes()
    assert (len(again), again.max_bodies, again.lengths().tolist()) == (4, 1, [10] * 4)
    with pytest.raises(IndexError, match="row 4 of 4 windows"):
        again.clip(4)


def test_clips_without_segments_are_refused(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", 4)

    with pytest.raises(DataError, match="the next action needs sequences with segments, found 4"):
        windows_before_actions(store, (0,), observed=10)
    with pytest.raises(DataError, match="detection needs sequences with segments, found 4 clips"):
        windows_of_frames(store, frames=12, background="none")


def test_sequences_of_one_action_ask_nothing(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.arrow", tiny_sequence(0, (Segment(0, 1, 4),)))

    with pytest.raises(DataError, match="expected sequences of two actions or more, found none"):
        windows_before_actions(store, (0,), observed=10)
