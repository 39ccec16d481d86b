"""Any network, trained or exported, says the same of a clip, whatever file the clip is in."""

from pathlib import Path

import numpy as np
import pytest
from export_kit import CLASSES, family_checkpoint
from tiny_clips import SBU15, tiny_clip, tiny_info, tiny_store
from tiny_run import enter_tiny_family
from torch import nn

import skelab
from skelab.data.clips.clip import RawClip
from skelab.data.clips.write import write_store
from skelab.errors import CheckpointError, DataError, NetworkError, NoBodyError, SourceError
from skelab.export import ExportReport
from skelab.inference import open_network, predict, read_checkpoint
from skelab.inference.clips import MOST_CLIPS
from skelab.skeleton import get_layout
from skelab.synthetic import write_synthetic


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic recordings."""
    folder = tmp_path_factory.mktemp("recordings")
    write_synthetic(folder, clips=2, actions=2, seed=1)
    return folder


@pytest.fixture(scope="module")
def ntu_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network for NTU recordings, preprocessed as CTR-GCN's authors do."""
    path = tmp_path_factory.mktemp("ntu") / "ntu.safetensors"
    layout = get_layout("ntu25")
    with pytest.MonkeyPatch.context() as patch:
        enter_tiny_family(patch)
        family_checkpoint(path, "tiny", layout=layout, options={}, pipeline="ctrgcn")
    return path


def body(frames: int = 12, joints: int = 15) -> np.ndarray:
    """One body as it was recorded, T V C."""
    return np.random.default_rng(1).normal(size=(frames, joints, 3)).astype(np.float32)


def test_probabilities_fall_and_sum_to_one(checkpoint: Path) -> None:
    (found,) = predict(checkpoint, body(), top=4)

    shares = [share for _, share in found.top]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0, abs=1e-6)
    assert {name for name, _ in found.top} == set(CLASSES)
    assert found.label == found.top[0][0]
    assert found.synthetic


@pytest.mark.parametrize("to", ["onnx", "openvino", "torch"])
def test_an_exported_network_says_what_its_checkpoint_says(
    to: str, checkpoint: Path, exports: dict[str, ExportReport]
) -> None:
    (expected,) = predict(read_checkpoint(checkpoint), body())

    (found,) = predict(exports[to].path, body(), trust=True)

    assert [name for name, _ in found.top] == [name for name, _ in expected.top]
    np.testing.assert_allclose(
        [share for _, share in found.top], [share for _, share in expected.top], atol=1e-5
    )


def test_a_recording_goes_through_the_pipeline_that_the_network_names(
    ntu_net: Path, recordings: Path, tmp_path: Path
) -> None:
    file = sorted(recordings.glob("*.skeleton"))[0]
    store = tmp_path / "clips.arrow"
    skelab.ingest(skelab.open_source(recordings), store, pipeline="ctrgcn", workers=1)
    with_ours = read_checkpoint(ntu_net).inputs.classes

    (from_file,) = predict(ntu_net, file)
    (from_store,) = predict(ntu_net, store, names=[file.stem])

    assert from_file == from_store
    assert from_file.label in with_ours


def test_a_prepared_clip_is_taken_as_it_is(ntu_net: Path, checkpoint: Path) -> None:
    clip = tiny_clip(3)

    (found,) = predict(checkpoint, clip)

    assert found.clip == clip.info.name
    with pytest.raises(
        DataError, match="clip003: expected 25 joints of ntu25 with 3 values, found"
    ):
        predict(ntu_net, clip)


def test_npy_clips_have_one_body_or_several(checkpoint: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", body())
    np.save(tmp_path / "two.npy", np.stack([body(), np.zeros_like(body())]))

    (one,) = predict(checkpoint, tmp_path / "one.npy")
    (two,) = predict(checkpoint, tmp_path / "two.npy")

    assert one.top == two.top
    assert (one.clip, two.clip) == ("one", "two")


def test_npz_rows_are_predicted_one_by_one(ntu_net: Path, recordings: Path, tmp_path: Path) -> None:
    store = tmp_path / "clips.arrow"
    skelab.ingest(skelab.open_source(recordings), store, pipeline="ctrgcn", workers=1)
    clips = skelab.open_store(store)
    rows = np.zeros((2, 300, 150), dtype=np.float32)
    for row in range(2):
        joints = clips.clip(row).joints
        for place, one in enumerate(joints[:2]):
            rows[row, : one.shape[0], 75 * place : 75 * (place + 1)] = one.reshape(len(one), -1)
    np.savez(tmp_path / "rows.npz", x_test=rows, y_test=np.eye(60)[:2])

    found = predict(ntu_net, tmp_path / "rows.npz")
    (second,) = predict(ntu_net, tmp_path / "rows.npz", names=["test_1"])

    assert [prediction.clip for prediction in found] == ["test_0", "test_1"]
    assert found[1] == second
    for row in range(2):
        (alone,) = predict(ntu_net, clips.clip(row))
        assert [name for name, _ in found[row].top] == [name for name, _ in alone.top]
        np.testing.assert_allclose(
            [share for _, share in found[row].top], [share for _, share in alone.top], atol=1e-6
        )


def test_a_recording_without_a_body_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "S001C001P001R001A001.skeleton").write_text("2\n0\n0\n")
    np.save(tmp_path / "empty.npy", np.zeros((5, 15, 3)))

    with pytest.raises(NoBodyError, match=r"empty.npy: nobody to recognise: expected a body"):
        predict(checkpoint, tmp_path / "empty.npy")
    with pytest.raises(NoBodyError, match="clip: nobody to recognise"):
        predict(checkpoint, RawClip(3, {}))


def test_a_file_of_other_joints_is_refused(
    checkpoint: Path, recordings: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "ntu.npy", body(joints=25))

    with pytest.raises(DataError, match=r"the network was trained on joints 15: .*, found 25: "):
        predict(checkpoint, sorted(recordings.glob("*.skeleton"))[0])
    with pytest.raises(
        DataError, match=r"expected frames x 15 joints x 3 .*, found the shape 12 x 25"
    ):
        predict(checkpoint, tmp_path / "ntu.npy")


def test_numbers_that_are_none_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    joints = body()
    joints[3, 2, 1] = np.nan
    np.save(tmp_path / "nan.npy", joints)

    with pytest.raises(DataError, match=r"nan.npy: expected finite numbers"):
        predict(checkpoint, tmp_path / "nan.npy")


def test_a_pipeline_that_cannot_be_applied_is_said(tmp_path: Path) -> None:
    family_checkpoint(
        tmp_path / "net.safetensors", "tiny", layout=SBU15, options={}, pipeline="msg3d"
    )

    with pytest.raises(DataError, match="clip: pipeline msg3d cannot be applied: "):
        predict(tmp_path / "net.safetensors", body())


def test_clips_of_another_preprocessing_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")

    with pytest.raises(DataError, match="trained on preprocessing as-given, found ctrgcn"):
        predict(checkpoint, store.path)


def test_a_large_store_wants_names(checkpoint: Path, tmp_path: Path) -> None:
    clips = [tiny_clip(row) for row in range(MOST_CLIPS + 1)]
    write_store(tmp_path / "many.arrow", clips, tiny_info(pipeline="as-given"))

    with pytest.raises(SourceError, match="holds 101 clips, more than 100; choose some by --clip"):
        predict(checkpoint, tmp_path / "many.arrow")
    with pytest.raises(
        SourceError, match="there is no clip 'x' among 101, from clip000 to clip100"
    ):
        predict(checkpoint, tmp_path / "many.arrow", names=["x"])
    assert len(predict(checkpoint, tmp_path / "many.arrow", names=["clip007", "clip002"])) == 2


def test_files_of_other_kinds_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"video")
    np.save(tmp_path / "one.npy", body())

    with pytest.raises(
        SourceError, match=r"clip.mp4: expected .skeleton, .npy .*, found another kind"
    ):
        predict(checkpoint, tmp_path / "clip.mp4")
    with pytest.raises(SourceError, match="there is no such file"):
        predict(checkpoint, tmp_path / "none.npy")
    with pytest.raises(SourceError, match="holds one clip; --clip is for files that hold several"):
        predict(checkpoint, tmp_path / "one.npy", names=["one"])


def test_what_is_no_network_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a run folder or a checkpoint"):
        predict(tmp_path, body())
    with pytest.raises(NetworkError, match="found a ReLU, which knows neither its classes"):
        predict(nn.ReLU(), body())
    with pytest.raises(DataError, match="expected at least one clip and one class"):
        predict(checkpoint, body(), top=0)


def test_one_network_serves_many_files(checkpoint: Path) -> None:
    network = open_network(checkpoint)

    first, again = predict(network, body()), predict(network, body())

    assert first == again
