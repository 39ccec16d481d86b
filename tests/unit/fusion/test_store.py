from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skelab.errors import SideCarError
from skelab.files.kinds import SIDE_CARS, STORE
from skelab.fusion import (
    SideCar,
    SideCarInfo,
    make_side_car,
    open_side_cars,
    write_side_cars,
)

INFO = SideCarInfo("imu", "1", 3)


def side_car(name: str = "a", frames: int = 4) -> SideCar:
    values = np.random.default_rng(0).normal(size=(frames, 3))
    return make_side_car(name, values, np.arange(frames) * 5, length=frames * 5)


def test_side_cars_come_back_as_they_were_written(tmp_path: Path) -> None:
    first, second = side_car("a", 4), side_car("b", 2)

    info = write_side_cars(tmp_path / "s.arrow", [first, second], INFO)

    store = open_side_cars(tmp_path / "s.arrow")
    found = store.get("b")
    assert store.names == ("a", "b")
    assert store.info == info
    assert "a" in store
    assert store.get("c") is None
    assert found is not None
    assert found.length == 10
    np.testing.assert_array_equal(found.features, second.features)
    np.testing.assert_array_equal(found.frames, [0, 5])


def test_a_vector_with_nan_is_marked_invalid_and_the_others_stay() -> None:
    values = np.ones((3, 2))
    values[1, 0] = np.nan

    made = make_side_car("a", values)

    assert made.valid.tolist() == [True, False, True]
    assert np.isfinite(made.features).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 3), np.nan), "expected finite numbers, found none in any frame"),
        (np.zeros((2, 3)), "found nothing but zeros"),
        (np.full((2, 3), 1e6), "expected numbers up to 65,504"),
    ],
)
def test_features_that_say_nothing_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(SideCarError, match=message):
        make_side_car("a", values)


@pytest.mark.parametrize(
    ("frames", "length", "message"),
    [
        ([3, 3], 9, "expected frame numbers that ascend"),
        ([0, 9], 9, "a recording of 9 frames, found number 9"),
        ([0, 1, 2], 9, "one vector and one mask entry for each of its frames"),
    ],
)
def test_frames_must_fit_the_recording(frames: list[int], length: int, message: str) -> None:
    with pytest.raises(SideCarError, match=message):
        make_side_car("a", np.ones((2, 3)), frames, length=length)


def test_a_store_needs_side_cars_of_one_size_and_of_different_names(tmp_path: Path) -> None:
    path = tmp_path / "s.arrow"

    with pytest.raises(SideCarError, match="expected at least one side-car to write"):
        write_side_cars(path, [], INFO)
    with pytest.raises(SideCarError, match="two side-cars have the name 'a'"):
        write_side_cars(path, [side_car(), side_car()], INFO)
    with pytest.raises(SideCarError, match="expected vectors of 7 numbers, found 3 in 'a'"):
        write_side_cars(path, [side_car()], SideCarInfo("imu", "1", 7))

    assert not path.exists()


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "s.arrow"
    entry = side_car()
    write_side_cars(path, [entry], INFO)
    content = bytearray(path.read_bytes())
    place = bytes(content).index(entry.features.tobytes())
    content[place] ^= 1
    path.write_bytes(content)

    store = open_side_cars(path)

    with pytest.raises(SideCarError, match="side-car a does not match its digest"):
        store.get("a")


def test_other_files_are_refused_in_a_line(tmp_path: Path) -> None:
    cut, foreign, arrow = tmp_path / "cut.arrow", tmp_path / "x.arrow", tmp_path / "y.arrow"
    write_side_cars(cut, [side_car()], INFO)
    cut.write_bytes(cut.read_bytes()[:-100])
    foreign.write_bytes(b"nothing")
    with pa.ipc.new_file(str(arrow), pa.schema([("x", pa.int32())])):
        pass

    with pytest.raises(SideCarError, match="there is no side-car store"):
        open_side_cars(tmp_path / "none.arrow")
    with pytest.raises(SideCarError, match="damaged or another kind of file"):
        open_side_cars(cut)
    with pytest.raises(SideCarError, match="damaged or another kind of file"):
        open_side_cars(foreign)
    with pytest.raises(SideCarError, match="an Arrow file, but not a side-car store"):
        open_side_cars(arrow)


def test_a_side_car_store_is_not_taken_for_a_clip_store(tmp_path: Path) -> None:
    path = tmp_path / "s.arrow"
    write_side_cars(path, [side_car()], INFO)

    assert SIDE_CARS.recognises(path)
    assert not STORE.recognises(path)
