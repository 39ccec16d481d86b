"""Which engine runs which file, and one line where that cannot be."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from export_kit import some_clips

from skelab.errors import NetworkError
from skelab.export import ExportReport
from skelab.inference import list_engines, open_network
from skelab.inference.engines import get_engine, register_engine, registry

SHAPE = (3, 3, 8, 15, 2)


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let these packages not be installed."""
    monkeypatch.setattr(
        registry, "find_spec", lambda name: None if name in packages else find_spec(name)
    )


def test_each_kind_of_file_has_its_engines_the_preferred_first() -> None:
    names = {
        kind: [engine.name for engine in list_engines(kind)]
        for kind in ("checkpoint", "onnx", "openvino", "torch")
    }

    assert names == {
        "checkpoint": ["torch", "native"],
        "onnx": ["onnxruntime", "openvino"],
        "openvino": ["openvino"],
        "torch": ["torch"],
    }


@pytest.mark.parametrize(
    ("to", "engine"),
    [
        ("onnx", None),
        ("onnx", "onnxruntime"),
        ("onnx", "openvino"),
        ("openvino", "openvino"),
        ("torch", "torch"),
    ],
)
def test_every_engine_gives_the_logits_of_the_checkpoint(
    to: str, engine: str | None, checkpoint: Path, exports: dict[str, ExportReport]
) -> None:
    joints = some_clips(SHAPE)
    expected = open_network(checkpoint).logits(joints)

    network = open_network(exports[to].path, engine=engine, trust=True, threads=1)

    assert network.engine == (engine or "onnxruntime")
    np.testing.assert_allclose(network.logits(joints), expected, rtol=1e-4, atol=1e-5)


def test_an_engine_that_is_not_installed_gives_way_to_one_that_is(
    exports: dict[str, ExportReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "onnxruntime")

    network = open_network(exports["onnx"].path)

    assert network.engine == "openvino"


def test_an_engine_that_is_not_installed_is_one_line_with_the_command(
    exports: dict[str, ExportReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "onnxruntime", "openvino")

    with pytest.raises(NetworkError) as asked:
        open_network(exports["onnx"].path, engine="openvino")
    with pytest.raises(NetworkError) as usual:
        open_network(exports["onnx"].path)

    install = "pip install 'skeleton-action-lab[export]'"
    path = exports["onnx"].path
    assert str(asked.value) == f"{path}: engine openvino: openvino is not installed: {install}"
    assert (
        str(usual.value) == f"{path}: engine onnxruntime: onnxruntime is not installed: {install}"
    )


def test_an_engine_that_does_not_run_the_file_is_refused_with_those_that_do(
    checkpoint: Path, exports: dict[str, ExportReport]
) -> None:
    with pytest.raises(
        NetworkError, match="engine onnxruntime does not run files of kind checkpoint; expected: to"
    ):
        open_network(checkpoint, engine="onnxruntime")
    with pytest.raises(
        NetworkError, match="does not run files of kind onnx; expected: onnxruntime, openvino"
    ):
        open_network(exports["onnx"].path, engine="torch")
    with pytest.raises(
        NetworkError, match=r"unknown engine 'openvno', did you mean 'openvino'\? Known: native"
    ):
        open_network(checkpoint, engine="openvno")


def test_a_number_format_that_the_engine_does_not_have_is_refused(
    checkpoint: Path, exports: dict[str, ExportReport]
) -> None:
    with pytest.raises(NetworkError, match="engine onnxruntime computes in fp32, found 'bf16'"):
        open_network(exports["onnx"].path, precision="bf16")
    with pytest.raises(NetworkError, match="engine torch computes in fp32, bf16, found 'fp8'"):
        open_network(checkpoint, precision="fp8")


def test_a_further_engine_is_one_call(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENGINES", dict(registry._ENGINES))
    torch = get_engine("torch")
    ones = np.ones((1, 4), dtype=np.float32)

    register_engine(
        replace(torch, name="ones", preferred_for=(), load=lambda file, options: lambda _: ones)
    )

    assert [engine.name for engine in list_engines("checkpoint")] == ["torch", "native", "ones"]
    network = open_network(checkpoint, engine="ones")
    np.testing.assert_array_equal(network.logits(some_clips((1, 3, 8, 15, 2))), ones)
    assert open_network(checkpoint).engine == "torch"
    with pytest.raises(NetworkError, match="engine name 'torch' is taken; choose another"):
        register_engine(torch)
