"""The floating-point operations of a program, for comparison with what the processor can do."""

from collections.abc import Callable
from typing import Final

from skelab.native.networks import ProgramPlan, TensorPlan


def count_operations(plan: ProgramPlan, frames: int) -> int:
    """Multiplications and additions of matrix products for one body of so many frames.

    Lanes that pad vectors count; a plan for vectors of one lane has none, and so gives the work
    that the network needs whatever the processor. Elementwise work is not counted.
    """
    total = 0
    for step in plan.steps:
        count = _COUNTS.get(step.name)
        if count is not None:
            total += count(plan, step.numbers, frames)
    return 2 * total


def _frames(tensor: TensorPlan, frames: int) -> int:
    return (frames - 1) // tensor.stride + 1


def _convolution(plan: ProgramPlan, numbers: tuple[int, ...], frames: int) -> int:
    target, taps, depth, width = plan.tensors[numbers[2]], *numbers[4:7]
    return _frames(target, frames) * plan.joints * taps * depth * width


def _channel_graph(plan: ProgramPlan, numbers: tuple[int, ...], frames: int) -> int:
    _, target, depth, subsets, relation, related, _, projections = numbers
    joints, width = plan.joints, plan.tensors[target].lanes
    rows = _frames(plan.tensors[target], frames) * joints
    topologies = joints * depth * related + subsets * joints**2 * (relation + 1) * width
    return topologies + rows * width * (depth * (subsets + projections) + subsets * joints)


def _graph(
    plan: ProgramPlan, source: int, windows: int, frames: int, graph: tuple[int, ...]
) -> int:
    """Mixture and transforms of the windows of a tensor; transforms are of each frame once."""
    depth, width, window, scales, mixes_first = graph
    nodes = window * plan.joints
    if mixes_first:
        lanes = plan.tensors[source].lanes
        return windows * scales * nodes * (nodes * lanes + depth * width)
    transformed = _frames(plan.tensors[source], frames) * plan.joints * depth
    return scales * width * (windows * nodes**2 + transformed)


def _frame_graph(plan: ProgramPlan, numbers: tuple[int, ...], frames: int) -> int:
    windows = _frames(plan.tensors[numbers[1]], frames)
    return _graph(plan, numbers[0], windows, frames, numbers[5:])


def _window_graph(plan: ProgramPlan, numbers: tuple[int, ...], frames: int) -> int:
    source, target, depth = numbers[:3]
    windows, lanes = _frames(plan.tensors[target], frames), plan.tensors[target].lanes
    collapsed = windows * plan.joints * depth * lanes
    return collapsed + _graph(plan, source, windows, frames, numbers[4:])


_COUNTS: Final[dict[str, Callable[[ProgramPlan, tuple[int, ...], int], int]]] = {
    "convolution": _convolution,
    "channel graph": _channel_graph,
    "frame graph": _frame_graph,
    "window graph": _window_graph,
}
