"""Pictures of a clip, drawn with Pillow as the player draws them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from skelab.viewer.camera import Camera
from skelab.viewer.scene import Pane, Scene

SIZE: Final = 480
"""Height of a film and of each picture in a strip, pixels."""

POSES_OF_STRIP: Final = 6

_OVERSAMPLING: Final = 2  # supersampling factor for smooth edges


@dataclass(frozen=True)
class Theme:
    """Colours of a picture.

    Attributes:
        paper: Background.
        ink: Text.
        muted: Secondary text.
        rule: Floor and shadows.
        bone: Limbs in views with evidence.
        speaks_for: Joints with evidence for the class.
        speaks_against: Joints with evidence against it.
        bodies: The colour of each body, and of its left limbs.
    """

    paper: str
    ink: str
    muted: str
    rule: str
    bone: str
    speaks_for: str
    speaks_against: str
    bodies: tuple[tuple[str, str], ...]


THEMES: Final = {
    "light": Theme(
        *("#fefefd", "#1c2126", "#59626b", "#dcdfe2", "#b9c0c6", "#b8521b", "#2f6fb3"),
        bodies=(("#0f6b78", "#63a9b3"), ("#b8521b", "#dd9a6e"), ("#6b4a9e", "#a98fce")),
    ),
    "dark": Theme(
        *("#14171a", "#e6e8ea", "#a4adb6", "#2d343a", "#566069", "#f0864a", "#5ba3e6"),
        bodies=(("#54b9c6", "#2e7884"), ("#e88a52", "#9a5832"), ("#b394e6", "#71589c")),
    ),
}
"""The colours of the player, by name."""


See = Callable[[Float[ndarray, "*points 3"]], Float[ndarray, "*points 4"]]
"""Projects points to x, y, depth and pixels per unit."""


class Painter:
    """Draws frames of a scene at one size, with one camera per pane.

    Args:
        scene: The clip.
        theme: ``light`` or ``dark``.
        height: Pixels.

    Attributes:
        size: Width and height of a picture; both even, as video codecs require.
    """

    def __init__(self, scene: Scene, *, theme: str = "light", height: int = SIZE) -> None:
        self.scene = scene
        self.theme = THEMES[theme]
        self._cameras = [
            Camera.fitting(pane.poses, scene.layout, flat=scene.is_flat) for pane in scene.panes
        ]
        across = max(_width_over_height(camera) for camera in self._cameras)
        pane_width = int(height * min(max(across, 0.62), 1.6))
        self.pane_size = (pane_width + pane_width % 2, height + height % 2)
        self.size = (self.pane_size[0] * len(scene.panes), self.pane_size[1])
        body = tuple(_OVERSAMPLING * side for side in self._body_size)
        scales = [camera.scale(*body) for camera in self._cameras]
        alike = len({pane.units for pane in scene.panes}) == 1
        self._scales = [min(scales)] * len(scales) if alike else scales

    def frame(self, number: int) -> Image.Image:
        """The picture of a frame: all panes, headings, and the elapsed time."""
        picture = Image.new("RGB", self.size, self.theme.paper)
        for place, pane in enumerate(self.scene.panes):
            drawn = self.pose(number, place)
            picture.paste(drawn, (place * self.pane_size[0], self._top))
            if len(self.scene.panes) > 1:
                self.text(picture, place * self.pane_size[0] + 12, 8, pane.title, muted=True)
        if len(self.scene.panes) == 1:
            self.text(picture, 12, 8, self.scene.label or self.scene.name, muted=False)
        self._time(picture, number)
        return picture

    def pose(self, number: int, place: int) -> Image.Image:
        """The bodies of a frame in one pane, without any text."""
        width, height = self._body_size
        large = (_OVERSAMPLING * width, _OVERSAMPLING * height)
        picture = Image.new("RGB", large, self.theme.paper)
        pen = ImageDraw.Draw(picture)
        camera, pane = self._cameras[place], self.scene.panes[place]
        scale = self._scales[place]

        def see(points: Float[ndarray, "*points 3"]) -> Float[ndarray, "*points 4"]:
            return camera.see(points, large, scale)

        if not self.scene.is_flat:
            self._floor(pen, camera, see(_grid(camera)))
            self._shadows(pen, pane, number, camera, see)
        self._bodies(pen, pane, number, camera, see(pane.poses[:, number]))
        return picture.reduce(_OVERSAMPLING)

    @property
    def _top(self) -> int:
        return 30

    @property
    def _body_size(self) -> tuple[int, int]:
        return self.pane_size[0], self.pane_size[1] - self._top - 16

    def text(
        self, picture: Image.Image, x: int, y: int, text: str, *, muted: bool, room: int = 0
    ) -> None:
        """Write a line, truncated to a width; a pane's width by default."""
        pen = ImageDraw.Draw(picture)
        font = ImageFont.load_default(size=15)
        room = room or self.pane_size[0] - 24
        while pen.textlength(text, font=font) > room and len(text) > 1:
            text = text[:-2].rstrip() + "…"
        pen.text((x, y), text, fill=self.theme.muted if muted else self.theme.ink, font=font)

    def _time(self, picture: Image.Image, number: int) -> None:
        """A progress bar at the bottom."""
        pen = ImageDraw.Draw(picture)
        left, right, y = 12, self.size[0] - 12, self.size[1] - 10
        passed = number / max(self.scene.num_frames - 1, 1)
        pen.line([(left, y), (right, y)], fill=self.theme.rule, width=3)
        end = left + passed * (right - left)
        pen.line([(left, y), (end, y)], fill=self.theme.bodies[0][0], width=3)

    def _floor(
        self, pen: ImageDraw.ImageDraw, camera: Camera, lines: Float[ndarray, "L 2 4"]
    ) -> None:
        for start, end in lines:
            pen.line([tuple(start[:2]), tuple(end[:2])], fill=self.theme.rule, width=2)

    def _shadows(
        self,
        pen: ImageDraw.ImageDraw,
        pane: Pane,
        number: int,
        camera: Camera,
        see: See,
    ) -> None:
        below = pane.poses[:, number].astype(np.float64)
        below[..., 1] = np.where(np.isnan(below[..., 1]), np.nan, camera.floor)
        for spots in see(below):
            for a, b in self.scene.layout.bones:
                if np.isfinite(spots[[a, b]]).all():
                    wide = max(camera.limb * spots[a, 3] * 0.8, 1)
                    _limb(pen, spots[a], spots[b], wide, self.theme.rule)

    def _bodies(
        self,
        pen: ImageDraw.ImageDraw,
        pane: Pane,
        number: int,
        camera: Camera,
        spots: Float[ndarray, "M V 4"],
    ) -> None:
        evidence = self._evidence(pane, number)
        parts: list[tuple[float, int, tuple[int, ...]]] = []
        for body, points in enumerate(spots):
            seen = np.isfinite(points).all(axis=1)
            for a, b in self.scene.layout.bones:
                if seen[a] and seen[b]:
                    parts.append(((points[a, 2] + points[b, 2]) / 2, body, (a, b)))
            for joint in np.flatnonzero(seen).tolist():
                parts.append((points[joint, 2] - 0.01 * camera.limb, body, (joint,)))
        for _, body, joints in sorted(parts, key=lambda part: -part[0]):
            if len(joints) == 2:
                self._bone(pen, camera, spots[body], body, joints, told=evidence is not None)
            elif evidence is None:
                self._joint(pen, camera, spots[body], body, joints[0])
            else:
                value = float(evidence[body, joints[0]])
                self._reason(pen, camera, spots[body, joints[0]], value)

    def _evidence(self, pane: Pane, number: int) -> Float[ndarray, "M V"] | None:
        """The evidence of each joint of the last pane, from -1 to 1; None without explanations."""
        answer = self.scene.answer
        if answer is None or not answer.evidence or pane is not self.scene.panes[-1]:
            return None
        values = answer.evidence[0].joints
        return values[:, number] / (float(np.abs(values).max()) or 1.0)

    def _bone(
        self,
        pen: ImageDraw.ImageDraw,
        camera: Camera,
        spots: Float[ndarray, "V 4"],
        body: int,
        joints: tuple[int, ...],
        *,
        told: bool,
    ) -> None:
        a, b = joints
        sides = self.scene.sides
        colour = self.theme.bone if told else self._colour(body, sides[a] or sides[b])
        wide = max(camera.limb * (spots[a, 3] + spots[b, 3]) / 2, 3)
        _limb(pen, spots[a], spots[b], wide, colour)

    def _joint(
        self,
        pen: ImageDraw.ImageDraw,
        camera: Camera,
        spots: Float[ndarray, "V 4"],
        body: int,
        joint: int,
    ) -> None:
        head = self.scene.layout.joints[joint] in ("head", "nose")
        wide = camera.limb * spots[joint, 3]
        round_ = max(wide * (1.5 if head else 0.72), 3)
        edge = max(wide * 0.11, 1)
        _disc(pen, spots[joint], round_ + edge, self.theme.paper)
        _disc(pen, spots[joint], round_ - edge, self._colour(body, self.scene.sides[joint]))

    def _reason(
        self, pen: ImageDraw.ImageDraw, camera: Camera, spot: Float[ndarray, " 4"], value: float
    ) -> None:
        colour = self.theme.speaks_for if value > 0 else self.theme.speaks_against
        share = 0.35 + 0.65 * abs(value) if abs(value) > 0.04 else 0.0
        radius = max(camera.limb * spot[3] * (0.72 + 1.5 * abs(value)), 3)
        _disc(pen, spot, radius, _mix(self.theme.bone, colour, share))

    def _colour(self, body: int, side: int) -> str:
        return self.theme.bodies[body % len(self.theme.bodies)][1 if side > 0 else 0]


def draw_frame(scene: Scene, number: int, *, theme: str = "light") -> Image.Image:
    """The picture of one frame."""
    return Painter(scene, theme=theme).frame(number)


def draw_strip(
    scene: Scene, *, poses: int = POSES_OF_STRIP, theme: str = "light", height: int = SIZE
) -> Image.Image:
    """Evenly spaced poses of the last pane side by side, each with its time."""
    painter = Painter(scene, theme=theme, height=height)
    place = len(scene.panes) - 1
    present = np.flatnonzero(scene.panes[place].present.any(axis=0))
    spread = np.linspace(0, len(present) - 1, min(poses, len(present)))
    numbers = present[np.rint(spread).astype(int)].tolist()
    width, tall = painter.pose(numbers[0], place).size
    strip = Image.new("RGB", (width * len(numbers), tall + 66), painter.theme.paper)
    for column, number in enumerate(numbers):
        strip.paste(painter.pose(number, place), (column * width, 36))
        passed = f"{number / scene.frames_per_second:.2f} s"
        painter.text(strip, column * width + 12, tall + 40, passed, muted=True)
    title = " · ".join(text for text in (scene.label, scene.name) if text)
    painter.text(strip, 12, 10, title, muted=False, room=strip.width - 24)
    return strip


def _width_over_height(camera: Camera) -> float:
    x, y, z = camera.half.tolist()
    return float(np.hypot(x, z) / (y + 0.25 * z))


def _grid(camera: Camera) -> Float[ndarray, "L 2 3"]:
    """Lines on the floor: the two ends of each."""
    reach = max(camera.half[0], camera.half[2]) * 1.3 + 4 * camera.limb
    gap = 0.5 if reach > 0.4 else reach / 2.5
    steps = int(np.ceil(reach / gap))
    offsets = np.arange(-steps, steps + 1) * gap
    edge = steps * gap
    lines = []
    for offset in offsets:
        x, z = camera.centre[0], camera.centre[2]
        lines.append([[x + offset, camera.floor, z - edge], [x + offset, camera.floor, z + edge]])
        lines.append([[x - edge, camera.floor, z + offset], [x + edge, camera.floor, z + offset]])
    return np.array(lines)


def _limb(
    pen: ImageDraw.ImageDraw,
    a: Float[ndarray, " 4"],
    b: Float[ndarray, " 4"],
    wide: float,
    colour: str,
) -> None:
    """A line with round ends."""
    pen.line([tuple(a[:2]), tuple(b[:2])], fill=colour, width=round(wide))
    for end in (a, b):
        _disc(pen, end, wide / 2, colour)


def _disc(pen: ImageDraw.ImageDraw, spot: Float[ndarray, " 4"], radius: float, colour: str) -> None:
    x, y = float(spot[0]), float(spot[1])
    pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)


def _mix(ground: str, colour: str, share: float) -> str:
    """Blend a colour over another."""
    pairs = [(int(ground[k : k + 2], 16), int(colour[k : k + 2], 16)) for k in (1, 3, 5)]
    mixed = (round(under + share * (over - under)) for under, over in pairs)
    return "#" + "".join(f"{value:02x}" for value in mixed)
