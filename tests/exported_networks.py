"""One tiny network, exported to every kind of file: fixtures that conftests take in."""

from pathlib import Path

import pytest
from export_kit import family_checkpoint, skip_without_export
from tiny_clips import SBU15
from tiny_run import enter_tiny_family

from skelab.export import ExportReport, export_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny network for clips of 15 joints and two bodies."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        enter_tiny_family(patch)
        family_checkpoint(path, "tiny", layout=SBU15, options={})
    return path


@pytest.fixture(scope="session")
def exports(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportReport]:
    """The tiny network as a file of each kind, by target."""
    skip_without_export()
    folder = tmp_path_factory.mktemp("exports")
    suffixes = {"onnx": "onnx", "openvino": "xml", "torch": "pt2"}
    with pytest.MonkeyPatch.context() as patch:
        enter_tiny_family(patch)
        return {
            to: export_checkpoint(checkpoint, folder / f"tiny.{suffix}", to=to)
            for to, suffix in suffixes.items()
        }
