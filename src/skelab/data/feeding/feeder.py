"""The feeder: turns batches of padded clips into the input of a network, on the device."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from skelab.data.feeding.batch import NO_FRAME, Batch
from skelab.data.feeding.chance import ClipChance, EpochChance
from skelab.data.feeding.config import FeederConfig
from skelab.data.feeding.dataset import PaddedClips
from skelab.data.feeding.draw_log import DrawLog
from skelab.data.feeding.observing import (
    OBSERVE,
    WHOLE,
    Observing,
    observe,
    observed_frames,
)
from skelab.data.feeding.side_cars import SideCarReader, window_places
from skelab.data.feeding.streams import derive_stream
from skelab.data.feeding.transforms import (
    ClipFacts,
    CropResize,
    Draws,
    Fill,
    Mirror,
    Need,
    PickFrames,
    RandomLimbs,
    RandomRotation,
    Transform,
    build_transform,
    frames_of_test_clips,
    rotation_matrices,
)
from skelab.errors import DataError
from skelab.native import can_resample, resample_clips
from skelab.skeleton import Layout

__all__ = ["Batch", "Feeder", "FeederConfig", "Step"]


class Step(NamedTuple):
    """One transform in a feeder's list.

    Attributes:
        label: Its name in logs, with a number if it is listed repeatedly.
        transform: The transform.
        chance: Its own draws; None for the shared draws of the short keys.
    """

    label: str
    transform: Transform
    chance: EpochChance | None = None


class Feeder:
    """Shapes padded clips into batches: fill the window, augment, derive the stream.

    Streams are derived last, so that a looped clip has motion at its seam.

    The draws of a clip depend on seed, epoch and row: augmentation does not depend on batch,
    process or resumption. On a CPU compiled kernels, if built, fill the window and rotate, with the
    same bits as torch.

    Args:
        config: Its configuration.
        layout: The joints.
        keeps_gaps: Every frame of a clip counts, including zero frames in its middle. Otherwise
            resizing counts non-zero frames only, and a clip with gaps loses its end, as in the
            authors' code of CTR-GCN.
        log: Receives the draws of training.
        observing: Which share of each clip training observes, from its beginning; None for whole
            clips.
        side_cars: Reads further features of the clips; None for none.

    Attributes:
        training: Steps of training, in order.
        evaluation: Steps of evaluation; deterministic.

    Raises:
        DataError: The layout lacks what a transform needs.

    Source: section "feeder" of CTR-GCN (Uason-Chen/CTR-GCN@e13d758, feeders/tools.py) for the order
    of window, rotation and stream.
    """

    def __init__(
        self,
        config: FeederConfig,
        layout: Layout,
        *,
        keeps_gaps: bool = False,
        log: DrawLog | None = None,
        observing: Observing | None = None,
        side_cars: SideCarReader | None = None,
    ) -> None:
        _check_needs(config, layout)
        self.config = config
        self.layout = layout
        self.log = log
        self.observing = observing
        self.side_cars = side_cars
        self._counts_all = keeps_gaps or config.fill is not Fill.RESIZE
        window = _window(config, config.train_crop, keeps_gaps=keeps_gaps)
        self.training = (Step(window.name, window), *_after_window(config, layout))
        window = _window(config, (config.eval_crop,), keeps_gaps=keeps_gaps)
        self.evaluation = (Step(window.name, window),)
        self._chance = EpochChance()
        self._observe_chance = EpochChance(Observing.draws, name=OBSERVE)
        self._whole_chance = EpochChance(window.draws, name=WHOLE)

    @property
    def drawn_labels(self) -> tuple[str, ...]:
        """What the draws of training are called, in order."""
        labels = tuple(step.label for step in self.training)
        if self.observing is None:
            return labels
        return (OBSERVE, *labels, WHOLE) if self.observing.whole else (OBSERVE, *labels)

    def training_batch(self, clips: PaddedClips, *, seed: int, epoch: int) -> Batch:
        """Training clips, augmented by the draws of seed, epoch and row."""
        drawn = self.draw(clips, seed=seed, epoch=epoch)
        if self.log is not None:
            self.log.add(drawn, seed=seed, epoch=epoch, rows=clips.rows, names=clips.names)
        return self.apply(clips, drawn)

    def evaluation_batch(self, clips: PaddedClips, *, share: float = 1.0) -> Batch:
        """Evaluation clips, without random draws.

        Args:
            clips: The clips.
            share: Observed share of each clip, from its beginning; the batch depends on nothing
                that follows, nor on how long it lasts.

        Raises:
            DataError: The share is not in (0, 1].
        """
        seen = [observed_frames(count, share) for count in self._counted_frames(clips)]
        clips = observe(clips, self._unless_all(clips, seen))
        nothing = [ClipChance(())] * len(clips.rows)
        facts = self._facts(clips)
        drawn = {step.label: _sample(step.transform, facts, nothing) for step in self.evaluation}
        return self._apply(self.evaluation, clips, drawn)

    def test_batches(
        self, clips: PaddedClips, count: int, *, mirrored: bool = False
    ) -> Iterator[Batch]:
        """Several test clips of each clip, other frames in each; then all of them mirrored.

        Args:
            clips: The clips.
            count: Test clips of each clip.
            mirrored: Give the mirror image of each test clip, too.

        Raises:
            DataError: The window is filled in another way than by sampled frames, the count is
                below 1, or the layout lacks what a mirror needs.

        Source: the test pipelines of kennymckormick/pyskl@3f6795f. Departure: joints are mirrored,
        and not the pixels of heat maps.
        """
        config, mirror = self.config, Mirror(self.layout, 1.0)
        if config.fill is not Fill.SAMPLE:
            raise DataError(
                "test clips are frames sampled from a clip: expected a network with"
                f" data.fill={Fill.SAMPLE}, found {config.fill}"
            )
        if count < 1:
            raise DataError(f"test clips: expected a count from 1, found {count}")
        if mirrored:
            _check("a mirrored test clip", Mirror.needs, self.layout, "leave out --mirrored")
        window = PickFrames(config.window, (config.eval_crop,), config.fill)
        margins = [int((1 - config.eval_crop) * frames / 2) for frames in clips.frames]
        chosen = [
            margin + frames_of_test_clips(frames - 2 * margin, config.window, count)
            for margin, frames in zip(margins, clips.frames, strict=True)
        ]
        for mirror_it in (False, True)[: 1 + mirrored]:
            for number in range(count):
                drawn = [frames[number].tolist() for frames in chosen]
                batch = window.apply(Batch(clips.joints, clips.labels, clips.rows), drawn)
                if mirror_it:
                    batch = mirror.apply(batch, [True] * len(clips.rows))
                stream = derive_stream(batch.joints, config.stream, self.layout)
                yield replace(batch, joints=stream)

    def draw(self, clips: PaddedClips, *, seed: int, epoch: int) -> Draws:
        """Draw for each clip and training transform."""
        drawn: dict[str, Sequence[Any]] = {}
        given = clips
        if self.observing is not None:
            draws = self._observe_chance.of_clips(seed=seed, epoch=epoch, rows=clips.rows)
            counts = self._counted_frames(clips)
            seen = [self.observing.sample(*pair) for pair in zip(counts, draws, strict=True)]
            drawn[OBSERVE] = self._unless_all(clips, seen)
            clips = observe(clips, drawn[OBSERVE])
        shared = self._chance.of_clips(seed=seed, epoch=epoch, rows=clips.rows)
        facts = self._facts(clips)
        for label, transform, own in self.training:
            draws = shared if own is None else own.of_clips(seed=seed, epoch=epoch, rows=clips.rows)
            drawn[label] = _sample(transform, facts, draws)
        if self.observing is not None and self.observing.whole:
            draws = self._whole_chance.of_clips(seed=seed, epoch=epoch, rows=given.rows)
            drawn[WHOLE] = _sample(self.training[0].transform, self._facts(given), draws)
        return drawn

    def apply(self, clips: PaddedClips, drawn: Draws) -> Batch:
        """Training clips, augmented by given draws.

        If the whole clips are needed too, they fill the window by a draw of their own; all other
        transforms use the same draws for both.
        """
        if self.observing is None:
            return self._apply(self.training, clips, drawn)
        batch = self._apply(self.training, observe(clips, drawn[OBSERVE]), drawn)
        if not self.observing.whole:
            return batch
        same = {**drawn, self.training[0].label: drawn[WHOLE]}
        return replace(batch, whole=self._apply(self.training, clips, same).joints)

    def _counted_frames(self, clips: PaddedClips) -> tuple[int, ...]:
        """The frames of each clip that fill the window."""
        return clips.frames if self._counts_all else clips.valid

    def _unless_all(self, clips: PaddedClips, seen: Sequence[int]) -> list[int]:
        """The observed frames; all that a clip has where all that count are observed."""
        counts = self._counted_frames(clips)
        return [
            own if observed >= count else observed
            for own, count, observed in zip(clips.frames, counts, seen, strict=True)
        ]

    def _facts(self, clips: PaddedClips) -> list[ClipFacts]:
        each = zip(
            clips.rows,
            clips.names,
            clips.known_labels,
            clips.frames,
            clips.valid,
            clips.bodies,
            strict=True,
        )
        window, layout, company = self.config.window, self.layout, clips.rows
        return [
            ClipFacts(row, name, label, frames, valid, bodies, window, layout, company)
            for row, name, label, frames, valid, bodies in each
        ]

    def _apply(self, steps: Sequence[Step], clips: PaddedClips, drawn: Draws) -> Batch:
        batch, done = self._begin(steps, clips, drawn)
        for label, transform, _ in steps[done:]:
            batch = transform.apply(batch, drawn[label])
        stream = derive_stream(batch.joints, self.config.stream, self.layout)
        frames = _fitted(clips.frame_labels, self.config.window)
        made = Batch(stream, batch.labels, batch.rows, batch.mixed, frame_labels=frames)
        window = steps[0].transform
        if self.side_cars is None or not isinstance(window, CropResize | PickFrames):
            return made
        places = window_places(window, drawn[steps[0].label])
        side_cars = self.side_cars.batch(clips.names, places).to(stream.device)
        return replace(made, side_cars=side_cars)

    def _begin(self, steps: Sequence[Step], clips: PaddedClips, drawn: Draws) -> tuple[Batch, int]:
        """The clips after the first steps in compiled code, and the number of these steps."""
        on_cpu, resized = clips.poses.device.type == "cpu", self.config.fill is Fill.RESIZE
        if not (can_resample() and on_cpu and resized):
            return Batch(clips.joints, clips.labels, clips.rows), 0
        turned = len(steps) > 1 and isinstance(steps[1].transform, RandomRotation)
        angles = drawn[steps[1].label] if turned else None
        inputs = self._resample_compiled(clips, drawn[steps[0].label], angles)
        return Batch(inputs, clips.labels, clips.rows), 2 if turned else 1

    def _resample_compiled(
        self,
        clips: PaddedClips,
        crops: Sequence[Sequence[int]],
        angles: Sequence[Sequence[float]] | None,
    ) -> Float32[Tensor, "N C W V M"]:
        joints, axes = clips.poses.shape[1:]
        inputs = torch.empty(len(crops), axes, self.config.window, joints, clips.max_bodies)
        stretches = np.array(crops, dtype=np.int64).T
        table = np.stack([clips.starts, clips.frames, clips.bodies, *stretches], axis=1)
        turns = None if angles is None else rotation_matrices(angles).astype(np.float32)
        resample_clips(clips.poses.numpy(), table, turns, inputs.numpy())
        return inputs


def _fitted(labels: Int64[Tensor, "N T"] | None, window: int) -> Int64[Tensor, "N W"] | None:
    """The labels of frames, as many as the window has; right for clips that are not resized."""
    if labels is None:
        return None
    missing = max(window - labels.shape[1], 0)
    return torch.nn.functional.pad(labels, (0, missing), value=NO_FRAME)[:, :window]


def _window(
    config: FeederConfig, keep: tuple[float] | tuple[float, float], *, keeps_gaps: bool
) -> CropResize | PickFrames:
    """The step that fills the window from a share of the clip."""
    if config.fill is Fill.RESIZE:
        return CropResize(config.window, keep, keeps_gaps)
    return PickFrames(config.window, keep, config.fill)


def _after_window(config: FeederConfig, layout: Layout) -> Iterator[Step]:
    """Further steps of training: those of the short keys, then the listed ones."""
    if config.rotation or config.yaw:
        yield Step(RandomRotation.name, RandomRotation(config.rotation, config.yaw))
    if config.limbs:
        yield Step(RandomLimbs.name, RandomLimbs(config.limbs, layout))
    names: list[str] = []
    for entry in config.transforms:
        names.append(entry.name)
        number = names.count(entry.name)
        label = entry.name if number == 1 else f"{entry.name} {number}"
        transform = build_transform(entry, layout)
        yield Step(label, transform, EpochChance(transform.draws, name=label))


def _sample(
    transform: Transform, facts: Sequence[ClipFacts], draws: Sequence[ClipChance]
) -> list[Any]:
    return [transform.sample(known, rng) for known, rng in zip(facts, draws, strict=True)]


def _check_needs(config: FeederConfig, layout: Layout) -> None:
    """Refuse a layout that lacks what a transform needs; the message says how to disable it."""
    for key, kind in (
        ("rotation", RandomRotation),
        ("yaw", RandomRotation),
        ("limbs", RandomLimbs),
    ):
        if getattr(config, key):
            _check(key, kind.needs, layout, f"--set data.{key}=0 turns it off")
    for entry in config.transforms:
        others = [
            {"name": other.name, **other.model_dump(mode="json", exclude_defaults=True)}
            for other in config.transforms
            if other is not entry
        ]
        mend = f"--set data.transforms='{json.dumps(others)}' leaves it out"
        _check(entry.name, build_transform(entry, layout).needs, layout, mend)


def _check(name: str, needs: Sequence[Need], layout: Layout, mend: str) -> None:
    for need in needs:
        if found := need.found(layout):
            raise DataError(f"{name} needs {need}; layout {layout.name} has {found}; {mend}")
