"""Whatever the source: what is ignored, damaged, or has no body is left out and named."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from prepared_files import annotation, write_pyskl
from shared_data import shared_data
from skeleton_text import a_pose, skeleton_text

from skelab.data.clips.store import open_store
from skelab.data.datasets import open_source
from skelab.data.ingest import ingest

GOOD, EMPTY, DAMAGED, IGNORED = (f"S001C001P00{number}R001A001" for number in (1, 2, 3, 6))


def ntu_zip(folder: Path) -> Path:
    frames = [[("1", a_pose(seed))] for seed in range(4)]
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (GOOD, IGNORED):
            archive.writestr(f"x/{name}.skeleton", skeleton_text(frames))
        archive.writestr(f"x/{EMPTY}.skeleton", skeleton_text([[], []]))
        archive.writestr(f"x/{DAMAGED}.skeleton", skeleton_text(frames)[:-300])
    return folder / "a.zip"


def pyskl(folder: Path) -> Path:
    nobody = np.zeros((1, 6, 25, 3), np.float16)
    return write_pyskl(
        folder / "a.pkl",
        [
            *(annotation(name) for name in (GOOD, IGNORED)),
            annotation(EMPTY, keypoint=nobody),
            annotation(DAMAGED, keypoint=nobody + np.float16(np.inf)),
        ],
    )


def custom(folder: Path) -> Path:
    poses = np.random.default_rng(0).normal(size=(6, 25, 3))
    for name, clip in (
        *((name, poses) for name in (GOOD, IGNORED)),
        (EMPTY, poses * 0),
        (DAMAGED, poses * np.nan),
    ):
        np.save(folder / f"{name}.npy", clip)
    names = "".join(f"{name},wave\n" for name in (GOOD, EMPTY, DAMAGED, IGNORED))
    (folder / "clips.csv").write_text(f"name,label\n{names}")
    (folder / "dataset.yaml").write_text("name: mine\nlayout: ntu25\n")
    return folder


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("make", [ntu_zip, pyskl, custom])
def test_every_sample_that_is_left_out_is_named_with_its_cause(
    tmp_path: Path, make: Callable[[Path], Path], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skelab.data.ingest.CLIPS_PER_SHARD", 2)
    source = open_source(make(tmp_path))

    report = ingest(
        source,
        tmp_path / "s.arrow",
        ignore=[IGNORED],
        workers=workers,
        anatomy_check=False,
        max_lost=1.0,
    )

    causes = {entry.name: entry.cause for entry in report.info.excluded}
    assert causes == {IGNORED: "ignored", EMPTY: "no body", DAMAGED: "damaged"}
    assert open_store(tmp_path / "s.arrow").index.names == (GOOD,)
    reason = next(entry.reason for entry in report.info.excluded if entry.name == DAMAGED)
    assert DAMAGED in reason
    assert "\n" not in reason


def test_genuine_recordings_are_the_same_from_a_folder_and_from_a_zip(tmp_path: Path) -> None:
    folder = shared_data("ntu-samples")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.glob("*.skeleton"):
            archive.write(file, f"nturgb+d_skeletons/{file.name}")

    for source, store in ((folder, "one.arrow"), (tmp_path / "a.zip", "two.arrow")):
        ingest(open_source(source), tmp_path / store, workers=1)

    one, two = open_store(tmp_path / "one.arrow"), open_store(tmp_path / "two.arrow")
    assert one.info.digest == two.info.digest
    assert len(one) == 2
