"""A set as a folder: marked, whole or not there, and never in the place of something else."""

import json
from pathlib import Path

import pytest

from skelab.data.datasets import open_source
from skelab.errors import DataError, OutputError
from skelab.synthetic import clip_names, read_marker, synthetic_file, write_synthetic
from skelab.synthetic import writer as writer_module


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_and_marker_are_written_and_progress_is_told(tmp_path: Path) -> None:
    told: list[int] = []

    made = write_synthetic(tmp_path / "a", clips=5, actions=3, seed=2, on_progress=told.append)

    found = contents(tmp_path / "a")
    names = clip_names(5, actions=3)
    assert made.num_clips == 5
    assert made.num_actions == 3
    assert told == [1, 2, 3, 4, 5]
    assert {name: found[f"{name}.skeleton"] for name in names} == {
        name: synthetic_file(name, seed=2) for name in names
    }
    assert sorted(found) == sorted(["SYNTHETIC.json", *(f"{name}.skeleton" for name in names)])
    assert json.loads(found["SYNTHETIC.json"]) == {
        "synthetic": True,
        "generator": "skelab synth",
        "format": 1,
        "seed": 2,
        "clips": 5,
        "bytes": sum(len(found[f"{name}.skeleton"]) for name in names),
        "actions": [["A008", "sit down"], ["A009", "stand up"], ["A023", "hand waving"]],
    }


def test_the_folder_is_a_source_that_knows_that_it_is_synthetic(tmp_path: Path) -> None:
    write_synthetic(tmp_path, clips=4)

    source = open_source(tmp_path)

    assert source.synthetic
    assert [item.info.name for item in source.items()] == sorted(clip_names(4))
    assert "hand waving" in source.classes


def test_the_same_settings_leave_a_finished_set_as_it_is(tmp_path: Path) -> None:
    first = write_synthetic(tmp_path, clips=3)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    told: list[int] = []

    again = write_synthetic(tmp_path, clips=3, on_progress=told.append)

    assert again == first == read_marker(tmp_path)
    assert told == [3]
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


@pytest.mark.parametrize("damage", ["missing", "short", "leftover"])
def test_an_unfinished_set_is_made_anew(tmp_path: Path, damage: str) -> None:
    write_synthetic(tmp_path, clips=3)
    whole = contents(tmp_path)
    victim = tmp_path / f"{clip_names(3)[1]}.skeleton"
    if damage == "missing":
        victim.unlink()
    elif damage == "short":
        victim.write_bytes(victim.read_bytes()[:100])
    else:
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / ".skelab-synth-abc.part").mkdir()
        (tmp_path / ".skelab-synth-abc.part" / "S001C001P001R001A023.skeleton").touch()

    write_synthetic(tmp_path, clips=3)

    assert contents(tmp_path) == whole


def test_a_finished_set_of_other_settings_is_kept_unless_told(tmp_path: Path) -> None:
    write_synthetic(tmp_path, clips=3, seed=4)
    before = contents(tmp_path)

    with pytest.raises(OutputError) as caught:
        write_synthetic(tmp_path, clips=2, seed=4)

    assert str(caught.value) == (
        f"{tmp_path}: expected a new or empty folder, found 3 synthetic clips of 14 actions,"
        " seed 4; choose another folder, or remove this one"
    )
    assert contents(tmp_path) == before
    made = write_synthetic(tmp_path, clips=2, actions=2, seed=5, overwrite=True)
    assert len(contents(tmp_path)) == 3
    assert read_marker(tmp_path) == made


def test_a_folder_with_anything_else_is_refused_and_untouched(tmp_path: Path) -> None:
    write_synthetic(tmp_path, clips=2)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "S001C001P001R001A001.skeleton").write_text("a recording")
    before = contents(tmp_path)

    with pytest.raises(OutputError) as caught:
        write_synthetic(tmp_path, clips=3, overwrite=True)

    assert str(caught.value) == (
        f"{tmp_path}: expected a new or empty folder, or one written by skelab synth, found"
        " S001C001P001R001A001.skeleton and 1 more; choose another folder"
    )
    assert contents(tmp_path) == before


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")

    with pytest.raises(OutputError) as caught:
        write_synthetic(out, clips=2)

    assert str(caught.value) == f"{out}: expected a folder, found a file"


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b'{"generator": "another", "format": 1}', b"[" * 100_000]
)
def test_a_marker_that_is_not_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "SYNTHETIC.json").write_bytes(content)

    with pytest.raises(OutputError) as caught:
        write_synthetic(tmp_path, clips=2)

    assert str(caught.value).startswith(
        f"{tmp_path / 'SYNTHETIC.json'}: expected the marker of a set by skelab synth, format 1,"
        " found another or a damaged one: "
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clips": 0}, "clips: expected a number from 1 to 57,120 for 14 actions, found 0"),
        ({"clips": 1, "actions": 1}, "actions: expected a number from 2 to 23, found 1"),
        ({"clips": 1, "seed": -3}, "seed: expected 0 or more, found -3"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, settings: dict[str, int], message: str
) -> None:
    out = tmp_path / "out"

    with pytest.raises(DataError) as caught:
        write_synthetic(
            out,
            clips=settings["clips"],
            actions=settings.get("actions"),
            seed=settings.get("seed", 0),
        )

    assert str(caught.value) == message
    assert not out.exists()


def test_while_it_is_written_nothing_is_to_be_seen_and_what_is_aside_is_marked(
    tmp_path: Path,
) -> None:
    seen: list[tuple[int, bool]] = []

    def look(done: int) -> None:
        aside = next(tmp_path.glob(".skelab-synth-*.part"))
        seen.append((len(list(tmp_path.iterdir())), (aside / "SYNTHETIC.json").is_file()))

    write_synthetic(tmp_path, clips=2, on_progress=look)

    assert seen == [(1, True), (1, True)]


def test_a_failure_on_the_way_leaves_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, *, seed: int) -> bytes:
        if name == clip_names(3)[2]:
            raise OSError(28, "No space left on device")
        return synthetic_file(name, seed=seed)

    monkeypatch.setattr(writer_module, "synthetic_file", full)

    with pytest.raises(OutputError) as caught:
        write_synthetic(tmp_path, clips=3)

    assert str(caught.value).startswith(f"{tmp_path}: the disk is full (No space left on device)")
    assert contents(tmp_path) == {}


def test_a_folder_without_a_marker_has_none(tmp_path: Path) -> None:
    assert read_marker(tmp_path) is None
    assert read_marker(tmp_path / "missing") is None
