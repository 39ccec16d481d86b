"""Regions of a picture with one person: where a detector sees them, and how they are cut out.

The geometry is that of BlazePose (arXiv:2006.10204; MediaPipe's ``pose_detection`` and
``pose_landmark`` graphs name the constants): a person is a square, turned so that the body stands
upright in it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from PIL import Image

DETECTOR_SIDE: Final = 224
"""Pixels of the detector's input, which is square."""

_STRIDES: Final = ((8, 2), (16, 2), (32, 6))  # of a cell in pixels, and anchors in each
_SCORE_LIMIT: Final = 100.0  # logits are clipped there
_LARGER: Final = 1.25  # a region over the circle around the body
_HIPS, _RIM = 0, 1  # key points of a detection: middle of the hips, a point on the circle
_UPRIGHT: Final = math.pi / 2


@dataclass(frozen=True)
class Region:
    """A turned square around a person, in pixels of the picture.

    Attributes:
        x: Centre, to the right.
        y: Centre, downwards.
        side: Length of a side.
        angle: Turn, clockwise as seen, radians; 0 for a person who stands upright.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, centre: Float[ndarray, "2"], rim: Float[ndarray, "2"]) -> "Region":
        """The region of a body: a point on the circle around it shows where its head is."""
        across, down = float(rim[0] - centre[0]), float(rim[1] - centre[1])
        angle = _UPRIGHT - math.atan2(-down, across)
        turned = math.remainder(angle, 2 * math.pi)
        side = 2 * _LARGER * math.hypot(across, down)
        return cls(float(centre[0]), float(centre[1]), side, turned)

    def to_picture(self, points: Float[ndarray, "*points 2"]) -> Float[ndarray, "*points 2"]:
        """Points of the region (0..1 along its sides) as pixels of the picture."""
        turned = (points - 0.5) @ self._axes() * self.side
        moved: Float[ndarray, "*points 2"] = turned + np.array([self.x, self.y])
        return moved

    def turn(self, vectors: Float[ndarray, "*points 2"]) -> Float[ndarray, "*points 2"]:
        """Directions of the region as those of the picture; lengths stay."""
        turned: Float[ndarray, "*points 2"] = vectors @ self._axes()
        return turned

    def cut(self, picture: UInt8[ndarray, "H W 3"], side: int) -> Float32[ndarray, "side side 3"]:
        """The region as an upright picture, 0..1; what lies outside of the picture is black."""
        high, wide = picture.shape[:2]
        corners = self.to_picture(np.array([(0.0, 0.0), (1, 0), (0, 1), (1, 1)]))
        left, top = np.clip(np.floor(corners.min(axis=0)) - 2, 0, (wide - 1, high - 1)).astype(int)
        right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 2, 1, (wide, high)).astype(int)
        part = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
        axes = self._axes() * self.side / side
        start = corners[0] - (left, top)
        affine = (axes[0, 0], axes[1, 0], start[0], axes[0, 1], axes[1, 1], start[1])
        turned = as_picture(part).transform(
            (side, side),
            Image.Transform.AFFINE,
            tuple(float(value) for value in affine),
            resample=Image.Resampling.BILINEAR,
        )
        cut: Float32[ndarray, "side side 3"] = np.asarray(turned, dtype=np.float32) / 255
        return cut

    def overlap(self, other: "Region") -> float:
        """Intersection over union with another, both taken as upright; 0..1."""
        shared = 1.0
        for one, two in ((self.x, other.x), (self.y, other.y)):
            low = max(one - self.side / 2, two - other.side / 2)
            high = min(one + self.side / 2, two + other.side / 2)
            shared *= max(0.0, high - low)
        return shared / (self.side**2 + other.side**2 - shared) if shared else 0.0

    def distance(self, other: "Region") -> float:
        """Distance of the centres, in sides of the larger of the two."""
        return math.hypot(self.x - other.x, self.y - other.y) / max(self.side, other.side, 1e-9)

    def _axes(self) -> Float[ndarray, "2 2"]:
        """The directions of the region's own x and y."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cosine, sine], [-sine, cosine]])


@dataclass(frozen=True)
class Detection:
    """A person whom a detector sees.

    Attributes:
        region: Where.
        score: How sure it is, 0..1.
        box: Left, top, right, bottom of the face or the upper body, pixels of the picture.
    """

    region: Region
    score: float
    box: tuple[float, float, float, float]

    def moved(self, x: float, y: float) -> "Detection":
        """The same in a picture of which this one is a part, at ``x`` and ``y``."""
        region = replace(self.region, x=self.region.x + x, y=self.region.y + y)
        left, top, right, bottom = self.box
        return Detection(region, self.score, (left + x, top + y, right + x, bottom + y))


@dataclass(frozen=True)
class Letterbox:
    """How a picture was brought into a square: scaled, and padded on two sides.

    Attributes:
        scale: Pixels of the square over those of the picture.
        left: Padding, pixels of the square.
        top: Padding.
    """

    scale: float
    left: float
    top: float

    def to_picture(self, points: Float[ndarray, "*points 2"]) -> Float[ndarray, "*points 2"]:
        """Pixels of the square as pixels of the picture."""
        moved: Float[ndarray, "*points 2"] = points - np.array([self.left, self.top])
        return moved / self.scale


def fit_square(
    picture: Image.Image, side: int = DETECTOR_SIDE
) -> tuple[Float32[ndarray, "side side 3"], Letterbox]:
    """A picture scaled into a square and padded with black; values -1..1, and how that was done."""
    scale = side / max(picture.size)
    wide, high = (max(1, round(length * scale)) for length in picture.size)
    left, top = (side - wide) // 2, (side - high) // 2
    small = picture.resize((wide, high), Image.Resampling.BILINEAR, reducing_gap=2.0)
    square = np.zeros((side, side, 3), dtype=np.float32)
    square[top : top + high, left : left + wide] = np.asarray(small, dtype=np.float32) / 255
    return square * 2 - 1, Letterbox(scale, left, top)


def squares_of(width: int, height: int) -> list[tuple[int, int, int]]:
    """Squares that cover a picture, half overlapping: left, top and side of each.

    The detector sees a square of 224 pixels, in which people of a wide picture are too small: on
    one video it missed them in the whole picture, and was sure of them in the squares.
    """
    side, length = min(width, height), max(width, height)
    count = 1 + math.ceil((length - side) / (side / 2))
    places = np.linspace(0, length - side, count).round().astype(int).tolist()
    if width >= height:
        return [(place, 0, side) for place in places]
    return [(0, place, side) for place in places]


def drop_doubles(detections: Iterable[Detection], most: float = 0.35) -> list[Detection]:
    """The surest detection of each person, the surest first.

    Args:
        detections: Of all squares, in pixels of the picture.
        most: Distance of centres, in sides of a region, within which two are of one person.
    """
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda each: -each.score):
        if all(detection.region.distance(other.region) > most for other in kept):
            kept.append(detection)
    return kept


def make_anchors(side: int = DETECTOR_SIDE) -> Float32[ndarray, "A 2"]:
    """Where each of the detector's boxes is counted from, 0..1: the middles of its cells."""
    anchors = []
    for stride, count in _STRIDES:
        cells = side // stride
        middles = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        anchors.append(np.repeat(grid, count, axis=0))
    return np.concatenate(anchors).astype(np.float32)


def decode_detections(
    boxes: Float32[ndarray, "A 12"],
    logits: Float32[ndarray, " A"],
    letterbox: Letterbox,
    *,
    threshold: float = 0.5,
    most_overlap: float = 0.3,
    side: int = DETECTOR_SIDE,
) -> list[Detection]:
    """The people in the output of BlazePose's detector, the surest first.

    Args:
        boxes: Of each anchor: centre, width and height of a box, then four key points, all in
            pixels of the detector's input.
        logits: How sure the detector is of each.
        letterbox: How the picture was brought into that input.
        threshold: Least probability.
        most_overlap: Of two boxes that overlap more (intersection over union), the less sure is
            dropped; a detector's boxes of one person are averaged before, by their probability.
        side: Pixels of the detector's input.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -_SCORE_LIMIT, _SCORE_LIMIT)))
    sure = np.flatnonzero(scores >= threshold)
    order = sure[np.argsort(-scores[sure], kind="stable")]
    anchors = make_anchors(side)[order] * side
    found = boxes[order].astype(np.float64)
    half = found[:, 2:4] / 2
    corners = np.concatenate([found[:, :2] + anchors - half, found[:, :2] + anchors + half], axis=1)
    points = found[:, 4:].reshape(-1, 4, 2) + anchors[:, None]
    detections = []
    left = np.arange(len(order))
    while len(left):
        shared = _overlaps(corners[left[0]], corners[left])
        same = left[shared > most_overlap] if len(left) > 1 else left
        same = same if len(same) else left[:1]
        weights = scores[order[same]] / scores[order[same]].sum()
        box = letterbox.to_picture((weights @ corners[same]).reshape(2, 2))
        seen = letterbox.to_picture(np.einsum("k,kpc->pc", weights, points[same]))
        region = Region.around(seen[_HIPS], seen[_RIM])
        edges = (float(box[0, 0]), float(box[0, 1]), float(box[1, 0]), float(box[1, 1]))
        detections.append(Detection(region, float(scores[order[left[0]]]), edges))
        left = left[(shared <= most_overlap) & (np.arange(len(left)) > 0)]
    return detections


def as_picture(pixels: UInt8[ndarray, "H W 3"]) -> Image.Image:
    """The pixels as Pillow has them."""
    return Image.fromarray(np.ascontiguousarray(pixels))


def _overlaps(box: Float[ndarray, "4"], boxes: Float[ndarray, "K 4"]) -> Float[ndarray, " K"]:
    """Intersection over union of a box with each of several."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    own = float(np.prod(np.clip(box[2:] - box[:2], 0, None)))
    whole = own + areas - shared
    shares: Float[ndarray, " K"] = np.zeros_like(shared)
    np.divide(shared, whole, out=shares, where=whole > 0)
    return shares
