"""Streams: what a network says after each frame is what it says of the clip so far."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_kit import family_checkpoint
from jaxtyping import Float
from numpy import ndarray
from tiny_clips import CLASSES, SBU15

from skelab.data.feeding.streams import Stream
from skelab.data.recordings.one_file import recording_of_array
from skelab.errors import DataError, ModelError, NetworkError
from skelab.evaluation import softmax
from skelab.inference import Network, open_network
from skelab.inference.clips import prepare_clip
from skelab.inference.stream import (
    LONGEST_LINE,
    NetworkStream,
    StreamAnswer,
    StreamFrame,
    parse_frame,
)

FRAMES = 12
GAP = 0.1


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return causal_network(tmp_path_factory.mktemp("net") / "net.safetensors")


def causal_network(path: Path, *, causal: bool = True, pipeline: str = "ctrgcn") -> Network:
    options = {"width": 4, "causal": causal}
    family_checkpoint(
        path, "stgcn", layout=SBU15, classes=CLASSES, options=options, pipeline=pipeline
    )
    return open_network(path)


def body(seed: int = 0) -> Float[ndarray, "T V C"]:
    return np.random.default_rng(seed).normal(size=(FRAMES, 15, 3)) + 2


def frames_of(**bodies: Float[ndarray, "T V C"]) -> list[StreamFrame]:
    return [
        StreamFrame({name: joints[t] for name, joints in bodies.items()}, GAP * t)
        for t in range(FRAMES)
    ]


def shares(answer: StreamAnswer) -> Mapping[str, float]:
    return dict(answer.top)


def line_of(frame: StreamFrame) -> bytes:
    bodies = {name: joints.tolist() for name, joints in frame.bodies.items()}
    return json.dumps({"format": 1, "time": frame.time, "bodies": bodies}).encode() + b"\n"


def test_the_answers_are_those_of_the_recording_so_far(network: Network) -> None:
    joints = body()
    stream = network.stream()

    answers = [stream.answer(frame, top=3) for frame in frames_of(a=joints)]

    for t, answer in enumerate(answers):
        raw = recording_of_array(joints[None, : t + 1], network.spec.layout, "clip")
        clip = prepare_clip(raw, network.spec, "clip", name="clip").joints  # M T V C
        batch = np.zeros((1, 3, t + 1, 15, 2), dtype=np.float32)
        batch[0, ..., 0] = clip[0].transpose(2, 0, 1)
        expected = softmax(network.logits(batch))[0]
        assert answer.frame == t
        assert answer.time == pytest.approx(GAP * t)
        for name, share in answer.top:
            assert share == pytest.approx(expected[CLASSES.index(name)], abs=1e-5)


def test_a_prepared_clip_is_streamed_frame_by_frame(network: Network) -> None:
    joints = body()[:, None].repeat(2, axis=1).astype(np.float32)  # T M V C
    joints[:5, 1] = 0  # a body that comes late
    joints[7:9] = 0  # a gap
    stream = network.stream()

    found = np.stack([stream.step(frame) for frame in joints])

    for t in range(FRAMES):
        clip = joints[: t + 1].transpose(3, 0, 2, 1)[None]
        np.testing.assert_allclose(found[t], network.logits(clip)[0], rtol=0, atol=1e-5)


def test_an_absent_body_may_be_left_out(network: Network) -> None:
    joints = body().astype(np.float32)
    one, two = network.stream(), network.stream()

    short = one.step(joints[:1])
    padded = two.step(np.stack([joints[0], np.zeros_like(joints[0])]))

    np.testing.assert_array_equal(short, padded)


def test_bones_are_derived_from_each_frame(network: Network) -> None:
    feeder = network.spec.inputs.feeder.model_copy(update={"stream": Stream.BONE})
    spec = replace(network.spec, inputs=replace(network.spec.inputs, feeder=feeder))
    assert network._build is not None
    joints = body().astype(np.float32)

    found = NetworkStream(spec, network._build(), "net").step(joints[:1])

    bones = np.zeros((1, 3, 1, 15, 2), dtype=np.float32)
    bones[0, :, 0, :, 0] = (joints[0] - joints[0][list(SBU15.parents)]).T
    np.testing.assert_allclose(found, network.logits(bones)[0], atol=1e-5)


def test_streams_of_one_network_share_nothing(network: Network) -> None:
    first, second = network.stream(), network.stream()
    for frame in frames_of(a=body(1)):
        first.answer(frame)

    found = [shares(second.answer(frame)) for frame in frames_of(a=body())]

    alone = network.stream()
    assert found == [shares(alone.answer(frame)) for frame in frames_of(a=body())]


def test_a_body_keeps_its_place_whatever_the_order_and_while_it_is_away(network: Network) -> None:
    frames = frames_of(a=body(0), b=body(1))
    mixed = list(frames)
    mixed[3] = StreamFrame(dict(reversed(list(frames[3].bodies.items()))), frames[3].time)
    stream, same = network.stream(), network.stream()

    found = [shares(stream.answer(frame)) for frame in mixed]

    assert found == [shares(same.answer(frame)) for frame in frames]


def test_a_new_body_takes_the_place_of_the_one_that_was_away_for_longest(network: Network) -> None:
    stream, renamed = network.stream(), network.stream()
    pair = frames_of(a=body(0), b=body(1))
    alone = frames_of(b=body(1))
    other = frames_of(b=body(1), c=body(2))
    known = frames_of(b=body(1), a=body(2))

    found = [shares(stream.answer(f)) for f in (pair[0], alone[1], other[2])]
    expected = [shares(renamed.answer(f)) for f in (pair[0], alone[1], known[2])]

    assert found == expected


def test_a_body_without_a_place_is_left_out_and_named(network: Network) -> None:
    stream, without = network.stream(), network.stream()

    answer = stream.answer(frames_of(a=body(0), b=body(1), c=body(2))[0])

    assert answer.notes == ("no place for body 'c': left out",)
    assert answer.top == without.answer(frames_of(a=body(0), b=body(1))[0]).top


def test_an_empty_frame_is_a_gap_and_the_stream_goes_on(network: Network) -> None:
    stream = network.stream()
    frames = frames_of(a=body())

    first = stream.answer(frames[0])
    gap = stream.answer(StreamFrame({}, GAP))
    later = stream.answer(frames[2])

    assert (first.notes, gap.notes, later.notes) == ((), (), ())
    assert gap.top


def test_a_body_that_is_not_finite_is_left_out(network: Network) -> None:
    joints = body()
    joints[1, 3, 0] = np.nan
    frames = frames_of(a=joints)
    stream, gap = network.stream(), network.stream()
    stream.answer(frames[0])
    gap.answer(frames[0])

    answer = stream.answer(frames[1])

    assert answer.notes == ("body 'a' has coordinates that are not finite: left out",)
    assert answer.top == gap.answer(StreamFrame({}, GAP)).top


@pytest.mark.parametrize("time", [GAP, 0.05])
def test_a_frame_that_is_not_later_is_left_out(network: Network, time: float) -> None:
    frames = frames_of(a=body())
    stream, same = network.stream(), network.stream()
    for frame in frames[:2]:
        stream.answer(frame)
        same.answer(frame)

    answer = stream.answer(replace(frames[2], time=time))

    assert answer.top == ()
    assert answer.notes == (f"time {time:g} is not after 0.1: the frame is left out",)
    assert stream.answer(frames[3]).top == same.answer(frames[3]).top


def test_after_a_long_gap_the_stream_begins_anew(network: Network) -> None:
    frames = frames_of(a=body())
    stream, fresh = network.stream(), network.stream()
    for frame in frames[:5]:
        stream.answer(frame)

    answer = stream.answer(replace(frames[5], time=10.0))

    assert answer.notes == ("no frame for 9.6 s: the stream begins anew",)
    assert (answer.frame, answer.top) == (5, fresh.answer(frames[5]).top)


def test_a_frame_of_another_layout_ends_the_stream_with_its_line(network: Network) -> None:
    lines = [line_of(frame) for frame in frames_of(a=body())[:2]]
    lines.append(line_of(StreamFrame({"a": np.zeros((20, 3))}, 0.5)))
    answers = network.stream().answers(lines)

    assert [next(answers).frame for _ in range(2)] == [0, 1]
    with pytest.raises(DataError, match="line 3: body 'a': expected 15 joints of sbu15 with 3"):
        next(answers)


def test_lines_are_answered_as_frames_and_blank_ones_passed_over(network: Network) -> None:
    frames = frames_of(a=body())
    lines = io.BytesIO(b"\n".join([line_of(frame) for frame in frames]))
    stream = network.stream()

    answers = list(network.stream().answers(lines))

    assert [answer.top for answer in answers] == [stream.answer(frame).top for frame in frames]
    written = json.loads(answers[3].to_json())
    assert written["format"] == 1
    assert written["frame"] == 3
    assert written["top"][0]["class"] == answers[3].top[0][0]


def test_a_last_line_that_was_cut_off_is_noted_and_ends_the_stream(network: Network) -> None:
    lines = [line_of(frame) for frame in frames_of(a=body())[:3]]
    lines[2] = lines[2][:50]

    answers = list(network.stream().answers(lines))

    assert [bool(answer.top) for answer in answers] == [True, True, False]
    assert answers[2].notes == ("line 3 was cut off: the stream ends",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"hello\n", 'expected a frame, say {"format": 1'),
        (b"[" * 100_000 + b"\n", "expected a frame, say"),
        (b"[1]\n", "expected \"format\": 1, found 'list'"),
        (b'{"format": 2, "bodies": {}}\n', 'expected "format": 1, found 2'),
        (b'{"format": 1}\n', "expected the keys format, time and bodies"),
        (b'{"format": 1, "bodies": {}, "fps": 30}\n', "expected the keys format, time and bodies"),
        (b'{"format": 1, "bodies": [[1, 2, 3]]}\n', "bodies being"),
        (b'{"format": 1, "time": "now", "bodies": {}}\n', "time: expected seconds, found 'now'"),
        (b'{"format": 1, "time": NaN, "bodies": {}}\n', "time: expected seconds, found nan"),
        (b'{"format": 1, "bodies": {"a": 3}}\n', "body 'a': expected a list of joints"),
        (b'{"format": 1, "bodies": {"a": [[1], [1, 2]]}}\n', "body 'a': expected a list of joints"),
        (b'{"format": 1, "bodies": {"a": [["x"]]}}\n', "body 'a': expected a list of joints"),
        (b" " * (LONGEST_LINE + 1), "at most 1,048,576 bytes, found a longer line"),
    ],
)
def test_lines_that_are_no_frames_are_refused(line: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_frame(line)

    assert message in str(caught.value)


def test_a_network_that_looks_ahead_does_not_stream(tmp_path: Path) -> None:
    network = causal_network(tmp_path / "net.safetensors", causal=False)

    with pytest.raises(ModelError, match=r"stgcn: expected a causal network.*model.causal=true"):
        network.stream()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stream": Stream.JOINT_MOTION}, "its stream is joint-motion, which needs the next frame"),
        ({"pipeline": "msg3d"}, "its preprocessing msg3d looks at the whole recording"),
    ],
)
def test_what_needs_later_frames_does_not_stream(
    network: Network, changes: dict[str, Any], message: str
) -> None:
    inputs = network.spec.inputs
    if "stream" in changes:
        inputs = replace(inputs, feeder=inputs.feeder.model_copy(update=changes))
    else:
        inputs = replace(inputs, **changes)
    other = replace(network, spec=replace(network.spec, inputs=inputs))

    with pytest.raises(NetworkError, match=message):
        other.stream()


def test_an_exported_graph_does_not_stream(network: Network) -> None:
    exported = replace(network, _build=None)

    with pytest.raises(NetworkError, match="an exported graph takes whole clips"):
        exported.stream()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((3, 15, 3)), "expected a frame of up to 2 bodies x 15 joints of sbu15 x 3"),
        (np.zeros((1, 14, 3)), "found 1 x 14 x 3"),
        (np.full((1, 15, 3), np.inf), "expected finite coordinates, found NaN or infinity"),
    ],
)
def test_a_prepared_frame_that_does_not_fit_is_refused(
    network: Network, frame: Float[ndarray, "M V C"], message: str
) -> None:
    with pytest.raises(NetworkError, match=message):
        network.stream().step(frame.astype(np.float32))


def test_memory_stays_the_same(network: Network) -> None:
    stream = network.stream()
    sizes = set()
    for _ in range(8):
        for frame in body().astype(np.float32):
            stream.step(frame[None])
        sizes.add(stream.num_bytes)

    assert len(sizes) <= 6  # features of the pooling grow until the horizon is full
    assert max(sizes) == stream.num_bytes
    assert torch.is_grad_enabled()
