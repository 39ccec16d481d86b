"""A case on its way to another process and back."""

import json

import pytest

from skelab.bench.cases import WAYS, BenchCase, Runtime
from skelab.training.config import Precision


@pytest.mark.parametrize(("runtime", "precision"), WAYS)
def test_a_case_comes_back_from_its_json(runtime: Runtime, precision: Precision) -> None:
    case = BenchCase("net.onnx", runtime, precision, (1, 3, 64, 25, 2), 2)

    again = BenchCase.from_dict(json.loads(json.dumps(case.to_dict())))

    assert again == case
    assert (again.runtime, again.precision) == (runtime, precision)


def test_every_runtime_names_its_package() -> None:
    assert [runtime.engine.package for runtime in Runtime] == [
        "torch",
        "torch",
        "onnxruntime",
        "openvino",
        "skelab.native._networks_baseline",
    ]
