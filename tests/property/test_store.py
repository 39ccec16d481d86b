"""What holds for the clip store whatever is put in, and whatever happens to its file."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import Float32
from numpy import ndarray
from tiny_clips import SBU15, tiny_clip, tiny_info
from untrimmed_files import tiny_sequence

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.sequence import Segment, UntrimmedSequence
from skelab.data.clips.store import ClipStore, open_store
from skelab.data.clips.write import join_shards, write_shard, write_store
from skelab.errors import StoreError

ANY_FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)
NUMBER = st.none() | st.integers(0, 2**31 - 1)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One folder for all examples of a test."""
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module", params=["clips", "sequences"])
def whole(folder: Path, request: pytest.FixtureRequest) -> bytes:
    """The bytes of a sound store of three clips, or of two clips and a sequence."""
    clips: list[Clip] = [tiny_clip(row, label=row % 2) for row in range(3)]
    if request.param == "sequences":
        clips[1] = tiny_sequence(1, labelled=True, script=3)
    write_store(folder / "whole.arrow", clips, tiny_info())
    return (folder / "whole.arrow").read_bytes()


@st.composite
def clip_lists(draw: st.DrawFn) -> list[Clip]:
    """One to six clips of any length, any values, NaN and infinities among them."""
    names = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
    clips: list[Clip] = []
    for name in names:
        bodies, frames = draw(st.integers(1, 3)), draw(st.integers(1, 5))
        shape = (bodies, frames, 15, 3)
        joints: Float32[ndarray, "M T V C"] = draw(arrays(np.float32, shape, elements=ANY_FLOAT))
        numbers = draw(arrays(np.int32, frames))
        label, subject, camera, setup, replication, script = (draw(NUMBER) for _ in range(6))
        info = SampleInfo(name, label, subject, camera, setup, replication, script=script)
        if draw(st.booleans()):
            clips.append(draw(sequences(info, joints, numbers)))
        else:
            clips.append(Clip(info, joints, numbers))
    return clips


@st.composite
def sequences(
    draw: st.DrawFn, info: SampleInfo, joints: Float32[ndarray, "M T V C"], numbers: ndarray
) -> UntrimmedSequence:
    """A sequence with any segments that do not overlap, with or without labels of frames."""
    frames = joints.shape[1]
    edges = sorted(draw(st.sets(st.integers(0, frames), max_size=frames + 1)))
    segments = tuple(
        Segment(draw(st.integers(0, 60)), start, end, draw(st.none() | st.floats(0, 9)))
        for start, end in pairwise(edges)
        if draw(st.booleans())
    )
    labels = draw(st.none() | arrays(np.int32, frames, elements=st.integers(-1, 60)))
    info = replace(info, untrimmed=True)
    return UntrimmedSequence(info, joints, numbers, segments, labels)


def labels_of(clip: Clip) -> object:
    """The labels of a sequence, to be compared; None for a clip."""
    if not isinstance(clip, UntrimmedSequence):
        return None
    labels = clip.frame_labels
    return clip.segments, None if labels is None else labels.tolist()


def same(found: Clip, expected: Clip) -> bool:
    return (
        found.info == expected.info
        and labels_of(found) == labels_of(expected)
        and found.joints.shape == expected.joints.shape
        and found.joints.tobytes() == expected.joints.tobytes()
        and found.frame_numbers.tobytes() == expected.frame_numbers.tobytes()
    )


@given(clip_lists())
@settings(max_examples=25)
def test_clips_come_back_bit_for_bit(folder: Path, clips: list[Clip]) -> None:
    path = folder / "drawn.arrow"

    write_store(path, clips, tiny_info())

    store = open_store(path)
    assert len(store) == len(clips)
    assert all(same(found, clip) for found, clip in zip(store.clips(), clips, strict=True))


@given(st.lists(st.integers(0, 7), max_size=3))
@settings(max_examples=12)
def test_the_digest_is_the_same_wherever_the_clips_are_parted(
    folder: Path, cuts: list[int]
) -> None:
    clips: list[Clip] = [tiny_clip(row, label=row % 3) for row in range(7)]
    clips[2:4] = [tiny_sequence(row, labelled=True) for row in (2, 3)]
    expected = write_store(folder / "together.arrow", clips, tiny_info()).digest
    edges = [0, *sorted(cuts), 7]

    parts = []
    for number, (start, end) in enumerate(pairwise(edges)):
        parts.append(folder / f"{number}.part")
        write_shard(parts[-1], clips[start:end], SBU15)
    info = join_shards(folder / "joined.arrow", parts, tiny_info())

    assert info.digest == expected


def attempt(path: Path, content: bytes) -> ClipStore | str:
    """Open and read all of a file; what it was refused with, if it was."""
    path.write_bytes(content)
    try:
        store = open_store(path)
        list(store.clips())
    except StoreError as error:
        return str(error)
    return store


def test_a_store_that_ends_early_is_refused_wherever_it_ends(folder: Path, whole: bytes) -> None:
    path = folder / "cut.arrow"
    lengths = [*range(0, len(whole), 23), *range(len(whole) - 40, len(whole))]

    outcomes = [attempt(path, whole[:length]) for length in lengths]

    for outcome in outcomes:
        assert isinstance(outcome, str)
        assert "expected a finished clip store, found another or half-written file" in outcome


@given(st.data())
@settings(max_examples=150)
def test_one_damaged_byte_is_refused_or_changes_nothing(
    folder: Path, whole: bytes, data: st.DataObject
) -> None:
    sound = open_store(folder / "whole.arrow")
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[place] ^= data.draw(st.integers(1, 255))

    outcome = attempt(folder / "damaged.arrow", bytes(damaged))

    if isinstance(outcome, str):
        assert "\n" not in outcome
        assert str(folder / "damaged.arrow") in outcome
    else:
        assert outcome.info == sound.info
        assert outcome.frames.tolist() == sound.frames.tolist()
        for found, clip in zip(outcome.clips(), sound.clips(), strict=True):
            assert found.info == clip.info
            assert labels_of(found) == labels_of(clip)
            assert found.joints.tobytes() == clip.joints.tobytes()
            assert found.frame_numbers.tolist() == clip.frame_numbers.tolist()


@given(st.binary(max_size=300))
def test_any_other_content_is_refused(folder: Path, content: bytes) -> None:
    outcome = attempt(folder / "other.arrow", content)

    assert isinstance(outcome, str)
    assert "expected a finished clip store, found another or half-written file" in outcome
