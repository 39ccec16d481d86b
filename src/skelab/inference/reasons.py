"""Explains predictions: which joints and frames of a clip matter for a class.

Two methods are computed side by side, since neither is the truth: gradient times input, which is
exact for small changes, and occlusion, which replaces joints and compares the outputs. Both
measure from the same baseline, the mean of the training clips that the network's input norm keeps.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from numpy import ndarray
from torch import Tensor, nn

from skelab.data.clips.clip import Clip
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder
from skelab.data.feeding.streams import Stream
from skelab.data.preprocessing import get_pipeline
from skelab.errors import DataError, NetworkError, unknown_name
from skelab.inference.files import NetworkFile, read_network_file
from skelab.inference.network import Prediction, open_network
from skelab.inference.spec import NetworkSpec
from skelab.nn import BodyNorm, ChannelTopologyConv

SPANS: Final = 16
"""Number of spans of the window that are occluded in turn."""

_BATCH: Final = 16
_NOTES: Final = {
    Stream.JOINT: "",
    Stream.BONE: "Each joint stands for the bone that ends in it.",
    Stream.JOINT_MOTION: "Each joint stands for its motion to the next frame.",
    Stream.BONE_MOTION: "Each joint stands for the motion of the bone that ends in it.",
}


@dataclass(frozen=True)
class Topology:
    """The refined topology of a layer for one clip, averaged over channels and subsets.

    Attributes:
        layer: Name of the layer, as in the state dict.
        weights: Magnitude of the weight of the second joint for the first.
    """

    layer: str
    weights: Float32[ndarray, "V V"]


@dataclass(frozen=True)
class Reasons:
    """An explanation. Values are log-odds of the class; positive ones support it.

    Attributes:
        prediction: The prediction.
        target: The explained class.
        gradient: Gradient times input of each body, frame of the clip and joint; 0 in frames that
            the network is not shown, and for bodies beyond those that it takes.
        occlusion: Loss of log-odds if the joint of a body is replaced in all frames.
        spans: Loss of log-odds if all joints are replaced in a span, for each frame of the span.
        agreement: Spearman's rank correlation of the two methods over joints, and over spans;
            NaN if a method is constant.
        layers: Learned topologies, for networks that have them.
        note: Meaning of the joints, for streams other than joint.
    """

    prediction: Prediction
    target: str
    gradient: Float32[ndarray, "M T V"]
    occlusion: Float32[ndarray, "M V"]
    spans: Float32[ndarray, " T"]
    agreement: tuple[float, float]
    layers: tuple[Topology, ...]
    note: str = ""


def explain(network: Path | str | NetworkFile, clip: Clip, *, target: str | None = None) -> Reasons:
    """Explain a prediction: evidence of joints and frames for a class, by two methods.

    Args:
        network: A run folder or a checkpoint, as a path or as it was read.
        clip: A clip, prepared as the network was trained on.
        target: The class; the most likely one by default.

    Raises:
        NetworkError: The network is an exported file, which has no gradients; or it does not
            classify.
        DataError: There is no class of that name.

    Source: gradient times input, arXiv:1605.01713; occlusion, arXiv:1311.2901.
    """
    file = network if isinstance(network, NetworkFile) else read_network_file(Path(network))
    if file.checkpoint is None:
        raise NetworkError(
            f"{file.path}: reasons need gradients, which exported files do not have: name the run"
            " or the checkpoint that it was made from"
        )
    prediction = open_network(file, engine="torch").predict([clip])[0]
    spec, module = file.spec, file.checkpoint.build()
    wanted = target or prediction.label
    if wanted not in spec.classes:
        raise DataError(unknown_name("class", wanted, spec.classes))
    feeder = spec.make_feeder()
    x = feeder.evaluation_batch(pad_clips([(0, clip)], spec.max_bodies)).joints
    margin = _margin(module, spec.classes.index(wanted))
    baseline = _baseline(module, x)
    gradient = _gradient(margin, x, baseline)  # M W V
    occlusion = _occlude_joints(margin, x, baseline)
    spans = _occlude_spans(margin, x, baseline)
    return Reasons(
        prediction=prediction,
        target=wanted,
        gradient=_as_bodies(_on_clip(gradient, clip, spec), clip.num_bodies),
        occlusion=_as_bodies(occlusion, clip.num_bodies),
        spans=_on_clip(_per_frame(spans, x.shape[2])[None, :, None], clip, spec)[0, :, 0],
        agreement=(
            _rank_correlation(gradient.sum(axis=1)[_present(x)], occlusion[_present(x)]),
            _rank_correlation(_per_span(gradient.sum(axis=(0, 2))), spans),
        ),
        layers=tuple(_topologies(module, x)),
        note=_NOTES[spec.inputs.feeder.stream],
    )


Margin = Callable[[Tensor], Tensor]
"""Clips N C T V M in, log-odds of one class out, N."""


def _margin(module: nn.Module, index: int) -> Margin:
    """Log-odds of a class against all others: its logit less the log-sum-exp of theirs."""

    def margin(x: Tensor) -> Tensor:
        logits = module(x)
        others = torch.cat([logits[:, :index], logits[:, index + 1 :]], dim=1)
        rest = others.logsumexp(dim=1) if others.shape[1] else torch.zeros(len(logits))
        odds: Tensor = logits[:, index] - rest
        return odds

    return margin


def _baseline(module: nn.Module, x: Float[Tensor, "1 C T V M"]) -> Float[Tensor, "1 C 1 V M"]:
    """The mean training pose as the input norm keeps it; zeros for networks without one."""
    _, channels, _, joints, bodies = x.shape
    norm = next((part for part in module.modules() if isinstance(part, BodyNorm)), None)
    if norm is None or norm.norm.running_mean is None:
        return torch.zeros(1, channels, 1, joints, bodies)
    mean = norm.norm.running_mean.detach().view(-1, joints, channels)  # M V C, or 1 V C
    return mean.expand(bodies, -1, -1).permute(2, 1, 0)[None, :, None]


def _present(x: Float[Tensor, "1 C T V M"]) -> Bool[ndarray, " M"]:
    """Which bodies are present; absent ones are all zeros and stay so."""
    return np.asarray((x != 0).any(dim=3).any(dim=2).any(dim=1)[0].numpy())


def _gradient(
    margin: Margin, x: Float[Tensor, "1 C T V M"], baseline: Float[Tensor, "1 C 1 V M"]
) -> Float32[ndarray, "M T V"]:
    given = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(margin(given).sum(), given)
    parts = (slope * (x - baseline)).sum(dim=1)[0].permute(2, 0, 1)  # M T V
    parts[~torch.from_numpy(_present(x))] = 0
    return np.ascontiguousarray(parts.numpy(), dtype=np.float32)


def _occlude_joints(
    margin: Margin, x: Float[Tensor, "1 C T V M"], baseline: Float[Tensor, "1 C 1 V M"]
) -> Float32[ndarray, "M V"]:
    """The loss of log-odds by occluding each joint of each present body."""
    present = _present(x)
    places = [(m, v) for m in np.flatnonzero(present).tolist() for v in range(x.shape[3])]

    def occluded(place: tuple[int, int]) -> Tensor:
        body, joint = place
        changed = x.clone()
        changed[0, :, :, joint, body] = baseline[0, :, :, joint, body]
        return changed

    losses = np.zeros((len(present), x.shape[3]), np.float32)
    for (body, joint), loss in zip(places, _losses(margin, x, places, occluded), strict=True):
        losses[body, joint] = loss
    return losses


def _occlude_spans(
    margin: Margin, x: Float[Tensor, "1 C T V M"], baseline: Float[Tensor, "1 C 1 V M"]
) -> Float32[ndarray, " S"]:
    """The loss of log-odds by occluding each span of the window in all present bodies."""
    present = torch.from_numpy(_present(x))

    def occluded(span: Int64[ndarray, " F"]) -> Tensor:
        changed = x.clone()
        start, end = int(span[0]), int(span[-1]) + 1
        rest = baseline.expand(-1, -1, end - start, -1, -1)
        changed[:, :, start:end, :, present] = rest[..., present]
        return changed

    return np.array(list(_losses(margin, x, _spans(x.shape[2]), occluded)), np.float32)


def _losses(
    margin: Margin,
    x: Float[Tensor, "1 C T V M"],
    places: Sequence[Any],
    occluded: Callable[[Any], Tensor],
) -> Iterator[float]:
    """The margin of the clip less that of each changed clip, in order."""
    with torch.no_grad():
        whole = margin(x).item()
        for start in range(0, len(places), _BATCH):
            batch = torch.cat([occluded(place) for place in places[start : start + _BATCH]])
            yield from (whole - margin(batch)).tolist()


def _spans(window: int) -> list[Int64[ndarray, " F"]]:
    return np.array_split(np.arange(window), min(SPANS, window))


def _per_span(values: Float32[ndarray, " W"]) -> Float64[ndarray, " S"]:
    return np.array([float(values[span].sum()) for span in _spans(len(values))])


def _per_frame(spans: Float32[ndarray, " S"], window: int) -> Float32[ndarray, " W"]:
    values = np.zeros(window, np.float32)
    for span, loss in zip(_spans(window), spans, strict=True):
        values[span] = loss
    return values


def _on_clip(
    values: Float32[ndarray, "K W V"], clip: Clip, spec: NetworkSpec
) -> Float32[ndarray, "K T V"]:
    """Values of the window's frames on the frames of the clip."""
    frames = _frames_of_window(clip, spec)  # W, NaN where the window shows none
    shown = np.isfinite(frames)
    own = np.zeros((values.shape[0], clip.num_frames, values.shape[2]), np.float32)
    if shown.all() and (np.diff(frames) > 0).all():  # every frame between the crop's ends
        inside = np.arange(np.ceil(frames[0]), np.floor(frames[-1]) + 1)
        right = np.clip(np.searchsorted(frames, inside), 1, len(frames) - 1)
        share = ((inside - frames[right - 1]) / (frames[right] - frames[right - 1]))[:, None]
        mixed = values[:, right - 1] * (1 - share) + values[:, right] * share
        own[:, inside.astype(int)] = mixed
    else:  # the mean over the window's frames that show the same one
        nearest = np.rint(frames[shown]).astype(int)
        counts = np.bincount(nearest, minlength=clip.num_frames)
        np.add.at(own.swapaxes(0, 1), nearest, values[:, shown].swapaxes(0, 1))
        own /= np.maximum(counts, 1)[:, None]
    return own


def _as_bodies(values: Float32[ndarray, "K ..."], bodies: int) -> Float32[ndarray, "M ..."]:
    """Values of the first bodies, zeros for those that the network does not take."""
    fitted = np.zeros((bodies, *values.shape[1:]), np.float32)
    fitted[: len(values)] = values[:bodies]
    return fitted


def _frames_of_window(clip: Clip, spec: NetworkSpec) -> Float64[ndarray, " W"]:
    """The frame of the clip in each frame of the window, fractional if interpolated.

    Found by feeding a clip whose coordinates are its frame numbers.
    """
    config = spec.inputs.feeder.model_copy(update={"stream": Stream.JOINT})
    gaps = get_pipeline(spec.inputs.pipeline).keeps_gaps
    feeder = Feeder(config, spec.layout, keeps_gaps=gaps)
    padded = pad_clips([(0, clip)], spec.max_bodies)
    numbers = torch.arange(1, clip.num_frames + 1, dtype=torch.float32)
    poses = numbers.repeat(padded.bodies[0])[:, None, None].expand_as(padded.poses)
    shown = feeder.evaluation_batch(replace(padded, poses=poses.contiguous())).joints
    frames = shown[0, 0, :, 0, 0].double().numpy()
    return np.where(frames < 0.5, np.nan, np.clip(frames - 1, 0, clip.num_frames - 1))


def _rank_correlation(a: Float[ndarray, " ..."], b: Float[ndarray, " ..."]) -> float:
    """Spearman's rank correlation; NaN if one is constant."""
    from scipy.stats import spearmanr

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a.ravel(), b.ravel()).statistic)


def _topologies(module: nn.Module, x: Float[Tensor, "1 C T V M"]) -> list[Topology]:
    """The refined topologies of each CTR-GCN layer for this clip, the mean over its bodies."""
    found: dict[str, list[Tensor]] = {}
    present = torch.from_numpy(_present(x))
    with _watching(module, present, found), torch.enable_grad():
        module(x.detach().clone().requires_grad_())  # gradients: no absent body is left out
    return [
        Topology(layer, torch.stack(parts).mean(dim=0).numpy()) for layer, parts in found.items()
    ]


@contextmanager
def _watching(
    module: nn.Module, present: Bool[Tensor, " M"], found: dict[str, list[Tensor]]
) -> Iterator[None]:
    """While the block runs, keep what each channel-refined convolution mixes present bodies by."""

    def watch(name: str, part: ChannelTopologyConv) -> Any:
        layer = name.partition(".spatial")[0]

        @torch.no_grad()
        def keep(_: nn.Module, given: tuple[Tensor, Tensor, Tensor]) -> None:
            bodies, *topology = given
            average = bodies[present].mean(dim=2, keepdim=True)
            refined = part.refined_topology(average, *topology)
            found.setdefault(layer, []).append(refined.abs().mean(dim=(0, 1)))

        return part.register_forward_pre_hook(keep)

    handles = [
        watch(name, part)
        for name, part in module.named_modules()
        if isinstance(part, ChannelTopologyConv)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
