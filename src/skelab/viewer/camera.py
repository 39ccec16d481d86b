"""The camera: projects points in space to a picture from the player's initial view."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from skelab.skeleton import Layout

YAW: Final = 0.35
PITCH: Final = 0.12
"""A little from the side and above, so that depth shows; radians."""

_LIMB: Final = 0.13  # thickness of a limb, as a share of a long bone


@dataclass(frozen=True)
class Camera:
    """A static camera near the recording viewpoint.

    Attributes:
        centre: Its target.
        half: Half extents of the region with nearly all joints.
        floor: Height of the floor.
        limb: Thickness of a limb, in units of the clip.
        angles: Yaw and pitch, radians.
    """

    centre: Float[ndarray, " 3"]
    half: Float[ndarray, " 3"]
    floor: float
    limb: float
    angles: tuple[float, float] = (YAW, PITCH)

    @classmethod
    def fitting(
        cls, poses: Float32[ndarray, "M T V 3"], layout: Layout, *, flat: bool = False
    ) -> "Camera":
        """The camera that shows the bodies in nearly all frames; outliers may be outside."""
        seen = poses[:, np.isfinite(poses).any(axis=(0, 2, 3))].astype(np.float64)
        low = np.quantile(np.nanmin(seen, axis=(0, 2)), 0.02, axis=0)
        high = np.quantile(np.nanmax(seen, axis=(0, 2)), 0.98, axis=0)
        bones = np.array(layout.bones)
        lengths = np.linalg.norm(poses[:, :, bones[:, 0]] - poses[:, :, bones[:, 1]], axis=-1)
        known = lengths[np.isfinite(lengths)]
        longest = float(np.quantile(known, 0.9)) if len(known) else 0.0
        limb = (longest or float((high - low).max()) or 1.0) * _LIMB
        return cls(
            centre=(low + high) / 2,
            half=np.maximum((high - low) / 2, limb),
            floor=float(low[1]) - limb,
            limb=limb,
            angles=(0.0, 0.0) if flat else (YAW, PITCH),
        )

    def scale(self, width: float, height: float) -> float:
        """Pixels per unit at the centre, so that everything fits."""
        x, y, z = self.half.tolist()
        flat = self.angles == (0.0, 0.0)
        across, up = (x, y) if flat else (float(np.hypot(x, z)), y + 0.25 * z)
        return float(min(width / 2 * 0.92 / across, height / 2 * 0.9 / up))

    def see(
        self, points: Float[ndarray, "*points 3"], size: tuple[float, float], scale: float
    ) -> Float[ndarray, "*points 4"]:
        """Project points to x, y (down), depth and pixels per unit in a picture of a given size."""
        yaw, pitch = self.angles
        x, y, z = np.moveaxis(np.asarray(points, np.float64) - self.centre, -1, 0)
        across = x * np.cos(yaw) + z * np.sin(yaw)
        deep = z * np.cos(yaw) - x * np.sin(yaw)
        up = y * np.cos(pitch) + deep * np.sin(pitch)
        depth = deep * np.cos(pitch) - y * np.sin(pitch)
        far = 4 * float(np.linalg.norm(self.half))
        unit = scale * far / np.maximum(far + depth, far / 20)
        return np.stack([size[0] / 2 - across * unit, size[1] / 2 - up * unit, depth, unit], -1)
