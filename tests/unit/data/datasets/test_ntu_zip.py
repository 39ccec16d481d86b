"""The zip of NTU RGB+D, read without unpacking."""

import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from skeleton_text import a_pose, skeleton_text

from skelab.data.datasets import ntu, open_source
from skelab.data.datasets.ntu import NtuZipSource
from skelab.data.recordings import Source, SourceItem
from skelab.errors import SkeletonFileError, SourceError

NAMES = ("S001C001P001R001A001", "S001C002P003R002A005", "S017C003P040R001A060")


def text(seed: int = 0) -> bytes:
    return skeleton_text([[("72057594037931101", a_pose(seed + frame))] for frame in range(3)])


def zipped(
    path: Path, folder: str = "nturgb+d_skeletons/", more: Mapping[str, bytes] | None = None
) -> Path:
    """An archive of three recordings; ``more`` has further members by name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._S001C001P001R001A001.skeleton", b"junk")
        archive.writestr(f"{folder}._S001C001P001R001A001.skeleton", b"junk")
        archive.writestr(f"{folder}.DS_Store", b"junk")
        for seed, name in enumerate(NAMES):
            archive.writestr(f"{folder}{name}.skeleton", text(seed))
        for name, content in (more or {}).items():
            archive.writestr(name, content)
    return path


def item(source: Source, row: int = 0) -> SourceItem:
    return source.items()[row]


@pytest.mark.parametrize("folder", ["", "nturgb+d_skeletons/", "deep/down/here/"])
def test_members_are_found_wherever_they_lie(tmp_path: Path, folder: str) -> None:
    source = open_source(zipped(tmp_path / "renamed.bin", folder))

    assert isinstance(source, NtuZipSource)
    assert isinstance(source, Source)
    assert source.kind == "ntu"
    assert [each.info.name for each in source.items()] == list(NAMES)
    assert [each.info.subject for each in source.items()] == [1, 3, 40]
    assert list(source.rejected) == []


def test_a_recording_is_the_one_that_the_folder_gives(tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "a.zip"))
    folder = tmp_path / "folder"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        (folder / f"{name}.skeleton").write_bytes(text(seed))
    unpacked = open_source(folder)

    for row in (2, 0, 1):
        track, other = (
            next(iter(each.read(item(each, row)).bodies.values())) for each in (source, unpacked)
        )
        np.testing.assert_array_equal(track.joints, other.joints)


def test_texts_are_what_the_members_hold_and_none_where_one_is_damaged(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "")
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo(f"{NAMES[0]}.skeleton").header_offset
    data = bytearray(path.read_bytes())
    data[at + 500] ^= 0x40
    path.write_bytes(data)
    source = open_source(path)

    assert isinstance(source, NtuZipSource)
    assert source.texts(source.items()) == [None, text(1), text(2)]


def test_it_can_be_pickled_after_it_was_read(tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "a.zip"))
    source.read(item(source))

    copy = pickle.loads(pickle.dumps(source))  # noqa: S301

    assert copy.read(item(source)).num_frames == 3
    assert copy.items() == source.items()


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    first = open_source(zipped(tmp_path / "a.zip"))
    second = open_source(zipped(tmp_path / "b.zip"))
    third = open_source(zipped(tmp_path / "c.zip", more={"S001C001P002R001A001.skeleton": text(9)}))

    assert first.digest() == second.digest() != third.digest()


def test_a_name_found_twice_is_kept_once(tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "a.zip", more={f"again/{NAMES[0]}.skeleton": text()}))

    assert len(source.items()) == 3
    assert list(source.rejected) == [
        (
            f"nturgb+d_skeletons/{NAMES[0]}.skeleton",
            f"{NAMES[0]} was already found as again/{NAMES[0]}.skeleton",
        )
    ]


def test_a_marker_inside_makes_it_synthetic_with_labels_of_its_own(tmp_path: Path) -> None:
    marker = b'{"actions": [["A001", "wave"], ["A005", "sit"], ["A060", "fall"]]}'

    source = open_source(zipped(tmp_path / "a.zip", more={"x/SYNTHETIC.json": marker}))

    assert source.synthetic
    assert source.classes == ("wave", "sit", "fall")
    assert [each.info.label for each in source.items()] == [0, 1, 2]


def test_a_damaged_marker_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", more={"SYNTHETIC.json": b"{"})

    with pytest.raises(SourceError, match=r"a\.zip: SYNTHETIC\.json: expected json"):
        NtuZipSource(path).items()


def test_a_malformed_recording_is_named_with_its_line(tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "a.zip", more={"S001C001P001R002A001.skeleton": b"1\n"}))

    with pytest.raises(SkeletonFileError) as caught:
        source.read(item(source, 1))

    assert str(caught.value) == (
        f"{source.path}: S001C001P001R002A001.skeleton, line 2: expected a body count, found the"
        " end of the file"
    )


def test_a_member_larger_than_any_recording_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ntu, "_LARGEST", 1000)
    source = open_source(zipped(tmp_path / "a.zip"))

    with pytest.raises(SkeletonFileError, match=r"expected at most 1,000 bytes, found \d,?\d+"):
        source.read(item(source))


def test_a_member_that_says_less_than_it_has_gives_no_more_than_it_says(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "", more={"S001C001P001R002A001.skeleton": b"0" * 10_000_000})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<L", 100)
    path.write_bytes(data)
    source = open_source(path)

    with pytest.raises(SkeletonFileError, match="the member is damaged or cannot be unpacked"):
        source.read(item(source, 1))


def test_an_encrypted_member_is_one_damaged_sample(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "")
    data = bytearray(path.read_bytes())
    at = data.index(f"{NAMES[1]}.skeleton".encode(), data.index(b"PK\x01\x02")) - 46
    data[at + 8] |= 1
    path.write_bytes(data)
    source = open_source(path)

    with pytest.raises(SkeletonFileError) as caught:
        source.read(item(source, 1))

    assert str(caught.value) == (
        f"{path}: {NAMES[1]}.skeleton: expected a plain member, found an encrypted one; unpack it"
    )
    assert source.read(item(source, 2)).num_frames == 3


def test_a_changed_byte_is_one_damaged_sample(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "")
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo(f"{NAMES[0]}.skeleton").header_offset
    data = bytearray(path.read_bytes())
    data[at + 500] ^= 0x40
    path.write_bytes(data)
    source = open_source(path)

    with pytest.raises(SkeletonFileError, match="the member is damaged or cannot be unpacked"):
        source.read(item(source, 0))


def test_a_member_that_is_not_there_is_a_damaged_sample(tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "a.zip"))
    gone = SourceItem(item(source).info, "gone.skeleton")

    with pytest.raises(SkeletonFileError, match=r"gone\.skeleton: expected a member of that name"):
        source.read(gone)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")

    with pytest.raises(SourceError, match=r"found an archive of readme\.txt"):
        open_source(path)


def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:-60])

    with pytest.raises(SourceError, match="expected a zip archive, found one that is damaged or"):
        open_source(path)
