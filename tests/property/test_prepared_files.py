"""Files of all kinds, changed at random: read as they are, or refused by an error of ours."""

import io
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from prepared_files import annotation, npz_arrays, write_npz
from skeleton_text import a_pose, skeleton_text

from skelab.data.datasets.ntu import NtuZipSource
from skelab.data.foreign import open_npy_pkl, open_npz
from skelab.data.recordings import PysklSource
from skelab.data.recordings.custom import CustomSource
from skelab.errors import DataError, SkelabError
from skelab.files.npy import parse_npy

FAST = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SKELETON = "S001C001P001R001A001"


def npz_bytes(compressed: bool) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **npz_arrays(2, 2))
    return file.getvalue()


def npy_bytes() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones((2, 3, 6, 25, 2), np.float32))
    return file.getvalue()


def zip_bytes() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{SKELETON}.skeleton", skeleton_text([[("1", a_pose())]]))
    return file.getvalue()


PICKLE = pickle.dumps({"split": {"train": [SKELETON]}, "annotations": [annotation(SKELETON)]})
LABELS = pickle.dumps(([SKELETON, "b"], [0, 1]))
TABLE = b"name,label,subject\na,wave,2\n"
ABOUT = b"name: sticks\nlayout:\n  joints: [a, b]\n  bones: [[a, b]]\n  centre: a\n"


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with some bytes changed, taken out, put in, or cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 3)):
            case 0 if data:
                data[at] = draw(st.integers(0, 255))
            case 1:
                del data[at : at + draw(st.integers(1, 9))]
            case 2:
                data[at:at] = draw(st.binary(min_size=1, max_size=9))
            case _:
                del data[at + draw(st.integers(0, len(data))) :]
    return bytes(data)


def read_whatever(read: Callable[[], Iterator[Any]]) -> None:
    """Read until the end or until an error of ours; anything else fails the test."""
    try:
        for _ in read():
            pass
    except SkelabError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said.strip()


@pytest.mark.parametrize("compressed", [False, True])
@FAST
@given(data=st.data())
def test_a_changed_npz_never_gives_other_numbers(
    tmp_path: Path, data: st.DataObject, compressed: bool
) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(data.draw(changed(npz_bytes(compressed))))
    whole = open_npz(write_npz(tmp_path / "whole.npz", **npz_arrays(2, 2)))

    try:
        clips = open_npz(path)
        joints = [clips.clip(row).joints for row in range(len(clips))]
    except SkelabError:
        return

    wanted = {part.name: part for part in whole.parts}
    row = 0
    for part in clips.parts:
        first = 0 if part.name == "train" else len(wanted["train"].rows)
        for offset in range(len(part.rows)):
            np.testing.assert_array_equal(joints[row], whole.clip(first + offset).joints)
            assert part.labels[offset] == wanted[part.name].labels[offset]
            row += 1


@FAST
@given(array=changed(npy_bytes()), labels=st.one_of(st.just(LABELS), changed(LABELS)))
def test_changed_arrays_and_labels_are_read_or_refused(
    tmp_path: Path, array: bytes, labels: bytes
) -> None:
    (tmp_path / "val_data.npy").write_bytes(array)
    (tmp_path / "val_label.pkl").write_bytes(labels)

    def read() -> Iterator[Any]:
        clips = open_npy_pkl(tmp_path)
        yield from (clips.clip(row) for row in range(len(clips)))

    read_whatever(read)


@FAST
@given(content=changed(PICKLE))
def test_changed_pickles_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)

    def read() -> Iterator[Any]:
        source = PysklSource(tmp_path / "a.pkl")
        yield from (source.read(item) for item in source.items())
        yield source.classes

    read_whatever(read)


@FAST
@given(content=changed(zip_bytes()))
def test_changed_archives_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)

    def read() -> Iterator[Any]:
        if NtuZipSource.recognises(tmp_path / "a.zip"):
            source = NtuZipSource(tmp_path / "a.zip")
            yield from (source.read(item) for item in source.items())
            yield source.digest()

    read_whatever(read)


@FAST
@given(
    table=st.one_of(st.just(TABLE), changed(TABLE)),
    about=st.one_of(st.just(ABOUT), changed(ABOUT)),
    clip=st.one_of(st.just(b"1,2,3,4,5,6\n"), changed(b"1,2,3,4,5,6\n7,8,9,10,11,12\n")),
)
def test_changed_tables_and_clips_are_read_or_refused(
    tmp_path: Path, table: bytes, about: bytes, clip: bytes
) -> None:
    for name, content in (("clips.csv", table), ("dataset.yaml", about), ("a.csv", clip)):
        (tmp_path / name).write_bytes(content)

    def read() -> Iterator[Any]:
        source = CustomSource(tmp_path)
        yield from (source.read(item) for item in source.items())
        yield source.classes

    read_whatever(read)


@FAST
@given(
    array=npst.arrays(
        npst.floating_dtypes(sizes=(16, 32, 64)) | npst.integer_dtypes(),
        npst.array_shapes(min_dims=0, max_dims=4, min_side=0),
    ),
    by_column=st.booleans(),
)
def test_any_array_of_numbers_comes_back(array: Any, by_column: bool) -> None:
    file = io.BytesIO()
    np.save(file, np.asfortranarray(array) if by_column else array)

    found = parse_npy(file.getvalue(), "a.npy")

    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@FAST
@given(content=st.binary(max_size=200) | changed(npy_bytes()[:200]))
def test_any_bytes_are_an_array_or_refused(content: bytes) -> None:
    said = "a.npy: expected nothing else"
    try:
        parse_npy(content, "a.npy")
    except DataError as error:
        said = str(error)
    assert said.startswith("a.npy: expected ")
