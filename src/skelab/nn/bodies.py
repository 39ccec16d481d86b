"""Input normalisation: from clips with several bodies to a batch of single bodies."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError


class BodySplit(nn.Module):
    """What takes clips of one shape apart into bodies; it knows the shape.

    Attributes:
        clip_shape: C, V and M.
        per_body: Bodies of different slots are treated differently.
    """

    def __init__(
        self, in_channels: int, num_joints: int, max_bodies: int, *, per_body: bool = True
    ) -> None:
        super().__init__()
        self.clip_shape = (in_channels, num_joints, max_bodies)
        self.per_body = per_body

    def forward(self, x: Float[Tensor, "N C T V M"]) -> Float[Tensor, "B C T V"]:
        """The clips' bodies as they are; B = N * M, body m of clip n in row n * M + m.

        Raises:
            ModelError: Channels, joints or bodies are not those that the model was made for.
        """
        self._check_shape(x)
        return x.permute(0, 4, 1, 2, 3).flatten(0, 1)

    def _check_shape(self, x: Float[Tensor, "N C T V M"]) -> None:
        n, c, t, v, m = x.shape
        if (c, v, m) != self.clip_shape:
            channels, joints, bodies = self.clip_shape
            raise ModelError(
                f"model input: expected N x {channels} x T x {joints} x {bodies} (channels, frames,"
                f" joints, bodies), found {n} x {c} x {t} x {v} x {m}; make the model with the"
                " layout, channels and bodies of the clips"
            )


class BodyNorm(BodySplit):
    """Batch norm of each coordinate of each joint of each body over time; bodies join the batch.

    Without ``per_body`` all bodies share scales and statistics.

    Source: arXiv:1801.07455 (``data_bn``); per body, as in arXiv:1805.07694 and its descendants.
    """

    def __init__(
        self, in_channels: int, num_joints: int, max_bodies: int, *, per_body: bool = True
    ) -> None:
        super().__init__(in_channels, num_joints, max_bodies, per_body=per_body)
        bodies = max_bodies if per_body else 1
        self.norm = nn.BatchNorm1d(bodies * num_joints * in_channels)

    def forward(self, x: Float[Tensor, "N C T V M"]) -> Float[Tensor, "B C T V"]:
        """Normalise the clips' bodies; B = N * M, with body m of clip n in row n * M + m.

        Raises:
            ModelError: Channels, joints or bodies are not those that the model was made for.
        """
        self._check_shape(x)
        return self._normalise(x)

    def _normalise(self, x: Float[Tensor, "N C T V M"]) -> Float[Tensor, "B C T V"]:
        n, c, t, v, m = x.shape
        # channel m*V*C + v*C + c, or v*C + c where the bodies are rows
        series = x.permute(0, 4, 3, 1, 2).reshape(-1, self.norm.num_features, t)
        normed: Tensor = self.norm(series)
        return normed.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)


class EmbeddedBodyNorm(BodyNorm):
    """Embed each joint's coordinates in D channels, add what the joint is, then ``BodyNorm``.

    The joint's place in the skeleton is a learned vector of D numbers. The norm has D channels for
    each joint of each body.

    Args:
        in_channels: C.
        num_joints: V.
        max_bodies: M.
        channels: D.
        saturate: Apply tanh before the norm.
        mix: Mixes the joints before they are embedded; kept as a buffer, not in the state dict.

    Source: Chi et al., InfoGCN, CVPR 2022.
    """

    mix: Tensor | None

    def __init__(
        self,
        in_channels: int,
        num_joints: int,
        max_bodies: int,
        *,
        channels: int,
        saturate: bool = False,
        mix: Float[Tensor, "V V"] | None = None,
    ) -> None:
        super().__init__(channels, num_joints, max_bodies)
        self.clip_shape = (in_channels, num_joints, max_bodies)
        self.saturate = saturate
        self.register_buffer("mix", mix, persistent=False)
        self.position = nn.Parameter(torch.randn(1, num_joints, channels))
        self.embed = nn.Linear(in_channels, channels)

    def forward(self, x: Float[Tensor, "N C T V M"]) -> Float[Tensor, "B D T V"]:
        """The clips' bodies, embedded and normalised; body m of clip n in row n * M + m.

        Raises:
            ModelError: Channels, joints or bodies are not those that the model was made for.
        """
        self._check_shape(x)
        joints = x.permute(0, 4, 2, 3, 1)  # N M T V C
        if self.mix is not None:
            joints = self.mix.to(x.dtype) @ joints
        embedded = self.embed(joints) + self.position  # N M T V D
        if self.saturate:
            embedded = embedded.tanh()
        return self._normalise(embedded.permute(0, 4, 2, 3, 1))
