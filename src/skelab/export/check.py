"""Compares an exported graph with the network that it was made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.errors import ExportError
from skelab.inference.engines import Forward
from skelab.inference.spec import NetworkSpec

TOLERANCE: Final = 1e-4
"""Largest allowed difference between exported and eager logits, relative to the largest logit."""

AGREEMENT: Final = 0.9
"""Smallest share of calibration clips for which int8 and eager must predict the same class."""

BATCHES: Final = (1, 2, 5)
_CONSTANT: Final = 1e-6  # smallest difference between clips, relative to the largest logit


@dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
        num_inputs: Number of batches compared.
        shapes: Clips and frames of the batches.
        deviation: Largest difference between logits, relative to the largest logit of the batch.
        agreement: Share of clips for which both predict the same class.
    """

    num_inputs: int
    shapes: tuple[tuple[int, int], ...]
    deviation: float
    agreement: float


def check_export(eager: Forward, exported: Forward, spec: NetworkSpec) -> CheckReport:
    """Compare a graph with the network on clips of several shapes, with and without a second body.

    The clips are random walks of joints: batches of 1, 2 and 5 clips with the length of the window
    and, if the graph takes any length, a shorter and a longer one. Every batch is tried with all
    bodies, with the first body only and, from 2 clips on, with both kinds mixed.

    Raises:
        ExportError: The graph is constant, fails on a shape, or its logits deviate by more than
            ``TOLERANCE``.
    """
    pairs = []
    for joints in _made_clips(spec):
        try:
            pairs.append((joints.shape, eager(joints), exported(joints)))
        except (RuntimeError, ValueError, AssertionError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ExportError(
                f"{spec.model.name} as {spec.target}: the graph fails on an input of"
                f" {' x '.join(map(str, joints.shape))}: {reason}"
            ) from error
    _refuse_constant([found for _, _, found in pairs], spec)
    deviation = 0.0
    for shape, expected, found in pairs:
        here = _deviation(expected, found)
        if not here <= TOLERANCE:
            raise ExportError(
                f"{spec.model.name} as {spec.target}: expected logits within"
                f" {TOLERANCE:g} of eager's (as a share of the largest), found {here:.2g} for an"
                f" input of {' x '.join(map(str, shape))}"
            )
        deviation = max(deviation, here)
    return CheckReport(
        num_inputs=len(pairs),
        shapes=tuple(dict.fromkeys((shape[0], shape[2]) for shape, _, _ in pairs)),
        deviation=deviation,
        agreement=_agreement([(expected, found) for _, expected, found in pairs]),
    )


def check_quantised(
    eager: Forward,
    exported: Forward,
    spec: NetworkSpec,
    batches: list[Float32[ndarray, "_ C T V M"]],
) -> CheckReport:
    """Compare an int8 graph with the network on the clips that it was calibrated with.

    Batches have 1, 2 and 5 clips, unchanged and, for the comparison of logits, with the first body
    only. The rounding of int8 differs from clip to clip, so that the predicted classes of the
    unchanged clips decide.

    Raises:
        ExportError: The graph is constant, or the predicted classes agree for less than
            ``AGREEMENT`` of the clips.
    """
    clips = np.concatenate(batches)
    shown, alone, shapes = [], [], []
    start = turn = 0
    while start < len(clips):
        joints = clips[start : start + BATCHES[turn % len(BATCHES)]]
        start, turn = start + len(joints), turn + 1
        shown.append((eager(joints), exported(joints)))
        first = _first_body(joints)
        alone.append((eager(first), exported(first)))
        shapes.append((len(joints), joints.shape[2]))
    pairs = [*shown, *alone]
    _refuse_constant([found for _, found in pairs], spec)
    agreement = _agreement(shown)
    if agreement < AGREEMENT:
        raise ExportError(
            f"{spec.model.name} as {spec.target}, int8: expected at least {AGREEMENT:.0%}"
            f" of the calibration clips in the class that float32 gives, found {agreement:.1%};"
            " calibrate with more clips (--calibrate), or keep --precision fp32"
        )
    deviation = max(_deviation(expected, found) for expected, found in pairs)
    return CheckReport(len(pairs), tuple(dict.fromkeys(shapes)), deviation, agreement)


def _made_clips(spec: NetworkSpec) -> Iterator[Float32[ndarray, "_ C _ V M"]]:
    rng = np.random.default_rng(0)
    sizes = [(clips, spec.window) for clips in BATCHES]
    if spec.dynamic_frames:
        lengths, multiple = spec.lengths, spec.frames_multiple_of
        shorter = spec.window // 2 // multiple * multiple
        longer = spec.window + (3 if multiple == 1 else multiple)
        sizes += [(2, lengths.nearest(shorter)), (1, lengths.nearest(longer))]
    for clips, frames in sizes:
        shape = spec.shape(clips, frames)
        start = rng.normal(0.0, 0.5, size=(*shape[:2], 1, *shape[3:]))
        walk = rng.normal(0.0, 0.03, size=shape).cumsum(axis=2)
        joints = (start + walk).astype(np.float32)
        yield joints
        if shape[-1] > 1:
            yield _first_body(joints)
            if clips > 1:
                mixed = joints.copy()
                mixed[::2] = _first_body(joints[::2])
                yield mixed


def _first_body(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N C T V M"]:
    alone = joints.copy()
    alone[..., 1:] = 0.0
    return alone


def _refuse_constant(outputs: list[Float32[ndarray, "_ K"]], spec: NetworkSpec) -> None:
    logits = np.concatenate(outputs)
    spread = np.ptp(logits, axis=0).max(initial=0.0)
    if not np.isfinite(logits).all():
        raise ExportError(
            f"{spec.model.name} as {spec.target}: expected finite logits, found others"
        )
    if spread <= _CONSTANT * np.abs(logits).max(initial=0.0):
        raise ExportError(
            f"{spec.model.name} as {spec.target}: the graph is constant: different clips"
            f" give logits that differ by at most {spread:.2g}; it has not learned anything, or"
            " something in it was frozen while it was traced"
        )


def _deviation(expected: Float32[ndarray, "N K"], found: Float32[ndarray, "N K"]) -> float:
    if expected.shape != found.shape:
        return float("inf")
    largest = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(found - expected).max()) / largest


def _agreement(
    pairs: list[tuple[Float32[ndarray, "_ K"], Float32[ndarray, "_ K"]]],
) -> float:
    same = [expected.argmax(axis=1) == found.argmax(axis=1) for expected, found in pairs]
    return float(np.concatenate(same).mean())
