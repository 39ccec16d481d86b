"""Geometric transforms: rotation, mirror, shear, scale, limb lengths, noise.

They change coordinates only, not scores. Absent bodies stay zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.chance import Chance, draw_seed
from skelab.data.feeding.transforms.protocol import ClipFacts, Need, num_coordinates
from skelab.skeleton import Layout


@dataclass(frozen=True)
class RandomRotation:
    """Random rotation about the origin, the same for all frames and bodies of a clip.

    Attributes:
        limit: Each of the three angles is uniform in [-limit, limit], radians.
        yaw: The same for the angle about y, the vertical axis; None for ``limit``.

    Source: section "feeder" of CTR-GCN (Uason-Chen/CTR-GCN@e13d758, feeders/tools.py); 0.3 radians
    there about each axis. ``yaw`` is ours: cameras stand around people rather than above them.
    """

    name: ClassVar[str] = "rotate"
    needs: ClassVar[tuple[Need, ...]] = (Need.SPACE,)
    draws: ClassVar[int] = 3

    limit: float
    yaw: float | None = None

    def sample(self, facts: ClipFacts, rng: Chance) -> tuple[float, float, float]:
        """Draw the angles about x, y and z."""
        limits = (self.limit, self.limit if self.yaw is None else self.yaw, self.limit)
        x, y, z = (float(rng.uniform(-limit, limit, size=1)[0]) for limit in limits)
        return x, y, z

    def apply(self, batch: Batch, drawn: Sequence[Sequence[float]]) -> Batch:
        """Rotate a batch, with one triple of angles per clip."""
        return replace(batch, joints=_multiply(rotation_matrices(drawn), batch.joints))


@dataclass(frozen=True)
class RandomLimbs:
    """Random bone lengths: a performer of other proportions with the same motion.

    A bone and its mirror image share a factor. The centre is fixed and the other joints are rebuilt
    along the bones, so that directions, and with them the motion, are unchanged.

    Attributes:
        limit: Each factor is uniform in [1 - limit, 1 + limit].
        layout: The bones.

    Source: ours; small data sets have few performers, to whose build a network overfits.
    """

    name: ClassVar[str] = "limbs"
    needs: ClassVar[tuple[Need, ...]] = (Need.SPACE,)
    draws: ClassVar[int] = 1

    limit: float
    layout: Layout

    def sample(self, facts: ClipFacts, rng: Chance) -> list[float]:
        """The factor of the bone that ends at each joint."""
        own = np.random.default_rng(draw_seed(rng))
        factors = own.uniform(1 - self.limit, 1 + self.limit, size=self.layout.num_joints)
        first_of_pair = np.minimum(np.arange(self.layout.num_joints), self.layout.mirror)
        chosen: list[float] = factors[first_of_pair].tolist()
        return chosen

    def apply(self, batch: Batch, drawn: Sequence[Sequence[float]]) -> Batch:
        """Rebuild a batch, with one set of factors per clip."""
        joints = batch.joints
        factor = torch.as_tensor(np.array(drawn), dtype=joints.dtype, device=joints.device)
        bones = joints - joints[:, :, :, list(self.layout.parents)]
        path = torch.as_tensor(_bones_to(self.layout), dtype=joints.dtype, device=joints.device)
        reach = torch.einsum("vu,nu,nctum->nctvm", path, factor, bones)
        return replace(batch, joints=joints[:, :, :, [self.layout.centre]] + reach)


@dataclass(frozen=True)
class Mirror:
    """Horizontal mirror: x is negated, and left and right joints are swapped.

    All bodies of a clip are mirrored together, images about their centre, which is the origin of x.

    Attributes:
        layout: The left/right pairs.
        probability: Share of the clips that are mirrored.

    Source: the flip of PYSKL (kennymckormick/pyskl@3f6795f, datasets/pipelines).
    """

    name: ClassVar[str] = "mirror"
    needs: ClassVar[tuple[Need, ...]] = (Need.SIDEWAYS, Need.PAIRS)
    draws: ClassVar[int] = 1

    layout: Layout
    probability: float = 0.5

    def sample(self, facts: ClipFacts, rng: Chance) -> bool:
        """Whether the clip is mirrored."""
        return rng.random() < self.probability

    def apply(self, batch: Batch, drawn: Sequence[bool]) -> Batch:
        """Mirror the selected clips."""
        joints = batch.joints
        mirrored = joints[:, :, :, list(self.layout.mirror)]
        x = self.layout.axes.index("x")
        mirrored[:, x] = -mirrored[:, x]
        chosen = torch.as_tensor(list(drawn), device=joints.device)[:, None, None, None, None]
        return replace(batch, joints=torch.where(chosen, mirrored, joints))


@dataclass(frozen=True)
class Shear:
    """Random shear: every coordinate gets shares of the two others, the same in all frames.

    Attributes:
        limit: Each of the six shares is uniform in [-limit, limit].
        probability: Share of the clips that are sheared.

    Source: AS-CAL (arXiv:2008.00188); the amplitude 0.5 is that of CrosSCLR (arXiv:2104.14466).
    """

    name: ClassVar[str] = "shear"
    needs: ClassVar[tuple[Need, ...]] = (Need.SPACE,)
    draws: ClassVar[int] = 7

    limit: float = 0.5
    probability: float = 1.0

    def sample(self, facts: ClipFacts, rng: Chance) -> list[float] | None:
        """Draw the shares: of y and z in x, of x and z in y, of x and y in z."""
        if rng.random() >= self.probability:
            return None
        return [float(share) for share in rng.uniform(-self.limit, self.limit, size=6)]

    def apply(self, batch: Batch, drawn: Sequence[Sequence[float] | None]) -> Batch:
        """Shear the selected clips."""
        matrices = np.tile(np.eye(3), (len(drawn), 1, 1))
        for matrix, shares in zip(matrices, drawn, strict=True):
            if shares is not None:
                matrix[~np.eye(3, dtype=bool)] = shares
        return _where(drawn, batch, _multiply(matrices, batch.joints))


@dataclass(frozen=True)
class Scale:
    """Random scaling about the origin, the same in all frames.

    Attributes:
        layout: The coordinates.
        limit: A factor is uniform in [1 - limit, 1 + limit].
        per_axis: One factor per coordinate; otherwise one for all.
        probability: Share of the clips that are scaled.

    Source: the random scaling of PYSKL (kennymckormick/pyskl@3f6795f, datasets/pipelines).
    """

    name: ClassVar[str] = "scale"
    needs: ClassVar[tuple[Need, ...]] = ()
    draws: ClassVar[int] = 4

    layout: Layout
    limit: float = 0.2
    per_axis: bool = True
    probability: float = 1.0

    def sample(self, facts: ClipFacts, rng: Chance) -> list[float] | None:
        """Draw the factor of each coordinate."""
        if rng.random() >= self.probability:
            return None
        axes = num_coordinates(self.layout)
        factors = rng.uniform(1 - self.limit, 1 + self.limit, size=axes if self.per_axis else 1)
        return [float(factor) for factor in factors] * (1 if self.per_axis else axes)

    def apply(self, batch: Batch, drawn: Sequence[Sequence[float] | None]) -> Batch:
        """Scale the selected clips."""
        axes, joints = num_coordinates(self.layout), batch.joints
        factors = np.ones(joints.shape[:2])  # N C; 1 for a score
        for factor, chosen in zip(factors, drawn, strict=True):
            if chosen is not None:
                factor[:axes] = chosen
        scale = torch.as_tensor(factors, dtype=joints.dtype, device=joints.device)
        return replace(batch, joints=joints * scale[:, :, None, None, None])


@dataclass(frozen=True)
class Noise:
    """Gaussian noise, independent for every coordinate, joint, frame and body.

    Frames in which a body is absent get none. The noise is computed on the CPU, so that it is the
    same for every device.

    Attributes:
        layout: The coordinates.
        std: Standard deviation, in the units of the clips, usually metres.
        probability: Share of the clips that get noise.

    Source: AS-CAL (arXiv:2008.00188).
    """

    name: ClassVar[str] = "noise"
    needs: ClassVar[tuple[Need, ...]] = ()
    draws: ClassVar[int] = 2

    layout: Layout
    std: float = 0.01
    probability: float = 1.0

    def sample(self, facts: ClipFacts, rng: Chance) -> int | None:
        """Draw the seed of the clip's noise."""
        return draw_seed(rng) if rng.random() < self.probability else None

    def apply(self, batch: Batch, drawn: Sequence[int | None]) -> Batch:
        """Add the noise of each seed."""
        joints = batch.joints
        values = np.zeros(joints.shape, np.float32)
        axes = num_coordinates(self.layout)
        for clip, seed in zip(values, drawn, strict=True):
            if seed is not None:
                own = np.random.default_rng(seed)
                clip[:axes] = own.standard_normal(clip[:axes].shape, np.float32) * self.std
        noise = torch.as_tensor(values, dtype=joints.dtype, device=joints.device)
        present = (joints != 0).any(dim=3, keepdim=True).any(dim=1, keepdim=True)  # N 1 T 1 M
        return replace(batch, joints=joints + noise * present)


def rotation_matrices(angles: Sequence[Sequence[float]]) -> Float[np.ndarray, "N 3 3"]:
    """The rotations Rz Ry Rx for triples of angles about x, y and z, radians.

    Source: Uason-Chen/CTR-GCN@e13d758, feeders/tools.py, whose signs these are.
    """
    cos, sin = np.cos(angles), np.sin(angles)  # each N 3
    zero, one = np.zeros(len(cos)), np.ones(len(cos))

    def stack(*entries: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N 3 3"]:
        return np.stack(entries, axis=-1).reshape(-1, 3, 3)

    (cx, cy, cz), (sx, sy, sz) = cos.T, sin.T
    about_x = stack(one, zero, zero, zero, cx, sx, zero, -sx, cx)
    about_y = stack(cy, zero, -sy, zero, one, zero, sy, zero, cy)
    about_z = stack(cz, sz, zero, -sz, cz, zero, zero, zero, one)
    turned: Float[np.ndarray, "N 3 3"] = about_z @ about_y @ about_x
    return turned


def _multiply(
    matrices: Float[np.ndarray, "N 3 3"], joints: Float[Tensor, "N 3 T V M"]
) -> Float[Tensor, "N 3 T V M"]:
    """Multiply each joint by the matrix of its clip."""
    turn = torch.as_tensor(matrices, dtype=joints.dtype, device=joints.device)
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = turn.permute(1, 2, 0)[..., None, None, None]
    x, y, z = joints.unbind(1)  # each N T V M; each step is rounded, as the kernel rounds
    turned = (ax * x + ay * y + az * z, bx * x + by * y + bz * z, cx * x + cy * y + cz * z)
    return torch.stack(turned, dim=1)


def _where(drawn: Sequence[object], batch: Batch, changed: Float[Tensor, "N C T V M"]) -> Batch:
    """The batch with the changed clips where something was drawn."""
    chosen = torch.as_tensor([value is not None for value in drawn], device=changed.device)
    return replace(
        batch, joints=torch.where(chosen[:, None, None, None, None], changed, batch.joints)
    )


def _bones_to(layout: Layout) -> Float[np.ndarray, "V V"]:
    """Entry [v, u] is 1 where the bone that ends at joint u lies between the centre and joint v."""
    path = np.zeros((layout.num_joints, layout.num_joints))
    for joint in range(layout.num_joints):
        step = joint
        while step != layout.centre:
            path[joint, step] = 1.0
            step = layout.parents[step]
    return path
