"""What a command may write, and what it must not overwrite."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file
from tiny_clips import tiny_store

from skelab.errors import OutputError
from skelab.evaluation import OutputScores, ScoresInfo
from skelab.files import kinds
from skelab.files.kinds import FileKind
from skelab.files.output import check_output


def test_a_new_name_is_free(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store.arrow"

    assert check_output(path, kinds.STORE, inputs=[tmp_path]) == path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "expected the name of a clip store to write, found an empty name"),
        (".", "expected the name of a clip store to write, found an empty name"),
        ("folder", "folder: expected the name of a file, found a folder"),
        (
            "store.npz",
            r"store\.npz: expected a name that ends with \.arrow for a clip store, found",
        ),
        (
            "store",
            "store: expected a name that ends with .arrow for a clip store, found 'none of it",
        ),
        ("x" * 300 + ".arrow", r"x\.\.\.: cannot be written: the name is too long"),
        ("a\0b.arrow", r"cannot be written: embedded null"),
        ("pipe.arrow", r"pipe\.arrow: expected the name of a file, found a named pipe"),
        (
            "notes.arrow",
            r"notes\.arrow: expected a clip store or nothing .* another kind; it was not",
        ),
        ("gone/../notes.arrow/x.arrow", "Not a directory"),
    ],
)
def test_a_name_that_is_none_or_is_taken_by_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("gone").mkdir()
    Path("notes.arrow").write_text("twelve notes")
    os.mkfifo("pipe.arrow")

    if "Not a directory" in message:  # found out when the file is written
        assert check_output(Path(name), kinds.STORE) == Path(name)
        return
    with pytest.raises(OutputError, match=message):
        check_output(Path(name), kinds.STORE, force=True)


@pytest.mark.parametrize("way", ["itself", "relative", "symbolic", "hard", "folder"])
def test_what_is_read_is_never_written_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    store = tiny_store(tmp_path / "store.arrow", clips=2).path
    (tmp_path / "below").mkdir()
    (tmp_path / "here").symlink_to(tmp_path)
    out = {
        "itself": store,
        "relative": Path("below/../store.arrow"),
        "symbolic": tmp_path / "link.arrow",
        "hard": tmp_path / "hard.arrow",
        "folder": Path("here/store.arrow"),
    }[way]
    (tmp_path / "link.arrow").symlink_to(store)
    os.link(store, tmp_path / "hard.arrow")

    with pytest.raises(OutputError, match=r"arrow: is what is being read \(.*store\.arrow\)"):
        check_output(out, kinds.STORE, inputs=[Path("none"), store], force=True)


def test_a_file_of_the_same_kind_is_replaced_by_force_only(tmp_path: Path) -> None:
    path = tiny_store(tmp_path / "store.arrow", clips=2).path

    with pytest.raises(
        OutputError, match=r"store\.arrow: there is a clip store .* --force replaces"
    ):
        check_output(path, kinds.STORE)
    assert check_output(path, kinds.STORE, force=True) == path


def test_an_empty_file_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "store.arrow"
    path.touch()

    assert check_output(path, kinds.STORE) == path


def test_a_damaged_store_is_still_one(tmp_path: Path) -> None:
    path = tiny_store(tmp_path / "store.arrow", clips=2).path
    path.write_bytes(path.read_bytes()[:-100])

    assert check_output(path, kinds.STORE, force=True) == path


KINDS = [
    (kinds.STORE, "store"),
    (kinds.CTRGCN_NPZ, "npz"),
    (kinds.PICKLE, "pickle"),
    (kinds.NPY, "npy"),
    (kinds.CHECKPOINT, "checkpoint"),
    (kinds.WEIGHTS, "safetensors"),
    (kinds.WEIGHTS, "pt"),
    (kinds.SCORES, "scores"),
    (kinds.PAGE, "page"),
    (kinds.RECIPE, "recipe"),
    (kinds.OPENVINO, "xml"),
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    made = {name: folder / name for _, name in KINDS}
    tiny_store(made["store"], clips=2)
    with made["npz"].open("wb") as file:
        np.savez(file, x_train=np.zeros((2, 3, 150)), y_train=np.zeros(2))
    made["pickle"].write_bytes(b"\x80\x03}.")
    np.save(folder / "a.npy", np.zeros(3))
    (folder / "a.npy").rename(made["npy"])
    save_file({"a": torch.zeros(1)}, made["checkpoint"], {"skelab": "{}"})
    save_file({"a": torch.zeros(1)}, made["safetensors"])
    torch.save({"a": torch.zeros(1)}, made["pt"])
    with made["scores"].open("wb") as file:
        np.savez(file, format=np.array("x"), logits=np.zeros((2, 3)))
    made["page"].write_text("<!DOCTYPE html>\n<p>a</p>")
    made["recipe"].write_text("# from fit\nname: a\nmodel:\n  name: ctrgcn\n")
    made["xml"].write_text('<?xml version="1.0"?>\n<net name="a"></net>')
    return made


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_a_kind_knows_its_own_and_no_other(
    samples: dict[str, Path], kind: FileKind, name: str
) -> None:
    known = {other for other, path in samples.items() if kind.recognises(path)}

    own = {"safetensors", "pt"} if kind is kinds.WEIGHTS else {name}
    allowed = {"pickle"} if kind is kinds.WEIGHTS else set()  # torch wrote pickles once
    assert own <= known <= own | allowed


def test_a_zip_of_something_else_is_no_file_of_ours(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.npz", "w") as archive:
        archive.writestr("beach.jpg", b"sand")

    for kind in (kinds.CTRGCN_NPZ, kinds.SCORES):
        with pytest.raises(OutputError, match="another kind"):
            check_output(tmp_path / "photos.npz", kind, force=True)


def test_a_store_is_known_by_a_schema_of_more_than_a_megabyte(tmp_path: Path) -> None:
    path = tmp_path / "long.arrow"
    for metadata in (
        {"long": "x" * (1 << 21), "skelab": "{}"},
        {"skelab": "{}", "long": "x" * (1 << 21)},
    ):
        schema = pa.schema([pa.field("a", pa.int32())], metadata)
        with pa.ipc.new_file(str(path), schema):
            pass

        assert kinds.STORE.recognises(path)


def test_scores_of_a_task_without_classes_are_scores(tmp_path: Path) -> None:
    path = tmp_path / "scores-test.npz"
    info = ScoresInfo("made-up", "xsub", "test", "honest", "tiny", "joint")
    outputs = np.zeros((1, 1), np.float32)
    OutputScores(("a",), outputs, np.zeros(1), {"error": 0.0}, "height", info).save(path)

    assert check_output(path, kinds.SCORES, force=True) == path
    with pytest.raises(OutputError, match="there is scores of this name already"):
        check_output(path, kinds.SCORES)
