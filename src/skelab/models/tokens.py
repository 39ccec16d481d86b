"""What comes out of a backbone and of a network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from skelab.errors import ModelError, unknown_name
from skelab.models.inputs import ModelInput
from skelab.nn import AbsentBodies


@dataclass(frozen=True, eq=False)
class Tokens:
    """Features of every clip, body, frame and joint, as ``forward_features`` gives them.

    The feature maps are kept by row. A row is a body of a clip or, where absent bodies were
    spared, the one that stands for all absent bodies of a slot. ``dense`` and ``by_body`` lay rows
    out by clip and body.

    Attributes:
        rows: Feature maps that this pass computed: F channels, L frames, W joints or groups of
            joints. Without ``absent``, body m of clip n is row n * M + m. With it, the rows are
            those of ``absent.present`` and then, unless ``constants`` has them, of
            ``absent.first``.
        given: What the network was shown.
        stride: Frames of the input from one token to the next; L is T / stride, rounded up.
        absent: Where bodies are absent, if they were spared.
        constants: Feature maps of absent bodies that were known before, one a slot of ``absent``.
        auxiliary: Loss terms of the backbone by name, in training.
        extras: What else the backbone made of each row, by name.
    """

    rows: Float[Tensor, "R F L W"]
    given: ModelInput
    stride: int = 1
    absent: AbsentBodies | None = None
    constants: tuple[Float[Tensor, "1 F L W"], ...] = ()
    auxiliary: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    extras: Mapping[str, Float[Tensor, "R ..."]] = field(default_factory=dict)

    def dense(self) -> Float[Tensor, "N M F L W"]:
        """The features by clip and body; those of absent bodies are copied to each of them."""
        return self.by_body(lambda maps: maps)

    def by_body(
        self, per_row: Callable[[Float[Tensor, "R F L W"]], Float[Tensor, "R ..."]]
    ) -> Float[Tensor, "N M ..."]:
        """Apply a function to every row, and lay out what it gives by clip and body.

        Cheaper than applying it to ``dense()`` where absent bodies were spared.

        Args:
            per_row: Treats each row by itself.
        """
        constants = [per_row(constant) for constant in self.constants]
        return self._by_body(per_row(self.rows), constants)

    def other(self, name: str) -> Float[Tensor, "N M ..."]:
        """What else the backbone made under this name, by clip and body.

        Raises:
            ModelError: It made no such thing; outside training, where the features of absent
                bodies are constants, nobody may ask.
        """
        if name not in self.extras or self.constants:
            raise ModelError(unknown_name("extra output of the backbone", name, self.extras))
        return self._by_body(self.extras[name], [])

    def _by_body(
        self, made: Float[Tensor, "R ..."], constants: Sequence[Float[Tensor, "1 ..."]]
    ) -> Float[Tensor, "N M ..."]:
        if self.absent is None:
            clips, bodies = self.given.joints.shape[0], self.given.joints.shape[4]
            return made.view(clips, bodies, *made.shape[1:])
        num_present = len(self.absent.present)
        gone = torch.cat([*constants]) if constants else made[num_present:]
        return self.absent.spread(made[:num_present], gone)

    def valid(self) -> Bool[Tensor, "N M L"]:
        """Whether the body is present in any of the frames that a token stands for.

        Raises:
            ModelError: The stride does not fit the numbers of frames and tokens.
        """
        presence = self.given.presence().transpose(1, 2)  # N M T
        frames, length = presence.shape[2], self.rows.shape[2]
        if length != -(-frames // self.stride):
            raise ModelError(
                f"tokens: expected {-(-frames // self.stride)} for {frames} frames at stride"
                f" {self.stride}, found {length}; make the model with the stride of its backbone"
            )
        padded = F.pad(presence, (0, length * self.stride - frames))
        return padded.reshape(*presence.shape[:2], length, self.stride).any(dim=3)


@dataclass(frozen=True, eq=False)
class BackboneOutput:
    """What a backbone gives that has losses of its own, instead of the features alone.

    Attributes:
        features: Features of each body.
        auxiliary: Loss terms by name, in training. One number a body, of which the mean over the
            batch is taken; absent bodies that were spared count as often as they occur. A family
            whose traits say that samples or bodies mix may give a single number.
        extras: What else the family's losses need of each body, by name, in training.
    """

    features: Float[Tensor, "B F L W"]
    auxiliary: Mapping[str, Float[Tensor, "*B"]] = field(default_factory=dict)
    extras: Mapping[str, Float[Tensor, "B ..."]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """What training gets of a network.

    Attributes:
        logits: What the head gives: of the K classes, no softmax, unless a task has another head.
        auxiliary: Loss terms by name, empty outside training.
    """

    logits: Float[Tensor, "N ..."]
    auxiliary: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
