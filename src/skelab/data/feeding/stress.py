"""Clips as a worse sensor, another camera or other people would give them: nine kinds of stress.

What is drawn depends on the seed, the kind and the name of the clip alone, so that a stronger
stress is more of the same: more of the same joints are missing, the same body is larger still.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from skelab.data.clips.clip import Clip
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.store import StoreInfo
from skelab.data.feeding.batch import Batch
from skelab.data.feeding.transforms import (
    DropJoints,
    DroppedJoints,
    Mirror,
    Need,
    Noise,
    RandomRotation,
    Scale,
)
from skelab.data.feeding.transforms.protocol import num_coordinates
from skelab.skeleton import Layout


@dataclass(frozen=True)
class Scene:
    """What the coordinates of some clips mean.

    Attributes:
        layout: The joints.
        up: The axis along which people stand, ``y`` unless the preprocessing turned them.
    """

    layout: Layout
    up: str = "y"


Corrupt = Callable[[Float[Tensor, "1 C T V M"], Scene, float, np.random.Generator], Tensor]
"""What a kind of stress makes of a clip."""


@dataclass(frozen=True)
class Stress:
    """A kind of stress.

    Attributes:
        name: Its name.
        unit: What its strengths mean.
        strengths: Five of them, from weak to strong.
        needs: Requirements on the layout.
        several_bodies: It changes clips of several bodies only.
    """

    name: str
    unit: str
    strengths: tuple[float, float, float, float, float]
    corrupt: Corrupt
    needs: tuple[Need, ...] = ()
    several_bodies: bool = False

    def unfit(self, layout: Layout, max_bodies: int) -> str:
        """Why clips cannot be put under this stress; empty if they can."""
        for need in self.needs:
            if found := need.found(layout):
                return f"it needs {need}; layout {layout.name} has {found}"
        if self.several_bodies and max_bodies < 2:
            return "no clip has two bodies"
        return ""


class StressedClips:
    """Opened clips under stress.

    Args:
        clips: The clips as they are.
        stress: The kind of stress.
        strength: How strong it is, in the unit of its kind.
        seed: Seed of what is drawn.
    """

    def __init__(self, clips: OpenedClips, stress: Stress, strength: float, seed: int) -> None:
        self._clips = clips
        self._stress = stress
        self._strength = strength
        self._seed = seed
        self.path = clips.path
        self.info: StoreInfo = clips.info
        self.index: ClipIndex = clips.index
        turned = clips.info.pipeline == "msg3d"  # which turns the spine towards z
        self._scene = Scene(clips.info.layout, "z" if turned else "y")

    def __len__(self) -> int:
        return len(self._clips)

    @property
    def max_bodies(self) -> int:
        """Bodies that a clip has at most."""
        return self._clips.max_bodies

    def lengths(self) -> Int64[ndarray, " N"]:
        """Frames of each clip, before the stress."""
        return self._clips.lengths()

    def clip(self, row: int) -> Clip:
        """The clip of a row, under stress.

        Raises:
            DataError: It cannot be read.
        """
        clip = self._clips.clip(row)
        drawn = zlib.crc32(f"{self._stress.name} {clip.info.name}".encode())
        rng = np.random.default_rng([self._seed, drawn])
        return stressed(clip, self._scene, self._stress, self._strength, rng)


def stressed(
    clip: Clip, scene: Scene, stress: Stress, strength: float, rng: np.random.Generator
) -> Clip:
    """A clip under stress; its frames are numbered anew where there are fewer."""
    joints = torch.from_numpy(clip.joints.transpose(3, 1, 2, 0)[None].copy())  # 1 C T V M
    changed = stress.corrupt(joints, scene, strength, rng)
    array = changed[0].numpy().transpose(3, 1, 2, 0)  # M T V C
    numbers = clip.frame_numbers
    if array.shape[1] != len(numbers):
        numbers = np.arange(array.shape[1], dtype=np.int32)
    return replace(clip, joints=np.ascontiguousarray(array, np.float32), frame_numbers=numbers)


def limbs_of(layout: Layout) -> tuple[tuple[int, ...], ...]:
    """The limbs of a layout: from each end of the skeleton to where it branches off."""
    children = np.bincount(np.array(layout.parents), minlength=layout.num_joints)
    children[layout.centre] -= 1  # the centre is its own parent
    limbs = []
    for end in np.flatnonzero(children == 0).tolist():
        limb, joint = [end], layout.parents[end]
        while joint != layout.centre and children[joint] == 1:
            limb.append(joint)
            joint = layout.parents[joint]
        limbs.append(tuple(limb))
    return tuple(limbs)


def _batch(joints: Float[Tensor, "1 C T V M"]) -> Batch:
    return Batch(joints, torch.zeros(1, dtype=torch.int64), (0,))


def _missing_joints(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C T V M"]:
    order = rng.permutation(scene.layout.num_joints)
    lost = order[: max(1, round(strength * scene.layout.num_joints))].tolist()
    dropped = DroppedJoints(lost, 0, joints.shape[2])
    return DropJoints().apply(_batch(joints), [dropped]).joints


def _lost_limb(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C T V M"]:
    limbs = limbs_of(scene.layout)
    limb = limbs[int(rng.integers(len(limbs)))]
    frames = joints.shape[2]
    length = max(1, round(strength * frames))
    start = int(rng.random() * (frames - length + 1))
    return DropJoints().apply(_batch(joints), [DroppedJoints(list(limb), start, length)]).joints


def _jitter(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C T V M"]:
    seed = int(rng.integers(2**32))
    noise = Noise(scene.layout, std=strength * _bone_length(joints, scene.layout))
    seen = _present(joints, scene.layout)
    return torch.where(seen[:, None], noise.apply(_batch(joints), [seed]).joints, joints)


def _dropped_frames(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C T V M"]:
    frames = joints.shape[2]
    lost = rng.permutation(frames)[: min(frames - 1, round(strength * frames))]
    changed = joints.clone()
    changed[:, :, torch.as_tensor(lost)] = 0
    return changed


def _other_rate(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C K V M"]:
    kept = np.arange(0, joints.shape[2], strength).astype(np.int64)
    return joints[:, :, torch.as_tensor(kept)]


def _other_view(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C T V M"]:
    angle = np.deg2rad(strength) * (1 if rng.random() < 0.5 else -1)
    turn = RandomRotation(0.0)
    angles = tuple(float(angle) * (axis == scene.up) for axis in "xyz")
    return _about_the_middle(joints, scene.layout, lambda batch: turn.apply(batch, [angles]))


def _mirrored_camera(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C T V M"]:
    mirror = Mirror(scene.layout)
    return mirror.apply(_batch(joints), [bool(rng.random() < strength)]).joints


def _swapped_bodies(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C T V M"]:
    frames, bodies = joints.shape[2], joints.shape[4]
    if bodies < 2:
        return joints
    swaps = np.sort(rng.permutation(frames)[: round(strength)])
    odd = np.searchsorted(swaps, np.arange(frames), side="right") % 2 == 1
    changed = joints.clone()
    where = torch.as_tensor(np.flatnonzero(odd))
    changed[:, :, where, :, :2] = joints[:, :, where][..., [1, 0]]
    return changed


def _scaled_people(
    joints: Float[Tensor, "1 C T V M"], scene: Scene, strength: float, rng: np.random.Generator
) -> Float[Tensor, "1 C T V M"]:
    factor = 1 + strength * (1 if rng.random() < 0.5 else -1)
    scale = Scale(scene.layout)
    factors = [factor] * num_coordinates(scene.layout)
    return _about_the_middle(joints, scene.layout, lambda batch: scale.apply(batch, [factors]))


def _about_the_middle(
    joints: Float[Tensor, "1 C T V M"], layout: Layout, change: Callable[[Batch], Batch]
) -> Float[Tensor, "1 C T V M"]:
    """Change a clip about the mean of its joints; what is missing stays zero."""
    axes = num_coordinates(layout)
    seen = _present(joints, layout)
    middle = torch.zeros(joints.shape[1], dtype=joints.dtype)
    if seen.any():
        middle[:axes] = joints[0, :axes, seen[0]].mean(dim=1)
    middle = middle[None, :, None, None, None]
    changed = change(_batch(joints - middle)).joints + middle
    return torch.where(seen[:, None], changed, joints)


def _present(joints: Float[Tensor, "1 C T V M"], layout: Layout) -> Bool[Tensor, "1 T V M"]:
    """Joints that were found: not all of their coordinates are zero."""
    return (joints[:, : num_coordinates(layout)] != 0).any(dim=1)


def _bone_length(joints: Float[Tensor, "1 C T V M"], layout: Layout) -> float:
    """Mean length of the bones that are there; 0 where there is none."""
    coordinates = joints[:, : num_coordinates(layout)]
    ends, starts = zip(*layout.bones, strict=True)
    seen = _present(joints, layout)
    both = seen[:, :, list(ends)] & seen[:, :, list(starts)]
    lengths = (coordinates[:, :, :, list(ends)] - coordinates[:, :, :, list(starts)]).norm(dim=1)
    return float(lengths[both].mean()) if both.any() else 0.0


STRESSES: Final[Mapping[str, Stress]] = {
    stress.name: stress
    for stress in (
        Stress(
            "missing joints", "share of the joints", (0.05, 0.1, 0.2, 0.3, 0.5), _missing_joints
        ),
        Stress("lost limb", "share of the frames", (0.2, 0.4, 0.6, 0.8, 1.0), _lost_limb),
        Stress("jitter", "mean bone lengths", (0.05, 0.1, 0.2, 0.4, 0.8), _jitter),
        Stress(
            "dropped frames", "share of the frames", (0.1, 0.25, 0.4, 0.55, 0.7), _dropped_frames
        ),
        Stress("other rate", "times slower", (1.5, 2.0, 3.0, 4.0, 6.0), _other_rate),
        Stress("other view", "degrees", (15.0, 30.0, 45.0, 60.0, 90.0), _other_view, (Need.SPACE,)),
        Stress(
            "mirrored camera",
            "share of the clips",
            (0.2, 0.4, 0.6, 0.8, 1.0),
            _mirrored_camera,
            (Need.SIDEWAYS, Need.PAIRS),
        ),
        Stress(
            "swapped bodies",
            "swaps in a clip",
            (1.0, 2.0, 4.0, 8.0, 16.0),
            _swapped_bodies,
            several_bodies=True,
        ),
        Stress("scaled people", "change of size", (0.1, 0.2, 0.3, 0.4, 0.5), _scaled_people),
    )
}
"""All kinds of stress by name."""
