"""A network gives scores and logits whatever file it came from; wrong clips are one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from export_kit import family_checkpoint, needs_export, skip_without_export, some_clips
from jaxtyping import Shaped
from numpy import ndarray
from tiny_clips import CLASSES, SBU15, tiny_clip, tiny_store
from tiny_run import enter_tiny_family

from skelab.data.clips.store import ClipStore
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder
from skelab.data.feeding.transforms import Fill
from skelab.errors import CheckpointError, DataError, NetworkError, ScoresError
from skelab.evaluation import Scores, softmax
from skelab.export import export_checkpoint
from skelab.inference import Network, NetworkSpec, open_network, read_checkpoint
from skelab.inference.network import ClipSampling
from skelab.inference.scoring import predict_logits
from skelab.tasks import TaskSpec

ROWS = np.array([7, 2, 9, 0])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """24 clips as the networks below were trained on them."""
    return tiny_store(tmp_path_factory.mktemp("clips") / "clips.arrow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for these clips, as checkpoint and as exported files."""
    folder = tmp_path_factory.mktemp("nets")
    with pytest.MonkeyPatch.context() as patch:
        enter_tiny_family(patch)
        trained = {"layout": SBU15, "classes": CLASSES, "options": {}, "pipeline": "ctrgcn"}
        family_checkpoint(folder / "net.safetensors", "tiny", **trained)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    """The same folder with the network as ONNX, OpenVINO and torch.export files."""
    skip_without_export()
    with pytest.MonkeyPatch.context() as patch:
        enter_tiny_family(patch)
        for to, name in (("onnx", "net.onnx"), ("openvino", "net.xml"), ("torch", "net.pt2")):
            export_checkpoint(folder / "net.safetensors", folder / name, to=to)
    return folder


def scored(network: Network, clips: ClipStore) -> np.ndarray:
    scores = network.scores(clips, ROWS, split="xsub", part="test", batch_size=3)
    assert isinstance(scores, Scores)
    return scores.logits


def test_scores_are_bit_for_bit_what_training_would_score(folder: Path, clips: ClipStore) -> None:
    checkpoint = read_checkpoint(folder / "net.safetensors")
    feeder = Feeder(checkpoint.inputs.feeder, SBU15)
    expected = predict_logits(checkpoint.build(), feeder, clips, ROWS, max_bodies=2, batch_size=3)

    scores = open_network(checkpoint).scores(clips, ROWS, split="xsub", part="test", batch_size=3)

    assert isinstance(scores, Scores)
    np.testing.assert_array_equal(scores.logits, expected)
    assert scores.names == tuple(clips.index.names[row] for row in ROWS)
    assert scores.info.checkpoint == checkpoint.digest
    assert (scores.info.split, scores.info.part, scores.info.protocol) == ("xsub", "test", "honest")
    assert (scores.info.model, scores.info.stream, scores.info.synthetic) == ("tiny", "joint", True)
    assert set(scores.groups) == {"subject", "camera", "setup"}


@pytest.mark.parametrize("name", ["net.onnx", "net.xml", "net.pt2"])
def test_an_exported_file_gives_the_scores_of_its_checkpoint(
    name: str, exported: Path, clips: ClipStore
) -> None:
    expected = scored(open_network(exported / "net.safetensors"), clips)

    found = scored(open_network(exported / name, trust=True), clips)

    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_clips_of_another_kind_are_not_scored(checkpoint: Path, clips: ClipStore) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"was trained on pipeline as-given, but .* ctrgcn; `skelab ingest RECORDINGS STORE"
        r" --pipeline as-given` prepares",
    ):
        scored(open_network(checkpoint), clips)


def test_progress_is_told_after_each_batch(folder: Path, clips: ClipStore) -> None:
    told: list[tuple[int, int]] = []

    open_network(folder / "net.safetensors").scores(
        clips,
        ROWS,
        split="xsub",
        part="test",
        batch_size=3,
        on_scored=lambda done, total: told.append((done, total)),
    )

    assert told == [(3, 4), (4, 4)]


def test_a_network_that_diverged_is_refused_by_its_scores(folder: Path, clips: ClipStore) -> None:
    checkpoint = read_checkpoint(folder / "net.safetensors")
    weights = {name: value * float("nan") for name, value in checkpoint.weights.items()}

    with pytest.raises(ScoresError, match="expected finite logits, found NaN"):
        scored(open_network(replace(checkpoint, weights=weights)), clips)


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (some_clips((2, 3, 8, 15)), r"expected N x 3 x T x 15 x 2 .*, found 2 x 3 x 8 x 15$"),
        (some_clips((0, 3, 8, 15, 2)), r"found 0 x 3 x 8 x 15 x 2$"),
        (np.zeros((1, 3, 8, 15, 2), dtype=int), r"expected float32 coordinates, found int64$"),
        (np.full((1, 3, 8, 15, 2), np.nan), r"expected finite coordinates, found NaN or infinity$"),
    ],
)
def test_what_is_no_clip_is_refused_before_any_engine_sees_it(
    joints: Shaped[ndarray, " ..."], message: str, folder: Path
) -> None:
    spec = open_network(folder / "net.safetensors").spec

    with pytest.raises(NetworkError, match="net.onnx: " + ".*" + message):
        spec.check_input(joints, "net.onnx")


def test_arrays_of_any_making_and_tensors_give_the_same_logits(folder: Path) -> None:
    network = open_network(folder / "net.safetensors")
    joints = some_clips((2, 3, 8, 15, 2))
    expected = network.logits(joints)

    fixed = joints.copy()
    fixed.flags.writeable = False
    strided = np.asfortranarray(joints)

    for given in (torch.from_numpy(joints), fixed, joints[:, ::-1][:, ::-1], strided):
        np.testing.assert_allclose(network.logits(given), expected, rtol=1e-6)
    np.testing.assert_allclose(network.logits(joints.astype(np.float64)), expected, rtol=1e-6)


def test_a_checkpoint_takes_clips_of_any_length(folder: Path) -> None:
    network = open_network(folder / "net.safetensors")

    assert network.logits(some_clips((2, 3, 21, 15, 2))).shape == (2, 3)
    assert network.logits(some_clips((2, 3, 2, 15, 2))).shape == (2, 3)


def test_a_checkpoint_in_memory_is_opened_as_one_in_a_file(folder: Path) -> None:
    path = folder / "net.safetensors"
    joints = some_clips((2, 3, 8, 15, 2))

    from_file, from_memory = open_network(path), open_network(read_checkpoint(path))

    assert from_file.spec == from_memory.spec == NetworkSpec.of_checkpoint(read_checkpoint(path))
    np.testing.assert_array_equal(from_file.logits(joints), from_memory.logits(joints))


@needs_export
def test_threads_and_number_format_are_options(exported: Path) -> None:
    joints = some_clips((2, 3, 8, 15, 2))
    threads = torch.get_num_threads()
    try:
        halved = open_network(exported / "net.safetensors", threads=1, precision="bf16")
        set_to = torch.get_num_threads()
    finally:
        torch.set_num_threads(threads)
    expected = open_network(exported / "net.safetensors").logits(joints)

    assert set_to == 1
    assert halved.logits(joints).dtype == np.float32
    assert 0 < np.abs(halved.logits(joints) - expected).max() < 0.02 * np.abs(expected).max()


def test_only_classification_names_the_class_of_a_clip(folder: Path) -> None:
    network = open_network(folder / "net.safetensors")
    other = replace(network, spec=replace(network.spec, task=TaskSpec("poses")))

    with pytest.raises(NetworkError, match=r"its task is poses; only classification names classes"):
        other.predict([tiny_clip(0)])


def test_scores_of_several_test_clips_are_the_mean_of_their_probabilities(
    folder: Path, clips: ClipStore
) -> None:
    network = open_network(folder / "net.safetensors")
    inputs = network.spec.inputs
    sampling = inputs.feeder.model_copy(update={"fill": Fill.SAMPLE})
    network = replace(network, spec=replace(network.spec, inputs=replace(inputs, feeder=sampling)))
    padded = pad_clips([(int(row), clips.clip(int(row))) for row in ROWS], max_bodies=2)

    scores = network.scores(
        clips, ROWS, split="xsub", part="test", test_clips=ClipSampling(3, mirrored=True)
    )

    shown = list(network.spec.make_feeder().test_batches(padded, 3, mirrored=True))
    mean = np.mean([softmax(network.logits(batch.joints)) for batch in shown], axis=0)
    assert isinstance(scores, Scores)
    np.testing.assert_allclose(np.exp(scores.logits), mean, rtol=1e-5)


def test_test_clips_are_for_classification_and_sampled_windows(
    folder: Path, clips: ClipStore
) -> None:
    network = open_network(folder / "net.safetensors")
    other = replace(network, spec=replace(network.spec, task=TaskSpec("poses")))
    where = {"split": "xsub", "part": "test", "test_clips": ClipSampling(2)}

    with pytest.raises(NetworkError, match="its task is poses; only classification averages test"):
        other.scores(clips, ROWS, **where)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"expected a network with data\.fill=sample, found resize"):
        network.scores(clips, ROWS, **where)  # type: ignore[arg-type]
