"""Variances of coordinates, compiled or not."""

import numpy as np
import pytest

from skelab.native import column_variances
from skelab.native import variance as module


def test_equals_the_definition_in_float64() -> None:
    points = np.random.default_rng(0).normal(3, 1, size=(500, 3)).astype(np.float32)

    found = column_variances(points)

    expected = ((points - points.mean(axis=0, dtype=np.float64)) ** 2).mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32


def test_without_a_compiler_the_bits_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(3, 1, size=(500, 3)).astype(np.float32)[::2]
    usual = column_variances(points)

    monkeypatch.setattr(module, "_compiled", None)

    assert column_variances(points).tobytes() == usual.tobytes()
