"""`skelab convert`, and what `ingest` and `inspect` say of anatomy, counts and leaks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import Outcome, SmallSet
from golden_files import ctrgcn_clips
from jaxtyping import Float32
from numpy import ndarray
from shared_data import shared_data

from skelab.data.audit.scrambles import scramble
from skelab.data.clips.store import open_store

Skelab = Callable[..., Outcome]


@pytest.fixture(scope="module")
def view_3_copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of NW-UCLA; the clips of its view 3 are those of view 2 under another name."""
    recorded = shared_data("nw-ucla", "all_sqe")
    folder = tmp_path_factory.mktemp("nw-ucla") / "all_sqe"
    folder.mkdir()
    for file in sorted(recorded.glob("a0[2-3]_s01_*_v0[12].json")):
        shutil.copy(file, folder)
        if file.name.endswith("_v02.json"):
            twin = folder / file.name.replace("_v02", "_v03")
            twin.write_text(json.dumps({**json.loads(file.read_text()), "file_name": twin.stem}))
    return folder


def scrambled_npz(folder: Path, columns: Callable[[ndarray], ndarray]) -> Path:
    """The authors' array with its columns reordered."""
    path = folder / "NTU60_CS.npz"
    rows = np.stack([columns(clip) for clip in ctrgcn_clips()]).astype(np.float32)
    labels = np.eye(60)[np.arange(len(rows)) % 60]
    np.savez(path, x_train=rows[:31], y_train=labels[:31], x_test=rows[31:], y_test=labels[31:])
    return path


def as_columns(clip: Float32[ndarray, "M T V C"]) -> Float32[ndarray, "T 150"]:
    return clip.swapaxes(0, 1).reshape(clip.shape[1], 150)


def test_a_store_becomes_the_npz_of_ctrgcn(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    out = tmp_path / "NTU60_CS.npz"

    done = skelab("convert", small_set.store, out, "--to", "ctrgcn", "--split", "xsub")

    assert done.status == 0
    with np.load(out) as written:
        sizes = [len(written["x_train"]), len(written["x_test"])]
    assert done.out.splitlines() == [
        f"train: {sizes[0]} SYNTHETIC clips",
        f"test: {sizes[1]} SYNTHETIC clips",
        str(out),
    ]
    assert sum(sizes) == len(open_store(small_set.store)) == 48


def test_the_result_of_a_conversion_is_there_as_json(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    words = ["--to", "pyskl", "--split", "xsub", "--split", "xview", "--json"]

    done = skelab("convert", small_set.store, tmp_path / "out.pkl", *words)

    assert list(done.json["clips"]) == ["xsub_train", "xsub_val", "xview_train", "xview_val"]
    assert done.json["files"] == [str(tmp_path / "out.pkl")]
    assert (done.json["left over"], done.json["synthetic"]) == (0, True)


def test_a_store_of_another_pipeline_is_one_line_and_exit_2(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    done = skelab("convert", small_set.store, tmp_path / "o", "--to", "msg3d", "--split", "xsub")

    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "`skelab ingest SOURCE STORE --pipeline msg3d` makes them" in done.err


def test_ingest_says_that_the_joints_make_bodies(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    done = skelab("ingest", small_set.skeletons, tmp_path / "s.arrow", "--workers", 1, "--json")

    assert done.json["anatomy"]["verdict"] == "plausible"
    assert done.json["anatomy"]["up"] == "+y"
    assert (done.json["leaks"], done.json["official counts"]) == ([], None)


@pytest.mark.parametrize(
    ("order", "sizes"), [("V x C x M", "25 x 3 x 2"), ("C x V x M", "3 x 25 x 2")]
)
def test_a_scrambled_file_is_refused_with_the_order_that_would_be_right(
    skelab: Skelab, tmp_path: Path, order: str, sizes: str
) -> None:
    stored = "T" + order.replace(" x ", "")
    path = scrambled_npz(tmp_path, lambda clip: as_columns(scramble(clip, stored, "TMVC")))

    refused = skelab("ingest", path, tmp_path / "store.arrow")

    assert refused.status == 2
    assert f"the values of each frame are {order} ({sizes}), but were read as" in refused.err
    assert "M x V x C (2 x 25 x 3)" in refused.err
    assert not (tmp_path / "store.arrow").exists()
    assert "verdict scrambled" in skelab("inspect", path).out.replace("\n", " ")
    taken = skelab("ingest", path, tmp_path / "store.arrow", "--no-anatomy-check", "--json")
    assert (taken.status, taken.json["anatomy"]) == (0, None)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "ctrgcn", "--data", "{}", "--out", "{out}", "--set=data.split=given"],
        ["evaluate", "{run}", "--data", "{}", "--split", "given"],
        ["predict", "{run}", "{}"],
        ["anticipate", "{run}", "--data", "{}", "--split", "given"],
        ["convert", "{}", "{out}", "--to", "ctrgcn", "--split", "given"],
    ],
    ids=lambda words: words[0],
)
def test_every_door_refuses_a_scrambled_file_in_place(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path, words: list[str]
) -> None:
    path = scrambled_npz(tmp_path, lambda clip: as_columns(scramble(clip, "TVCM", "TMVC")))
    out = tmp_path / "out.npz"
    places = {"{}": path, "{out}": out, "{run}": small_set.run}

    refused = skelab(*(places.get(word, word) for word in words))

    assert refused.status == 2
    assert "the joints are scrambled" in refused.err
    assert not out.exists()


def test_a_folder_of_another_layout_is_refused_before_anything_is_written(
    skelab: Skelab, tmp_path: Path
) -> None:
    source, store = shared_data("nw-ucla"), tmp_path / "store.arrow"

    done = skelab("ingest", source, store, "--layout", "utd20", "--workers", 1)

    assert done.status == 2
    assert "most likely joints in the order of layout kinect20" in done.err
    assert list(tmp_path.iterdir()) == []


def test_inspect_shows_anatomy_and_equal_clips_of_a_store(
    skelab: Skelab, view_3_copied: Path, tmp_path: Path
) -> None:
    skelab("ingest", view_3_copied, tmp_path / "ucla.arrow", "--workers", 1)

    for path in (tmp_path / "ucla.arrow", view_3_copied):
        facts = skelab("inspect", path, "--split", "ucla", "--json").json
        assert facts["anatomy"]["verdict"] == "plausible"
        assert facts["training clips of ucla equal to a test clip"] == len(facts["equal clips"])
        assert facts["equal clips"][0].startswith("a02_s01_e00_v02 = a02_s01_e00_v03")
    assert "equal clips" not in skelab("inspect", view_3_copied, "--json").json


def test_ingest_reports_leaks_of_a_split_and_drops_them_where_told(
    skelab: Skelab, view_3_copied: Path, tmp_path: Path
) -> None:
    words = ["ingest", view_3_copied, tmp_path / "s.arrow", "--workers", 1, "--split", "ucla"]

    reported, dropped = skelab(*words), skelab(*words, "--drop-leaks", "--force")

    copies = len(list(view_3_copied.glob("*_v03.json")))
    assert f"{copies} training clips of ucla equal a test clip; --drop-leaks" in reported.out
    assert "    a02_s01_e00_v02 = a02_s01_e00_v03" in reported.out
    assert f"  leak: {copies}" in dropped.out
    assert "equal a test clip" not in dropped.out.splitlines()[-1]
    store = open_store(tmp_path / "s.arrow")
    assert {entry.cause for entry in store.info.excluded} == {"leak"}
    assert sorted({int(camera) for camera in store.index.cameras}) == [1, 3]


def test_dropping_leaks_needs_a_split_that_fits(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    store = tmp_path / "s.arrow"

    alone = skelab("ingest", small_set.skeletons, store, "--drop-leaks")
    unfit = skelab("ingest", small_set.skeletons, store, "--split", "camera:1/9")

    assert "expected the split that it is about, say --split ucla" in alone.err
    assert "no clip for the test part, expected a camera of 9" in unfit.err
    assert (alone.status, unfit.status) == (2, 2)
    assert list(tmp_path.iterdir()) == []
