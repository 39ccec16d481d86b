"""Traces on fake tensors, against the same step run on real ones."""

import pytest
import torch
from torch import Tensor, nn
from trace_kit import FAMILIES, short

from skelab.fit.allocator import TOLERANCE
from skelab.fit.figures import Configuration, MemoryParts, NotTriedError
from skelab.fit.step import InferenceStep, TrainingStep
from skelab.fit.storage import Category, Lives, StorageWatch
from skelab.fit.trace import convolution_copies, trace_inference, trace_training
from skelab.models import list_models


def counted(configuration: Configuration, *, accumulates: bool = False) -> Lives:
    """The storages of a real step on this machine."""
    step = TrainingStep(configuration)
    watch = StorageWatch()
    with watch:
        step.prime()
        if not accumulates:
            step.begin()
    watch.hold(step.weights(), Category.WEIGHTS)
    watch.hold(step.gradients(), Category.GRADIENTS)
    watch.hold(step.optimiser_state(), Category.OPTIMISER)
    watch.hold(step.inputs(), Category.ACTIVATIONS)
    watch.start()
    with watch:
        step.forward_backward()
        watch.hold(step.gradients(), Category.GRADIENTS)
        step.update()
    return watch.lives()


def error(predicted: MemoryParts, measured: MemoryParts) -> float:
    return abs(predicted.total / measured.total - 1)


@pytest.mark.parametrize(
    "name",
    [name if name == "stgcn" else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES],
)
def test_a_trace_holds_what_a_real_step_holds(name: str) -> None:
    configuration = short(name, clips=2)

    predicted = trace_training(configuration, for_gpu=False).counted_memory(2)

    assert error(predicted, counted(configuration).at_peak()) < 0.001


@pytest.mark.parametrize("activations", ["keep", "recompute"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_and_policy_are_those_of_a_real_step(precision: str, activations: str) -> None:
    settings = (f"precision={precision}", f"memory.activations={activations}")
    configuration = short("stgcn", *settings, clips=3)

    predicted = trace_training(configuration, for_gpu=False).counted_memory(3)
    measured = counted(configuration).at_peak()

    assert error(predicted, measured) < 0.01
    assert predicted.weights == measured.weights
    assert predicted.optimiser == measured.optimiser


@pytest.mark.parametrize(
    "settings",
    [
        ("training.optimizer=adamw", "training.nesterov=false"),
        ("training.clip_norm=1.0",),
        ("training.groups=[{pattern: classifier, frozen: true}]",),
    ],
    ids=["adamw", "clip", "frozen"],
)
def test_optimiser_clipping_and_groups_are_those_of_a_real_step(settings: tuple[str, ...]) -> None:
    configuration = short("stgcn", *settings, clips=3)

    predicted = trace_training(configuration, for_gpu=False).counted_memory(3)
    measured = counted(configuration).at_peak()

    assert error(predicted, measured) < 0.01
    assert predicted.optimiser == pytest.approx(measured.optimiser, rel=1e-3)
    assert predicted.gradients == measured.gradients
    assert trace_training(configuration, for_gpu=True).counted_memory(3).total > 0


def test_one_trace_holds_for_any_number_of_clips() -> None:
    trace = trace_training(short("stgcn"), for_gpu=False)

    for clips in (1, 3, 5):
        measured = counted(short("stgcn", clips=clips)).at_peak()
        assert error(trace.counted_memory(clips), measured) < 0.01
    small, middle, large = (trace.counted_memory(clips).total for clips in (100, 200, 300))
    assert large - middle == pytest.approx(middle - small, rel=1e-3)


@pytest.mark.parametrize(
    ("longer", "factor"),
    [
        ({"overrides": ("data.window=32",)}, 2.0),
        ({"bodies": 4}, 2.0),
        ({"layout": "coco17"}, 17 / 25),
    ],
)
def test_activations_are_linear_in_frames_bodies_and_joints(
    longer: dict[str, object], factor: float
) -> None:
    overrides = longer.get("overrides", ())
    assert isinstance(overrides, tuple)
    recipe = short("stgcn", *overrides).recipe
    layout, bodies = longer.get("layout", "ntu25"), longer.get("bodies", 2)
    other = Configuration(recipe, str(layout), 7, int(str(bodies)))

    few, many = (
        trace_training(configuration, for_gpu=False).counted_memory(50).activations
        for configuration in (short("stgcn"), other)
    )

    assert many / few == pytest.approx(factor, rel=0.02)


def test_gradients_of_earlier_clips_are_there_all_along() -> None:
    trace = trace_training(short("stgcn"), for_gpu=False)
    measured = counted(short("stgcn", clips=2, batch=4), accumulates=True).at_peak()

    alone, among = (trace.counted_memory(2, accumulates=each) for each in (False, True))

    assert among.gradients > alone.gradients
    assert error(among, measured) < 0.01


def test_inference_holds_weights_and_little_else() -> None:
    configuration = short("stgcn", clips=4)
    step = InferenceStep(configuration)
    watch = StorageWatch()
    watch.hold([*step.weights(), *step.inputs()], Category.WEIGHTS)
    with watch:
        step.run()

    predicted = trace_inference(configuration, for_gpu=False).counted_memory(4)

    assert error(predicted, watch.lives().at_peak()) < 0.01
    assert predicted.gradients == predicted.optimiser == 0


def test_a_trace_is_made_once_for_all_that_is_alike() -> None:
    first = trace_training(short("stgcn", "precision=bf16"), for_gpu=True)

    again = trace_training(short("stgcn", "precision=fp16", "name=other", clips=5), for_gpu=True)

    assert again is first
    assert trace_training(short("stgcn", "precision=fp32"), for_gpu=True) is not first
    assert trace_training(short("stgcn", "precision=bf16"), for_gpu=False) is not first


def test_dropout_on_a_gpu_keeps_bytes_where_a_processor_keeps_numbers() -> None:
    on_gpu, on_cpu, without = (
        trace_training(short("stgcn_official", *settings), for_gpu=for_gpu).counted_memory(20)
        for settings, for_gpu in (
            ((), True),
            ((), False),
            (("model.temporal_dropout=0.0",), True),
        )
    )

    assert without.activations < on_gpu.activations < on_cpu.activations


def test_dropout_on_a_gpu_can_be_recomputed() -> None:
    keeps, recomputes = (
        trace_training(short("stgcn_official", f"memory.activations={policy}"), for_gpu=True)
        for policy in ("keep", "recompute")
    )

    assert recomputes.counted_memory(20).activations < keeps.counted_memory(20).activations / 2


def test_what_fits_is_what_the_gpu_memory_says() -> None:
    trace = trace_training(short("stgcn"), for_gpu=True)
    needed = trace.gpu_memory(16).total

    assert trace.fits_gpu(16, needed + TOLERANCE)
    assert not trace.fits_gpu(16, needed - TOLERANCE)


def test_gpu_memory_is_at_least_what_is_counted() -> None:
    trace = trace_training(short("stgcn"), for_gpu=True)

    memory = trace.gpu_memory(16)

    counted_bytes = trace.counted_memory(16).total
    assert counted_bytes <= memory.total <= 1.4 * counted_bytes
    assert memory.workspace > 0


def test_processor_memory_has_the_copies_of_one_convolution() -> None:
    trace = trace_training(short("stgcn"), for_gpu=False)

    memory = trace.cpu_memory(16)

    assert 0 < memory.workspace < 0.3 * memory.activations


def test_only_convolutions_copy_what_they_work_on() -> None:
    x, out = torch.ones(3), torch.ones(5)

    assert convolution_copies("aten::convolution_backward", [x], [out, out]) == (12, 20, 20)
    assert convolution_copies("aten::mm", [x], [out]) == ()


def test_a_network_that_cannot_be_traced_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Peeking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x if x.mean().item() > 0 else -x

    def make(*_: object, **__: object) -> nn.Module:
        return Peeking()

    monkeypatch.setattr("skelab.fit.step.create_model", make)
    monkeypatch.setattr("skelab.fit.step.set_activation_policy", lambda *_: None)
    monkeypatch.setattr(
        "skelab.fit.step.make_optimizer",
        lambda model, *_: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    )
    with pytest.raises(NotTriedError, match=r"^stgcn cannot be traced: \w+: ") as caught:
        trace_training(short("stgcn", "model.near_sighted_partition=false"), for_gpu=True)

    assert "\n" not in str(caught.value)


def test_an_option_that_does_not_exist_is_said_as_it_is() -> None:
    with pytest.raises(NotTriedError, match=r"^unknown option of stgcn"):
        trace_training(short("stgcn", "model.widht=8"), for_gpu=True)


def test_every_family_is_covered() -> None:
    assert list(FAMILIES) == [card.name for card in list_models()]
