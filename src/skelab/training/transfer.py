"""Transfer of trained weights to a network with other classes, another skeleton or more bodies.

Values with a counterpart in the new network are taken; all others keep their random initialisation.
Joints are matched by name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from skelab.errors import CheckpointError, LayoutError, ModelError, WeightsError
from skelab.inference.checkpoint import build_model
from skelab.models import ModelSpec, joint_axes
from skelab.models.axes import GRAPH, ORDER, factor_sizes, parse_axes
from skelab.skeleton import JointMap, Layout, match_joints
from skelab.tasks import TaskSpec

FEWEST_JOINTS: Final = 8
"""Fewest shared joints of two layouts for a transfer."""

_STATISTICS: Final = ("running_mean", "running_var", "num_batches_tracked")
_HEAD: Final = "classifier."  # prefix of the head of a SkeletonModel, whatever its task
_SHOWN: Final = 4  # tensors named in a message


@dataclass(frozen=True)
class SourceWeights:
    """Trained weights, and the network that they belong to.

    Attributes:
        name: Their name in messages and records, say ``run/checkpoints/best.safetensors``.
        model: Specification of the network.
        classes: Name of each class.
        weights: State dict.
        task: What the network predicts.
        digest: Digest of the checkpoint.
        facts: Further records: data set, pipeline, stream, protocol and so on.
        notes: How the clips that they know differ from those of the new run.
        file: The file they were read from; None if from elsewhere.
    """

    name: str
    model: ModelSpec
    classes: tuple[str, ...]
    weights: Mapping[str, Tensor]
    task: TaskSpec = field(default_factory=TaskSpec)
    digest: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    file: Path | None = None


@dataclass(frozen=True)
class MappedTensor:
    """The origin of one tensor of the new network.

    Attributes:
        name: Its key in the state dict.
        shape: Its shape.
        numbers: Number of values.
        kept: Number of values from the source.
        why: The reason why not all are; empty if all are.
    """

    name: str
    shape: tuple[int, ...]
    numbers: int
    kept: int
    why: str = ""


@dataclass(frozen=True)
class MappedWeights:
    """Weights for the new network, with the origin of each tensor.

    Attributes:
        weights: The complete state dict.
        taken: Tensors copied from the source.
        mapped: Tensors whose joints, bodies, scales or classes were rearranged.
        fresh: Tensors that keep their random initialisation.
        joints: The shared joints of both skeletons.
        notes: Differences of the networks that could matter.
    """

    weights: Mapping[str, Tensor]
    taken: tuple[MappedTensor, ...]
    mapped: tuple[MappedTensor, ...]
    fresh: tuple[MappedTensor, ...]
    joints: JointMap
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The numbers of taken, mapped and fresh tensors, in one line."""
        parts = [f"{_tensors(self.taken)} taken ({_total(self.taken):,} numbers)"]
        if self.mapped:
            parts.append(
                f"{len(self.mapped):,} mapped ({_kept(self.mapped):,} of"
                f" {_total(self.mapped):,} numbers)"
            )
        if self.fresh:
            reasons = ", ".join(dict.fromkeys(tensor.why for tensor in self.fresh))
            parts.append(f"{len(self.fresh):,} fresh ({_total(self.fresh):,} numbers: {reasons})")
        source, target = self.joints.source, self.joints.target
        if source.joints != target.joints:
            parts.append(
                f"{len(self.joints.pairs)} of the {target.num_joints} joints of {target.name}"
                f" are in {source.name}"
            )
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Counts, joints and every tensor as a JSON object."""
        source, target = self.joints.source, self.joints.target
        groups = {"taken": self.taken, "mapped": self.mapped, "fresh": self.fresh}
        return {
            "summary": self.summary(),
            "notes": list(self.notes),
            "layouts": [source.name, target.name],
            "joints": [
                [source.joints[pair.source], target.joints[pair.target]]
                for pair in self.joints.pairs
            ],
            **{
                how: {"tensors": len(group), "numbers": _total(group), "kept": _kept(group)}
                for how, group in groups.items()
            },
            "tensors": [
                {
                    "name": tensor.name,
                    "shape": list(tensor.shape),
                    "how": how,
                    "kept": tensor.kept,
                    "why": tensor.why,
                }
                for how, group in groups.items()
                for tensor in group
            ],
        }


def map_weights(
    source: SourceWeights,
    target: ModelSpec,
    classes: Sequence[str],
    fresh: Mapping[str, Shaped[Tensor, " ..."]],
    *,
    task: TaskSpec | None = None,
    statistics: Literal["taken", "fresh"] = "taken",
) -> MappedWeights:
    """Initial weights of a new network, taken from trained ones as far as possible.

    - The head is taken if the classes have the same names, in any order; otherwise, and for another
      task, it is fresh.
    - Joints of another layout are matched by name, see ``match_joints``; values of joints that only
      the new layout has are fresh, and so are kernels over the order of joints.
    - Where the channels of a joint differ, such as a score in place of z, the layers that read them
      are fresh.
    - Values of bodies that only the new network has are fresh.
    - Constants, such as the graph, are those of the new network.

    Args:
        source: Trained weights.
        target: The new network.
        classes: Its class names.
        fresh: Its state dict as it was drawn.
        task: Its task, classification by default.
        statistics: Whether running statistics of batch norms are taken, too.

    Raises:
        CheckpointError: The weights belong to another family.
        LayoutError: The layouts have too few joints in common.
        WeightsError: Shapes or keys differ for another reason, such as the width.
    """
    if source.model.name != target.name:
        raise CheckpointError(
            f"{source.name}: weights of a {source.model.name}, but the recipe trains a"
            f" {target.name}; give a recipe of the family {source.model.name}"
        )
    mapper = _Mapper(source, target, tuple(classes), task or TaskSpec())
    results = _map_tensors(mapper, source, target, fresh, keep_statistics=statistics == "taken")
    groups: dict[str, list[MappedTensor]] = {"taken": [], "mapped": [], "fresh": []}
    for key, result in results.items():
        shape = tuple(fresh[key].shape)
        entry = MappedTensor(key, shape, fresh[key].numel(), result.kept, result.why)
        groups[result.how].append(entry)
    differing = _differing_options(source.model, target)
    return MappedWeights(
        {key: result.tensor.to(fresh[key].dtype) for key, result in results.items()},
        taken=tuple(groups["taken"]),
        mapped=tuple(groups["mapped"]),
        fresh=tuple(groups["fresh"]),
        joints=mapper.joints,
        notes=(
            *source.notes,
            *(
                f"option {name} {change}, as the recipe has it"
                for name, change in differing.items()
            ),
        ),
    )


def _map_tensors(
    mapper: "_Mapper",
    source: SourceWeights,
    target: ModelSpec,
    fresh: Mapping[str, Shaped[Tensor, " ..."]],
    *,
    keep_statistics: bool,
) -> "dict[str, _Result]":
    """The tensor of the new network for each key; WeightsError if keys or shapes do not fit."""
    results: dict[str, _Result] = {}
    misfits = [
        *(f"{key} (missing)" for key in mapper.expected(fresh) if key not in source.weights),
        *(f"{key} (unknown here)" for key in mapper.expected(source.weights) if key not in fresh),
    ]
    for key, drawn in fresh.items():
        if key not in source.weights and not mapper.is_new(key):
            continue
        if not keep_statistics and key.rpartition(".")[2] in _STATISTICS:
            results[key] = _Result(drawn, 0, "statistics")
        elif result := mapper.map(key, source.weights.get(key, drawn), drawn):
            results[key] = result
        else:
            there, here = _shape(source.weights[key]), _shape(drawn)
            misfits.append(f"{key} ({there} there, {here} here)")
    if misfits:
        raise WeightsError(_misfit_message(source, target, misfits))
    return results


@dataclass(frozen=True)
class _Result:
    """A tensor of the new network; ``moved`` if its values were rearranged."""

    tensor: Tensor
    kept: int
    why: str = ""
    moved: bool = False

    @property
    def how(self) -> str:
        if not self.kept:
            return "fresh"
        return "mapped" if self.moved else "taken"


class _Mapper:
    """Maps single tensors; what is common to all is computed once."""

    def __init__(
        self, source: SourceWeights, target: ModelSpec, classes: tuple[str, ...], task: TaskSpec
    ) -> None:
        self._source, self._target = source.model, target
        here, there = target.layout, source.model.layout
        self.joints = match_joints(there, here)
        self._axes = joint_axes(target.name)
        self._same_joints = there.joints == here.joints
        self._same_graph = _graph(there) == _graph(here) and not _differing_options(
            source.model, target
        )
        self._check_layouts(source.name)
        self._class_rows = _class_rows(source.classes, classes)
        self._same_task = source.task.name == task.name
        same_head = self._same_task and source.classes == classes
        self._head = set() if same_head else _shaped_by(target, task, "num_classes")
        same_channels = (there.axes, source.model.in_channels) == (here.axes, target.in_channels)
        self._reads_channels = set() if same_channels else _shaped_by(target, task, "in_channels")
        self._sizes = {spec: self._sizes_of(model) for spec, model in self._both().items()}

    def is_new(self, key: str) -> bool:
        """Whether a tensor belongs to the head of another task."""
        return not self._same_task and (key in self._head or key.startswith(_HEAD))

    def expected(self, keys: Iterable[str]) -> list[str]:
        """The keys that both networks must have."""
        return [key for key in keys if not self.is_new(key)]

    def map(self, key: str, trained: Tensor, drawn: Tensor) -> _Result | None:
        """The tensor of the new network; None if the shapes do not fit."""
        if self.is_new(key):
            return _Result(drawn, 0, "another task")
        if key in self._head:
            return self._map_head(trained, drawn)
        if key in self._reads_channels:
            return _Result(drawn, 0, "other channels")
        axes = self._axes.find(key) if self._axes else None
        if axes == GRAPH:
            same = self._same_graph or (_fits(trained, drawn) and torch.equal(trained, drawn))
            return _whole(trained, drawn) if same else _Result(drawn, 0, "the graph")
        if axes == ORDER:
            same = self._same_joints
            return _whole(trained, drawn) if same else _Result(drawn, 0, "hangs on joint order")
        return _whole(trained, drawn) if axes is None else self._map_axes(axes, trained, drawn)

    def _map_head(self, trained: Tensor, drawn: Tensor) -> _Result | None:
        rows = self._class_rows
        if rows is None or drawn.ndim == 0 or len(drawn) != len(rows):
            return _Result(drawn, 0, "new head")
        return _Result(trained[rows], drawn.numel(), moved=True) if _fits(trained, drawn) else None

    def _map_axes(self, text: str, trained: Tensor, drawn: Tensor) -> _Result | None:
        """Take the values whose joint, body and scale the new network has, too."""
        axes = parse_axes(text)
        letters = [letter for axis in axes for letter in axis]
        try:
            there = factor_sizes(axes, tuple(trained.shape), self._sizes["source"])
            here = factor_sizes(axes, tuple(drawn.shape), self._sizes["target"])
        except ModelError:
            return None
        takes: list[Int64[Tensor, " _"]] = []
        puts: list[Int64[Tensor, " _"]] = []
        for letter, size_there, size_here in zip(letters, there, here, strict=True):
            if letter == "V":
                takes.append(torch.tensor([pair.source for pair in self.joints.pairs]))
                puts.append(torch.tensor([pair.target for pair in self.joints.pairs]))
            elif size_there == size_here or letter in self._sizes["target"]:
                takes.append(torch.arange(min(size_there, size_here)))
                puts.append(takes[-1])
            else:
                return None
        if self._same_joints and there == here:
            return _Result(trained, drawn.numel())
        mixed = drawn.clone().view(here)
        chosen = trained.view(there)[_open_grid(takes)].to(drawn.dtype)
        mixed[_open_grid(puts)] = chosen
        why = "" if chosen.numel() == drawn.numel() else "joints, bodies or scales are new"
        return _Result(mixed.view(drawn.shape), chosen.numel(), why, moved=True)

    def _check_layouts(self, name: str) -> None:
        here, there = self._target.layout, self._source.layout
        shared = len(self.joints.pairs)
        if self._same_joints:
            return
        if shared < FEWEST_JOINTS:
            raise LayoutError(
                f"{name}: trained on the layout {there.name}, of whose joints {here.name} has"
                f" {shared}, and {FEWEST_JOINTS} are needed; see skelab layouts --map"
                f" {there.name} {here.name}"
            )
        if self._axes is None:
            raise WeightsError(
                f"{name}: trained on the layout {there.name}, here it is {here.name}, and the"
                f" family {self._target.name} does not say which axes of its weights are joints"
                " (register_model(..., joint_axes=...))"
            )

    def _both(self) -> dict[str, ModelSpec]:
        return {"source": self._source, "target": self._target}

    def _sizes_of(self, model: ModelSpec) -> dict[str, int]:
        counts = {"V": model.layout.num_joints, "M": model.max_bodies, "C": model.in_channels}
        more = self._axes.sizes(model.layout, model.options) if self._axes else {}
        return {**counts, **more}


def _whole(trained: Tensor, drawn: Tensor) -> _Result | None:
    return _Result(trained, drawn.numel()) if _fits(trained, drawn) else None


def _fits(trained: Tensor, drawn: Tensor) -> bool:
    return trained.shape == drawn.shape


def _open_grid(indices: Sequence[Int64[Tensor, " _"]]) -> tuple[Tensor, ...]:
    """Broadcastable indices of the product of one index set per axis."""
    return tuple(
        places.view(*(-1 if axis == own else 1 for axis in range(len(indices))))
        for own, places in enumerate(indices)
    )


def _graph(layout: Layout) -> tuple[Any, ...]:
    return layout.joints, layout.bones, layout.centre


def _class_rows(there: tuple[str, ...], here: tuple[str, ...]) -> list[int] | None:
    """The row in the source of each class here; None unless both have the same names."""
    if len(set(there)) != len(there) or sorted(there) != sorted(here):
        return None
    return [there.index(name) for name in here]


def _shaped_by(model: ModelSpec, task: TaskSpec, argument: str) -> set[str]:
    """The tensors whose shape follows from ``num_classes`` or ``in_channels``."""
    shapes = []
    for more in (0, 1):
        changed = replace(model, **{argument: getattr(model, argument) + more})
        with torch.random.fork_rng(), torch.device("meta"):
            state: Mapping[str, Tensor] = build_model(changed, task).state_dict()
        shapes.append({key: tensor.shape for key, tensor in state.items()})
    return {key for key, shape in shapes[0].items() if shapes[1].get(key) != shape}


def _differing_options(there: ModelSpec, here: ModelSpec) -> dict[str, str]:
    """The differing options of both networks, in words."""
    names = {**there.options, **here.options}
    return {
        name: f"was {there.options.get(name)}, is {here.options.get(name)}"
        for name in names
        if there.options.get(name) != here.options.get(name)
    }


def _misfit_message(source: SourceWeights, target: ModelSpec, misfits: Sequence[str]) -> str:
    more = f" and {len(misfits) - _SHOWN} more" if len(misfits) > _SHOWN else ""
    options = _differing_options(source.model, target)
    said = "; ".join(f"{name} {difference}" for name, difference in options.items())
    return (
        f"{source.name}: {len(misfits)} tensors do not fit the {target.name} of the recipe:"
        f" {', '.join(misfits[:_SHOWN])}{more}{f'; {said}' if said else ''}"
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"


def _tensors(group: Sequence[MappedTensor]) -> str:
    return f"{len(group):,} tensor{'' if len(group) == 1 else 's'}"


def _total(group: Sequence[MappedTensor]) -> int:
    return sum(tensor.numbers for tensor in group)


def _kept(group: Sequence[MappedTensor]) -> int:
    return sum(tensor.kept for tensor in group)
