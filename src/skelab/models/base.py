"""The common part of all families; each adds its own backbone."""

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
    BodySplit,
    ConstantFeatures,
    find_absent,
    keeps_duplicates_identical,
    multiplicities,
    takes_batch_statistics,
    version_of,
    with_weighted_norms,
)


class SkeletonModel(nn.Module):
    """A classifier of clips: normalise, run each body through the backbone, pool, classify.

    ``forward`` gives logits. In between, ``forward_features`` gives the tokens of every body,
    ``pool`` reduces them to one vector per clip, and ``forward_head`` computes the logits.
    ``outputs`` returns logits and auxiliary losses, for training. All of them take a ``ModelInput``
    or plain joints.

    Absent bodies cost next to nothing, unless the family's traits say that bodies or samples mix.
    In eval mode without gradients their features depend on the weights only: they are computed
    once per slot and clip length, and cached until a weight, the mode, the device or the dtype
    changes (writing through ``.data`` goes unnoticed). In training one row per slot represents all
    absent bodies, and batch norms weight it by their number. Logits, gradients and running
    statistics equal those of the plain computation within rounding. The plain computation is used
    while a graph is traced or exported, where the clips themselves require gradients, and where
    the backbone in training has dropout or a batch norm other than PyTorch's own.

    A family adds losses of its own by a backbone that returns a ``BackboneOutput``, or by
    overriding ``auxiliary_losses`` or ``output_losses``.

    Args:
        backbone: Takes single bodies B C T V, with body m of clip n in row n * M + m, and returns
            B F L W, or a ``BackboneOutput`` of that: any F and W, and L = T / stride, rounded up.
        num_features: F.
        num_classes: K.
        in_channels: C, say 3 for x, y, z.
        num_joints: V.
        max_bodies: M. An absent body is all zeros, and is pooled like any other.
        stride: Frames of the input from one token to the next.
        dropout: Probability of dropping a feature before the classifier, in training.
        norm_per_body: Normalise each body of a clip by statistics of its own.
        pooling: Maps ``Tokens`` to vectors N F; the mean by default.
        input_norm: Splits clips into single bodies; a ``BodyNorm`` by default.

    Attributes:
        skips_absent: Skip absent bodies as described; ``set_skip_absent`` switches it.
        traits: What the network mixes, and which clip lengths it takes; ``create_model`` sets them
            from the family's card, and marks a causal network as causal.
        answers_per_frame: ``forward`` gives logits N T K, at each frame those of the clip that
            ends with it; for causal networks only, see ``forward_frames``.

    Raises:
        ModelError: ``dropout`` or ``stride`` is out of range.

    Source: the order of layers is that of arXiv:1801.07455.
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
        input_norm: BodySplit | None = None,
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
        self.input_norm = input_norm or BodyNorm(
            in_channels, num_joints, max_bodies, per_body=norm_per_body
        )
        self.backbone = with_weighted_norms(backbone)
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
                that it does not accept; or a loss term of the backbone has a wrong shape.
        """
        given = as_input(x)
        self._check_frames(given.joints)
        bodies = self.input_norm(given.joints)
        absent = self._find_absent(given.joints)
        if absent is not None and (version := self._weights_version()) is not None:
            return self._with_constants(given, bodies, absent, version)
        if absent is None or not absent.num_saved or not keeps_duplicates_identical(self.backbone):
            return self._tokens(given, bodies, None)
        rows = torch.cat([absent.present, absent.first])
        with multiplicities(self.backbone, absent.multiplicities()):
            return self._tokens(given, bodies[rows], absent)

    def pool(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One feature vector per clip."""
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
        """Logits at each frame, those of the clip that ends with it; for causal networks.

        Raises:
            ModelError: As in ``forward_features``; or the network is not causal.
        """
        return self._per_frame(self.forward_features(x))

    def outputs(self, x: ModelInput | Float[Tensor, "N C T V M"]) -> ModelOutput:
        """Logits and, in training, auxiliary losses by name.

        Raises:
            ModelError: As in ``forward_features``; or two loss terms share a name, or one of the
                family is not a scalar.
        """
        tokens = self.forward_features(x)
        if not self.training:
            return ModelOutput(self._answers(tokens))
        features = self.pool(tokens)
        logits = self._per_frame(tokens) if self.answers_per_frame else self.forward_head(features)
        own = {**self.auxiliary_losses(tokens), **self.output_losses(tokens, features, logits)}
        own |= self._head_losses(tokens, features)
        for name, term in own.items():
            if term.ndim or name in tokens.auxiliary:
                found = "a second one of this name" if not term.ndim else f"{term.ndim} axes"
                raise ModelError(f"auxiliary loss {name!r}: expected one number, found {found}")
        return ModelOutput(logits, {**tokens.auxiliary, **own})

    def auxiliary_losses(self, tokens: Tokens) -> Mapping[str, Float[Tensor, ""]]:
        """Auxiliary losses of the family by name, scalars; to be overridden by families.

        Only ``outputs`` calls it, in training. ``tokens.given.labels`` are the classes, if training
        provides them.
        """
        return {}

    def output_losses(
        self, tokens: Tokens, features: Float[Tensor, "N F"], logits: Float[Tensor, "N ..."]
    ) -> Mapping[str, Tensor]:
        """Loss terms of the pooled features or the logits; like ``auxiliary_losses``."""
        return {}

    def _head_losses(self, tokens: Tokens, features: Float[Tensor, "N F"]) -> Mapping[str, Tensor]:
        """Loss terms that the head itself has, where training provides the classes."""
        losses = getattr(self.classifier, "losses", None)
        if losses is None or tokens.given.labels is None:
            return {}
        found: Mapping[str, Tensor] = losses(features, tokens.given.labels)
        return found

    def replace_head(self, head: nn.Module) -> None:
        """Replace the classifier by another head, whose keys also start with ``classifier.``.

        Dropout before the head is kept. ``model_spec`` still returns the original specification.

        Args:
            head: Maps features N F (``num_features``) to one row per clip. Its method ``losses``,
                if it has one, takes features and classes, and gives losses of its own by name.
        """
        self.add_module("classifier", head)

    def train(self, mode: bool = True) -> "SkeletonModel":
        """Set training or eval mode, and clear the cached features of absent bodies."""
        self._constants.clear()
        return super().train(mode)

    def _answers(self, tokens: Tokens) -> Float[Tensor, "N ..."]:
        """Logits per clip, or per frame if ``answers_per_frame`` is set."""
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
        """The absent bodies; None if there are none or they cannot be skipped."""
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        has_numbers = type(x) is Tensor and not x.is_meta  # others may hide their values
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
        """The tokens of bodies, some of which may represent several."""
        made = self._run(bodies)
        counts = None if absent is None else absent.multiplicities().counts
        auxiliary = {
            name: self._mean_term(name, term, len(bodies), counts)
            for name, term in made.auxiliary.items()
            if self.training
        }
        return Tokens(
            made.features, given, self.stride, absent, auxiliary=auxiliary, extras=made.extras
        )

    def _mean_term(
        self, name: str, term: Tensor, rows: int, counts: Float[Tensor, " B"] | None
    ) -> Float[Tensor, ""]:
        """The mean of a loss term over all bodies of the batch, including skipped ones."""
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
        """The tokens of present bodies, with cached features for absent ones."""
        computed = self._run(bodies[absent.present]).features if len(absent.present) else None
        constants = self._constants_of(given.joints, absent, version)
        rows = constants[0][:0] if computed is None else computed
        return Tokens(rows, given, self.stride, absent, constants)

    def _constants_of(
        self, x: Float[Tensor, "N C T V M"], absent: AbsentBodies, version: Hashable
    ) -> tuple[Float[Tensor, "1 F L W"], ...]:
        """The features of an absent body in each slot that has one."""
        one = x.new_ones(1, 1)
        number_type = (one @ one).dtype  # may differ from that of x under autocast

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
        """A version of all weights that affect absent bodies; None if the features vary."""
        if torch.is_grad_enabled():
            return None
        tensors: list[Tensor] = []
        for layer in chain(self.input_norm.modules(), self.backbone.modules()):
            if _is_in_training(layer):
                return None
            # parameters() and buffers() would take three times as long in every forward pass
            own = chain(layer._parameters.values(), layer._buffers.values())
            tensors.extend(tensor for tensor in own if tensor is not None)
        return version_of(tensors)


def set_skip_absent(model: nn.Module, skip: bool) -> None:
    """Set whether ``model`` skips absent bodies or computes every body.

    Computing all of them suits external tracers, hooks that expect a row for every body, and
    ``torch.func``. Results differ by rounding only.
    """
    for module in model.modules():
        if isinstance(module, SkeletonModel):
            module.skips_absent = skip


def _is_in_training(layer: nn.Module) -> bool:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return takes_batch_statistics(layer)
    return layer.training
