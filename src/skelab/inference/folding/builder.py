"""Programs written step by step: tensors by name, weights by channel; lanes and memory follow."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from skelab.inference.folding.lanes import Lanes
from skelab.inference.folding.norms import Affine, Linear
from skelab.native.networks import ProgramPlan, StepPlan, TensorPlan

_NO_TENSOR = (-1, 0)


@dataclass(frozen=True)
class Activation:
    """A tensor of a program: frames x joints x lanes.

    Attributes:
        number: Which of the program's tensors.
        lanes: Where its channels lie.
        stride: Frames of the clip from one of its frames to the next.
        halo: Frames of zeros around it.
        part: The part of its channels that is meant; None for all.
    """

    number: int
    lanes: Lanes
    stride: int
    halo: int = 0
    part: int | None = None

    def only(self, part: int) -> "Activation":
        """One part of its channels."""
        return Activation(self.number, self.lanes, self.stride, self.halo, part)

    @property
    def own_lanes(self) -> Lanes:
        """The lanes of what is meant, counted from its own start."""
        return self.lanes if self.part is None else self.lanes.part(self.part)

    @property
    def place(self) -> tuple[int, int]:
        """Tensor and first lane, as the steps expect them."""
        return self.number, 0 if self.part is None else self.lanes.starts[self.part]


@dataclass(frozen=True)
class ChannelGraphParts:
    """What CTR-GCN's graph convolution is made of; K subsets, R relation channels.

    Attributes:
        relations: C channels to K * R of the queries, then as many of the keys.
        values: C channels to D, of each subset, norm included.
        refine: R channels to D, of each subset, strength included.
        topology: Shared by all channels, K x V x V.
        offset: Of the norm.
        projection: C channels to D that are added; None adds the input itself.
    """

    relations: Linear
    values: list[Linear]
    refine: list[Linear]
    topology: Float64[ndarray, "K V V"]
    offset: Float64[ndarray, " D"]
    projection: Linear | None


@dataclass(frozen=True)
class GraphParts:
    """What a graph convolution over fixed topologies is made of; S scales, windows of W nodes.

    Attributes:
        window: Frames of a window.
        topology: How much of each node reaches each node, S x W x W.
        weight: C channels to D of each scale, norm included.
        offset: Of the norm, and biases: for all nodes or for each.
    """

    window: int
    topology: Float64[ndarray, "S W W"]
    weight: Float64[ndarray, "S C D"]
    offset: Float64[ndarray, "*W D"]


class Builder:
    """Collects the steps of a program.

    Args:
        channels: C of the clips.
        joints: V of the clips.
        vector: Lanes of a vector of the kernels.
    """

    def __init__(self, channels: int, joints: int, vector: int) -> None:
        self.channels, self.joints, self.vector = channels, joints, vector
        self._tensors: list[Activation] = []
        self._steps: list[StepPlan] = []
        self._used: list[tuple[int, ...]] = []  # tensors of each step

    def lanes(self, *parts: int) -> Lanes:
        """Lanes for parts of so many channels."""
        return Lanes(parts, self.vector)

    def tensor(self, lanes: Lanes, *, stride: int, halo: int = 0) -> Activation:
        """A new tensor, whose halo is cleared here."""
        made = Activation(len(self._tensors), lanes, stride, halo)
        self._tensors.append(made)
        if halo:
            self._add("clear halo", (made.number,), (), (made,))
        return made

    def input(self, norm: Affine, *, halo: int = 0) -> Activation:
        """The joints, normalised for each body, joint and channel."""
        made = self.tensor(self.lanes(self.channels), stride=1, halo=halo)
        self._add("input", (made.number,), (norm.factor, norm.offset), (made,))
        return made

    def convolve(
        self,
        source: Activation,
        target: Activation,
        linear: Linear,
        *,
        dilation: int = 1,
        residual: Activation | None = None,
        rectify: bool = False,
    ) -> None:
        """A convolution over time into (a part of) a tensor; strides follow from the tensors."""
        rows, columns = source.own_lanes, target.own_lanes
        weight = columns.spread(rows.spread_rows(linear.weight))
        added = _NO_TENSOR if residual is None else residual.place
        numbers = (
            *(*source.place, *target.place),
            *(len(weight), rows.depth, columns.width, dilation),
            *(*added, int(rectify)),
        )
        arrays = (weight, columns.spread(linear.bias))
        self._add("convolution", numbers, arrays, (source, target, residual))

    def maximum(
        self,
        source: Activation,
        target: Activation,
        norm: Affine,
        *,
        residual: Activation | None = None,
        rectify: bool = False,
    ) -> None:
        """The maximum of three frames, normalised."""
        added = _NO_TENSOR if residual is None else residual.place
        numbers = (*source.place, *target.place, *added, int(rectify))
        lanes = target.own_lanes
        arrays = (lanes.spread(norm.factor), lanes.spread(norm.offset))
        self._add("maximum", numbers, arrays, (source, target, residual))

    def channel_graph(
        self, source: Activation, target: Activation, parts: ChannelGraphParts
    ) -> None:
        """CTR-GCN's graph convolution with residual and ReLU."""
        rows, columns = source.lanes, target.lanes
        subsets, relation = len(parts.values), parts.refine[0].weight.shape[1]
        related = self.lanes(2 * subsets * relation)
        projections = [] if parts.projection is None else [parts.projection]
        values = [*parts.values, *projections]
        refine, refine_bias = self._refinement(columns, parts.refine)
        numbers = (
            *(source.number, target.number, rows.depth),
            *(subsets, relation, related.width),
            *(int(parts.projection is None), len(projections)),
        )
        arrays = (
            related.spread(rows.spread_rows(parts.relations.matrix)),
            related.spread(parts.relations.bias),
            self._by_vector(columns, [rows.spread_rows(each.matrix) for each in values]),
            self._by_vector(columns, [each.bias[None] for each in values]),
            refine,
            refine_bias,
            parts.topology,
            columns.spread(parts.offset),
        )
        self._add("channel graph", numbers, arrays, (source, target))

    def frame_graph(
        self,
        source: Activation,
        target: Activation,
        parts: GraphParts,
        *,
        residual: Activation | None = None,
        rectify: bool = False,
    ) -> None:
        """A graph convolution inside single frames."""
        added = _NO_TENSOR if residual is None else residual.place
        graph, arrays = self._graph(source, target.lanes, parts)
        numbers = (source.number, target.number, *added, int(rectify), *graph)
        self._add("frame graph", numbers, arrays, (source, target, residual))

    def window_graph(
        self,
        source: Activation,
        target: Activation,
        parts: GraphParts,
        collapse: Float64[ndarray, "w D E"],
        offset: Float64[ndarray, " E"],
        *,
        rectify: bool = False,
    ) -> None:
        """A graph convolution across windows, rectified, collapsed and added to ``target``.

        Args:
            source: What the windows are of.
            target: What is added to.
            parts: The graph convolution; its D channels are those inside the window.
            collapse: From the D channels of each frame of a window to the result's.
            offset: Added to the result.
            rectify: Whether the sum is rectified.
        """
        inner = self.lanes(parts.weight.shape[2])
        window, joints = parts.window, self.joints
        # nodes come out joint by joint, the frames of a joint one after the other
        order = np.arange(window * joints).reshape(window, joints).T.reshape(-1)
        offsets = parts.offset if parts.offset.ndim == 1 else parts.offset[order]
        turned = GraphParts(window, parts.topology[:, order], parts.weight, offsets)
        graph, arrays = self._graph(source, inner, turned)
        rows = np.zeros((window, inner.width, collapse.shape[2]))
        rows[:, inner.positions] = collapse
        folded = target.lanes.spread(rows.reshape(-1, collapse.shape[2]))
        numbers = (source.number, target.number, len(folded), int(rectify), *graph)
        added = (*arrays, folded, target.lanes.spread(offset))
        self._add("window graph", numbers, added, (source, target))

    def mean(self, source: Activation) -> None:
        """The mean over frames and joints is the result."""
        self._add("mean", (source.number,), (), (source,))

    def rows(self, source: Activation) -> None:
        """All frames and joints are the result."""
        self._add("rows", (source.number,), (), (source,))

    def finish(self) -> ProgramPlan:
        """The program, tensors that are not needed at the same time in the same memory."""
        slots = _share_slots(self._used, len(self._tensors))
        tensors = tuple(
            TensorPlan(slots[each.number], each.lanes.width, each.stride, each.halo)
            for each in self._tensors
        )
        return ProgramPlan(self.channels, self.joints, tensors, tuple(self._steps))

    def _graph(
        self, source: Activation, columns: Lanes, parts: GraphParts
    ) -> tuple[tuple[int, ...], tuple[Float64[ndarray, "..."], ...]]:
        """Numbers and arrays of a graph convolution, its factors in the cheaper order."""
        rows = source.lanes
        scales, nodes, _ = parts.topology.shape
        mixing, transforming = scales * nodes * nodes, scales * rows.depth * columns.width
        mix_first = mixing * rows.width + transforming * nodes
        transform_first = mixing * columns.width + transforming * self.joints
        is_mixed_first = mix_first < transform_first
        topology = parts.topology if is_mixed_first else parts.topology.transpose(1, 0, 2)
        weight = columns.spread(rows.spread_rows(parts.weight))
        numbers = (rows.depth, columns.width, parts.window, scales, int(is_mixed_first))
        return numbers, (topology, weight, columns.spread(parts.offset))

    def _by_vector(
        self, columns: Lanes, matrices: list[Float[ndarray, "A D"]]
    ) -> Float64[ndarray, "vectors A lanes"]:
        """Several matrices cut into vectors of columns, the same vector of each side by side."""
        spread = np.stack([columns.spread(each) for each in matrices])  # matrix A L
        cut = spread.reshape(*spread.shape[:2], -1, self.vector)  # matrix A vector lane
        blocks = cut.transpose(2, 1, 0, 3)
        return blocks.reshape(*blocks.shape[:2], -1)

    def _refinement(
        self, columns: Lanes, refine: list[Linear]
    ) -> tuple[Float64[ndarray, "K rows L"], Float64[ndarray, "K L"]]:
        """Weights with a last row of ones, by which the shared topology is added."""
        one = np.ones((1, columns.channels))
        rows = [columns.spread(np.concatenate([each.matrix, one])) for each in refine]
        return np.stack(rows), np.stack([columns.spread(each.bias) for each in refine])

    def _add(
        self,
        name: str,
        numbers: tuple[int, ...],
        arrays: tuple[Float64[ndarray, "..."], ...],
        used: Iterable[Activation | None],
    ) -> None:
        narrow = tuple(np.ascontiguousarray(array, dtype=np.float32) for array in arrays)
        self._steps.append(StepPlan(name, numbers, narrow))
        self._used.append(tuple(each.number for each in used if each is not None))


def _share_slots(used: list[tuple[int, ...]], count: int) -> list[int]:
    """A slot for each tensor; the one that was given back last is taken first, being in cache."""
    last = {tensor: step for step, tensors in enumerate(used) for tensor in tensors}
    slots, free, made = [-1] * count, list[int](), 0
    for step, tensors in enumerate(used):
        for tensor in tensors:
            if slots[tensor] < 0:
                if not free:
                    free.append(made)
                    made += 1
                slots[tensor] = free.pop()
        free.extend(slots[tensor] for tensor in dict.fromkeys(tensors) if last[tensor] == step)
    return slots
