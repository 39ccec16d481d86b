"""Commands that write: nothing is overwritten silently, and a full disk is one line."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_outcome import Outcome, SmallSet

Command = Callable[..., Outcome]
SPLIT = "subject:1-20/21-40"


def refused(found: Outcome, message: str) -> None:
    assert found.status == 2, found
    *notes, last = found.err.splitlines()
    assert last.startswith("skelab: ")
    assert message in last
    assert not [note for note in notes if note.startswith(("skelab", "Traceback"))]


def test_a_store_is_not_converted_into_itself(skelab: Command, small_set: SmallSet) -> None:
    before = small_set.store.read_bytes()
    words = ["--to", "ctrgcn", "--split", SPLIT, "--force"]

    refused(skelab("convert", small_set.store, small_set.store, *words), "ends with .npz")

    assert small_set.store.read_bytes() == before


def test_a_recipe_and_a_network_of_a_run_are_not_overwritten(
    skelab: Command, small_set: SmallSet
) -> None:
    recipe = small_set.run / "recipe.yaml"
    best = small_set.run / "checkpoints" / "best.safetensors"
    other = next(small_set.run.glob("checkpoints/epoch-*.safetensors"))
    before = [path.read_bytes() for path in (recipe, best, other)]
    convert = ["--to", "pyskl", "--split", SPLIT, "--force"]

    refused(skelab("convert", small_set.store, recipe, *convert), "ends with .pkl or .pickle")
    refused(skelab("export-weights", small_set.run, best, "--force"), "is what is being read")
    refused(skelab("export-weights", small_set.run, other, "--force"), "a file of another kind")
    refused(skelab("ingest", small_set.skeletons, recipe, "--force"), "ends with .arrow")
    refused(skelab("report", small_set.run, "--out", recipe, "--force"), "ends with .html or .htm")

    assert [path.read_bytes() for path in (recipe, best, other)] == before


def test_a_text_is_not_replaced_by_a_store(
    tmp_path: Path, skelab: Command, small_set: SmallSet
) -> None:
    for name in ("notes.txt", "notes.arrow"):
        (tmp_path / name).write_text("twelve notes")

        found = skelab("ingest", small_set.skeletons, tmp_path / name, "--force")

        refused(found, name)
        assert (tmp_path / name).read_text() == "twelve notes"


def test_what_is_there_is_replaced_when_forced(
    tmp_path: Path, skelab: Command, small_set: SmallSet
) -> None:
    weights, npz = tmp_path / "w.pt", tmp_path / "c.npz"
    commands: list[list[object]] = [
        ["export-weights", small_set.run, weights],
        ["import-weights", "ctrgcn", weights, tmp_path / "n.safetensors", "--classes"],
        ["convert", small_set.store, npz, "--to", "ctrgcn", "--split", SPLIT],
        ["ingest", small_set.store, tmp_path / "s.arrow", "--no-anatomy-check"],
    ]
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    for words in commands:
        words = [*words, tmp_path / "names.txt"] if words[-1] == "--classes" else words

        assert skelab(*words).status == 0
        refused(skelab(*words), "--force replaces it")
        assert skelab(*words, "--force").status == 0


def test_the_page_of_a_comparison_is_made_anew_under_its_usual_name_only(
    tmp_path: Path, skelab: Command, small_set: SmallSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert [skelab("report", small_set.run).status for _ in range(2)] == [0, 0]
    refused(skelab("report", small_set.run, "--out", "compare.html"), "--force replaces it")
    assert skelab("report", small_set.run, "--out", "compare.html", "--force").status == 0


def test_files_of_fit_are_asked_about_before_anything_is_measured(
    tmp_path: Path, skelab: Command
) -> None:
    (tmp_path / "notes.html").write_text("twelve notes")
    (tmp_path / "notes.yaml").write_text("twelve notes")

    refused(skelab("fit", "--html", tmp_path / "notes.html"), "a file of another kind")
    refused(skelab("fit", "--recipe-out", tmp_path / "notes.yaml"), "a file of another kind")
    refused(skelab("fit", "--recipe-out", tmp_path / "r.txt"), "ends with .yaml or .yml")


@pytest.mark.parametrize(
    "words",
    [
        ["ingest", "x", ""],
        ["convert", "x", "", "--to", "ctrgcn"],
        ["train", "ctrgcn", "--out", ""],
        ["evaluate", "x", "--data", "y", "--out", ""],
        ["ensemble", "x", "--out", ""],
        ["report", "x", "--out", ""],
        ["export", "x", "", "--to", "onnx"],
        ["export-weights", "x", " "],
        ["import-weights", "ctrgcn", "x", ""],
        ["fit", "--html", ""],
        ["fit", "--recipe-out", ""],
        ["synth", ""],
        ["demo", "--out", ""],
    ],
)
def test_an_empty_name_is_refused(skelab: Command, words: list[str]) -> None:
    refused(skelab(*words), "expected a name, found an empty text")


@pytest.mark.parametrize(
    "words",
    [
        ["ingest", "SKELETONS", "LONG.arrow"],
        ["convert", "STORE", "LONG.npz", "--to", "ctrgcn", "--split", SPLIT],
        ["export-weights", "RUN", "LONG.pt"],
        ["train", "ctrgcn", "--data", "STORE", "--set", f"data.split={SPLIT}", "--out", "LONG"],
        ["inspect", "LONG"],
        ["evaluate", "LONG", "--data", "STORE"],
    ],
)
def test_a_name_longer_than_the_system_allows_is_one_line(
    tmp_path: Path, skelab: Command, small_set: SmallSet, words: list[str]
) -> None:
    places = {"SKELETONS": small_set.skeletons, "STORE": small_set.store, "RUN": small_set.run}
    filled = [
        places.get(w, tmp_path / w.replace("LONG", "x" * 300) if "LONG" in w else w) for w in words
    ]

    found = skelab(*filled)

    refused(found, "too long")


@pytest.mark.parametrize(
    "words",
    [["models"], ["recipes"], ["--version"], ["inspect", "STORE"], ["inspect", "STORE", "--json"]],
)
def test_output_that_finds_no_room_is_one_line(small_set: SmallSet, words: list[str]) -> None:
    filled = [str(small_set.store) if word == "STORE" else word for word in words]

    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "skelab", *filled],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert found.returncode == 2
    assert found.stderr == (
        "skelab: the output cannot be written: No space left on device; what was printed is not"
        " complete\n"
    )


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_weights_that_find_no_room_are_one_line(
    tmp_path: Path, small_set: SmallSet, name: str
) -> None:
    # A limit on the size of files stands for a full disk: both end a write half-way.
    found = subprocess.run(
        [sys.executable, "-m", "skelab", "export-weights", small_set.run, tmp_path / name],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    assert found.returncode == 2
    assert found.stderr == f"skelab: {tmp_path / name}: cannot be written: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_verified_on_demand(
    tmp_path: Path, skelab: Command, small_set: SmallSet
) -> None:
    sound = skelab("inspect", small_set.store, "--verify")
    assert sound.status == 0
    assert "every clip matches its digest" in sound.out
    assert "joints and frame numbers, with digests" in sound.out
    damaged = tmp_path / "damaged.arrow"
    content = bytearray(small_set.store.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    refused(skelab("inspect", damaged, "--verify"), "the store is damaged in 1 of 48 clips: clip S")
    refused(skelab("inspect", small_set.run, "--verify"), "expected a clip store for --verify")
