"""Any file that holds a clip can be looked at; what is unclear is asked in one line."""

from pathlib import Path

import numpy as np
import pytest
from skeleton_text import a_pose, skeleton_text
from tiny_clips import tiny_store
from viewer_kit import a_clip, a_recording, standing, synthetic_folder

from skelab.errors import DataError, LayoutError, NoBodyError, SkeletonFileError, SourceError
from skelab.viewer.reading import layout_of, open_clip


def test_a_recording_stands_beside_what_preprocessing_makes_of_it(tmp_path: Path) -> None:
    file = sorted(synthetic_folder(tmp_path).glob("*.skeleton"))[0]

    shown = open_clip(file)

    assert [pane.title for pane in shown.scene.panes] == ["As recorded", "Preprocessed: ctrgcn"]
    assert shown.scene.name == file.stem
    assert shown.pipeline == "ctrgcn"
    assert shown.scene.synthetic
    assert shown.scene.label != ""


def test_the_name_of_an_ntu_file_says_its_class(tmp_path: Path) -> None:
    path = tmp_path / "S001C001P001R001A023.skeleton"
    path.write_bytes(skeleton_text([[("7", a_pose(k))] for k in range(3)]))
    other = tmp_path / "mine.skeleton"
    other.write_bytes(path.read_bytes())

    ntu, mine = open_clip(path).scene, open_clip(other).scene

    assert (ntu.label, ntu.synthetic) == ("hand waving", False)
    assert (mine.label, mine.name) == ("", "mine")


def test_an_array_is_shown_under_the_only_layout_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "clip.npy"
    np.save(path, standing(12, 2))

    scene = open_clip(path).scene

    assert scene.layout.name == "ntu25"
    assert scene.num_frames == 12
    assert len(scene.panes[0].poses) == 2


def test_where_several_layouts_fit_one_must_be_named(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).normal(size=(4, 20, 3))

    with pytest.raises(LayoutError, match=r"20 joints with 3 values are those of several layouts"):
        open_clip(joints)
    with pytest.raises(LayoutError, match=r"clip: no layout has 7 joints .* name one of coco17"):
        layout_of(7, 3, where="clip")
    assert open_clip(joints, layout="kinect20").scene.layout.name == "kinect20"


def test_a_store_of_several_clips_needs_a_name(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=4)

    with pytest.raises(SourceError, match="holds 4 clips; choose one by --clip NAME, say --clip"):
        open_clip(store.path)
    with pytest.raises(SourceError, match=r"unknown clip 'clip1'.*Known: clip000, clip001"):
        open_clip(store.path, name="clip1")
    scene = open_clip(store.path, name="clip001").scene
    assert (scene.name, scene.label) == ("clip001", "sit")
    assert [pane.title for pane in scene.panes] == ["Preprocessed: ctrgcn"]


def test_the_only_clip_of_a_store_needs_no_name(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=1)

    assert open_clip(store.path).scene.name == "clip000"


def test_clips_that_are_prepared_are_not_prepared_again(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", clips=1)

    with pytest.raises(
        DataError, match="expected clips preprocessed by msg3d, found ctrgcn; only recor"
    ):
        open_clip(store.path, pipeline="msg3d")


def test_a_folder_of_recordings_is_asked_by_name(tmp_path: Path) -> None:
    folder = synthetic_folder(tmp_path)
    name = sorted(folder.glob("*.skeleton"))[1].stem

    scene = open_clip(folder, name=name).scene

    assert (scene.name, scene.synthetic, len(scene.panes)) == (name, True, 2)
    with pytest.raises(SourceError, match="holds 3 clips; choose one by --clip NAME"):
        open_clip(folder)
    with pytest.raises(SourceError, match="unknown clip 'nobody'"):
        open_clip(folder, name="nobody")


def test_clips_and_recordings_in_memory_can_be_shown() -> None:
    prepared = open_clip(a_clip(bodies=2)).scene
    recorded = open_clip(a_recording(), name="mine").scene

    assert (prepared.name, len(prepared.panes)) == ("clip", 1)
    assert (recorded.name, len(recorded.panes)) == ("mine", 2)


def test_one_frame_can_be_looked_at() -> None:
    scene = open_clip(standing(1)).scene

    assert scene.num_frames == 1


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (np.full((3, 25, 3), np.nan), DataError, "clip.npy: expected finite numbers, found nan"),
        (np.zeros((3, 25, 3)), NoBodyError, "clip.npy: expected a body in at least one frame"),
        (np.zeros((25, 3)), LayoutError, "clip.npy: .* name them by --layout NAME"),
        (np.zeros(3), DataError, "clip.npy: expected frames x joints x values"),
        (np.array(["a"]), SourceError, "clip.npy"),
    ],
)
def test_arrays_that_are_no_clips_are_refused(
    content: np.ndarray, error: type[Exception], message: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "clip.npy", content)

    with pytest.raises(error, match=message):
        open_clip(tmp_path / "clip.npy")


def test_files_that_hold_no_clip_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "short.skeleton").write_text("3\n1\n")
    (tmp_path / "S001C001P001R001A001.skeleton").write_bytes(skeleton_text([[("7", a_pose())]]))

    with pytest.raises(SourceError, match=r"nosuch: there is no such file; expected \.skeleton"):
        open_clip(tmp_path / "nosuch")
    with pytest.raises(SourceError, match=r"notes\.txt: expected \.skeleton, .* found something"):
        open_clip(tmp_path / "notes.txt")
    with pytest.raises(SkeletonFileError, match=r"short\.skeleton, line 3"):
        open_clip(tmp_path / "short.skeleton")
    with pytest.raises(SourceError, match="holds one clip; --clip is for files that hold several"):
        open_clip(tmp_path / "S001C001P001R001A001.skeleton", name="x")
    with pytest.raises(LayoutError, match="expected the joints of kinect20, found those of ntu25"):
        open_clip(tmp_path / "S001C001P001R001A001.skeleton", layout="kinect20")
