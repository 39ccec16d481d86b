"""Prepared clips copied to a store."""

from pathlib import Path

import numpy as np
import pytest
from prepared_files import npz_arrays, padded_rows, write_npz

from skelab.data.clips.store import open_store
from skelab.data.copying import copy_clips
from skelab.data.opened import open_clips
from skelab.errors import DataError, NoBodyError, SourceError, StoreError


def damaged_npz(path: Path) -> Path:
    x = padded_rows(6)
    x[1] = 0.0
    x[4, 0, 0] = np.inf
    return write_npz(path, x_train=x)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_store_has_every_clip_and_what_is_known_of_it(tmp_path: Path, compressed: bool) -> None:
    clips = open_clips(write_npz(tmp_path / "a.npz", compressed=compressed))
    steps: list[tuple[int, int]] = []

    report = copy_clips(
        clips,
        tmp_path / "store.arrow",
        anatomy_check=False,
        on_progress=lambda *step: steps.append(step),
    )

    store = open_store(tmp_path / "store.arrow")
    assert report.num_clips == len(store) == 10
    assert report.num_resumed == 0
    assert steps == [(10, 10)]
    assert store.index.names == clips.index.names
    assert store.index.parts == clips.index.parts
    assert store.index.labels.tolist() == clips.index.labels.tolist()
    assert store.info.source_digest == clips.info.digest
    assert store.info.classes == clips.info.classes
    assert set(store.info.versions) == {"skelab", "numpy", "pyarrow"}
    for row in range(10):
        np.testing.assert_array_equal(store.clip(row).joints, clips.clip(row).joints)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".arrow"] == ["store.arrow"]


def test_many_clips_are_copied_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skelab.data.copying.CLIPS_PER_SHARD", 3)
    clips = open_clips(write_npz(tmp_path / "a.npz"))
    steps: list[tuple[int, int]] = []

    copy_clips(
        clips,
        tmp_path / "s.arrow",
        anatomy_check=False,
        on_progress=lambda *step: steps.append(step),
    )

    assert steps == [(3, 10), (6, 10), (9, 10), (10, 10)]
    assert open_store(tmp_path / "s.arrow").index.names == clips.index.names


def test_clips_without_a_body_or_with_damaged_values_are_left_out_and_named(
    tmp_path: Path,
) -> None:
    clips = open_clips(damaged_npz(tmp_path / "a.npz"), ignore=["test_3"])

    report = copy_clips(clips, tmp_path / "store.arrow", anatomy_check=False)

    left_out = {entry.name: entry.cause for entry in report.info.excluded}
    assert left_out == {"train_1": "no body", "train_4": "damaged", "test_3": "ignored"}
    assert open_store(tmp_path / "store.arrow").index.names == (
        *("train_0", "train_2", "train_3", "train_5"),
        *("test_0", "test_1", "test_2"),
    )


def test_strict_stops_at_a_damaged_clip_but_not_at_one_without_a_body(tmp_path: Path) -> None:
    clips = open_clips(damaged_npz(tmp_path / "a.npz"))

    with pytest.raises(DataError, match="row 4") as caught:
        copy_clips(clips, tmp_path / "store.arrow", strict=True, anatomy_check=False)

    assert not isinstance(caught.value, NoBodyError)
    assert not (tmp_path / "store.arrow").exists()


def test_a_file_whose_checksum_is_wrong_gives_no_store(tmp_path: Path) -> None:
    x = padded_rows(30)
    path = write_npz(tmp_path / "a.npz", x_train=x, y_train=np.zeros(30), x_test=None)
    data = bytearray(path.read_bytes())
    data[250_000] ^= 1
    path.write_bytes(data)

    with pytest.raises(SourceError, match="x_train: expected the checksum"):
        copy_clips(open_clips(path), tmp_path / "store.arrow", anatomy_check=False)

    assert not (tmp_path / "store.arrow").exists()


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    arrays = npz_arrays()
    path = write_npz(tmp_path / "a.npz", x_train=arrays["x_train"] * 0, x_test=None)

    with pytest.raises(StoreError, match="no clip is left to store; all 6 samples were left out"):
        copy_clips(open_clips(path), tmp_path / "store.arrow", anatomy_check=False)
