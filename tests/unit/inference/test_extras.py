"""Packages that are not there are named with the command that installs them; none reports home."""

import subprocess
import sys

import pytest

from skelab.errors import ExportError
from skelab.inference.extras import need, need_openvino


def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(ExportError) as error:
        need("onnxruntime")

    assert "needs the package onnxruntime" in str(error.value)
    assert "pip install 'skeleton-action-lab[export]'" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_openvino_is_said_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)

    with pytest.raises(ExportError, match=r"needs the package openvino.*\[export\]"):
        need_openvino()


def test_openvino_is_imported_without_its_telemetry() -> None:
    code = (
        "import sys; from skelab.inference.extras import need_openvino; need_openvino();"
        "print([name for name in sys.modules if 'openvino_telemetry' in name])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
