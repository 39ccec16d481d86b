"""Arrays and files become clips, prepared as a network was trained on them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skelab.errors import DataError, SourceError
from skelab.inference import NetworkSpec, read_checkpoint
from skelab.inference.clips import read_clips


@pytest.fixture
def spec(checkpoint: Path) -> NetworkSpec:
    """Of the tiny network: 15 joints, two bodies, taken as given."""
    return NetworkSpec.of_checkpoint(read_checkpoint(checkpoint))


def test_units_must_be_those_that_the_network_knows(spec: NetworkSpec, tmp_path: Path) -> None:
    from skelab.skeleton import get_layout
    from skelab.synthetic import write_synthetic

    write_synthetic(tmp_path, clips=2, actions=2, seed=1)
    file = sorted(tmp_path.glob("*.skeleton"))[0]
    normalised = replace(
        spec,
        model=replace(spec.model, layout=get_layout("ntu25")),
        inputs=replace(spec.inputs, units="normalised"),
    )

    with pytest.raises(DataError, match="was trained on units normalised, found metres"):
        read_clips(file, normalised)


def test_npy_files_that_hold_objects_are_not_loaded(spec: NetworkSpec, tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))

    with pytest.raises(
        SourceError, match="Python objects, which could run code; it was not loaded"
    ):
        read_clips(tmp_path / "objects.npy", spec)
