"""Exported files are opened without running anything of their maker's, or not at all."""

import io
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_kit import some_clips

from skelab.errors import ExportError
from skelab.export import ExportReport, load_exported


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
        load_exported(path)

    assert load_exported(path, trust=True).metadata == exports["torch"].metadata


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
        load_exported(bad)

    assert not sign.exists()


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_onnx_and_openvino_need_no_trust_and_no_family(
    to: str, exports: dict[str, ExportReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skelab.models.registry._FAMILIES", {})

    exported = load_exported(exports[to].path)

    assert exported.metadata == exports[to].metadata
    assert exported.logits(some_clips((2, 3, 8, 15, 2))).dtype == np.float32


@pytest.mark.parametrize(
    "shape", [(2, 3, 8, 14, 2), (2, 3, 8, 15, 1), (2, 2, 8, 15, 2), (2, 3, 7, 15, 2)]
)
def test_clips_of_another_shape_are_refused(
    shape: tuple[int, ...], exports: dict[str, ExportReport]
) -> None:
    exported = load_exported(exports["onnx"].path)

    with pytest.raises(ExportError, match=r"expected N x 3 x T x 15 x 2 .*, found 2 x"):
        exported.logits(some_clips(shape))


def test_clips_between_the_steps_of_a_graph_are_refused(exports: dict[str, ExportReport]) -> None:
    exported = load_exported(exports["onnx"].path)
    in_steps = replace(exported, metadata=replace(exported.metadata, frames_multiple_of=4))

    assert in_steps.logits(some_clips((2, 3, 12, 15, 2))).shape == (2, 4)
    with pytest.raises(ExportError, match=r"N x 3 x T \(a multiple of 4\) x 15 x 2"):
        in_steps.logits(some_clips((2, 3, 13, 15, 2)))


def test_clips_beyond_the_limits_of_a_graph_are_refused(exports: dict[str, ExportReport]) -> None:
    exported = load_exported(exports["onnx"].path)
    limited = replace(exported, metadata=replace(exported.metadata, max_frames=12))

    assert limited.logits(some_clips((2, 3, 12, 15, 2))).shape == (2, 4)
    with pytest.raises(ExportError, match=r"N x 3 x T \(from 1 to 12\) x 15 x 2"):
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
        load_exported(tmp_path / "net.xml")


def test_an_xml_without_its_weights_is_refused(
    exports: dict[str, ExportReport], tmp_path: Path
) -> None:
    shutil.copy(exports["openvino"].path, tmp_path / "net.xml")

    with pytest.raises(ExportError, match=r"net.bin: cannot be read: No such file"):
        load_exported(tmp_path / "net.xml")


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
def test_a_damaged_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"no network at all")
    path.with_suffix(".bin").write_bytes(b"")

    with pytest.raises(ExportError, match="found one that is damaged or of another kind: "):
        load_exported(path, trust=True)


def test_a_graph_that_another_program_made_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(2),))
    torch.export.save(program, buffer)
    (tmp_path / "net.pt2").write_bytes(buffer.getvalue())

    with pytest.raises(ExportError, match="without the description that says which joints"):
        load_exported(tmp_path / "net.pt2", trust=True)


def test_a_file_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"expected a name that ends with .onnx, .xml, .pt2"):
        load_exported(tmp_path / "net.h5")
