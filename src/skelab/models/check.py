"""Checks the declared traits of a family against its network."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.base import SkeletonModel, set_skip_absent

_CLIPS = 3
_TOKENS = 6  # the clips have at least the frames of this many tokens
_NOISE = 0.1  # of the weights, so that none is zero
_MOVED = 1e-9  # relative threshold: far above rounding in float64, far below mixing


def check_traits(model: nn.Module, *, seed: int = 0) -> tuple[str, ...]:
    """Check the traits of a model by experiment; returns one line per violated trait.

    A float64 copy of the model with perturbed weights processes random clips; then one body, one
    clip or one frame is changed, and the affected tokens and logits are compared, in eval mode and
    in training mode without batch statistics and dropout. A trait must hold in both directions:
    declared mixing must occur, and undeclared mixing must not.

    The declared clip lengths and the stride are tried, too.

    Args:
        model: A result of ``create_model``, or a ``SkeletonModel`` with its own ``traits``.
        seed: Seed of the perturbation and the clips.

    Returns:
        Family, trait, place and size of each violation; empty if there is none.

    Raises:
        ModelError: The model is not a ``SkeletonModel`` and has no tokens.
    """
    if not isinstance(model, SkeletonModel):
        raise ModelError(
            f"{type(model).__name__}: expected a SkeletonModel, whose tokens can be compared, found"
            " another module"
        )
    probe = _Probe(model, seed)
    return (*probe.check_lengths(), *probe.check_mixing())


@dataclass(frozen=True, eq=False)
class _Seen:
    tokens: Float64[Tensor, "N M F L W"]
    logits: Float64[Tensor, "N K"]


class _Probe:
    """A perturbed copy of a model, and the clips that it processes."""

    def __init__(self, model: SkeletonModel, seed: int) -> None:
        self.traits = model.traits
        spec = getattr(model, "skelab_spec", None)
        self.name = getattr(spec, "name", type(model).__name__)
        self.model = copy.deepcopy(model).double()
        set_skip_absent(self.model, False)
        self.random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(parameter.cpu() + _NOISE * self.draw(*parameter.shape))

    def draw(self, *shape: int) -> Float64[Tensor, "..."]:
        return torch.randn(shape, generator=self.random, dtype=torch.float64)

    def clips(self, frames: int) -> Float64[Tensor, "N C T V M"]:
        channels, joints, bodies = self.model.input_norm.clip_shape
        return self.draw(_CLIPS, channels, frames, joints, bodies)

    def see(self, x: Float64[Tensor, "N C T V M"]) -> _Seen:
        device = next(self.model.parameters()).device
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(0)  # the same draws if the model is random
            tokens = self.model.forward_features(x.to(device))
            logits = self.model.forward_head(self.model.pool(tokens))
        return _Seen(tokens.dense().cpu(), logits.cpu())

    def check_lengths(self) -> Iterator[str]:
        """Check that the shortest, the longest and a medium length give finite logits."""
        self.model.eval()
        shortest, longest = self.traits.shortest, self.traits.longest
        lengths = (shortest, self.traits.nearest(shortest + 1), longest or self._frames())
        for frames in dict.fromkeys(lengths):
            where = f"{self.name}: lengths: declared {self.traits.lengths}, but {frames} frames"
            try:
                seen = self.see(self.clips(frames))
            except (ModelError, RuntimeError, ValueError, IndexError) as error:
                yield f"{where} fail: {' '.join(str(error).split())[:200]}"
                continue
            if not seen.logits.isfinite().all():
                yield f"{where} give logits that are not finite"
            expected, found = -(-frames // self.model.stride), seen.tokens.shape[3]
            if found != expected:
                yield (
                    f"{self.name}: stride: declared {self.model.stride}, which makes {expected}"
                    f" tokens of {frames} frames, found {found}"
                )

    def check_mixing(self) -> Iterator[str]:
        """Check which outputs change with a body, a clip or a frame."""
        x = self.clips(self._frames())
        found: dict[str, str] = {}
        for mode in ("eval mode", "training"):
            self._set_mode(mode)
            before = self.see(x)
            for trait, place in self._mixing(x, before):
                found.setdefault(trait, f"{place}, in {mode}")
        for trait in _tried(x):
            declared = getattr(self.traits, trait)
            # causal is the only trait that promises no change
            if trait in found and declared is (trait == "causal"):
                yield f"{self.name}: {trait}: declared {declared}, but {found[trait]}"
            if trait not in found and declared is (trait != "causal"):
                yield f"{self.name}: {trait}: declared {declared}, but {_NOTHING[trait]}"

    def _mixing(self, x: Float64[Tensor, "N C T V M"], before: _Seen) -> Iterator[tuple[str, str]]:
        frames, bodies = x.shape[2], x.shape[4]
        for body in range(bodies):
            changed = x.clone()
            changed[0, ..., body] = self.draw(*x.shape[1:4])
            moved = _moved(self.see(changed).tokens, before.tokens)[0].amax(dim=1)  # M
            moved[body] = 0
            if moved.max() > _MOVED:
                other = int(moved.argmax())
                yield "bodies_mix", _place(f"body {body}", f"body {other}", moved)
        for clip in (0, _CLIPS - 1):
            changed = x.clone()
            changed[clip] = self.draw(*x.shape[1:])
            after = self.see(changed)
            moved = _moved(after.tokens, before.tokens).amax(dim=(1, 2))  # N
            moved = moved.maximum(_relative(after.logits, before.logits).amax(dim=1))
            moved[clip] = 0
            if moved.max() > _MOVED:
                other = int(moved.argmax())
                yield "samples_mix", _place(f"clip {clip}", f"clip {other}", moved)
        stride = self.model.stride
        for frame in (frames // 2, frames - 1):
            changed = x.clone()
            changed[:, :, frame] = self.draw(_CLIPS, x.shape[1], *x.shape[3:])
            moved = _moved(self.see(changed).tokens, before.tokens).amax(dim=(0, 1))  # L
            moved = moved[: frame // stride]  # tokens that end before the frame
            if len(moved) and moved.max() > _MOVED:
                token = int(moved.argmax())
                of = f"token {token} (frames {token * stride} to {token * stride + stride - 1})"
                yield "causal", _place(f"frame {frame}", of, moved)

    def _set_mode(self, mode: str) -> None:
        """Training mode here excludes batch statistics and dropout."""
        self.model.train(mode == "training")
        for layer in self.model.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd):
                layer.eval()

    def _frames(self) -> int:
        return self.traits.nearest(_TOKENS * self.model.stride)


_NOTHING = {
    "bodies_mix": "no body moves when another of its clip changes",
    "samples_mix": "no clip moves when another of the batch changes",
    "causal": "no earlier token moves when a frame changes",
}


def _tried(x: Float64[Tensor, "N C T V M"]) -> Iterator[str]:
    """The traits that can be observed on clips of this shape."""
    if x.shape[4] > 1:
        yield "bodies_mix"
    yield "samples_mix"
    yield "causal"


def _relative(after: Tensor, before: Tensor) -> Tensor:
    return (after - before).abs() / before.abs().max().clamp(min=1e-30)


def _moved(
    after: Float64[Tensor, "N M F L W"], before: Float64[Tensor, "N M F L W"]
) -> Float64[Tensor, "N M L"]:
    """The change of each token, relative to the largest value."""
    return _relative(after, before).amax(dim=(2, 4))


def _place(changed: str, moved: str, by: Tensor) -> str:
    return f"changing {changed} moves {moved} by {float(by.max()):.0e} of the largest feature"
