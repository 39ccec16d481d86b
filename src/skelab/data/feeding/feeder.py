"""The feeder: whole batches of padded clips, on the device, become what a network takes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from torch import Tensor

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.chance import ClipChance, EpochChance
from skelab.data.feeding.dataset import PaddedClips
from skelab.data.feeding.draw_log import DrawLog
from skelab.data.feeding.observing import (
    OBSERVE,
    WHOLE,
    Observing,
    observe,
    observed_frames,
)
from skelab.data.feeding.streams import Stream, derive_stream
from skelab.data.feeding.transforms import (
    TRANSFORM_SETTINGS,
    ClipFacts,
    CropResize,
    Draws,
    Fill,
    ListedTransform,
    Need,
    PickFrames,
    RandomLimbs,
    RandomRotation,
    Transform,
    TransformSettings,
    rotation_matrices,
)
from skelab.errors import DataError, unknown_name
from skelab.native import can_resample, resample_clips
from skelab.skeleton import Layout

__all__ = ["Batch", "Feeder", "FeederConfig", "Step"]


class FeederConfig(BaseModel):
    """How clips become the input of a network.

    A feeder is a list of transforms. The short keys stand for those that nearly every feeder has:
    one that fills the window, then turns, then other bone lengths. ``transforms`` lists what
    training does after them, in order.

    Attributes:
        stream: What the network is shown.
        window: Frames of an input.
        fill: How a clip becomes that many frames: ``resize`` interpolates; the others take frames
            as they are: ``loop`` repeats the clip, ``zeros`` pads it (both cut a longer one), and
            ``sample`` takes frames from the whole of it, in training at random.
        train_crop: Lowest and highest share of a clip that a training crop keeps.
        eval_crop: Share of a clip, cut from its middle, that is kept everywhere else.
        rotation: Limit of the random rotation in training, radians; 0 for none.
        yaw: Limit of its angle about the vertical axis, where that is another: cameras of other
            views stand around people rather than above them. None for ``rotation``.
        limbs: Limit of the random change of bone lengths in training, a share; 0 for none.
        transforms: Further transforms of training, by name with their options.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stream: Stream = Stream.JOINT
    window: int = Field(default=64, ge=4, le=4096, strict=True)
    fill: Fill = Fill.RESIZE
    train_crop: tuple[float, float] = (0.5, 1.0)
    eval_crop: float = Field(default=0.95, gt=0, le=1)
    rotation: float = Field(default=0.3, ge=0, le=3.15)
    yaw: float | None = Field(default=None, ge=0, le=3.15)
    limbs: float = Field(default=0.0, ge=0, le=0.9)
    transforms: tuple[ListedTransform, ...] = ()

    @field_validator("train_crop")
    @classmethod
    def _crop_is_a_range(cls, crop: tuple[float, float]) -> tuple[float, float]:
        if not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError(
                "expected a lowest and a highest share, 0 < lowest <= highest <= 1, found"
                f" {list(crop)}"
            )
        return crop

    @field_validator("transforms", mode="before")
    @classmethod
    def _transforms_are_known(cls, listed: Any) -> Any:
        """Take a bare name for a transform with its defaults, and refuse names that are unknown."""
        if not isinstance(listed, list | tuple):
            return listed
        entries = [{"name": entry} if isinstance(entry, str) else entry for entry in listed]
        for entry in entries:
            name = entry.get("name") if isinstance(entry, dict) else None
            if name in (CropResize.name, PickFrames.name):
                raise ValueError(
                    f"{name} fills the window, which every feeder does once and first: data.window,"
                    " data.fill, data.train_crop and data.eval_crop say how"
                )
            if isinstance(name, str) and name not in TRANSFORM_SETTINGS:
                raise ValueError(unknown_name("transform", name, TRANSFORM_SETTINGS))
        return entries

    @field_validator("transforms")
    @classmethod
    def _transforms_have_an_order(
        cls, listed: tuple[TransformSettings, ...]
    ) -> tuple[TransformSettings, ...]:
        names = [entry.name for entry in listed]
        for place, entry in enumerate(listed):
            if entry.name in names[:place] and not entry.repeatable:
                raise ValueError(f"{entry.name} stands twice; once is enough")
        if "mix" in names[:-1]:
            raise ValueError(
                f"mix comes last, since {names[names.index('mix') + 1]} would take two clips for"
                " one"
            )
        return listed

    @model_validator(mode="after")
    def _nothing_is_done_twice(self) -> "FeederConfig":
        names = [entry.name for entry in self.transforms]
        for key, name in (("rotation", "rotate"), ("yaw", "rotate"), ("limbs", "limbs")):
            if name in names and getattr(self, key):
                raise ValueError(
                    f"transforms: {name} stands twice, since data.{key} asks for it too;"
                    f" --set data.{key}=0 leaves it to the list"
                )
        return self


class Step(NamedTuple):
    """One transform in a feeder's list.

    Attributes:
        label: What it is called in logs: its name, and its number where it is listed again.
        transform: The transform.
        chance: Its own draws; None for those that the transforms of the short keys share.
    """

    label: str
    transform: Transform
    chance: EpochChance | None = None


class Feeder:
    """Shapes padded clips into batches: the window is filled, training transforms, stream.

    Streams are derived last, so that a looped clip moves at its seam.

    Every clip has draws of its own, by seed of the run, epoch and row: the same clip gets the same
    augmentation whatever batch, process or restart it finds itself in. On a CPU compiled code
    fills the window and turns, where it was built, and gives the same bits as torch.

    Args:
        config: How clips are shaped.
        layout: Their joints.
        keeps_gaps: Every frame of a clip counts, also one of zeros in its middle. Otherwise only
            frames with values are counted where clips are resized, and a clip with gaps loses its
            end, as with the authors of CTR-GCN.
        log: Is told what training draws.
        observing: Training observes the beginning of each clip only; None observes all of it.

    Attributes:
        training: What training does, in order.
        evaluation: What is done everywhere else; draws nothing.

    Raises:
        DataError: The layout lacks what a transform needs.
    """

    def __init__(
        self,
        config: FeederConfig,
        layout: Layout,
        *,
        keeps_gaps: bool = False,
        log: DrawLog | None = None,
        observing: Observing | None = None,
    ) -> None:
        _check_needs(config, layout)
        self.config = config
        self.layout = layout
        self.log = log
        self.observing = observing
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
        """Clips as they train, augmented by the draws of seed, epoch and their rows."""
        drawn = self.draw(clips, seed=seed, epoch=epoch)
        if self.log is not None:
            self.log.add(drawn, seed=seed, epoch=epoch, rows=clips.rows, names=clips.names)
        return self.apply(clips, drawn)

    def evaluation_batch(self, clips: PaddedClips, *, share: float = 1.0) -> Batch:
        """Clips as they are tested: nothing is drawn.

        Args:
            clips: The clips.
            share: How much of each is observed, from its beginning; the rest, and how long it is,
                changes nothing.

        Raises:
            DataError: The share is not in (0, 1].
        """
        seen = [observed_frames(count, share) for count in self._counted_frames(clips)]
        clips = observe(clips, self._unless_all(clips, seen))
        nothing = [ClipChance(())] * len(clips.rows)
        facts = self._facts(clips)
        drawn = {step.label: _sample(step.transform, facts, nothing) for step in self.evaluation}
        return self._apply(self.evaluation, clips, drawn)

    def draw(self, clips: PaddedClips, *, seed: int, epoch: int) -> Draws:
        """What each transform of training draws for each clip."""
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
        """Clips as they train, with what was drawn for them.

        The whole clips, where they are asked for, fill the window by a draw of their own; all
        other transforms do the same to both.
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
        return Batch(stream, batch.labels, batch.rows, batch.mixed)

    def _begin(self, steps: Sequence[Step], clips: PaddedClips, drawn: Draws) -> tuple[Batch, int]:
        """The clips after those of the first steps that compiled code does, and how many it did."""
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


def _window(
    config: FeederConfig, keep: tuple[float] | tuple[float, float], *, keeps_gaps: bool
) -> CropResize | PickFrames:
    """What fills the window, and keeps so much of a clip."""
    if config.fill is Fill.RESIZE:
        return CropResize(config.window, keep, keeps_gaps)
    return PickFrames(config.window, keep, config.fill)


def _after_window(config: FeederConfig, layout: Layout) -> Iterator[Step]:
    """The other steps of training: those of the short keys, then those that are listed."""
    if config.rotation or config.yaw:
        yield Step(RandomRotation.name, RandomRotation(config.rotation, config.yaw))
    if config.limbs:
        yield Step(RandomLimbs.name, RandomLimbs(config.limbs, layout))
    names: list[str] = []
    for entry in config.transforms:
        names.append(entry.name)
        number = names.count(entry.name)
        label = entry.name if number == 1 else f"{entry.name} {number}"
        transform = entry.build(layout)
        yield Step(label, transform, EpochChance(transform.draws, name=label))


def _sample(
    transform: Transform, facts: Sequence[ClipFacts], draws: Sequence[ClipChance]
) -> list[Any]:
    return [transform.sample(known, rng) for known, rng in zip(facts, draws, strict=True)]


def _check_needs(config: FeederConfig, layout: Layout) -> None:
    """Refuse a layout that lacks what a transform needs; the message says how to leave it out."""
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
        _check(entry.name, entry.build(layout).needs, layout, mend)


def _check(name: str, needs: Sequence[Need], layout: Layout, mend: str) -> None:
    for need in needs:
        if found := need.found(layout):
            raise DataError(f"{name} needs {need}; layout {layout.name} has {found}; {mend}")
