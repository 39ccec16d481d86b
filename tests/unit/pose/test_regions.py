"""Regions of people: where the detector sees them, and what is cut out of the picture."""

import math

import numpy as np
import pytest

from skelab.pose.regions import (
    Detection,
    Letterbox,
    Region,
    as_picture,
    decode_detections,
    drop_doubles,
    fit_square,
    make_anchors,
    squares_of,
)


def test_somebody_upright_has_an_upright_region() -> None:
    region = Region.around(np.array([100.0, 200.0]), np.array([100.0, 120.0]))

    assert region == Region(100.0, 200.0, 200.0, 0.0)


@pytest.mark.parametrize(
    ("rim", "angle"), [((180.0, 200.0), 90), ((20.0, 200.0), -90), ((100.0, 280.0), 180)]
)
def test_the_region_turns_with_the_body(rim: tuple[float, float], angle: int) -> None:
    region = Region.around(np.array([100.0, 200.0]), np.array(rim))

    assert abs(math.degrees(region.angle)) == pytest.approx(abs(angle))
    # The top of the region is where the head is.
    top = region.to_picture(np.array([0.5, 0.0]))
    assert np.dot(top - (100, 200), np.array(rim) - (100, 200)) > 0


def test_points_of_a_region_are_turned_about_its_centre() -> None:
    region = Region(50.0, 60.0, 20.0, math.pi / 2)

    points = region.to_picture(np.array([[0.5, 0.5], [1.0, 0.5], [0.5, 1.0]]))

    np.testing.assert_allclose(points, [[50, 60], [50, 70], [40, 60]], atol=1e-9)
    np.testing.assert_allclose(region.turn(np.array([1.0, 0.0])), [0, 1], atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, -2.0])
def test_a_cut_shows_what_lies_at_its_points(angle: float) -> None:
    rows, columns = np.mgrid[0:200, 0:300]
    picture = np.stack([columns * 0.8, rows, np.full_like(rows, 50)], axis=-1).astype(np.uint8)
    region = Region(150.0, 100.0, 90.0, angle)

    cut = region.cut(picture, 64)

    for u, v in ((0.25, 0.25), (0.5, 0.5), (0.75, 0.3)):
        x, y = region.to_picture(np.array([u, v]))
        seen = cut[int(v * 64), int(u * 64)] * 255
        np.testing.assert_allclose(seen, [0.8 * x, y, 50], atol=2.5)


def test_a_cut_is_black_outside_of_the_picture() -> None:
    picture = np.full((100, 100, 3), 255, dtype=np.uint8)

    cut = Region(0.0, 50.0, 80.0).cut(picture, 32)

    assert cut[16, 2].max() == 0
    assert cut[16, 30].min() == 1


def test_a_picture_is_fitted_into_a_square_and_back() -> None:
    picture = np.zeros((50, 100, 3), dtype=np.uint8)
    picture[:, 50:] = 255

    square, letterbox = fit_square(as_picture(picture), 64)

    assert letterbox == Letterbox(0.64, 0, 16)
    assert square[32, 60].min() == pytest.approx(1)
    assert square[2].max() == -1
    np.testing.assert_allclose(letterbox.to_picture(np.array([32.0, 32.0])), [50, 25])


def test_there_are_as_many_anchors_as_the_model_has_boxes() -> None:
    anchors = make_anchors()

    assert anchors.shape == (2254, 2)
    np.testing.assert_allclose(anchors[0], 0.5 / 28)
    np.testing.assert_allclose(anchors[1568], 0.5 / 14)
    np.testing.assert_allclose(anchors[-1], 6.5 / 7)


def test_a_box_is_decoded_from_its_anchor() -> None:
    boxes = np.zeros((2254, 12), dtype=np.float32)
    logits = np.full(2254, -90.0, dtype=np.float32)
    number = 1000
    boxes[number] = [2, 3, 40, 60, 0, 10, 0, -50, 0, 0, 0, 0]
    logits[number] = 3.0

    (found,) = decode_detections(boxes, logits, Letterbox(0.5, 0.0, 20.0))

    x, y = make_anchors()[number] * 224
    assert found.score == pytest.approx(1 / (1 + math.exp(-3)))
    assert found.region.x == pytest.approx(2 * x)
    assert found.region.y == pytest.approx(2 * (y + 10 - 20))
    assert found.region.side == pytest.approx(2 * 2.5 * 60)
    assert found.box[0] == pytest.approx(2 * (x + 2 - 20))


def test_boxes_of_one_person_become_one_and_others_stay() -> None:
    boxes = np.zeros((2254, 12), dtype=np.float32)
    logits = np.full(2254, -90.0, dtype=np.float32)
    boxes[:, 2:4], boxes[:, 7] = 60, -50
    for number in (800, 802, 830):  # the last is further to the right
        logits[number] = 2.0 + number / 1000

    found = decode_detections(boxes, logits, Letterbox(1.0, 0.0, 0.0))

    assert len(found) == 2
    assert found[0].score > found[1].score


def test_squares_cover_a_wide_and_a_high_picture() -> None:
    assert squares_of(1600, 800) == [(0, 0, 800), (400, 0, 800), (800, 0, 800)]
    assert squares_of(600, 800) == [(0, 0, 600), (0, 200, 600)]
    assert squares_of(500, 500) == [(0, 0, 500)]


def test_a_person_in_two_squares_is_one() -> None:
    one = Detection(Region(100.0, 100.0, 200.0), 0.8, (0, 0, 1, 1))
    again = Detection(Region(-280.0, 110.0, 210.0), 0.9, (0, 0, 1, 1)).moved(400, 0)
    other = Detection(Region(700.0, 100.0, 200.0), 0.7, (0, 0, 1, 1))

    assert drop_doubles([one, again, other]) == [again, other]
    assert again.box == (400, 0, 401, 1)


def test_overlap_is_intersection_over_union() -> None:
    one, two = Region(0.0, 0.0, 10.0), Region(5.0, 0.0, 10.0)

    assert one.overlap(one) == 1
    assert one.overlap(two) == pytest.approx(50 / 150)
    assert one.overlap(Region(50.0, 0.0, 10.0)) == 0
    assert one.distance(two) == pytest.approx(0.5)
