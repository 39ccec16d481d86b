"""Which reader fits a folder, and what is said where none does."""

import pickle
from pathlib import Path

import pytest

from skelab.data.datasets import open_source
from skelab.data.datasets.ntu import NtuSource
from skelab.data.recordings import FolderSource, Source
from skelab.errors import LayoutError, SourceError
from skelab.skeleton import get_layout

EXPECTED = (
    "expected a folder with files such as S001C001P001R001A001.skeleton (NTU RGB+D),"
    " a01_s01_e00_v01.json (NW-UCLA), 0002-L.skeleton (PKU-MMD), Seq1_1.csv (PRECOG 2016),"
    " s01s02/01/001/skeleton_pos.txt (SBU Kinect Interaction),"
    " a1_s1_t1_skeleton.mat (UTD-MHAD), joints_s01_e01.txt (UTKinect-Action3D),"
    " dataset.yaml (a data set of your own); a zip of .skeleton files; or"
    " a pickle of annotations (PYSKL, MMAction2); found"
)
ONE_OF_EACH = {
    "ntu": "S001C001P001R001A001.skeleton",
    "utd-mhad": "a1_s1_t1_skeleton.mat",
    "nw-ucla": "a01_s01_e00_v01.json",
    "sbu": "s01s02/01/001/skeleton_pos.txt",
    "precog": "Seq1_1.csv",
    "utkinect": "joints_s01_e01.txt",
    "pku-mmd": "0002-L.skeleton",
}


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize("kind", list(ONE_OF_EACH))
@pytest.mark.parametrize("folder", ["", "inner/"])
def test_the_reader_is_found_by_the_files_also_one_folder_down(
    tmp_path: Path, kind: str, folder: str
) -> None:
    touch(tmp_path / folder / ONE_OF_EACH[kind])
    touch(tmp_path / "readme.txt")

    source = open_source(tmp_path)

    assert isinstance(source, Source)
    assert source.kind == kind
    assert [item.location for item in source.items()] == [folder + ONE_OF_EACH[kind]]
    assert not source.rejected
    assert not source.synthetic


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], "an empty folder"),
        (["b.txt", "a.txt"], "a.txt, b.txt"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_a_folder_with_nothing_for_any_reader_is_refused(
    tmp_path: Path, names: list[str], found: str
) -> None:
    for name in names:
        touch(tmp_path / name)

    with pytest.raises(SourceError) as caught:
        open_source(tmp_path)

    assert str(caught.value) == f"{tmp_path}: {EXPECTED} {found}"


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / "none")

    assert str(caught.value) == f"{tmp_path / 'none'}: {EXPECTED} nothing of that name"


def test_a_file_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a.skeleton")

    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / "a.skeleton")

    assert str(caught.value) == f"{tmp_path / 'a.skeleton'}: {EXPECTED} a file"


def test_a_folder_of_two_data_sets_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / ONE_OF_EACH["ntu"])
    touch(tmp_path / ONE_OF_EACH["sbu"])

    with pytest.raises(SourceError) as caught:
        open_source(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}: expected the files of one data set, found those of NTU RGB+D and"
        " SBU Kinect Interaction"
    )


@pytest.mark.parametrize("layout", ["kinect20", get_layout("kinect20")])
def test_another_layout_can_be_chosen(tmp_path: Path, layout: str) -> None:
    touch(tmp_path / ONE_OF_EACH["utd-mhad"])

    source = open_source(tmp_path, layout=layout)

    assert source.layout == get_layout("kinect20")


def test_a_layout_of_other_joints_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / ONE_OF_EACH["utd-mhad"])

    with pytest.raises(SourceError) as caught:
        open_source(tmp_path, layout="ntu25")

    assert str(caught.value) == (
        f"{tmp_path}: UTD-MHAD has 20 joints: expected a layout of as many, found 'ntu25' with 25;"
        " leave the layout out for 'utd20'"
    )


def test_a_layout_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / ONE_OF_EACH["ntu"])

    with pytest.raises(LayoutError, match="unknown layout 'ntu24'"):
        open_source(tmp_path, layout="ntu24")


@pytest.mark.parametrize("kind", list(ONE_OF_EACH))
def test_sources_and_their_items_can_be_pickled_and_leave_the_listing_behind(
    tmp_path: Path, kind: str
) -> None:
    touch(tmp_path / ONE_OF_EACH[kind])
    source = open_source(tmp_path)
    items = source.items()

    copy, copied_items = pickle.loads(pickle.dumps((source, items)))  # noqa: S301

    assert isinstance(copy, FolderSource)
    assert copy.path == tmp_path
    assert copy.layout == source.layout
    assert copied_items == items
    assert set(vars(copy)) == {"path", "layout"}
    assert copy.items() == items


def test_the_digest_follows_names_and_sizes(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        touch(folder / ONE_OF_EACH["ntu"])

    same = open_source(first).digest() == open_source(second).digest()
    (second / ONE_OF_EACH["ntu"]).write_bytes(b"0\n")
    longer = open_source(second).digest()
    touch(first / "S001C001P001R001A002.skeleton")
    more = open_source(first).digest()

    assert same
    assert len({longer, more, open_source(second).digest()}) == 2


def test_a_name_found_twice_is_kept_once(tmp_path: Path) -> None:
    for folder in ("b", "a"):
        touch(tmp_path / folder / ONE_OF_EACH["ntu"])

    source = NtuSource(tmp_path)

    assert [item.location for item in source.items()] == [f"a/{ONE_OF_EACH['ntu']}"]
    assert list(source.rejected) == [
        (
            f"b/{ONE_OF_EACH['ntu']}",
            f"S001C001P001R001A001 was already found as a/{ONE_OF_EACH['ntu']}",
        )
    ]
