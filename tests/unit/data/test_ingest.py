"""From a source to a store: whole, in any number of processes, and after any kill."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listed_source import ListedSource

from skelab.data import ingest as ingest_module
from skelab.data.clips.store import Excluded, open_store
from skelab.data.clips.write import write_shard
from skelab.data.datasets import open_source
from skelab.data.ingest import IngestReport, ingest
from skelab.data.preprocessing import get_pipeline
from skelab.data.recordings.ignore_list import read_ignore_list
from skelab.errors import DataError, OutputError, SourceError
from skelab.skeleton import get_layout
from skelab.synthetic import synthetic_file

TESTS = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def parts_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut sources into parts of four, so that small ones have several."""
    monkeypatch.setattr(ingest_module, "CLIPS_PER_SHARD", 4)


@pytest.fixture(autouse=True)
def nobody_looks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do without the anatomy check: these recordings count who reads them, and are no bodies."""
    monkeypatch.setattr(ingest_module, "_look_first", lambda *_: None)


def run(folder: Path, size: int = 10, *, name: str = "clips", **options: Any) -> IngestReport:
    """Ingest in this process; what the source takes goes to the source."""
    about_ingest = {"pipeline", "ignore", "workers", "strict", "max_lost", "on_progress", "force"}
    chosen = {key: options.pop(key) for key in list(options) if key in about_ingest}
    source = ListedSource(folder, size, **options)
    return ingest(source, folder / f"{name}.arrow", **{"workers": 1, **chosen})


def interrupted(folder: Path, size: int = 10, *, reads: int, **options: Any) -> None:
    """An ingest whose disk fills up after some readings; parts of it are left."""
    parts = reads // 4
    written = 0

    def full_after(*arguments: Any) -> None:
        nonlocal written
        written += 1
        if written > parts:
            raise OutputError("the disk is full")
        write_shard(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "write_shard", full_after)
        with pytest.raises(OutputError):
            run(folder, size, **options)


def test_every_sample_is_prepared_and_stored_in_the_order_of_the_source(tmp_path: Path) -> None:
    source = ListedSource(tmp_path, 10)
    prepare = get_pipeline("ctrgcn").prepare

    report = ingest(source, tmp_path / "clips.arrow", workers=1)

    store = open_store(report.path)
    assert (report.num_clips, report.num_resumed) == (10, 0)
    assert store.index.names == tuple(source.names)
    for clip, item in zip(store.clips(), source.items(), strict=True):
        expected = prepare(source.read(item), source.layout)
        assert clip.info == item.info
        np.testing.assert_array_equal(clip.joints, expected.joints)
        np.testing.assert_array_equal(clip.frame_numbers, expected.frame_numbers)


def test_the_store_says_where_its_clips_come_from(tmp_path: Path) -> None:
    source = ListedSource(tmp_path, 5, layout=get_layout("utd20"))

    info = ingest(source, tmp_path / "clips.arrow", pipeline="msg3d", workers=1).info

    assert info == open_store(tmp_path / "clips.arrow").info
    assert (info.pipeline, info.dataset, info.units) == ("msg3d", "listed", "metres")
    assert (info.layout, info.classes, info.synthetic) == (source.layout, source.classes, True)
    assert info.source_digest == source.digest()
    assert set(info.versions) == {"skelab", "numpy", "pyarrow"}


def test_nothing_but_the_store_is_left(tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = ListedSource(tmp_path, 9)

    ingest(source, out / "clips.arrow", workers=1)

    assert [entry.name for entry in out.iterdir()] == ["clips.arrow"]


def test_progress_counts_samples_up_to_all_of_them(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    run(tmp_path, 10, on_progress=lambda done, total: seen.append((done, total)))

    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_two_processes_write_the_same_bytes_as_one(tmp_path: Path) -> None:
    options: dict[str, Any] = {"damaged": frozenset({"clip003"}), "empty": frozenset({"clip012"})}
    options["max_lost"] = 1.0

    one = run(tmp_path, 14, name="one", workers=1, **options)
    two = run(tmp_path, 14, name="two", workers=2, **options)

    assert one.path.read_bytes() == two.path.read_bytes()


def recorded(folder: Path) -> Path:
    """A folder of recordings: ten sound ones, one that is cut off, one without a body."""
    folder.mkdir()
    for number in range(10):
        name = f"S001C001P{number + 1:03d}R001A{(1, 50)[number % 2]:03d}"
        (folder / f"{name}.skeleton").write_bytes(synthetic_file(name))
    whole = (folder / "S001C001P001R001A001.skeleton").read_bytes()
    (folder / "S001C001P011R001A001.skeleton").write_bytes(whole[:-99])
    (folder / "S001C001P012R001A001.skeleton").write_bytes(b"1\r\n0\r\n")
    return folder


@pytest.mark.parametrize("workers", [2, 3])
def test_compiled_code_and_any_number_of_workers_write_the_bytes_of_the_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    source = open_source(recorded(tmp_path / "recordings"))

    several = ingest(source, tmp_path / "several.arrow", workers=workers, max_lost=1.0)
    one = ingest(source, tmp_path / "one.arrow", workers=1, max_lost=1.0)
    monkeypatch.setattr("skelab.native.ctrgcn._compiled", None)
    twin = ingest(source, tmp_path / "twin.arrow", workers=1, max_lost=1.0)

    assert several.path.read_bytes() == one.path.read_bytes() == twin.path.read_bytes()
    assert [(lost.name[9:12], lost.cause) for lost in one.info.excluded] == [
        ("011", "damaged"),
        ("012", "no body"),
    ]
    assert "S001C001P011R001A001.skeleton, line" in one.info.excluded[0].reason


def test_a_strict_ingest_by_threads_stops_at_the_damaged_recording(tmp_path: Path) -> None:
    source = open_source(recorded(tmp_path / "recordings"))

    with pytest.raises(DataError, match=r"S001C001P011R001A001\.skeleton, line"):
        ingest(source, tmp_path / "clips.arrow", workers=2, strict=True)

    assert not (tmp_path / "clips.arrow").exists()


def test_a_damaged_sample_among_many_is_left_out_named_and_counted(tmp_path: Path) -> None:
    report = run(tmp_path, 10, damaged=frozenset({"clip006"}))

    store = open_store(report.path)
    (lost,) = store.info.excluded
    assert report.num_clips == len(store) == 9
    assert "clip006" not in store.index.names
    assert (lost.name, lost.cause) == ("clip006", "damaged")
    assert lost.reason == f"{tmp_path}/clip006.txt, line 3: expected a pose, found the end"


def test_a_recording_of_nobody_is_left_out_and_named(tmp_path: Path) -> None:
    report = run(tmp_path, 6, empty=frozenset({"clip001", "clip005"}), max_lost=1.0)

    assert report.num_clips == 4
    assert [(lost.name, lost.cause) for lost in report.info.excluded] == [
        ("clip001", "no body"),
        ("clip005", "no body"),
    ]
    assert all(f"{lost.name}.txt: expected a body" in lost.reason for lost in report.info.excluded)


def test_a_strict_ingest_stops_at_the_first_damaged_sample(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"clip006\.txt, line 3: expected a pose, found the end"):
        run(tmp_path, 10, damaged=frozenset({"clip006"}), strict=True)

    assert not (tmp_path / "clips.arrow").exists()


def test_a_strict_ingest_still_leaves_out_recordings_of_nobody(tmp_path: Path) -> None:
    report = run(tmp_path, 6, empty=frozenset({"clip001"}), strict=True, max_lost=1.0)

    assert report.num_clips == 5


def test_a_strict_ingest_does_not_take_over_parts_that_left_out_a_damaged_sample(
    tmp_path: Path,
) -> None:
    damaged = frozenset({"clip001"})
    interrupted(tmp_path, 10, reads=8, damaged=damaged)

    with pytest.raises(DataError, match=r"clip001\.txt, line 3"):
        run(tmp_path, 10, damaged=damaged, strict=True)


def test_names_to_ignore_are_not_read_and_are_told_from_the_damaged(tmp_path: Path) -> None:
    listed = tmp_path / "missing.txt"
    listed.write_text("These are missing, say the makers.\n\nclip002\nclip004.skeleton\nclip999\n")

    report = run(tmp_path, 6, ignore=read_ignore_list(listed), rejected=(("notes.txt", "no name"),))

    assert open_store(report.path).index.names == ("clip000", "clip001", "clip003", "clip005")
    assert report.info.excluded == (
        Excluded("notes.txt", "not a sample", "no name"),
        Excluded("clip002", "ignored", "clip002: stands in the list to ignore"),
        Excluded("clip004", "ignored", "clip004: stands in the list to ignore"),
    )
    assert not {"clip002", "clip004"} & set(ListedSource(tmp_path, 6).reads())


def test_a_source_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no sample to ingest; 3 were left out"):
        run(tmp_path, 3, ignore=["clip000", "clip001", "clip002"])
    with pytest.raises(SourceError, match="no sample to ingest; 1 were left out"):
        run(tmp_path, 0, rejected=(("notes.txt", "no name"),))


def test_a_source_whose_samples_are_all_damaged_gives_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 2 samples can be read"):
        run(tmp_path, 2, damaged=frozenset({"clip000", "clip001"}))

    assert not (tmp_path / "clips.arrow").exists()


def test_an_unknown_pipeline_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown pipeline 'ctrgnc', did you mean 'ctrgcn'"):
        run(tmp_path, 3, pipeline="ctrgnc")

    assert list(tmp_path.iterdir()) == []


def test_an_ingest_killed_half_way_goes_on_without_reading_again_what_is_done(
    tmp_path: Path,
) -> None:
    source, size = ListedSource(tmp_path, 40), 40
    script = str(TESTS / "listed_source.py")
    killed = tmp_path / "killed.arrow"
    process = subprocess.Popen([sys.executable, script, str(tmp_path), str(killed), str(size)])
    deadline = time.monotonic() + 60
    while len(source.reads()) < 11 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = source.reads()
    done = set(before[: len(before) // 4 * 4 - 4])

    report = run(tmp_path, size, name="killed")

    again = set(source.reads()[len(before) :])
    whole = run(tmp_path, size, name="whole")
    assert len(done) >= 4
    assert not done & again
    assert report.num_resumed >= len(done)
    assert report.path.read_bytes() == whole.path.read_bytes()
    assert not (tmp_path / "killed.arrow.parts").exists()


def test_an_ingest_that_ran_out_of_disk_goes_on_once_there_is_room(tmp_path: Path) -> None:
    seen: list[int] = []
    interrupted(tmp_path, 10, reads=8, damaged=frozenset({"clip001"}))
    before = len(ListedSource(tmp_path, 10).reads())

    report = run(
        tmp_path, 10, damaged=frozenset({"clip001"}), on_progress=lambda done, _: seen.append(done)
    )

    assert ListedSource(tmp_path, 10).reads()[before:] == ["clip008", "clip009"]
    assert (report.num_clips, report.num_resumed, seen) == (9, 8, [10])
    assert [lost.name for lost in report.info.excluded] == ["clip001"]


@pytest.mark.parametrize(
    "change",
    [{"version": 1}, {"pipeline": "msg3d"}, {"ignore": ["clip009"]}, {"size": 9}],
    ids=["files", "pipeline", "ignored", "number"],
)
def test_parts_of_another_source_or_setting_are_thrown_away(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    usual: dict[str, Any] = {"size": 10, "layout": get_layout("utd20")}
    interrupted(tmp_path, reads=8, **usual)
    before = len(ListedSource(tmp_path, 10).reads())

    report = run(tmp_path, **{**usual, **change})

    assert report.num_resumed == 0
    assert ListedSource(tmp_path, 10).reads()[before] == "clip000"


def test_a_damaged_part_is_made_again(tmp_path: Path) -> None:
    interrupted(tmp_path, 10, reads=8)
    part = tmp_path / "clips.arrow.parts" / "000000.arrow"
    part.write_bytes(part.read_bytes()[:-9])

    report = run(tmp_path, 10)

    assert (report.num_clips, report.num_resumed) == (10, 4)


@pytest.mark.parametrize("plan", [b"{}", b"\xff\xfe", None])
def test_parts_without_their_plan_are_thrown_away(tmp_path: Path, plan: bytes | None) -> None:
    interrupted(tmp_path, 10, reads=8)
    written = tmp_path / "clips.arrow.parts" / "plan.json"
    if plan is None:
        written.unlink()
    else:
        written.write_bytes(plan)

    report = run(tmp_path, 10)

    assert (report.num_clips, report.num_resumed) == (10, 0)


def test_a_folder_of_somebody_else_beside_the_store_is_not_thrown_away(tmp_path: Path) -> None:
    precious = tmp_path / "clips.arrow.parts" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("three years of work")

    with pytest.raises(OutputError, match="earlier ingest left, found thesis"):
        run(tmp_path, 5)

    assert precious.read_text() == "three years of work"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "clips.arrow.parts").write_text("a file")

    with pytest.raises(OutputError, match=r"clips\.arrow\.parts.*: cannot be written: "):
        run(tmp_path, 5)


def test_a_full_disk_leaves_the_old_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run(tmp_path, 5).path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        run(tmp_path, 10, force=True)

    assert (tmp_path / "clips.arrow").read_bytes() == before


def test_a_worker_that_dies_ends_the_ingest_with_its_reason_and_keeps_what_is_done(
    tmp_path: Path,
) -> None:
    with pytest.raises(SourceError, match=r"a worker process ended before.*--workers 1") as caught:
        run(tmp_path, 12, workers=2, deadly=frozenset({"clip011"}), delay=0.01)

    report = run(tmp_path, 12)
    assert "\n" not in str(caught.value)
    assert report.num_clips == 12


def own_set(folder: Path, clips: int) -> Path:
    """A data set of a user's own: a body of three joints that stands."""
    folder.mkdir()
    standing = np.array([[0, 1.7, 3], [0, 0.9, 3], [0, 0, 3]])
    noise = np.random.default_rng(0).normal(0, 0.005, (clips, 6, 3, 3))
    for row in range(clips):
        np.save(folder / f"c{row}.npy", standing + noise[row])
    (folder / "clips.csv").write_text(
        "name,label\n" + "".join(f"c{row},{row % 2}\n" for row in range(clips))
    )
    (folder / "dataset.yaml").write_text(
        "name: standing\nlayout: {joints: [head, hip, foot], bones: [[head, hip], [foot, hip]],"
        " pairs: [], centre: hip, origin: hip}\ntable: clips.csv\nunits: metres\n"
    )
    return folder


def test_a_place_is_taken_for_a_source_and_text_for_a_path(tmp_path: Path) -> None:
    source = own_set(tmp_path / "mine", 4)

    report = ingest(str(source), str(tmp_path / "clips.arrow"), workers=1)

    assert report.num_clips == 4
    with pytest.raises(SourceError, match=r"found clips that are prepared already; skelab\.open_"):
        ingest(report.path, tmp_path / "again.arrow")


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    own_set(tmp_path / "mine", 130)  # two parts, so that there is work for two processes
    script = tmp_path / "script.py"
    script.write_text(
        "import skelab\n"
        "print(skelab.ingest('mine', 'clips.arrow', workers=2).num_clips)\n"
        "print(__file__, __spec__)\n"
    )

    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"130\n{script} None\n"


def test_a_source_that_a_script_writes_itself_is_told_that_it_needs_the_guard(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
        "from pathlib import Path\nimport skelab\nfrom listed_source import ListedSource\n"
        "class Mine(ListedSource):\n    pass\n"
        "skelab.ingest(Mine(Path(), 300), 'clips.arrow', workers=2, anatomy_check=False)\n"
    )

    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    last = done.stderr.splitlines()[-1]
    assert "Mine is written in the script itself" in last
    assert 'below `if __name__ == "__main__":`' in last
    assert "memory" not in last


def test_another_layout_is_part_of_the_plan(tmp_path: Path) -> None:
    interrupted(tmp_path, 8, reads=4, layout=get_layout("utd20"))

    report = run(tmp_path, 8)

    assert report.num_resumed == 0


def test_of_two_ingests_into_one_store_the_second_is_refused_and_the_first_goes_on(
    tmp_path: Path,
) -> None:
    script = str(TESTS / "listed_source.py")
    words = [sys.executable, script, str(tmp_path), str(tmp_path / "clips.arrow"), "30"]

    with subprocess.Popen(words) as process:
        while not (tmp_path / "clips.arrow.parts").exists():
            time.sleep(0.01)
        with pytest.raises(OutputError) as caught:
            run(tmp_path, 30)
        assert process.wait() == 0

    assert f"clips.arrow: process {process.pid} on " in str(caught.value)
    assert "is at work there; wait for it, or end it" in str(caught.value)
    assert len(open_store(tmp_path / "clips.arrow")) == 30
    assert sorted(path.name for path in tmp_path.iterdir() if "arrow" in path.name) == [
        "clips.arrow"
    ]


def test_a_store_that_is_there_is_replaced_by_force_only(tmp_path: Path) -> None:
    before = run(tmp_path, 5).path.read_bytes()

    with pytest.raises(
        OutputError, match=r"clips\.arrow: there is a clip store .* --force replaces"
    ):
        run(tmp_path, 10)

    assert (tmp_path / "clips.arrow").read_bytes() == before
    assert not (tmp_path / "clips.arrow.parts").exists()
    assert run(tmp_path, 10, force=True).num_clips == 10


def test_an_ingest_that_replaces_a_store_goes_on_without_being_told_so_again(
    tmp_path: Path,
) -> None:
    run(tmp_path, 5)
    interrupted(tmp_path, 12, reads=8, force=True)

    report = run(tmp_path, 12)

    assert report.num_resumed == 8
    assert report.num_clips == 12


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.arrow", r"notes\.arrow: expected a clip store or nothing .*file of another kind"),
        ("notes.txt", r"notes\.txt: expected a name that ends with \.arrow"),
    ],
)
def test_a_file_of_another_kind_is_never_replaced(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text("twelve notes")

    with pytest.raises(OutputError, match=message):
        ingest(ListedSource(tmp_path, 5), tmp_path / name, force=True)

    assert (tmp_path / name).read_text() == "twelve notes"
