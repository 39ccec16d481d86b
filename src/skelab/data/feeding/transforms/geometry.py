"""Transforms that move joints: turned, mirrored, sheared, scaled, of other build, noisy.

They change coordinates only; a score stays as it is. A body that is absent stays zeros.
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
    """Turn each clip about the origin, the same for all frames and bodies.

    Attributes:
        limit: Each of the three angles is uniform between minus and plus this, in radians.
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
        """Turn a batch, one triple of angles a clip."""
        return replace(batch, joints=_multiply(rotation_matrices(drawn), batch.joints))


@dataclass(frozen=True)
class RandomLimbs:
    """Give each clip a performer of other proportions: bones longer or shorter, motion the same.

    A bone and its mirror image get one factor. The centre stays where it is and every joint is
    put together again along its bones, so that directions, and with them the motion, remain.

    Attributes:
        limit: Each factor is uniform between 1 - ``limit`` and 1 + ``limit``.
        layout: The bones.

    Source: ours; small data sets have few performers, and a network learns their build by heart.
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
        """Rebuild a batch, one set of factors a clip."""
        joints = batch.joints
        factor = torch.as_tensor(np.array(drawn), dtype=joints.dtype, device=joints.device)
        bones = joints - joints[:, :, :, list(self.layout.parents)]
        path = torch.as_tensor(_bones_to(self.layout), dtype=joints.dtype, device=joints.device)
        reach = torch.einsum("vu,nu,nctum->nctvm", path, factor, bones)
        return replace(batch, joints=joints[:, :, :, [self.layout.centre]] + reach)


@dataclass(frozen=True)
class Mirror:
    """Swap left and right: x is negated, and each joint becomes the one on the other side.

    All bodies of a clip are mirrored together. Images are mirrored about their middle, which is
    where our readers put the origin of x.

    Attributes:
        layout: What is left and right.
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
        """Mirror the clips that were drawn."""
        joints = batch.joints
        mirrored = joints[:, :, :, list(self.layout.mirror)]
        x = self.layout.axes.index("x")
        mirrored[:, x] = -mirrored[:, x]
        chosen = torch.as_tensor(list(drawn), device=joints.device)[:, None, None, None, None]
        return replace(batch, joints=torch.where(chosen, mirrored, joints))


@dataclass(frozen=True)
class Shear:
    """Slant each clip: every coordinate gets shares of the two others, the same in all frames.

    Attributes:
        limit: Each of the six shares is uniform between minus and plus this.
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
        """Shear the clips that were drawn."""
        matrices = np.tile(np.eye(3), (len(drawn), 1, 1))
        for matrix, shares in zip(matrices, drawn, strict=True):
            if shares is not None:
                matrix[~np.eye(3, dtype=bool)] = shares
        return _where(drawn, batch, _multiply(matrices, batch.joints))


@dataclass(frozen=True)
class Scale:
    """Make each clip larger or smaller about the origin, the same in all frames.

    Attributes:
        layout: The coordinates.
        limit: A factor is uniform between 1 - ``limit`` and 1 + ``limit``.
        per_axis: Each coordinate has a factor of its own; otherwise all have one.
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
        """Scale the clips that were drawn."""
        axes, joints = num_coordinates(self.layout), batch.joints
        factors = np.ones(joints.shape[:2])  # N C; a score has 1
        for factor, chosen in zip(factors, drawn, strict=True):
            if chosen is not None:
                factor[:axes] = chosen
        scale = torch.as_tensor(factors, dtype=joints.dtype, device=joints.device)
        return replace(batch, joints=joints * scale[:, :, None, None, None])


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise, independent for every coordinate, joint, frame and body.

    A body gets none in frames in which it is absent. The noise is computed on the CPU, so that it
    is the same on every device.

    Attributes:
        layout: The coordinates.
        std: Standard deviation, in the units of the clips: metres, unless the store says otherwise.
        probability: Share of the clips that get it.

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
    """The product of a matrix a clip with each of its joints."""
    turn = torch.as_tensor(matrices, dtype=joints.dtype, device=joints.device)
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = turn.permute(1, 2, 0)[..., None, None, None]
    x, y, z = joints.unbind(1)  # each N T V M; each step is rounded, as the kernel rounds
    turned = (ax * x + ay * y + az * z, bx * x + by * y + bz * z, cx * x + cy * y + cz * z)
    return torch.stack(turned, dim=1)


def _where(drawn: Sequence[object], batch: Batch, changed: Float[Tensor, "N C T V M"]) -> Batch:
    """The batch with those clips changed for which something was drawn."""
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
