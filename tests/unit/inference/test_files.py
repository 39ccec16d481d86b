"""Exported files are opened without running anything of their maker's, or not at all."""

import io
import pickle
import shutil
import sys
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from export_kit import some_clips
from tiny_clips import CLASSES

from skelab.errors import CheckpointError, ExportError, NetworkError
from skelab.export import ExportReport
from skelab.inference import open_network, read_network_file
from skelab.tasks import TaskSpec


class _Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


def test_a_pt2_file_is_refused_unless_its_maker_is_trusted(
    exports: dict[str, ExportReport],
) -> None:
    path = exports["torch"].path

    with pytest.raises(ExportError, match=r"\.pt2: opening a .pt2 file can run any code.*--trust"):
        open_network(path)

    assert open_network(path, trust=True).spec == exports["torch"].spec


def test_code_in_a_pt2_file_is_not_run_before_trust_is_given(
    exports: dict[str, ExportReport], tmp_path: Path
) -> None:
    bad, sign = tmp_path / "bad.pt2", tmp_path / "was-run"
    with (
        zipfile.ZipFile(exports["torch"].path) as source,
        zipfile.ZipFile(bad, "w") as target,
    ):
        for name in source.namelist():
            evil = "sample_inputs" in name or name.endswith(".pt")
            target.writestr(name, pickle.dumps(_Bomb(sign)) if evil else source.read(name))

    with pytest.raises(ExportError, match="can run any code"):
        open_network(bad)

    assert not sign.exists()


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_onnx_and_openvino_need_no_trust_and_no_family(
    to: str, exports: dict[str, ExportReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skelab.models.registry._FAMILIES", {})

    exported = open_network(exports[to].path)

    assert exported.spec == exports[to].spec
    assert exported.logits(some_clips((2, 3, 8, 15, 2))).dtype == np.float32


@pytest.mark.parametrize(
    "shape", [(2, 3, 8, 14, 2), (2, 3, 8, 15, 1), (2, 2, 8, 15, 2), (2, 3, 7, 15, 2)]
)
def test_clips_of_another_shape_are_refused(
    shape: tuple[int, ...], exports: dict[str, ExportReport]
) -> None:
    exported = open_network(exports["onnx"].path)

    with pytest.raises(NetworkError, match=r"expected N x 3 x T x 15 x 2 .*, found 2 x"):
        exported.logits(some_clips(shape))


def test_clips_between_the_steps_of_a_graph_are_refused(exports: dict[str, ExportReport]) -> None:
    exported = open_network(exports["onnx"].path)
    in_steps = replace(exported, spec=replace(exported.spec, frames_multiple_of=4))

    assert in_steps.logits(some_clips((2, 3, 12, 15, 2))).shape == (2, 4)
    with pytest.raises(NetworkError, match=r"N x 3 x T \(a multiple of 4\) x 15 x 2"):
        in_steps.logits(some_clips((2, 3, 13, 15, 2)))


def test_clips_beyond_the_limits_of_a_graph_are_refused(exports: dict[str, ExportReport]) -> None:
    exported = open_network(exports["onnx"].path)
    limited = replace(exported, spec=replace(exported.spec, max_frames=12))

    assert limited.logits(some_clips((2, 3, 12, 15, 2))).shape == (2, 4)
    with pytest.raises(NetworkError, match=r"N x 3 x T \(from 1 to 12\) x 15 x 2"):
        limited.logits(some_clips((2, 3, 13, 15, 2)))


def test_weights_of_another_export_are_refused(
    exports: dict[str, ExportReport], tmp_path: Path
) -> None:
    for file in exports["openvino"].files:
        shutil.copy(file, tmp_path / f"net{file.suffix}")
    weights = bytearray((tmp_path / "net.bin").read_bytes())
    weights[0] ^= 1
    (tmp_path / "net.bin").write_bytes(weights)

    with pytest.raises(ExportError, match=r"the .bin file beside it is of another export"):
        open_network(tmp_path / "net.xml")


def test_an_xml_without_its_weights_is_refused(
    exports: dict[str, ExportReport], tmp_path: Path
) -> None:
    shutil.copy(exports["openvino"].path, tmp_path / "net.xml")

    with pytest.raises(ExportError, match=r"net.bin: cannot be read: No such file"):
        open_network(tmp_path / "net.xml")


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
def test_a_damaged_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"no network at all")
    path.with_suffix(".bin").write_bytes(b"")

    with pytest.raises(ExportError, match="found one that is damaged or of another kind: "):
        open_network(path, trust=True)


def test_a_graph_that_another_program_made_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(2),))
    torch.export.save(program, buffer)
    (tmp_path / "net.pt2").write_bytes(buffer.getvalue())

    with pytest.raises(ExportError, match="without the description that says which joints"):
        open_network(tmp_path / "net.pt2", trust=True)


def test_a_file_of_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.h5").write_bytes(b"another program's")

    with pytest.raises(CheckpointError, match=r"net.h5: expected a checkpoint, found a damaged"):
        open_network(tmp_path / "net.h5")


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_is_cut_off_is_one_line(
    suffix: str, share: float, exports: dict[str, ExportReport], tmp_path: Path
) -> None:
    for report in exports.values():
        for file in report.files:
            content = file.read_bytes()
            kept = int(share * len(content)) if file.suffix == suffix else len(content)
            (tmp_path / f"net{file.suffix}").write_bytes(content[:kept])

    with pytest.raises(ExportError) as error:
        open_network(tmp_path / f"net{suffix}", trust=True)

    assert str(tmp_path / f"net{suffix}") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
def test_a_file_that_is_not_there_is_one_line(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=rf"net\{suffix}: cannot be read: No such file"):
        open_network(tmp_path / f"net{suffix}")


def test_a_description_is_read_without_any_engine(
    exports: dict[str, ExportReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("onnx", "onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, package, None)

    for to, report in exports.items():
        assert read_network_file(report.path).spec == report.spec
        assert report.spec.target == to


def test_a_file_that_was_renamed_to_another_kind_is_refused(
    exports: dict[str, ExportReport], tmp_path: Path
) -> None:
    graph = onnx.load(exports["onnx"].path)
    text = graph.metadata_props[0].value.replace('"target": "onnx"', '"target": "checkpoint"')
    graph.metadata_props[0].value = text
    onnx.save(graph, tmp_path / "net.onnx")

    with pytest.raises(
        ExportError, match=r"of a file of kind 'checkpoint', found in one of kind 'onnx'"
    ):
        open_network(tmp_path / "net.onnx")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_onnx_file_cannot_make_an_engine_read_other_files(
    engine: str, exports: dict[str, ExportReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = onnx.load(exports["onnx"].path)
    onnx.save(
        graph, tmp_path / "net.onnx", save_as_external_data=True, size_threshold=0, location="w.bin"
    )

    with pytest.raises(ExportError, match=r"net.onnx: .*: its weights are in other files"):
        open_network(tmp_path / "net.onnx", engine=engine)


def test_an_xml_that_declares_entities_is_refused(
    exports: dict[str, ExportReport], tmp_path: Path
) -> None:
    for file in exports["openvino"].files:
        shutil.copy(file, tmp_path / f"net{file.suffix}")
    text = (tmp_path / "net.xml").read_text()
    bomb = '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n<net '
    (tmp_path / "net.xml").write_text(text.replace("<net ", bomb, 1))

    with pytest.raises(ExportError, match="it declares entities"):
        open_network(tmp_path / "net.xml")


def test_files_that_the_first_version_wrote_still_open(repository: Path) -> None:
    old = repository / "tests" / "golden" / "exported"
    joints = np.random.default_rng(0).normal(size=(2, 3, 8, 15, 2)).astype(np.float32)
    expected = np.load(old / "logits.npy")

    for kind, name in (("onnx", "tiny.onnx"), ("openvino", "tiny.xml"), ("torch", "tiny.pt2")):
        spec = read_network_file(old / name).spec
        assert (spec.target, spec.classes, spec.task) == (kind, CLASSES, TaskSpec())
        assert (spec.recipe, spec.dynamic_frames, spec.epoch) == ("", True, 3)
    assert read_network_file(old / "tiny.safetensors").spec.digest == spec.digest
    trained = open_network(old / "tiny.safetensors")
    np.testing.assert_allclose(trained.logits(joints), expected, rtol=1e-4, atol=1e-5)
    for name, package in (("tiny.onnx", "onnxruntime"), ("tiny.xml", "openvino")):
        if find_spec(package):
            found = open_network(old / name).logits(joints)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
