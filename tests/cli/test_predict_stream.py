"""`skelab predict --stream` from end to end: frames from a file and from stdin."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import Outcome
from export_kit import family_checkpoint
from tiny_clips import CLASSES, SBU15

Skelab = Callable[..., Outcome]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    options = {"width": 4, "causal": True}
    family_checkpoint(path, "stgcn", layout=SBU15, classes=CLASSES, options=options)
    return path


def frames(count: int = 3) -> bytes:
    joints = np.random.default_rng(0).normal(size=(count, 15, 3))
    lines = [
        json.dumps({"format": 1, "time": t / 10, "bodies": {"1": joints[t].tolist()}})
        for t in range(count)
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def feed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_stdin_is_answered_line_by_line(
    skelab: Skelab, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, frames())

    outcome = skelab("predict", network, "-", "--stream", "--json", "--top", 2)

    answers = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.status == 0
    assert [answer["frame"] for answer in answers] == [0, 1, 2]
    assert all(len(answer["top"]) == 2 and answer["format"] == 1 for answer in answers)


def test_a_file_of_frames_says_the_same_and_prints_changes_only(
    skelab: Skelab, network: Path, tmp_path: Path
) -> None:
    (tmp_path / "frames.jsonl").write_bytes(frames(6))

    outcome = skelab("predict", network, tmp_path / "frames.jsonl", "--stream")

    lines = outcome.out.splitlines()
    assert outcome.status == 0
    assert lines[0].startswith("frame 0, 0.00 s: ")
    assert lines[-1].startswith("6 frames, at the end ")


def test_stdin_that_ends_in_the_middle_of_a_line_ends_well(
    skelab: Skelab, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, frames()[:-20])

    outcome = skelab("predict", network, "-", "--stream")

    assert outcome.status == 0
    assert "frame 2: line 3 was cut off: the stream ends" in outcome.err
    assert "2 frames, at the end" in outcome.out


def test_a_line_that_is_no_frame_is_one_line_of_error(
    skelab: Skelab, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, frames(1) + b"hello\n")

    outcome = skelab("predict", network, "-", "--stream", "--json")

    assert outcome.status == 2
    assert outcome.err.startswith("skelab: line 2: expected a frame, say")
    assert len(outcome.out.splitlines()) == 1


def test_a_line_that_never_ends_is_refused(
    skelab: Skelab, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, b"[" * (1 << 21))

    outcome = skelab("predict", network, "-", "--stream")

    assert outcome.status == 2
    assert "line 1: expected a frame of at most 1,048,576 bytes" in outcome.err


def test_nothing_at_all_is_no_answer(
    skelab: Skelab, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, b"")

    outcome = skelab("predict", network, "-", "--stream")

    assert (outcome.status, outcome.out.strip()) == (0, "0 frames, at the end no answer")


def test_several_files_and_one_that_is_not_there_are_refused(
    skelab: Skelab, network: Path, tmp_path: Path
) -> None:
    several = skelab("predict", network, "a", "b", "--stream")
    missing = skelab("predict", network, tmp_path / "no.jsonl", "--stream")

    assert (several.status, missing.status) == (2, 2)
    assert "expected one file of frames, or -, found 2" in several.err
    assert "no.jsonl: cannot be read: No such file or directory" in missing.err
