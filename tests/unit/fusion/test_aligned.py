from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from side_car_kit import write_tiny_side_cars
from tiny_clips import SBU15, tiny_store

from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.side_cars import SideCarReader, window_places
from skelab.data.feeding.transforms import CropResize, Fill, PickFrames
from skelab.errors import SideCarError
from skelab.fusion import (
    AlignedSideCars,
    SideCarInfo,
    make_side_car,
    open_side_cars,
    side_cars_of_store,
    write_side_cars,
)


def aligned(
    folder: Path, frames: Sequence[int], *, numbers: Sequence[int], length: int = 100
) -> AlignedSideCars:
    """One side-car whose vectors say their own frame number, for a clip of these frames."""
    vectors = np.array(frames, dtype=float)[:, None] + 1
    path = folder / "s.arrow"
    write_side_cars(
        path, [make_side_car("a", vectors, frames, length=length)], SideCarInfo("x", "1", 1)
    )
    return AlignedSideCars(open_side_cars(path), lambda name: np.array(numbers, dtype=np.int32))


def placed(cars: AlignedSideCars, places: Iterable[float]) -> list[tuple[int, int]]:
    """Frame number and place of every vector that counts."""
    found = cars.batch(["a"], [np.array(list(places), dtype=float)])
    return [
        (int(vector) - 1, int(position))
        for vector, position, valid in zip(
            found.features[0, :, 0], found.positions[0], found.valid[0], strict=True
        )
        if valid
    ]


def test_a_vector_is_placed_by_its_frame_number_and_not_by_proportion(tmp_path: Path) -> None:
    cars = aligned(tmp_path, [0, 10, 20, 30], numbers=range(10, 30))

    assert placed(cars, range(20)) == [(10, 0), (20, 10)]
    assert placed(cars, np.arange(20)[::-1]) == [(10, 19), (20, 9)]


def test_frames_that_the_window_does_not_show_are_left_out(tmp_path: Path) -> None:
    cars = aligned(tmp_path, [0, 10, 20, 30], numbers=range(40))

    assert placed(cars, range(5, 25)) == [(10, 5), (20, 15)]
    assert placed(cars, np.linspace(5, 25, 9)) == [(10, 2), (20, 6)]


def test_a_clip_with_gaps_is_aligned_by_the_numbers_of_its_frames(tmp_path: Path) -> None:
    cars = aligned(tmp_path, [0, 7, 50], numbers=[0, 1, 2, 50, 51])

    assert placed(cars, range(5)) == [(0, 0), (50, 3)]


def test_frames_of_zeros_that_fill_a_window_show_nothing(tmp_path: Path) -> None:
    cars = aligned(tmp_path, [0, 2], numbers=[0, 1, 2])

    assert placed(cars, [0, 1, 2, -1, -1]) == [(0, 0), (2, 2)]


def test_window_places_follow_the_step_that_filled_the_window() -> None:
    resized = window_places(CropResize(8, (1.0,)), [(2, 4), (0, 16)])
    picked = window_places(PickFrames(3, (1.0,), Fill.ZEROS), [[4, 5, -1]])

    np.testing.assert_allclose(resized[0], [2, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5])
    np.testing.assert_allclose(resized[1], np.arange(8) * 2 + 0.5)
    assert picked[0].tolist() == [4, 5, -1]


def test_a_feeder_gives_the_side_cars_of_its_clips(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    side_cars = open_side_cars(write_tiny_side_cars(tmp_path / "s.arrow", store, leave_out=3))
    reader = side_cars_of_store(side_cars, store)
    config = FeederConfig(window=8, eval_crop=1.0)
    feeder = Feeder(config, SBU15, side_cars=reader)
    clips = pad_clips([(row, store.clip(row)) for row in range(4)], 2)

    batch = feeder.evaluation_batch(clips)
    plain = Feeder(config, SBU15).evaluation_batch(clips)

    assert isinstance(reader, SideCarReader)
    assert batch.side_cars is not None
    assert plain.side_cars is None
    assert batch.joints.equal(plain.joints)
    assert batch.side_cars.valid.any(dim=1).tolist() == [False, True, True, False]
    part = batch.part(1, 2).side_cars
    assert part is not None
    assert part.features.equal(batch.side_cars.features[1:3])


def test_an_observed_beginning_shows_no_later_side_car(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    side_cars = open_side_cars(write_tiny_side_cars(tmp_path / "s.arrow", store))
    feeder = Feeder(
        FeederConfig(window=8, eval_crop=1.0),
        SBU15,
        side_cars=side_cars_of_store(side_cars, store),
    )
    clips = pad_clips([(row, store.clip(row)) for row in range(4)], 2)

    half = feeder.evaluation_batch(clips, share=0.5).side_cars
    whole = feeder.evaluation_batch(clips).side_cars

    assert half is not None
    assert whole is not None
    assert (half.valid.sum(dim=1) < whole.valid.sum(dim=1)).all()


def test_controls_exchange_and_remove_side_cars(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    side_cars = open_side_cars(write_tiny_side_cars(tmp_path / "s.arrow", store))
    cars = side_cars_of_store(side_cars, store)
    names = store.index.names[:2]
    places = [np.linspace(0, count - 1, 12) for count in store.frames[:2].tolist()]

    own = cars.batch(names, places)
    exchanged = cars.shuffled({names[0]: names[1]}).batch(names, places)
    removed = cars.without().batch(names, places)

    assert exchanged.features[0].argmax(dim=1)[0] == 1
    assert own.features[0].argmax(dim=1)[0] == 0
    assert exchanged.features[1].equal(own.features[1][: exchanged.features.shape[1]])
    assert not removed.valid.any()


def test_side_cars_of_other_clips_are_refused(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    cars = aligned(tmp_path, [0, 5], numbers=range(200), length=100)

    with pytest.raises(SideCarError, match="none of its 1 side-cars has the name of a clip"):
        side_cars_of_store(cars.store, store)
    with pytest.raises(SideCarError, match="expected a recording of at least 200 frames, as the"):
        placed(cars, range(10))
