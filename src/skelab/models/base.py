"""The frame that every family fills with a backbone of its own."""

from collections.abc import Hashable, Mapping
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.inputs import ModelInput, as_input
from skelab.models.pooling import MeanPooling, RecentPooling
from skelab.models.tokens import BackboneOutput, ModelOutput, Tokens
from skelab.models.traits import FamilyTraits
from skelab.nn import (
    AbsentBodies,
    BodyNorm,
    ConstantFeatures,
    find_absent,
    row_counts,
    takes_batch_statistics,
    treats_equal_rows_alike,
    version_of,
    with_counted_norms,
)


class SkeletonModel(nn.Module):
    """A classifier of clips: normalise, run each body through the backbone, pool, classify.

    ``forward`` gives logits. In between, ``forward_features`` gives the tokens of every body,
    ``pool`` makes one vector a clip of them, and ``forward_head`` the logits. ``outputs`` gives
    logits and auxiliary losses, for training. All of them take a ``ModelInput`` or plain joints.

    Absent bodies cost next to nothing, unless the family's traits say that bodies or samples mix.
    Without gradients, in eval mode, their features are constants of the weights, computed once for
    each slot and length of clips; they are kept until a weight changes (by all but writing through
    ``.data``), or the mode, device or type. Otherwise one row for each slot stands for all absent
    bodies, and batch norms count it as often as it does. Logits, gradients and running statistics
    are those of the plain computation, within rounding. That is taken by itself where the features
    cannot be spared: while a graph is traced or exported, where gradients for the clips themselves
    are asked for, or if the backbone, in training, has dropout or a batch norm that is not
    PyTorch's plain one.

    A family has losses of its own if its backbone gives a ``BackboneOutput``, or if it overrides
    ``auxiliary_losses``.

    Args:
        backbone: Takes single bodies B C T V, body m of clip n in row n * M + m, and gives B F L W,
            or a ``BackboneOutput`` of that: any F and W, and L = T / stride, rounded up.
        num_features: F.
        num_classes: K.
        in_channels: C, say 3 for x, y, z.
        num_joints: V.
        max_bodies: M. An absent body is all zeros, and counts like any other.
        stride: Frames of the input from one token to the next.
        dropout: Probability of dropping a feature before the classifier, in training.
        norm_per_body: Normalise each body of a clip by statistics of its own.
        pooling: Makes vectors N F of ``Tokens``; unless given, the mean.

    Attributes:
        skips_absent: Spare absent bodies as said above; ``set_skip_absent`` switches it.
        traits: What the network mixes, and which lengths of clips it takes; ``create_model`` takes
            them from the family's card, and of a causal network says so.
        answers_per_frame: ``forward`` gives logits N T K: at each frame those of the clip that
            ends with it. For causal networks only, see ``forward_frames``.

    Raises:
        ModelError: ``dropout`` or ``stride`` is out of range.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_features: int,
        num_classes: int,
        in_channels: int,
        num_joints: int,
        max_bodies: int,
        stride: int = 1,
        dropout: float = 0.0,
        norm_per_body: bool = True,
        pooling: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ModelError(f"dropout: expected a number in [0, 1), found {dropout!r}")
        if stride < 1:
            raise ModelError(f"stride: expected a whole number from 1, found {stride!r}")
        self.num_features = num_features
        self.max_bodies = max_bodies
        self.stride = stride
        self.traits = FamilyTraits()
        self.input_norm = BodyNorm(in_channels, num_joints, max_bodies, per_body=norm_per_body)
        self.backbone = with_counted_norms(backbone)
        self.pooling = MeanPooling() if pooling is None else pooling
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_features, num_classes)
        self.skips_absent = True
        self.answers_per_frame = False
        self._constants = ConstantFeatures()

    def forward_features(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> Tokens:
        """Features of every clip, body, frame and joint.

        Raises:
            ModelError: The clips have other channels, joints or bodies than the model, or a length
                that it does not take; or a loss term of the backbone is misshapen.
        """
        given = as_input(x)
        self._check_frames(given.joints)
        bodies = self.input_norm(given.joints)
        absent = self._find_absent(given.joints)
        if absent is not None and (version := self._weights_version()) is not None:
            return self._with_constants(given, bodies, absent, version)
        if absent is None or not absent.num_spared or not treats_equal_rows_alike(self.backbone):
            return self._tokens(given, bodies, None)
        rows = torch.cat([absent.present, absent.first])
        with row_counts(self.backbone, absent.row_counts()):
            return self._tokens(given, bodies[rows], absent)

    def pool(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One vector a clip."""
        features: Tensor = self.pooling(tokens)
        return features

    def forward_head(self, features: Float[Tensor, "N *L F"]) -> Float[Tensor, "N ..."]:
        """Logits of the K classes; no softmax."""
        logits: Tensor = self.classifier(self.dropout(features))
        return logits

    def forward(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> Float[Tensor, "N ..."]:
        """Logits of the K classes for N clips of T frames.

        Raises:
            ModelError: As in ``forward_features``.
        """
        return self._answers(self.forward_features(x))

    def forward_frames(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> Float[Tensor, "N T K"]:
        """Logits at each frame: those of the clip that ends with it. For causal networks.

        Raises:
            ModelError: As in ``forward_features``; or the network is not causal.
        """
        return self._per_frame(self.forward_features(x))

    def outputs(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> ModelOutput:
        """Logits and, in training, auxiliary losses by name.

        Raises:
            ModelError: As in ``forward_features``; or two loss terms have one name, or one of the
                family's is no single number.
        """
        tokens = self.forward_features(x)
        logits = self._answers(tokens)
        if not self.training:
            return ModelOutput(logits)
        own = self.auxiliary_losses(tokens)
        for name, term in own.items():
            if term.ndim or name in tokens.auxiliary:
                found = "a second one of this name" if not term.ndim else f"{term.ndim} axes"
                raise ModelError(f"auxiliary loss {name!r}: expected one number, found {found}")
        return ModelOutput(logits, {**tokens.auxiliary, **own})

    def auxiliary_losses(self, tokens: Tokens) -> Mapping[str, Tensor]:
        """Loss terms of the family by name, single numbers; families that have some override it.

        Only ``outputs`` asks for them, in training. ``tokens.given.labels`` are the classes, if
        whoever trains gives them.
        """
        return {}

    def replace_head(self, head: nn.Module) -> None:
        """Put another head in the classifier's place; its keys start with ``classifier.``, too.

        Dropout before the head and everything else stay as they are. ``model_spec`` goes on saying
        what the model was made with.

        Args:
            head: Takes features N F (``num_features``) and gives one row a clip.
        """
        self.add_module("classifier", head)

    def train(self, mode: bool = True) -> "SkeletonModel":
        """Set training or eval mode; what was kept of absent bodies is forgotten."""
        self._constants.clear()
        return super().train(mode)

    def _answers(self, tokens: Tokens) -> Float[Tensor, "N ..."]:
        """What ``forward`` gives."""
        if self.answers_per_frame:
            return self._per_frame(tokens)
        return self.forward_head(self.pool(tokens))

    def _per_frame(self, tokens: Tokens) -> Float[Tensor, "N T K"]:
        if not self.traits.causal or not isinstance(self.pooling, RecentPooling):
            raise ModelError(
                "answers at each frame: expected a causal network, found one that looks ahead;"
                " make it with causal=True (stgcn, ctrgcn, msg3d)"
            )
        logits = self.forward_head(self.pooling.at_every_token(tokens))  # N L K
        frames = tokens.given.joints.shape[2]
        return logits.repeat_interleave(self.stride, dim=1)[:, :frames]

    def _check_frames(self, x: Float[Tensor, "N C T V M"]) -> None:
        if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            name = getattr(getattr(self, "skelab_spec", None), "name", type(self).__name__)
            self.traits.check_length(name, x.shape[2])

    @property
    def _may_spare(self) -> bool:
        mixes = self.traits.bodies_mix or self.traits.samples_mix
        return self.skips_absent and not mixes

    def _find_absent(self, x: Float[Tensor, "N C T V M"]) -> AbsentBodies | None:
        """The absent bodies, None if there are none or they must be computed like any other."""
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        has_numbers = type(x) is Tensor and not x.is_meta  # others may hide what is in them
        wants_gradient = x.requires_grad and torch.is_grad_enabled()
        if not self._may_spare or traced or not has_numbers or wants_gradient:
            return None
        return find_absent(x, alike=not self.input_norm.per_body)

    def _run(self, bodies: Float[Tensor, "B C T V"]) -> BackboneOutput:
        made = self.backbone(bodies)
        return made if isinstance(made, BackboneOutput) else BackboneOutput(made)

    def _tokens(
        self, given: ModelInput, bodies: Float[Tensor, "B C T V"], absent: AbsentBodies | None
    ) -> Tokens:
        """The tokens of bodies, some of which may stand for several."""
        made = self._run(bodies)
        counts = None if absent is None else absent.row_counts().counts
        auxiliary = {
            name: self._mean_term(name, term, len(bodies), counts)
            for name, term in made.auxiliary.items()
            if self.training
        }
        return Tokens(made.features, given, self.stride, absent, auxiliary=auxiliary)

    def _mean_term(
        self, name: str, term: Tensor, rows: int, counts: Float[Tensor, " B"] | None
    ) -> Float[Tensor, ""]:
        """The mean of a loss term over all bodies of the batch, those that were spared included."""
        if term.ndim == 0 and not self._may_spare:
            return term
        if tuple(term.shape) != (rows,):
            found = " x ".join(map(str, term.shape)) or "a single number"
            raise ModelError(
                f"auxiliary loss {name!r} of the backbone: expected one number for each of {rows}"
                f" bodies, found {found}; declare samples_mix in the family's traits if the bodies"
                " of a batch have it together"
            )
        return term.mean() if counts is None else (term * counts).sum() / counts.sum()

    def _with_constants(
        self,
        given: ModelInput,
        bodies: Float[Tensor, "B C T V"],
        absent: AbsentBodies,
        version: Hashable,
    ) -> Tokens:
        """The tokens of the bodies that are there; those of absent bodies are known."""
        computed = self._run(bodies[absent.present]).features if len(absent.present) else None
        constants = self._constants_of(given.joints, absent, version)
        rows = constants[0][:0] if computed is None else computed
        return Tokens(rows, given, self.stride, absent, constants)

    def _constants_of(
        self, x: Float[Tensor, "N C T V M"], absent: AbsentBodies, version: Hashable
    ) -> tuple[Float[Tensor, "1 F L W"], ...]:
        """What an absent body's features are in each slot where there is one."""
        one = x.new_ones(1, 1)
        number_type = (one @ one).dtype  # another one than x's under autocast

        def compute() -> Tensor:
            with torch.inference_mode(False), torch.no_grad():
                bodies = self.input_norm(x.new_zeros(1, *x.shape[1:]))
                return self._run(bodies[slot : slot + 1]).features

        constants = []
        for slot in absent.slots:
            key = (slot, x.shape[2], x.dtype, x.device, number_type)
            constants.append(self._constants.get(version, key, compute))
        return tuple(constants)

    def _weights_version(self) -> Hashable:
        """Of all that the features of absent bodies depend on; None if they are no constants."""
        if torch.is_grad_enabled():
            return None
        tensors: list[Tensor] = []
        for layer in chain(self.input_norm.modules(), self.backbone.modules()):
            if _is_in_training(layer):
                return None
            # parameters() and buffers() take three times as long, in every forward pass
            own = chain(layer._parameters.values(), layer._buffers.values())
            tensors.extend(tensor for tensor in own if tensor is not None)
        return version_of(tensors)


def set_skip_absent(model: nn.Module, skip: bool) -> None:
    """Let ``model`` spare absent bodies, or compute every body like any other.

    The plain way suits tracing by tools that PyTorch does not know of, hooks that expect a row for
    every body, and ``torch.func``. It changes results by rounding at most.
    """
    for module in model.modules():
        if isinstance(module, SkeletonModel):
            module.skips_absent = skip


def _is_in_training(layer: nn.Module) -> bool:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return takes_batch_statistics(layer)
    return layer.training
