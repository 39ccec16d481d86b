"""Arrays and files become clips, prepared as a network was trained on them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skelab.errors import DataError, SourceError
from skelab.inference import NetworkSpec, read_checkpoint
from skelab.inference.clips import read_clips, recording


@pytest.fixture
def spec(checkpoint: Path) -> NetworkSpec:
    """Of the tiny network: 15 joints, two bodies, taken as given."""
    return NetworkSpec.of_checkpoint(read_checkpoint(checkpoint))


def test_a_body_is_absent_where_all_its_numbers_are_zero(spec: NetworkSpec) -> None:
    joints = np.ones((2, 6, 15, 3))
    joints[1, [0, 4]] = 0.0

    raw = recording(joints, spec, "clip")

    assert raw.num_frames == 6
    assert raw.actors_chosen
    assert raw.bodies["0"].frames.tolist() == [0, 1, 2, 3, 4, 5]
    assert raw.bodies["1"].frames.tolist() == [1, 2, 3, 5]


def test_whole_numbers_are_coordinates_too(spec: NetworkSpec) -> None:
    raw = recording(np.ones((4, 15, 3), dtype=np.int16), spec, "clip")

    assert raw.bodies["0"].joints.dtype == np.float64


@pytest.mark.parametrize("shape", [(), (15, 3), (4, 15, 2), (0, 15, 3), (2, 2, 4, 15, 3)])
def test_arrays_of_other_shapes_are_refused(shape: tuple[int, ...], spec: NetworkSpec) -> None:
    with pytest.raises(DataError, match=r"clip: expected frames x 15 joints x 3 .*found the shape"):
        recording(np.ones(shape), spec, "clip")


def test_truth_values_are_no_coordinates(spec: NetworkSpec) -> None:
    with pytest.raises(DataError, match="expected finite numbers, found others"):
        recording(np.ones((4, 15, 3), dtype=bool), spec, "clip")


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
