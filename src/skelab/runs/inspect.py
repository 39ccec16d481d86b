"""Describes a path: a store, a source, a checkpoint, scores or a run."""

import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab import evaluation, inference  # loaded lazily
from skelab.data.audit.anatomy import AnatomyReport, check_anatomy, check_clips, spread, usual_up
from skelab.data.audit.leaks import Leak, find_leaks, find_other_views
from skelab.data.audit.official_counts import check_counts
from skelab.data.audit.segments import describe_segments
from skelab.data.clips.clip import RawClip, joints_digest
from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.sequence import Note, RawSequence
from skelab.data.clips.splits import Split, list_parts
from skelab.data.clips.store import ClipStore, Excluded, open_store
from skelab.data.datasets import check_split, holds_recordings, open_source
from skelab.data.foreign import is_npy_pkl, is_npz
from skelab.data.losses import count_losses, rejected_samples
from skelab.data.opened import describe_format, is_store, open_clips
from skelab.data.recordings import Source, SourceItem
from skelab.data.recordings.base import refuse_special
from skelab.data.segments import (
    LabelledRecording,
    SegmentTable,
    holds_labels_alone,
    label_recording,
    read_segments,
    segments_of_store,
)
from skelab.errors import DataError, SourceError, StoreError
from skelab.evaluation import OutputScores, Scores, load_any_scores
from skelab.inference.places import CHECKPOINT, CHECKPOINTS, chosen_checkpoint, file_kind, files_of
from skelab.skeleton import Layout

_NAMED = 3  # maximum number of faults in a message


@dataclass(frozen=True)
class Inspection:
    """The content of a path.

    Attributes:
        path: The path.
        kind: ``clip store``, ``prepared clips``, ``source``, ``segment labels``, ``checkpoint``,
            ``run``, ``exported network`` or ``scores``.
        facts: Names and values in print order; lists and mappings are tables.
        fault: One line if too much of it cannot be read; else empty.
    """

    path: Path
    kind: str
    facts: Mapping[str, Any]
    fault: str = ""


def inspect_path(
    path: Path,
    *,
    names: Path | None = None,
    ignore: Sequence[str] = (),
    layout: Layout | str | None = None,
    labels_from: int | None = None,
    split: Split | None = None,
    verify: bool = False,
    on_note: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Inspection:
    """Detect the kind of a path, and describe it.

    A source and prepared clips are read whole, one sample at a time.

    Args:
        path: What to describe.
        names: For an npz, whose rows carry no names: the list or the files that do.
        ignore: Names of samples to leave out.
        layout: A layout or its name, if not the default one.
        labels_from: The number of the first class, for arrays whose labels are counted from 1.
        split: Split across which equal clips are searched.
        verify: Read every clip of a store first and compare it with its digest.
        on_note: Called with remarks, one line each.
        on_progress: Called with the samples that are done, and all samples.

    Raises:
        SkelabError: The path does not exist, or is damaged or of an unknown kind.
    """
    refuse_special(path)
    if not path.exists():
        raise SourceError(f"{path}: there is nothing to inspect")
    if verify and not is_store(path):
        raise SourceError(f"{path}: expected a clip store for --verify, found something else")
    if path.is_dir() and (path / CHECKPOINTS).is_dir():
        return Inspection(path, "run", _describe_network(chosen_checkpoint(path)))
    if file_kind(path) != CHECKPOINT and path.is_file():
        return Inspection(path, "exported network", _describe_network(path))
    if is_npz(path) or is_npy_pkl(path):
        clips = open_clips(
            path,
            names=names,
            ignore=ignore,
            layout=layout,
            labels_from=labels_from,
            anatomy_check=False,  # it is described
            on_note=on_note,
        )
        facts = _describe_prepared(clips, split, on_progress)
        return Inspection(path, "prepared clips", facts, _fault(facts, len(clips)))
    if not holds_recordings(path) and holds_labels_alone(path):
        return Inspection(path, "segment labels", _describe_labels(read_segments(path), split))
    if holds_recordings(path) or path.is_dir():
        source = open_source(path, layout=layout, labels_from=labels_from)
        facts = _describe_source(source, ignore, split, on_progress)
        return Inspection(path, "source", facts, _fault(facts, len(source.items())))
    return _inspect_file(path, split, on_progress, verify=verify)


def _inspect_file(
    path: Path,
    split: Split | None,
    on_progress: Callable[[int, int], None] | None,
    *,
    verify: bool,
) -> Inspection:
    """Describe a checkpoint, a file of scores or a clip store."""
    if path.suffix == ".safetensors":
        return Inspection(path, "checkpoint", _describe_network(path))
    if path.suffix == ".npz":
        if not zipfile.is_zipfile(path):
            raise SourceError(f"{path}: expected an npz, found a file that is damaged or cut off")
        return Inspection(path, "scores", _describe_scores(load_any_scores(path)))
    store = open_store(path)
    if verify:
        verify_store(store, on_progress)
    return Inspection(path, "clip store", _describe_store(store, split))


def _fault(facts: Mapping[str, Any], samples: int) -> str:
    """One line if too many samples cannot be read; else empty."""
    damaged = [Excluded(entry["name"], "damaged", entry["reason"]) for entry in facts["damaged"]]
    rejected = [Excluded(**entry) for entry in facts.get("not samples", ())]
    return count_losses([*damaged, *rejected], samples - len(damaged)).fault()


def verify_store(store: ClipStore, on_progress: Callable[[int, int], None] | None = None) -> None:
    """Read every clip of a store and compare it with its digest.

    Raises:
        StoreError: A digest differs; the message counts the faults and names the first ones.
    """
    faults = store.find_damage(on_progress)
    if faults:
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise StoreError(
            f"{store.path}: the store is damaged in {len(faults):,} of {len(store):,} clips:"
            f" {'; '.join(faults[:_NAMED])}{more}; `skelab ingest SOURCE STORE` makes it anew"
        )


def _describe_store(store: ClipStore, split: Split | None) -> dict[str, Any]:
    info = store.info
    _check_split(split, info.dataset, store.index, store.path)
    leaks = None if split is None else find_leaks(store.index, store.digests, split)
    absent = sum(_absent_poses(clip.joints) for clip in store.clips())
    return {
        "format": f"clip store, pipeline {info.pipeline}",
        "synthetic": info.synthetic,
        "dataset": info.dataset,
        **({"title": info.title} if info.title else {}),
        "layout": f"{info.layout.name}, {info.layout.num_joints} joints",
        "units": info.units,
        "clips": int((~store.index.untrimmed).sum()),
        **(describe_segments(segments_of_store(store)) if store.index.untrimmed.any() else {}),
        "frames": _range(store.frames),
        "bodies": _counts(store.bodies),
        "poses of zeros": absent,
        "size": _size_of(store.path),
        "digest": info.digest,
        "checked": "joints and frame numbers, with digests"
        if store.frame_numbers_are_checked
        else "joints, with digests; frame numbers have none in a store of 0.1",
        **_columns(store.index, info.classes),
        **_soundness(check_clips(store), store.index, info.dataset, split, leaks),
        "left out": [entry._asdict() for entry in info.excluded],
    }


def _describe_prepared(
    clips: OpenedClips, split: Split | None, on_progress: Callable[[int, int], None] | None
) -> dict[str, Any]:
    info = clips.info
    _check_split(split, info.dataset, clips.index, clips.path)
    sizes, damaged, absent = [], [], 0
    digests: dict[int, bytes] = {}
    for row in range(len(clips)):
        try:
            clip = clips.clip(row)
        except SourceError:
            raise
        except DataError as error:
            damaged.append({"name": clips.index.names[row], "reason": str(error)})
        else:
            sizes.append((clip.num_frames, clip.num_bodies))
            absent += _absent_poses(clip.joints)
            if split is not None:
                digests[row] = joints_digest(clip.joints)
        if on_progress and (row % 50 == 49 or row == len(clips) - 1):
            on_progress(row + 1, len(clips))
    frames, bodies = np.array(sizes, dtype=np.int64).reshape(-1, 2).T
    leaks = None if split is None else _leaks(clips.index, digests, split)
    return {
        "format": describe_format(clips),
        "synthetic": info.synthetic,
        "dataset": info.dataset,
        "pipeline": info.pipeline,
        "layout": f"{info.layout.name}, {info.layout.num_joints} joints",
        "units": info.units,
        "clips": len(clips),
        "frames": _range(frames),
        "bodies": _counts(bodies),
        "poses of zeros": absent,
        "digest": info.digest,
        **_columns(clips.index, info.classes),
        **_soundness(check_clips(clips), clips.index, info.dataset, split, leaks),
        "damaged": damaged,
        "left out": [entry._asdict() for entry in info.excluded],
    }


def _describe_source(
    source: Source,
    ignore: Sequence[str],
    split: Split | None,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    ignored = set(ignore)
    items = [item for item in source.items() if item.info.name not in ignored]
    index = ClipIndex.of(item.info for item in items)
    _check_split(split, source.kind, index, source.path)
    read = _read_recordings(source, items, on_progress, with_digests=split is not None)
    leaks = None if split is None else _leaks(index, read.digests, split)
    anatomy = check_anatomy(
        read.sample, source.layout, up=usual_up(source.kind), units=source.units, names=read.sampled
    )
    table = SegmentTable(source.kind, source.classes, tuple(read.labelled), tuple(read.notes))
    return {
        "format": source.kind,
        "synthetic": source.synthetic,
        "layout": f"{source.layout.name}, {source.layout.num_joints} joints",
        "units": source.units,
        "clips": int((~index.untrimmed).sum()),
        **(describe_segments(table) if index.untrimmed.any() else {}),
        "frames": _range(np.array(read.frames, dtype=np.int64)),
        "bodies": _counts(np.array(read.bodies, dtype=np.int64)),
        "frames without a body": read.num_without_body,
        "digest": source.digest(),
        **_columns(index, source.classes),
        **_soundness(anatomy, index, source.kind, split, leaks),
        "damaged": read.damaged,
        "not samples": [entry._asdict() for entry in rejected_samples(source)],
    }


@dataclass
class _ReadRecordings:
    """What was found in the recordings of a source.

    Attributes:
        frames: Frames of each that could be read.
        bodies: Bodies of each that could be read.
        num_without_body: Frames without a body, of all.
        sample: Some of them, for the anatomy check.
        sampled: The names of those.
        digests: Digests of the joints, by number of the recording.
        labelled: Segments of the sequences.
        notes: What is wrong with the segments.
        damaged: Names of those that cannot be read, and the reasons.
    """

    frames: list[int] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    num_without_body: int = 0
    sample: list[RawClip] = field(default_factory=list)
    sampled: list[str] = field(default_factory=list)
    digests: dict[int, bytes] = field(default_factory=dict)
    labelled: list[LabelledRecording] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    damaged: list[dict[str, str]] = field(default_factory=list)


def _read_recordings(
    source: Source,
    items: Sequence[SourceItem],
    on_progress: Callable[[int, int], None] | None,
    *,
    with_digests: bool,
) -> _ReadRecordings:
    """Read all recordings of a source, one at a time."""
    read = _ReadRecordings()
    sampled = set(spread(len(items)))
    for number, item in enumerate(items):
        try:
            raw = source.read(item)
        except DataError as error:
            read.damaged.append({"name": item.info.name, "reason": str(error)})
        else:
            read.frames.append(raw.num_frames)
            read.bodies.append(len(raw.bodies))
            read.num_without_body += _frames_without_body(raw)
            if isinstance(raw, RawSequence):
                recording, noted = label_recording(item.info, raw)
                read.labelled.append(recording)
                read.notes += noted
            if number in sampled:
                read.sample.append(raw)
                read.sampled.append(item.info.name)
            if with_digests:
                read.digests[number] = joints_digest(*(t.joints for t in raw.bodies.values()))
        if on_progress and ((number + 1) % 50 == 0 or number + 1 == len(items)):
            on_progress(number + 1, len(items))
    return read


def _describe_labels(table: SegmentTable, split: Split | None) -> dict[str, Any]:
    index = table.index
    described = {
        "format": f"labels of {table.dataset}, no recordings",
        "synthetic": table.synthetic,
        "digest": table.digest,
        **describe_segments(table),
        **_columns(index, table.classes),
        "damaged": [{"name": name, "reason": why} for name, why in table.rejected],
    }
    if split is not None:
        train, test = split.rows(index)
        described[f"training and test sequences of {split.name}"] = [len(train), len(test)]
        described |= _other_views(index, split)
    return described


def _describe_network(path: Path) -> dict[str, Any]:
    file = inference.read_network_file(path)
    spec, checkpoint = file.spec, file.checkpoint
    model, inputs = spec.model, spec.inputs
    described = {
        "format": "checkpoint" if checkpoint else f"{spec.target}, {spec.precision}",
        "synthetic": inputs.synthetic,
        "task": spec.task.name,
        "model": model.name,
        "options": dict(model.options),
        "layout": f"{model.layout.name}, {model.layout.num_joints} joints",
        "input": f"{spec.stream}, {spec.window} frames, {spec.max_bodies} bodies,"
        f" {model.in_channels} channels",
        "trained on": f"{inputs.dataset}, pipeline {inputs.pipeline}",
        "poses": inference.kind_of_poses(spec),
        "epoch": spec.epoch,
        "protocol": spec.protocol,
    }
    if checkpoint:
        if checkpoint.origin:
            described["began from"] = checkpoint.origin["file"]
        described["can be resumed"] = checkpoint.trainer is not None
        described["weights"] = sum(value.numel() for value in checkpoint.weights.values())
    else:
        described["frames"] = "any number" if spec.dynamic_frames else f"{spec.window} only"
        described["engines"] = [engine.name for engine in inference.list_engines(spec.target)]
        described["versions"] = dict(spec.versions)
    return {
        **described,
        "size": _size_of(*files_of(path)),
        "digest": spec.digest,
        "classes": list(inputs.classes),
    }


def _describe_scores(scores: Scores | OutputScores) -> dict[str, Any]:
    info = scores.info
    described = {
        "format": "scores",
        "synthetic": info.synthetic,
        "dataset": info.dataset,
        "split": f"{info.split}, {info.part}",
        "protocol": info.protocol,
        "model": info.title,
        "clips": len(scores),
        **({"engine": info.engine} if info.engine else {}),
    }
    figures = {
        name: round(each.value, 6) for name, each in evaluation.headline_figures(scores).items()
    }
    if isinstance(scores, OutputScores):
        return {**described, "task": scores.task, **figures, "checkpoint": info.checkpoint}
    accuracies = {f"top-{k}": figures[f"top{k}"] for k in (1, 5) if f"top{k}" in figures}
    return {
        **described,
        **accuracies,
        "checkpoint": info.checkpoint,
        "classes": list(scores.classes),
    }


def _soundness(
    anatomy: AnatomyReport,
    index: ClipIndex,
    dataset: str,
    split: Split | None,
    leaks: Sequence[Leak] | None,
) -> dict[str, Any]:
    """Anatomy check, official counts, and duplicates across training and test."""
    sound: dict[str, Any] = {"anatomy": anatomy.to_dict()}
    counts = check_counts(index, dataset)
    if counts is not None:
        sound["official counts"] = counts.summary
    if split is not None and leaks is not None:
        sound[f"training clips of {split.name} equal to a test clip"] = len(leaks)
        sound["equal clips"] = [f"{leak.train} = {leak.test}" for leak in leaks]
        sound |= _other_views(index, split)
    return sound


def _other_views(index: ClipIndex, split: Split) -> dict[str, Any]:
    """Training sequences that are in the test part from another camera; empty for trimmed clips."""
    if not index.untrimmed.any():
        return {}
    leaks = find_other_views(index, split)
    return {
        f"training sequences of {split.name} tested from another camera": len(leaks),
        "same recording": [f"{leak.train} = {leak.test}" for leak in leaks],
    }


def _check_split(split: Split | None, kind: str, index: ClipIndex, path: Path) -> None:
    """Refuse the split of another data set before reading."""
    if split is not None:
        check_split(split.name, kind, index, path, option="--split ")


def _leaks(index: ClipIndex, digests: Mapping[int, bytes], split: Split) -> tuple[Leak, ...]:
    """Equal clips among those that could be read."""
    readable = sorted(digests)
    return find_leaks(index.select(readable), [digests[row] for row in readable], split)


def _columns(index: ClipIndex, classes: Sequence[str]) -> dict[str, Any]:
    """Counts per class, subject, camera, setup and replication, where they are known."""
    labels = Counter(index.labels.tolist())
    described: dict[str, Any] = {}
    if not index.untrimmed.all():
        described["per class"] = {
            classes[label] if label < len(classes) else f"{label}, which has no name": labels[label]
            for label in sorted(labels)
            if label >= 0
        }
        if empty := [name for label, name in enumerate(classes) if not labels[label]]:
            described["classes without a clip"] = empty
    for name in ("subjects", "cameras", "setups", "replications", "scripts"):
        column = getattr(index, name)
        if (column != UNKNOWN).any():
            described[f"per {name[:-1]}"] = _counts(column)
    if parts := list_parts(index):
        described["per part"] = {part: sum(part in each for each in index.parts) for part in parts}
    return described


def _counts(column: Int64[ndarray, " N"]) -> dict[str, int]:
    values, counts = np.unique(column, return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}


def _range(column: Int64[ndarray, " N"]) -> dict[str, int]:
    if not len(column):
        return {}
    return {
        "fewest": int(column.min()),
        "median": int(np.median(column)),
        "most": int(column.max()),
        "all": int(column.sum()),
    }


def _absent_poses(joints: ndarray) -> int:
    return int((~joints.any(axis=(2, 3))).sum())


def _frames_without_body(raw: RawClip) -> int:
    seen = {int(frame) for track in raw.bodies.values() for frame in track.frames}
    return raw.num_frames - len(seen)


def _size_of(*paths: Path) -> str:
    """The size of files as text."""
    size = float(sum(path.stat().st_size for path in paths))
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
