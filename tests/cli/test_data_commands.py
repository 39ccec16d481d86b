"""`skelab synth`, `ingest`, `inspect`: from files to a store, and every way to get it wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import Outcome, SmallSet
from golden_files import ctrgcn_clips
from shared_data import shared_data

from skelab.data.audit.scrambles import scramble
from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.store import StoreInfo, open_store
from skelab.data.clips.write import write_store
from skelab.skeleton import get_layout

Skelab = Callable[..., Outcome]


def test_synth_says_what_it_wrote_and_that_it_is_synthetic(skelab: Skelab, tmp_path: Path) -> None:
    done = skelab("synth", tmp_path / "clips", "--clips", 6, "--actions", 2, "--seed", 7)

    assert done.status == 0
    assert done.out.startswith(f"6 SYNTHETIC clips of 2 actions in {tmp_path / 'clips'}\n")
    assert len(list((tmp_path / "clips").glob("S*.skeleton"))) == 6


def test_ingest_counts_clips_and_names_what_it_left_out(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(small_set.skeletons, source)
    whole, *others = sorted(source.glob("*.skeleton"))
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    others[0].write_bytes(b"")
    others[1].write_bytes(bytes(range(256)) * 9)
    others[2].write_bytes(b"3\n0\n0\n0\n")
    others[3].rename(source / "walking.skeleton")

    done = skelab("ingest", source, tmp_path / "store.arrow", "--workers", 1)

    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == f"43 SYNTHETIC clips in {tmp_path / 'store.arrow'}, 5 left out"
    assert "  damaged: 3" in lines
    assert "  no body: 1" in lines
    assert "  not a sample: 1" in lines
    assert sum(name in done.out for name in (whole.name, others[0].name, others[1].name)) == 3
    assert len(open_store(tmp_path / "store.arrow")) == 43


def test_strict_stops_at_the_first_damaged_file_and_keeps_the_old_store(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    source, store = tmp_path / "source", tmp_path / "store.arrow"
    shutil.copytree(small_set.skeletons, source)
    shutil.copy(small_set.store, store)
    damaged = min(source.glob("*.skeleton"))
    damaged.write_bytes(damaged.read_bytes()[:1000])

    done = skelab("ingest", source, store, "--strict", "--workers", 1, "--force")

    assert done.status == 2
    assert damaged.name in done.err
    assert "line " in done.err
    assert done.err.count("\n") <= 2
    assert store.read_bytes() == small_set.store.read_bytes()


def test_a_list_of_samples_to_ignore_is_taken_with_its_prose(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    names = [path.stem for path in sorted(small_set.skeletons.glob("*.skeleton"))][:2]
    ignored = tmp_path / "missing.txt"
    ignored.write_text("The samples below\nhave missing skeletons.\n\n" + "\n".join(names) + "\n")

    done = skelab(
        "ingest", small_set.skeletons, tmp_path / "s.arrow", "--ignore", ignored, "--json"
    )

    assert done.json["clips"] == 46
    assert done.json["synthetic"] is True
    assert [entry["name"] for entry in done.json["excluded"]] == names
    assert {entry["cause"] for entry in done.json["excluded"]} == {"ignored"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ingest", "empty", "s.arrow"], "empty: expected"),
        (["ingest", "nosuch", "s.arrow"], "nosuch"),
        (["ingest", "empty", "s.arrow", "--pipeline", "ctr"], "skelab: "),
        (["inspect", "half.arrow"], "half.arrow"),
        (["inspect", "text.arrow"], "text.arrow"),
        (["inspect", "half.npz"], "half.npz: expected an npz, found a file that is damaged"),
        (["synth", "empty", "--clips", "0"], "expected"),
        (["synth", "empty", "--actions", "1"], "expected"),
        (["synth", "empty", "--seed", "-1"], "seed: expected 0 or more, found -1"),
        (["synth", "full"], "full: expected a new or empty folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    skelab: Skelab,
    small_set: SmallSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full", "thesis.txt").write_text("years of work")
    content = small_set.store.read_bytes()
    Path("half.arrow").write_bytes(content[: len(content) // 2])
    Path("text.arrow").write_text("not a store")
    Path("half.npz").write_bytes(b"PK\x03\x04 and no more")

    done = skelab(*words)

    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("s.arrow").exists()
    assert Path("full", "thesis.txt").read_text() == "years of work"


def test_inspect_describes_source_store_run_and_scores(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    skelab("evaluate", small_set.run, "--data", small_set.store, "--out", tmp_path)

    found = {
        path: skelab("inspect", path, "--json").json
        for path in (
            small_set.skeletons,
            small_set.store,
            small_set.run,
            tmp_path / "scores-test.npz",
        )
    }

    kinds = [entry["kind"] for entry in found.values()]
    assert kinds == ["source", "clip store", "run", "scores"]
    assert all(entry["synthetic"] for entry in found.values())
    assert found[small_set.skeletons]["clips"] == found[small_set.store]["clips"] == 48
    assert sum(found[small_set.store]["per class"].values()) == 48
    assert "SYNTHETIC" in skelab("inspect", small_set.store).out


def test_inspect_names_odd_clips_and_how_to_look_at_them(skelab: Skelab, tmp_path: Path) -> None:
    clips = list(ctrgcn_clips()[:20])
    clips[7] = scramble(clips[7], "TMVC", "TVCM")
    frames = [np.arange(clip.shape[1], dtype=np.int32) for clip in clips]
    store = tmp_path / "clips.arrow"
    write_store(
        store,
        [
            Clip(SampleInfo(f"clip{number}", label=0), clip[:1].astype(np.float32), numbers)
            for number, (clip, numbers) in enumerate(zip(clips, frames, strict=True))
        ],
        StoreInfo(get_layout("ntu25"), "ctrgcn", ("wave",), "ntu", "metres"),
    )

    done = skelab("inspect", store)

    said = "".join(done.out.split())
    assert "oddclipsclip7:stran" in said
    assert f"skelabview{store}--clipclip7" in said


def test_the_genuine_ntu_files_have_the_right_frames_and_bodies(skelab: Skelab) -> None:
    done = skelab("inspect", shared_data("ntu-samples"), "--json")

    assert done.json["frames"] == {"fewest": 74, "median": 88, "most": 103, "all": 177}
    assert done.json["bodies"] == {"1": 1, "2": 1}
    assert done.json["damaged"] == []
