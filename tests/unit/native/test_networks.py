"""Compiled steps against their equations in float64, on every instruction set of this machine."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

from skelab.errors import NetworkError
from skelab.inference.folding.builder import Activation, Builder, ChannelGraphParts, GraphParts
from skelab.inference.folding.norms import Affine, Linear
from skelab.native import networks
from skelab.native.networks import (
    INSTRUCTION_SETS,
    Kernels,
    ProgramPlan,
    StepPlan,
    TensorPlan,
    built_instruction_sets,
    can_compute,
    get_kernels,
)

pytestmark = pytest.mark.skipif(not can_compute(), reason="the kernels were not built")

Rows = Float[ndarray, "T V C"]
SHAPES = [(1, 1, 1), (2, 3, 5), (7, 5, 16), (9, 25, 3), (13, 17, 40)]  # frames, joints, channels


@dataclass(frozen=True)
class Way:
    """Kernels and a number format, and how exact that is."""

    kernels: Kernels
    precision: str

    def close(self, found: Rows, expected: Rows) -> None:
        """Equal within the rounding of the number format, by the scale of what is expected."""
        tolerance = 2e-6 if self.precision == "fp32" else 2e-2
        scale = max(1.0, float(np.abs(expected).max()))
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


WAYS = [
    (name, precision)
    for name in built_instruction_sets()
    for precision in get_kernels(name).precisions
]


@pytest.fixture(params=WAYS, ids="-".join)
def way(request: pytest.FixtureRequest) -> Way:
    """Each instruction set with each of its number formats in turn."""
    name, precision = request.param
    return Way(get_kernels(name), precision)


@pytest.fixture(params=built_instruction_sets())
def kernels(request: pytest.FixtureRequest) -> Kernels:
    """The kernels of each instruction set in turn."""
    return get_kernels(request.param)


def computed(way: Way, x: Rows, steps: Callable[[Builder, Activation], Activation]) -> Rows:
    """What some steps make of a body, by the compiled kernels."""
    _, joints, channels = x.shape
    builder = Builder(channels, joints, way.kernels.lanes)
    plain = Affine(np.ones((1, joints, channels)), np.zeros((1, joints, channels)))
    result = steps(builder, builder.input(plain, halo=4))
    builder.rows(result)
    program = way.kernels.assemble(builder.finish(), way.precision)
    clip = np.ascontiguousarray(x.transpose(2, 0, 1)[None, ..., None], dtype=np.float32)
    out = program.run(clip, [0]).reshape(-1, joints, result.lanes.width)
    found: Rows = out[..., result.lanes.positions]
    return found


def convolved(x: Rows, linear: Linear, *, stride: int = 1, dilation: int = 1) -> Rows:
    """The definition of a convolution over time."""
    taps, frames = len(linear.weight), len(x)
    y = np.zeros((-(-frames // stride), x.shape[1], len(linear.bias)))
    for t in range(len(y)):
        for tap in range(taps):
            source = t * stride + (tap - taps // 2) * dilation
            if 0 <= source < frames:
                y[t] += x[source] @ linear.weight[tap]
    y += linear.bias
    return y


def a_linear(rng: Generator, taps: int, channels: int, out: int) -> Linear:
    weight = rng.standard_normal((taps, channels, out)) / np.sqrt(taps * channels)
    return Linear(weight, rng.standard_normal(out))


def a_body(rng: Generator, shape: tuple[int, int, int]) -> Rows:
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("taps", "dilation", "stride"), [(1, 1, 1), (5, 2, 1), (3, 4, 2), (9, 1, 2)]
)
def test_a_convolution_is_its_sum_over_taps(
    way: Way, shape: tuple[int, int, int], taps: int, dilation: int, stride: int
) -> None:
    rng = np.random.default_rng(0)
    x, linear = a_body(rng, shape), a_linear(rng, taps, shape[2], 21)

    def steps(builder: Builder, source: Activation) -> Activation:
        target = builder.tensor(builder.lanes(21), stride=stride)
        builder.convolve(source, target, linear, dilation=dilation, rectify=True)
        return target

    expected = np.maximum(convolved(x, linear, stride=stride, dilation=dilation), 0)
    way.close(computed(way, x, steps), expected)


def test_parts_of_tensors_are_convolved_and_added_apart(way: Way) -> None:
    rng = np.random.default_rng(1)
    x, first = a_body(rng, (6, 5, 7)), a_linear(rng, 1, 7, 15)
    second, third = a_linear(rng, 3, 5, 9), a_linear(rng, 1, 7, 9)

    def steps(builder: Builder, source: Activation) -> Activation:
        hidden = builder.tensor(builder.lanes(10, 5), stride=1, halo=1)
        builder.convolve(source, hidden, first, rectify=True)
        target = builder.tensor(builder.lanes(3, 9), stride=1)
        builder.convolve(source, target.only(0), Linear(third.weight[..., :3], third.bias[:3]))
        builder.convolve(source, target.only(1), third)
        builder.convolve(hidden.only(1), target.only(1), second, residual=target.only(1))
        return target

    hidden = np.maximum(convolved(x, first), 0)
    added = convolved(x, third)
    expected = np.concatenate([added[..., :3], convolved(hidden[..., 10:], second) + added], axis=2)
    way.close(computed(way, x, steps), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_maximum_is_of_a_frame_and_its_neighbours(
    way: Way, shape: tuple[int, int, int], stride: int
) -> None:
    rng = np.random.default_rng(2)
    x = a_body(rng, shape)
    norm = Affine(rng.standard_normal(shape[2]), rng.standard_normal(shape[2]))

    def steps(builder: Builder, source: Activation) -> Activation:
        target = builder.tensor(source.lanes, stride=stride)
        builder.maximum(source, target, norm)
        return target

    frames = range(0, len(x), stride)
    most = np.stack([x[max(t - 1, 0) : t + 2].max(axis=0) for t in frames])
    way.close(computed(way, x, steps), most * norm.factor + norm.offset)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("projects", [True, False])
def test_a_channel_graph_is_its_sum_over_subsets_and_joints(
    way: Way, shape: tuple[int, int, int], projects: bool
) -> None:
    rng = np.random.default_rng(3)
    _, joints, channels = shape
    out = 21 if projects else channels
    x, subsets, relation = a_body(rng, shape), 2, 3
    parts = ChannelGraphParts(
        relations=a_linear(rng, 1, channels, 2 * subsets * relation),
        values=[a_linear(rng, 1, channels, out) for _ in range(subsets)],
        refine=[a_linear(rng, 1, relation, out) for _ in range(subsets)],
        topology=rng.standard_normal((subsets, joints, joints)),
        offset=rng.standard_normal(out),
        projection=a_linear(rng, 1, channels, out) if projects else None,
    )

    def steps(builder: Builder, source: Activation) -> Activation:
        target = builder.tensor(builder.lanes(out), stride=1)
        builder.channel_graph(source, target, parts)
        return target

    expected = convolved(x, parts.projection) if parts.projection else x.copy()
    related = (x.mean(axis=0) @ parts.relations.matrix + parts.relations.bias).reshape(
        joints, 2, subsets, relation
    )
    for i in range(subsets):
        pairs = np.tanh(related[:, None, 0, i] - related[None, :, 1, i])  # new joint, joint, R
        refined = pairs @ parts.refine[i].matrix + parts.refine[i].bias
        topology = refined + parts.topology[i][..., None]
        expected += np.einsum("uvd,tvd->tud", topology, convolved(x, parts.values[i]))
    way.close(computed(way, x, steps), np.maximum(expected + parts.offset, 0))


def mixed(x: Rows, parts: GraphParts, *, stride: int = 1) -> Float[ndarray, "L W D"]:
    """The definition of a graph convolution: nodes of each window from all its nodes."""
    half, joints = parts.window // 2, x.shape[1]
    padded = np.pad(x, ((half, half), (0, 0), (0, 0)))
    windows = [
        padded[t : t + parts.window].reshape(-1, x.shape[2]) for t in range(0, len(x), stride)
    ]
    assert windows[0].shape[0] == parts.window * joints
    sums = np.einsum("knm,tmc,kcd->tnd", parts.topology, np.stack(windows), parts.weight)
    nodes: Rows = np.asarray(sums) + parts.offset
    return nodes


def a_graph(rng: Generator, window: int, joints: int, channels: int, out: int) -> GraphParts:
    nodes, scales = window * joints, 3
    return GraphParts(
        window=window,
        topology=rng.standard_normal((scales, nodes, nodes)) / np.sqrt(nodes * scales),
        weight=rng.standard_normal((scales, channels, out)) / np.sqrt(channels),
        offset=rng.standard_normal(out),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("out", [2, 70])  # transformed first, mixed first
def test_a_frame_graph_is_its_sum_over_scales_and_joints(
    way: Way, shape: tuple[int, int, int], out: int
) -> None:
    rng = np.random.default_rng(4)
    x, parts = a_body(rng, shape), a_graph(rng, 1, shape[1], shape[2], out)

    def steps(builder: Builder, source: Activation) -> Activation:
        target = builder.tensor(builder.lanes(out), stride=1)
        builder.frame_graph(source, target, parts, rectify=True)
        return target

    way.close(computed(way, x, steps), np.maximum(mixed(x, parts), 0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("window", "stride", "inner"), [(3, 1, 33), (5, 2, 33), (3, 2, 2)])
def test_a_window_graph_adds_its_collapsed_windows(
    way: Way, shape: tuple[int, int, int], window: int, stride: int, inner: int
) -> None:
    rng = np.random.default_rng(5)
    x, parts = a_body(rng, shape), a_graph(rng, window, shape[1], shape[2], inner)
    collapse, offset = rng.standard_normal((window, inner, 6)) / 5, rng.standard_normal(6)
    before = a_linear(rng, 1, shape[2], 6)

    def steps(builder: Builder, source: Activation) -> Activation:
        target = builder.tensor(builder.lanes(2, 4), stride=stride)
        builder.convolve(source, target, before)
        builder.window_graph(source, target, parts, collapse, offset, rectify=True)
        return target

    nodes = np.maximum(mixed(x, parts, stride=stride), 0)
    frames = nodes.reshape(len(nodes), window, shape[1], inner)
    expected = np.einsum("twvd,wde->tve", frames, collapse) + offset
    expected += convolved(x, before, stride=stride)
    way.close(computed(way, x, steps), np.maximum(expected, 0))


def a_program(kernels: Kernels) -> networks.Program:
    """The mean over frames and joints of 1x1-transformed joints of two bodies."""
    rng = np.random.default_rng(6)
    builder = Builder(3, 5, kernels.lanes)
    x = builder.input(Affine(rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 5, 3))))
    y = builder.tensor(builder.lanes(8), stride=1)
    builder.convolve(x, y, a_linear(rng, 1, 3, 8), rectify=True)
    builder.mean(y)
    return kernels.assemble(builder.finish())


def some_clips(clips: int, frames: int = 6) -> Float[ndarray, "N C T V M"]:
    return np.random.default_rng(clips).standard_normal((clips, 3, frames, 5, 2), np.float32)


def test_threads_and_the_order_of_bodies_change_no_bit(kernels: Kernels) -> None:
    program, clips = a_program(kernels), some_clips(4)

    alone = np.concatenate([program.run(clips, [row]) for row in range(8)])

    np.testing.assert_array_equal(program.run(clips, range(8), 3), alone)
    np.testing.assert_array_equal(program.run(clips, [5, 0, 5]), alone[[5, 0, 5]])


def test_two_threads_may_use_one_program_with_clips_of_different_lengths(kernels: Kernels) -> None:
    program = a_program(kernels)
    batches = [some_clips(3, frames) for frames in (2, 9, 4, 7)] * 8
    expected = [program.run(clips, range(6)) for clips in batches]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda clips: program.run(clips, range(6), 2), batches))

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_any_strides_are_taken_and_nothing_is_written_into_the_clips(kernels: Kernels) -> None:
    program, clips = a_program(kernels), some_clips(2)
    expected = program.run(clips, range(4))
    turned = np.asfortranarray(clips)
    turned.flags.writeable = False

    np.testing.assert_array_equal(program.run(turned, range(4)), expected)
    np.testing.assert_array_equal(program.run(clips[:, :, ::-1], range(4)).shape, expected.shape)


def test_bodies_of_zeros_are_absent(kernels: Kernels) -> None:
    clips = some_clips(3)
    clips[0, ..., 1] = 0
    clips[2] = 0

    present = a_program(kernels).present(clips)

    np.testing.assert_array_equal(present, [[True, False], [True, True], [False, False]])


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (np.zeros((2, 3, 6, 4, 2), np.float32), r"expected clips N x 3 x T x 5 x M .* found 2 x 3"),
        (np.zeros((0, 3, 6, 5, 2), np.float32), r"none of them 0, found 0 x 3 x 6 x 5 x 2"),
        (np.zeros((2, 3, 0, 5, 2), np.float32), r"none of them 0, found 2 x 3 x 0 x 5 x 2"),
        (np.zeros((3, 6, 5), np.float32), r"found 3 x 6 x 5"),
        (np.zeros((2, 3, 6, 5, 2)), "expected float32, found float64"),
        (np.full((2, 3, 6, 5, 2), np.nan, np.float32), "expected finite numbers, found NaN"),
    ],
)  # fmt: skip
def test_clips_that_do_not_fit_are_refused_before_a_kernel_runs(
    clips: ndarray, message: str
) -> None:
    program = a_program(get_kernels())

    with pytest.raises(NetworkError, match=message):
        program.run(clips, [0])
    with pytest.raises(NetworkError, match=message):
        program.present(clips)


def test_rows_and_threads_that_there_are_not_are_refused() -> None:
    program, clips = a_program(get_kernels()), some_clips(2)

    with pytest.raises(NetworkError, match="expected rows from 0 to 3, found others"):
        program.run(clips, [4])
    with pytest.raises(NetworkError, match="expected rows from 0 to 3, found others"):
        program.run(clips, [-1])
    with pytest.raises(NetworkError, match="expected at least one thread, found 0"):
        program.run(clips, [0], 0)
    assert program.run(clips, []).shape == (0, program.outputs(6))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((StepPlan("sum", ()),), "no step is called sum"),
        ((StepPlan("mean", ()),), "mean: too few numbers"),
        ((StepPlan("mean", (0, 1)),), "mean: too many numbers or arrays"),
        ((StepPlan("mean", (1,)),), "no such tensor"),
        ((StepPlan("input", (0,)),), "input: too few arrays"),
        (
            (StepPlan("input", (0,), (np.ones(3, np.float32), np.ones(4, np.float32))),),
            "input: the normalisation does not fit the joints",
        ),
        (
            (StepPlan("convolution", (0, 0, 0, 0, 1, 3, 16, 1, -1, 0, 0), (np.ones(5, "f4"),)),),
            "convolution: a matrix of another size than was said",
        ),
    ],
)  # fmt: skip
def test_plans_that_contradict_themselves_are_refused(
    steps: tuple[StepPlan, ...], message: str
) -> None:
    plan = ProgramPlan(3, 5, (TensorPlan(0, 16, 1, 0),), steps)

    with pytest.raises(ValueError, match=message):
        get_kernels().assemble(plan)


def test_lanes_that_a_tensor_does_not_have_are_refused() -> None:
    bias, weight = np.ones(16, np.float32), np.ones(48, np.float32)
    step = StepPlan("convolution", (0, 0, 0, 16, 1, 3, 16, 1, -1, 0, 0), (weight, bias))
    plan = ProgramPlan(3, 5, (TensorPlan(0, 16, 1, 0),), (step,))

    with pytest.raises(ValueError, match="lanes that a tensor does not have"):
        get_kernels().assemble(plan)


def test_the_environment_chooses_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKELAB_ISA", "baseline")
    assert get_kernels().name == "baseline"

    monkeypatch.delenv("SKELAB_ISA")
    assert get_kernels().name == built_instruction_sets()[0]


def test_an_instruction_set_that_is_not_known_or_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SKELAB_ISA", "avx1024")
    with pytest.raises(NetworkError, match=r"unknown instruction set \(SKELAB_ISA\) 'avx1024'"):
        get_kernels()

    monkeypatch.setenv("SKELAB_ISA", "avx512")
    monkeypatch.setattr(networks, "_supported", lambda: {"avx512": False, "baseline": True})
    with pytest.raises(
        NetworkError, match="this processor does not have avx512; expected one of: ba"
    ):
        get_kernels()
    monkeypatch.setattr(networks, "_supported", lambda: {"baseline": True})
    with pytest.raises(NetworkError, match="the installation does not have avx512; expected one"):
        get_kernels()


def test_without_a_compiler_there_is_one_line_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SKELAB_ISA", raising=False)
    monkeypatch.setattr(networks, "_supported", dict)

    assert not can_compute()
    with pytest.raises(NetworkError, match="they were not compiled; install a C\\+\\+17 compiler"):
        get_kernels()


def test_a_precision_that_is_not_multiplied_is_refused() -> None:
    kernels = get_kernels("baseline")

    with pytest.raises(
        NetworkError, match="instruction set baseline computes in fp32, found 'bf16'"
    ):
        kernels.assemble(ProgramPlan(3, 5, (), ()), "bf16")


def test_the_peak_of_a_core_is_measured() -> None:
    assert get_kernels("baseline").measure_peak() > 1e8


def test_a_forked_child_computes_the_same() -> None:
    script = (
        "import os, sys, numpy as np\n"
        "sys.path[:0] = os.environ['TEST_PATH'].split(os.pathsep)\n"
        "from native.test_networks import a_program, some_clips\n"
        "from skelab.native.networks import get_kernels\n"
        "program, clips = a_program(get_kernels()), some_clips(4)\n"
        "expected = program.run(clips, range(8), 2)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if (program.run(clips, range(8), 2) == expected).all() else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    paths = [os.path.dirname(os.path.dirname(__file__)), *sys.path]  # noqa: PTH120
    environment = {**os.environ, "TEST_PATH": os.pathsep.join(paths)}

    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "0"


def test_every_instruction_set_is_of_a_known_name() -> None:
    assert set(built_instruction_sets()) <= set(INSTRUCTION_SETS)
    assert "baseline" in built_instruction_sets()
