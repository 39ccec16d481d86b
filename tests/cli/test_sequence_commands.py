"""`skelab ingest`, `inspect`, `convert` and `train` on untrimmed recordings."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_outcome import Outcome
from shared_data import shared_data
from untrimmed_files import precog_folder

from skelab.data.clips.store import open_store

Skelab = Callable[..., Outcome]
LABELS = [0, 0, 1, 1, 1, 0, 8, 8, 0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return precog_folder(tmp_path / "precog", Seq1_2=LABELS, Seq3_4=[1, 0, 1, 1, 0, 0, 2, 2])


def ingested(skelab: Skelab, folder: Path) -> Path:
    store = folder.parent / "s.arrow"
    done = skelab("ingest", folder, store, "--workers", 1, "--no-anatomy-check")
    assert done.status == 0
    return store


def labels_of_pku(folder: Path) -> Path:
    folder.mkdir()
    for view in "LMR":
        (folder / f"0291-{view}.txt").write_text("8,2,6,2\n9,6,8,0\n")
    (folder / "0002-M.txt").write_text("8,9,6,2\n8,20,30,1\n")
    return folder


def test_ingest_counts_sequences_and_segments_and_lists_the_notes(
    skelab: Skelab, folder: Path, tmp_path: Path
) -> None:
    words = ["ingest", folder, tmp_path / "s.arrow", "--workers", 1, "--no-anatomy-check"]

    done, told = skelab(*words), skelab(*words, "--force", "--json").json

    assert done.out.splitlines()[0] == (
        f"2 sequences with 4 segments in {tmp_path}/s.arrow, 0 left out"
    )
    assert done.out.splitlines()[1:3] == ["1 notes on labels", "  hole closed: 1"]
    assert (told["clips"], told["sequences"], told["segments"]) == (0, 2, 4)
    assert [note["name"] for note in told["notes"]] == ["Seq3_4"]


def test_a_split_shows_sequences_that_are_tested_from_another_camera(
    skelab: Skelab, tmp_path: Path
) -> None:
    labels = labels_of_pku(tmp_path / "pku")

    facts = skelab("inspect", labels, "--split", "camera:2,3/1", "--json").json

    assert facts["training and test sequences of camera:2,3/1"] == [3, 1]
    assert facts["training sequences of camera:2,3/1 tested from another camera"] == 2
    assert facts["same recording"] == ["0291-M = 0291-L", "0291-R = 0291-L"]


def test_inspect_counts_labels_alone_and_ingest_says_what_is_missing(
    skelab: Skelab, tmp_path: Path
) -> None:
    labels = labels_of_pku(tmp_path / "pku")

    facts = skelab("inspect", labels, "--json").json
    refused = skelab("ingest", labels, tmp_path / "s.arrow")

    assert facts["kind"] == "segment labels"
    assert (facts["sequences"], facts["segments"]) == (4, 7)
    assert facts["segments per class"] == {"drink water": 4, "drop": 3}
    assert facts["notes"] == {"confidence 0": 3, "segment left out": 1}
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "expected recordings such as 0002-M.skeleton beside the labels of PKU-MMD" in refused.err
    assert not (tmp_path / "s.arrow").exists()


def test_inspect_says_the_same_of_source_and_store(skelab: Skelab, folder: Path) -> None:
    store = ingested(skelab, folder)

    found = [skelab("inspect", path, "--json").json for path in (folder, store)]

    for facts in found:
        assert (facts["clips"], facts["sequences"], facts["segments"]) == (0, 2, 4)
        assert facts["segments per class"] == {
            "right punch": 2,
            "left punch": 1,
            "elbow strike": 1,
        }
        assert facts["labelled frames"] == {"inside": 11, "all": 17, "share": 0.6471}
        assert facts["per script"] == {"1": 1, "3": 1}
        assert facts["notes"] == {"hole closed": 1}
        assert "per class" not in facts
    shown = skelab("inspect", store).out
    assert "sequences" in shown
    assert "right punch 2, left punch 1, elbow strike 1" in " ".join(shown.split())


def test_convert_cuts_sequences_into_clips_that_everything_takes(
    skelab: Skelab, folder: Path, tmp_path: Path
) -> None:
    store = ingested(skelab, folder)

    done = skelab("convert", store, tmp_path / "clips.arrow", "--to", "clips")

    clips = open_store(tmp_path / "clips.arrow")
    assert done.out.splitlines() == ["clips: 4 clips", f"{tmp_path}/clips.arrow"]
    assert clips.index.names[:2] == ("Seq1_2#001", "Seq1_2#002")
    assert skelab("inspect", clips.path, "--json").json["clips"] == 4


@pytest.mark.parametrize(
    "words",
    [
        ["convert", "s.arrow", "o", "--to", "ctrgcn", "--split", "script:1/3"],
        ["train", "ctrgcn-demo", "--data", "s.arrow", "--out", "run"],
        ["train", "ctrgcn", "--data", "s.arrow", "--out", "run", "--set", "data.split=script:1/3"],
    ],
)
def test_what_needs_trimmed_clips_names_the_command_that_cuts_them(
    skelab: Skelab, folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    ingested(skelab, folder)
    monkeypatch.chdir(folder.parent)

    refused = skelab(*words)

    assert refused.status == 2
    message = refused.err.splitlines()[-1]
    assert "2 sequences" in message
    assert "`skelab convert s.arrow CLIPS --to clips` cuts a clip from each segment" in message
    assert not Path("run").exists()
    assert not Path("o").exists()


def test_the_genuine_label_files_are_counted(skelab: Skelab) -> None:
    facts = skelab("inspect", shared_data("pku-mmd-labels"), "--split", "pku-xview", "--json").json

    assert (facts["sequences"], facts["segments"]) == (1076, 21_544)
    assert len(facts["segments per class"]) == 51
    assert facts["notes"] == {"confidence 0": 135, "segment left out": 1, "sorted by time": 18}
    assert facts["training and test sequences of pku-xview"] == [718, 358]
    assert facts["training sequences of pku-xview tested from another camera"] == 716
    assert facts["segment lengths"]["median"] == 99
    assert facts["gaps"]["median"] == 115
