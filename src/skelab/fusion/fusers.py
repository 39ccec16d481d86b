"""Fusers: a clip's side-car joins the pooled tokens of any backbone.

A fuser takes the place of the network's pooling, and so sees the tokens and, in what the network
was shown, the side-cars. A clip without a side-car passes through unchanged.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from skelab.data.feeding.batch import FEATURES, POSITIONS, VALID
from skelab.errors import ModelError
from skelab.fusion.spec import FusionSpec
from skelab.models import ModelInput, SkeletonModel, Tokens

_ABSENT = -1e4  # an attention score that no other comes near, also in half precision


class SideCars(NamedTuple):
    """The side-cars of a batch inside a network.

    Attributes:
        vectors: After the fuser's first layer.
        positions: Frames of the window.
        valid: Which of them count.
    """

    vectors: Float[Tensor, "N S H"]
    positions: Float[Tensor, "N S"]
    valid: Bool[Tensor, "N S"]

    def mean(self) -> Float[Tensor, "N H"]:
        """The mean of the valid vectors; zeros where there is none."""
        weights = self.valid.to(self.vectors.dtype)
        total = (self.vectors * weights[..., None]).sum(dim=1)
        return total / weights.sum(dim=1, keepdim=True).clamp_min(1)

    @property
    def present(self) -> Bool[Tensor, "N 1"]:
        """Which clips have a side-car."""
        return self.valid.any(dim=1, keepdim=True)


class Fuser(nn.Module):
    """What fusers have in common: encode side-cars, drop some in training, leave absent ones out.

    Args:
        pooling: The pooling of the network.
        num_features: Features of a pooled clip.
        spec: Kind, sizes and drop-out of side-cars.
    """

    def __init__(self, pooling: nn.Module, num_features: int, spec: FusionSpec) -> None:
        super().__init__()
        self.pooling = pooling
        self.num_features = num_features
        self.drop = spec.drop
        self.width = spec.width
        self.size = spec.size
        self.encode = nn.Sequential(
            nn.LayerNorm(spec.size), nn.Linear(spec.size, spec.width), nn.GELU()
        )

    def forward(self, tokens: Tokens) -> Float[Tensor, "N G"]:
        """One vector per clip; that of the skeleton alone where there is no side-car."""
        skeleton: Tensor = self.pooling(tokens)
        side_cars = self.side_cars(tokens.given, skeleton)
        if side_cars is None:
            return self.alone(skeleton)
        fused = self.fuse(tokens, skeleton, side_cars)
        return torch.where(side_cars.present, fused, self.alone(skeleton))

    def alone(self, skeleton: Float[Tensor, "N F"]) -> Float[Tensor, "N G"]:
        """The vector of a clip without a side-car."""
        return skeleton

    def fuse(
        self, tokens: Tokens, skeleton: Float[Tensor, "N F"], side_cars: SideCars
    ) -> Float[Tensor, "N G"]:
        """The vector of a clip with a side-car."""
        raise NotImplementedError

    def side_cars(self, given: ModelInput, like: Float[Tensor, "N F"]) -> SideCars | None:
        """The side-cars that the network was shown; in training some are dropped.

        Raises:
            ModelError: Their vectors have another size than those of training.
        """
        if FEATURES not in given.sidecars:
            return None
        features, valid = given.sidecars[FEATURES], given.sidecars[VALID].bool()
        if features.shape[2] != self.size:
            raise ModelError(
                f"side-cars: expected vectors of {self.size} numbers, found {features.shape[2]}"
            )
        if self.training and self.drop:
            kept = torch.rand(len(valid), 1, device=valid.device) >= self.drop
            valid = valid & kept
        vectors = self.encode(features.to(like.dtype)).to(like.dtype)
        return SideCars(vectors, given.sidecars[POSITIONS].to(like.dtype), valid)


class GatedFuser(Fuser):
    """Both vectors decide through a gate how much of the side-car is added to the skeleton."""

    def __init__(self, pooling: nn.Module, num_features: int, spec: FusionSpec) -> None:
        super().__init__(pooling, num_features, spec)
        both = num_features + spec.width
        self.gate = nn.Linear(both, num_features)
        self.add = nn.Linear(both, num_features)

    def fuse(
        self, tokens: Tokens, skeleton: Float[Tensor, "N F"], side_cars: SideCars
    ) -> Float[Tensor, "N F"]:
        """The skeleton's vector plus the gated one of both."""
        both = torch.cat([skeleton, side_cars.mean()], dim=1)
        added: Tensor = torch.sigmoid(self.gate(both)) * self.add(both)
        return skeleton + added


class AttendFuser(Fuser):
    """Skeleton tokens query side-cars; what they find is added through a gate that starts at 0.

    At each moment one query is made of the mean over joints and bodies. Attention falls with the
    distance in time, by a slope that is learned. With the gate at 0 the network is the skeleton
    network bit for bit.
    """

    def __init__(self, pooling: nn.Module, num_features: int, spec: FusionSpec) -> None:
        super().__init__(pooling, num_features, spec)
        self.query = nn.Linear(num_features, spec.width)
        self.key = nn.Linear(spec.width, spec.width)
        self.value = nn.Linear(spec.width, num_features)
        self.slope = nn.Parameter(torch.zeros(()))
        self.gate = nn.Parameter(torch.zeros(num_features))

    def fuse(
        self, tokens: Tokens, skeleton: Float[Tensor, "N F"], side_cars: SideCars
    ) -> Float[Tensor, "N F"]:
        """The skeleton's vector plus what its tokens have found."""
        moments = tokens.by_body(lambda maps: maps.mean(dim=3)).mean(dim=1)  # N F L
        found = self.attend(moments.transpose(1, 2), side_cars, tokens)
        return skeleton + self.gate * found.mean(dim=1)

    def attend(
        self, moments: Float[Tensor, "N L F"], side_cars: SideCars, tokens: Tokens
    ) -> Float[Tensor, "N L F"]:
        """What each moment finds in the side-cars."""
        window = tokens.given.joints.shape[2]
        scores = self.query(moments) @ self.key(side_cars.vectors).transpose(1, 2)  # N L S
        own = (torch.arange(moments.shape[1], device=moments.device) + 0.5) * tokens.stride - 0.5
        distance = (own[None, :, None] - side_cars.positions[:, None, :]).abs() / window
        scores = scores / self.width**0.5 - F.softplus(self.slope) * distance
        scores = scores.masked_fill(~side_cars.valid[:, None, :], _ABSENT)
        found: Tensor = scores.softmax(dim=2) @ self.value(side_cars.vectors)
        return found


class SideCarOnly(Fuser):
    """A control: the side-car alone; the skeleton is not used."""

    def __init__(self, pooling: nn.Module, num_features: int, spec: FusionSpec) -> None:
        super().__init__(pooling, num_features, spec)
        self.add = nn.Linear(spec.width, num_features)
        self.drop = 0.0  # it could learn nothing of a clip without

    def alone(self, skeleton: Float[Tensor, "N F"]) -> Float[Tensor, "N F"]:
        """Zeros: nothing is known of such a clip."""
        return torch.zeros_like(skeleton)

    def fuse(
        self, tokens: Tokens, skeleton: Float[Tensor, "N F"], side_cars: SideCars
    ) -> Float[Tensor, "N F"]:
        """The side-car's vector."""
        found: Tensor = self.add(side_cars.mean())
        return found


class LateFuser(Fuser):
    """Hands on both vectors side by side, for :class:`LateHead`."""

    def __init__(self, pooling: nn.Module, num_features: int, spec: FusionSpec) -> None:
        super().__init__(pooling, num_features, spec)
        self.drop = 0.0  # the two classifiers learn apart

    def alone(self, skeleton: Float[Tensor, "N F"]) -> Float[Tensor, "N G"]:
        """The skeleton's vector, zeros, and the mark of absence."""
        return F.pad(skeleton, (0, self.width + 1))

    def fuse(
        self, tokens: Tokens, skeleton: Float[Tensor, "N F"], side_cars: SideCars
    ) -> Float[Tensor, "N G"]:
        """The two vectors, and the mark of presence."""
        present = side_cars.present.to(skeleton.dtype)
        return torch.cat([skeleton, side_cars.mean(), present], dim=1)


class LateHead(nn.Module):
    """Two classifiers, one for each vector, whose log-probabilities are added with a weight.

    Each learns by a loss of its own; the weight of the side-car, ``share``, is fitted on validation
    clips once training has ended.

    Args:
        skeleton: The classifier of the skeleton's vector.
        num_features: Features of that vector.
        width: Features of the side-car's vector.
    """

    def __init__(self, skeleton: nn.Linear, num_features: int, width: int) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.side_car = nn.Linear(width, skeleton.out_features)
        self.num_features = num_features
        self.share: Tensor
        self.register_buffer("share", torch.tensor(0.5))

    def forward(self, features: Float[Tensor, "N G"]) -> Float[Tensor, "N K"]:
        """Logits of the skeleton in training, else the weighted sum of log-probabilities."""
        own: Tensor = self.skeleton(features[:, : self.num_features])
        if self.training:
            return own
        own = own.log_softmax(dim=1)
        other = self.side_car(features[:, self.num_features : -1]).log_softmax(dim=1)
        both = (1 - self.share) * own + self.share * other
        return torch.where(features[:, -1:] != 0, both, own)

    def losses(
        self, features: Float[Tensor, "N G"], labels: Int64[Tensor, " N"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The cross-entropy of the side-car's classifier over the clips that have one."""
        present = (features[:, -1] != 0).float()
        logits = self.side_car(features[:, self.num_features : -1]).float()
        each = F.cross_entropy(logits, labels, reduction="none")
        return {"side_car": (each * present).sum() / present.sum().clamp_min(1)}


_KINDS: dict[str, type[Fuser]] = {
    "late": LateFuser,
    "gated": GatedFuser,
    "attend": AttendFuser,
    "side-car": SideCarOnly,
}


def attach_fuser(model: nn.Module, spec: FusionSpec) -> None:
    """Let a network take side-cars: its pooling becomes a fuser, drawn after its own weights.

    Raises:
        ModelError: There is no such fuser, or the network gives no tokens to fuse, or answers at
            each frame.
    """
    if spec.kind not in _KINDS:
        raise ModelError(f"fusion.kind: expected one of {', '.join(_KINDS)}, found {spec.kind!r}")
    if not isinstance(model, SkeletonModel):
        raise ModelError(
            f"fusion: expected a network that gives tokens, found a {type(model).__name__};"
            " see skelab models"
        )
    if model.answers_per_frame:
        raise ModelError(
            "fusion: expected a network that answers once a clip, found one that answers at each"
            " frame; --set task.name=classification"
        )
    model.pooling = _KINDS[spec.kind](model.pooling, model.num_features, spec)
    if spec.kind == "late":
        if not isinstance(model.classifier, nn.Linear):
            raise ModelError("fusion.kind late: expected a linear head, found another one")
        model.replace_head(LateHead(model.classifier, model.num_features, spec.width))
