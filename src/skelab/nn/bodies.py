"""Input normalisation: from clips with several bodies to a batch of single bodies."""

from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError


class BodyNorm(nn.Module):
    """Batch norm per coordinate, joint and body over time; bodies then join the batch axis.

    Without ``per_body`` all bodies share scales and statistics.

    Source: arXiv:1801.07455 (``data_bn``); per body, as in arXiv:1805.07694 and its descendants.
    """

    def __init__(
        self, in_channels: int, num_joints: int, max_bodies: int, *, per_body: bool = True
    ) -> None:
        super().__init__()
        self.clip_shape = (in_channels, num_joints, max_bodies)
        self.per_body = per_body
        bodies = max_bodies if per_body else 1
        self.norm = nn.BatchNorm1d(bodies * num_joints * in_channels)

    def forward(self, x: Float[Tensor, "N C T V M"]) -> Float[Tensor, "B C T V"]:
        """Normalise the clips' bodies; B = N * M, with body m of clip n in row n * M + m.

        Raises:
            ModelError: Channels, joints or bodies are not those that the model was made for.
        """
        n, c, t, v, m = x.shape
        if (c, v, m) != self.clip_shape:
            channels, joints, bodies = self.clip_shape
            raise ModelError(
                f"model input: expected N x {channels} x T x {joints} x {bodies} (channels, frames,"
                f" joints, bodies), found {n} x {c} x {t} x {v} x {m}; make the model with the"
                " layout, channels and bodies of the clips"
            )
        # channel m*V*C + v*C + c, or v*C + c where the bodies are rows
        series = x.permute(0, 4, 3, 1, 2).reshape(-1, self.norm.num_features, t)
        normed: Tensor = self.norm(series)
        return normed.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
