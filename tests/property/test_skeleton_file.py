"""Any right ``.skeleton`` file comes back as written; a damaged one is an error in words."""

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from skeleton_text import Pose, skeleton_text

from skelab.data.clips.clip import RawClip
from skelab.data.recordings.skeleton_file import _ExactParser, parse_skeleton
from skelab.errors import SkeletonFileError

BODY_IDS = st.integers(0, 2**64 - 1).map(str)
SMALL = skeleton_text([[("11", np.full((25, 3), 1.5)), ("12", np.full((25, 3), 2.5))], [], []])
TOKENS = [
    *[b"", b" ", b"\t", b"\n", b"\r", b"\r\n", b"\x00", b"\x85", b"\xa0", b"\xff", b"\x1c"],
    *[b"-", b"+", b".", b"e", b"_", b"#", b",", b'"', b"nan", b"inf", b"1e999", b"0x1"],
    *[b"0", b"1", b"2", b"25", b"26", b"-1", b"128", b"999999999999", b"9" * 5000],
]


@st.composite
def _poses(draw: st.DrawFn) -> Pose:
    coordinate = st.floats(-1e30, 1e30, allow_nan=False)
    values = draw(st.lists(coordinate, min_size=3, max_size=75))
    return draw(BODY_IDS), np.resize(np.array(values), (25, 3))


@given(
    frames=st.lists(st.lists(_poses(), max_size=3), max_size=4),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=60)
def test_what_is_written_is_read(frames: list[list[Pose]], end: str) -> None:
    clip = parse_skeleton(skeleton_text(frames, end), "a.skeleton")

    written = [
        (body, frame, slot, joints)
        for frame, poses in enumerate(frames)
        for slot, (body, joints) in enumerate(poses)
    ]
    assert clip.num_frames == len(frames)
    assert list(clip.bodies) == list(dict.fromkeys(body for body, *_ in written))
    for body, track in clip.bodies.items():
        own = [entry for entry in written if entry[0] == body]
        assert_array_equal(track.frames, [frame for _, frame, _, _ in own])
        assert track.slots is not None
        assert_array_equal(track.slots, [slot for _, _, slot, _ in own])
        assert_array_equal(track.joints, np.stack([joints for *_, joints in own]))


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """SMALL, cut, or with some of its bytes, fields or lines replaced, removed or repeated."""
    content = SMALL
    for _ in range(draw(st.integers(1, 3))):
        damage = draw(st.sampled_from([_cut, _splice, _swap_field, _move_line]))
        content = damage(draw, content)
    return content


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: draw(st.integers(0, len(content)))]


def _splice(draw: st.DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    inserted = draw(st.sampled_from(TOKENS) | st.binary(max_size=8))
    return content[:start] + inserted + content[start + draw(st.integers(0, 5)) :]


def _swap_field(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    at = draw(st.integers(0, len(lines) - 1))
    fields = lines[at].split(b" ")
    fields[draw(st.integers(0, len(fields) - 1))] = draw(st.sampled_from(TOKENS))
    return b"\n".join([*lines[:at], b" ".join(fields), *lines[at + 1 :]])


def _move_line(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    line = lines.pop(draw(st.integers(0, len(lines) - 1)))
    copies = draw(st.integers(0, 2))
    at = draw(st.integers(0, len(lines)))
    return b"\n".join([*lines[:at], *[line] * copies, *lines[at:]])


def _outcome(parse: Callable[[], RawClip]) -> RawClip | str:
    try:
        return parse()
    except SkeletonFileError as error:
        return str(error)


@given(_damaged())
@settings(max_examples=400)
def test_a_damaged_file_is_read_or_refused_in_words_and_never_otherwise(content: bytes) -> None:
    quick = _outcome(lambda: parse_skeleton(content, "a"))
    plain = content.replace(b"\r\n", b"\n").split(b"\n")
    exact = _outcome(lambda: _ExactParser(plain, "a").parse())

    if isinstance(quick, str) or isinstance(exact, str):
        assert quick == exact
        assert str(quick).startswith("a, line ")
        assert str(quick).isprintable()
    else:
        assert quick.num_frames == exact.num_frames
        assert list(quick.bodies) == list(exact.bodies)
        for ours, theirs in zip(quick.bodies.values(), exact.bodies.values(), strict=True):
            assert_array_equal(ours.joints, theirs.joints)
            assert_array_equal(ours.frames, theirs.frames)
            assert_array_equal(np.asarray(ours.tracking), np.asarray(theirs.tracking))
            assert np.isfinite(ours.joints).all()
