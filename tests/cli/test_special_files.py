"""Commands that meet a pipe, a device or a bomb where a file should be: one line, at once."""

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_outcome import Outcome, SmallSet

Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def within_ten_minutes() -> Iterator[None]:
    """A test that waits for a pipe fails, instead of waiting for ever."""

    def fail(*_: object) -> None:
        raise TimeoutError("still waiting after ten minutes")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(600)  # a busy machine is slow
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def own_data(folder: Path, clips: int = 4) -> Path:
    """A data set of one's own: 20 frames of 25 joints a clip."""
    folder.mkdir()
    (folder / "dataset.yaml").write_text("name: mine\nlayout: ntu25\nclasses: [a, b]\n")
    rng = np.random.default_rng(0)
    lines = ["name,label"]
    for row in range(clips):
        np.save(folder / f"c{row}.npy", rng.normal(size=(20, 25, 3)))
        lines.append(f"c{row},{row % 2}")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_pipe_and_a_device_among_ones_own_clips_are_left_out_and_named(
    tmp_path: Path, skelab: Command
) -> None:
    source = own_data(tmp_path / "mine")
    for name in ("c1.npy", "c2.npy"):
        (source / name).unlink()
    os.mkfifo(source / "c1.npy")
    (source / "c2.npy").symlink_to("/dev/zero")

    made = skelab(
        "ingest",
        source,
        tmp_path / "s.arrow",
        "--workers",
        1,
        "--no-anatomy-check",
        "--max-lost",
        1,
    )

    assert made.status == 0, made.err
    assert "2 clips in" in made.out
    assert "c1.npy: cannot be read: expected a file, found a named pipe" in made.out
    assert "c2.npy: cannot be read: expected a file, found a device" in made.out


def test_a_pipe_among_recordings_is_left_out_and_named(
    tmp_path: Path, skelab: Command, small_set: SmallSet
) -> None:
    source = tmp_path / "recordings"
    source.mkdir()
    names = sorted(path.name for path in small_set.skeletons.glob("*.skeleton"))[:6]
    for name in names[1:]:
        (source / name).write_bytes((small_set.skeletons / name).read_bytes())
    os.mkfifo(source / names[0])

    made = skelab(
        "ingest",
        source,
        tmp_path / "s.arrow",
        "--workers",
        1,
        "--no-anatomy-check",
        "--max-lost",
        1,
    )

    assert made.status == 0, made.err
    assert "5 clips in" in made.out
    assert f"{names[0]}: expected a .skeleton file" in made.out
    assert "a named pipe" in made.out


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "PIPE"],
        ["ingest", "PIPE", "OUT.arrow"],
        ["convert", "PIPE", "OUT.npz", "--to", "ctrgcn", "--split", "xsub"],
        ["evaluate", "RUN", "--data", "PIPE"],
        ["evaluate", "PIPE", "--data", "STORE"],
        ["predict", "PIPE", "STORE"],
        ["predict", "RUN", "PIPE"],
        ["predict", "PIPE.onnx", "STORE"],
        ["evaluate", "PIPE.onnx", "--data", "STORE"],
        ["train", "ctrgcn", "--data", "STORE", "--from", "PIPE", "--out", "OUT"],
        ["train", "PIPE.yaml", "--data", "STORE", "--out", "OUT"],
        ["train", "ctrgcn", "--data", "PIPE", "--out", "OUT"],
        ["train", "ctrgcn", "--data", "STORE", "--ignore", "PIPE", "--out", "OUT"],
        ["ensemble", "PIPE"],
        ["report", "PIPE"],
        ["import-weights", "ctrgcn", "PIPE", "OUT.safetensors"],
        ["export-weights", "PIPE", "OUT.pt"],
        ["export", "PIPE", "OUT.pt2", "--to", "torch"],
        ["fit", "PIPE.yaml", "--vram", "8GB"],
    ],
)
def test_a_pipe_in_the_place_of_a_file_is_refused_in_one_line(
    tmp_path: Path, skelab: Command, small_set: SmallSet, words: list[str]
) -> None:
    for name in ("pipe", "pipe.yaml", "pipe.onnx"):
        os.mkfifo(tmp_path / name)
    places = {
        "PIPE": tmp_path / "pipe",
        "PIPE.yaml": tmp_path / "pipe.yaml",
        "PIPE.onnx": tmp_path / "pipe.onnx",
        "RUN": small_set.run,
        "STORE": small_set.store,
    }

    found = skelab(
        *[places.get(word, tmp_path / word if "OUT" in word else word) for word in words]
    )

    assert found.status == 2
    assert len(found.err.splitlines()) == 1
    assert "pipe" in found.err


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"\x80\x96\x98\x05\0\0\0\0{" + b" " * 100, "a header of at most 16,777,216 bytes"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "a header of at most 16,777,216 bytes"),
    ],
)
@pytest.mark.parametrize(
    "words",
    [["inspect", "FILE"], ["import-weights", "ctrgcn", "FILE", "OUT.safetensors"]],
)
def test_a_header_of_90_mb_is_refused_unread(
    tmp_path: Path, skelab: Command, words: list[str], head: bytes, message: str
) -> None:
    path = tmp_path / "bomb.safetensors"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(100_000_000)

    found = skelab(*[{"FILE": path}.get(word, word) for word in words])

    assert found.status == 2
    assert message in found.err
    assert len(found.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_a_pickle_that_stands_for_a_million_million_entries_is_refused(
    tmp_path: Path, skelab: Command, kind: str
) -> None:
    bomb: Any = [1]
    for _ in range(40):
        bomb = [bomb, bomb]
    path = tmp_path / "bomb.pkl"
    poses = np.zeros((1, 4, 25, 3), np.float32)
    content: Any = {
        "split": {"a": bomb},
        "annotations": [{"frame_dir": "a", "label": 0, "keypoint": poses}],
    }
    if kind == "labels":
        path = tmp_path / "arrays"
        path.mkdir()
        np.save(path / "train_data_joint.npy", np.zeros((1, 3, 300, 25, 2), np.float32))
        content = (["a"], bomb)
        (path / "train_label.pkl").write_bytes(pickle.dumps(content))
    else:
        path.write_bytes(pickle.dumps(content))

    found = skelab("inspect", path)

    assert found.status == 2
    assert "entries in so small a file" in found.err
    assert len(found.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: a\nmodel: &m {name: ctrgcn}\ndata: *m\n",
            "line 3: expected YAML, found a fault: an a",
        ),
        ("name: a\nmodel: {name: ctrgcn}\nsummary: " + "x" * 300_000, "at most 262,144 bytes"),
        (f"name: a\nmodel: {{name: ctrgcn, width: {'9' * 400}}}\n", "an integer of 400 characters"),
    ],
)
def test_a_recipe_that_is_a_bomb_is_refused(
    tmp_path: Path, skelab: Command, text: str, message: str
) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(text)

    found = skelab("train", path, "--out", tmp_path / "run")

    assert found.status == 2
    assert message in found.err
    assert len(found.err.splitlines()) == 1
