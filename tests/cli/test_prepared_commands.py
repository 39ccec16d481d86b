"""`train`, `evaluate`, `inspect` and `ingest` on clips that others have prepared."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import SMALL, Outcome, SmallSet
from prepared_files import Attack, annotation, padded_rows, write_npz, write_pyskl

from skelab.data.clips.store import open_store
from skelab.data.convert import convert
from skelab.data.opened import open_clips

Skelab = Callable[..., Outcome]
ONE_EPOCH = [*SMALL, "--set=training.epochs=1"]


@pytest.fixture(scope="module")
def npz(small_set: SmallSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small set as CTR-GCN's npz, its rows without names."""
    path = tmp_path_factory.mktemp("npz") / "NTU_CS.npz"
    convert(open_store(small_set.store), path, to="ctrgcn", splits=["xsub"])
    return path


def test_an_npz_is_trained_on_in_place_by_the_split_that_it_makes_itself(
    skelab: Skelab, npz: Path, tmp_path: Path
) -> None:
    done = skelab("train", "ctrgcn", "--data", npz, "--out", tmp_path / "run", *ONE_EPOCH)

    assert done.status == 0, done.err
    assert (
        f"{npz}: the clips lack what split xsub goes by: the parts of the file itself are taken,"
        " nothing is held out for validation, and the last epoch counts; --names would tell who"
        " is who"
    ) in done.err
    recipe = (tmp_path / "run" / "recipe.yaml").read_text()
    assert "split: given" in recipe
    assert "validation_subjects: 0" in recipe
    scored = skelab("evaluate", tmp_path / "run", "--data", npz, "--json")
    assert scored.status == 0, scored.err
    assert len(open_clips(npz)) == 48


def test_with_names_an_npz_is_validated_by_subject_and_scored_by_name(
    skelab: Skelab, npz: Path, small_set: SmallSet, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    names = ["--names", small_set.skeletons]

    done = skelab("train", "ctrgcn", "--data", npz, *names, "--out", run, *ONE_EPOCH)
    scored = skelab("evaluate", run, "--data", npz, *names)

    assert (done.status, scored.status) == (0, 0), done.err + scored.err
    assert f"{npz}: 48 rows named in the order of xsub; every label agrees" in done.err
    assert "split: xsub" in (run / "recipe.yaml").read_text()
    with np.load(run / "scores-test.npz") as scores:
        assert str(scores["names"][0]).startswith("S0")


def test_a_split_that_was_asked_for_is_never_replaced(
    skelab: Skelab, npz: Path, tmp_path: Path
) -> None:
    done = skelab(
        "train", "ctrgcn", "--data", npz, "--out", tmp_path, *SMALL, "--set=data.split=xsub"
    )

    assert done.status == 2
    assert done.err.endswith(
        "split xsub goes by subject, which 48 of 48 clips lack; split 'given' goes by the file's"
        " own parts\n"
    )


def test_names_that_do_not_agree_are_told_in_one_line(
    skelab: Skelab, npz: Path, small_set: SmallSet, tmp_path: Path
) -> None:
    names = sorted(path.stem for path in small_set.skeletons.glob("*.skeleton"))
    (tmp_path / "names.txt").write_text("\n".join(names[1:]))

    done = skelab("inspect", npz, "--names", tmp_path / "names.txt", "--json")

    assert done.status == 0
    assert f"{npz}: the rows stay without names: expected names for" in done.err
    assert "per subject" not in done.json


def test_inspect_says_what_is_in_an_npz(skelab: Skelab, npz: Path) -> None:
    done = skelab("inspect", npz, "--json")

    facts = done.json
    assert facts["kind"] == "prepared clips"
    assert facts["format"] == "CTR-GCN npz, read in place"
    assert facts["layout"] == "ntu25, 25 joints"
    assert facts["clips"] == 48
    assert sum(facts["per class"].values()) == 48
    assert sum(facts["bodies"].values()) == 48
    assert sum(facts["per part"].values()) == 48
    assert facts["damaged"] == []


def test_inspect_names_rows_with_values_that_are_missing(skelab: Skelab, tmp_path: Path) -> None:
    x = padded_rows(6)
    x[2, 1, 1] = np.nan
    path = write_npz(tmp_path / "a.npz", x_train=x)

    done = skelab("inspect", path, "--json")

    assert [entry["name"] for entry in done.json["damaged"]] == ["train_2"]
    assert "found 1 values that are not" in done.json["damaged"][0]["reason"]


def test_ingest_copies_an_npz_and_keeps_its_names_and_parts(
    skelab: Skelab, npz: Path, small_set: SmallSet, tmp_path: Path
) -> None:
    store = tmp_path / "store.arrow"
    names = sorted(path.stem for path in small_set.skeletons.glob("*.skeleton"))
    (tmp_path / "ignore.txt").write_text(f"These samples are missing\n\n{names[0]}\n")

    done = skelab(
        *("ingest", npz, store, "--names", small_set.skeletons),
        *("--ignore", tmp_path / "ignore.txt", "--json"),
    )

    assert done.status == 0, done.err
    assert done.json["clips"] == 47
    assert [entry["name"] for entry in done.json["excluded"]] == [names[0]]
    copied, made = open_store(store), open_store(small_set.store)
    for name in names[1:]:
        here, there = copied.index.rows_by_name[name], made.index.rows_by_name[name]
        np.testing.assert_array_equal(copied.clip(here).joints, made.clip(there).joints)


def test_prepared_clips_are_not_prepared_by_another_pipeline(
    skelab: Skelab, npz: Path, tmp_path: Path
) -> None:
    done = skelab("ingest", npz, tmp_path / "store.arrow", "--pipeline", "msg3d")

    assert done.status == 2
    assert done.err == (
        f"skelab: {npz}: the clips are prepared already, by ctrgcn: expected no other --pipeline,"
        " found msg3d; the recordings can be prepared anew\n"
    )


def test_names_for_recordings_are_refused(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    done = skelab("ingest", small_set.skeletons, tmp_path / "s", "--names", small_set.skeletons)

    assert done.status == 2
    assert "expected rows without names for --names, found recordings with names" in done.err


def test_recordings_given_to_train_are_sent_to_ingest(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    done = skelab("train", "ctrgcn", "--data", small_set.skeletons, "--out", tmp_path / "run")

    assert done.status == 2
    assert f"`skelab ingest {small_set.skeletons} STORE` makes a clip store of them" in done.err


def test_a_pickle_that_would_run_code_is_refused_in_one_line(
    skelab: Skelab, tmp_path: Path
) -> None:
    path = write_pyskl(tmp_path / "a.pkl", [annotation("a", extra=Attack(tmp_path))])

    for words in (("inspect", path), ("ingest", path, tmp_path / "store.arrow")):
        done = skelab(*words)

        assert done.status == 2
        assert done.err == (
            f"skelab: {path}: expected a pickle of numpy arrays and plain containers, found"
            " posix.system, which could run code; it was not loaded\n"
        )
    assert not (tmp_path / "was-here").exists()


def test_a_pickle_of_pyskl_keeps_its_splits_through_ingest(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    path, store = tmp_path / "a.pkl", tmp_path / "store.arrow"
    convert(open_store(small_set.store), path, to="pyskl", splits=["xsub", "xview"])

    done = skelab("ingest", path, store)

    assert done.status == 0, done.err
    index = open_store(store).index
    assert {part for parts in index.parts for part in parts} == {
        *("xsub_train", "xsub_val", "xview_train", "xview_val"),
    }
    trained = skelab(
        *("train", "ctrgcn", "--data", store, "--out", tmp_path / "run", *ONE_EPOCH),
        *("--set=data.split=part:xview_train/xview_val",),
    )
    assert trained.status == 0, trained.err
