"""A device that is not there answers like one that is."""

import pytest
from trace_kit import short

from skelab.errors import GpuError
from skelab.fit.figures import Backend, DoesNotFitError, NotTriedError
from skelab.fit.gpus import GIB, MIB
from skelab.fit.predict import CONTEXT, PredictedDevice

CARD = PredictedDevice.named("RTX 3060", 8 * GIB)


def test_it_is_a_back_end_that_predicts() -> None:
    assert isinstance(CARD, Backend)
    assert not CARD.measured
    assert CARD.memory_limit == 8 * GIB
    described = CARD.describe()
    assert (described["name"], described["memory_bytes"]) == ("RTX 3060 8GB", 8 * GIB)
    assert "NVIDIA" in described["source"]


def test_a_step_has_all_its_parts_and_a_range_of_time() -> None:
    cost = CARD.training(short("stgcn", clips=8, batch=16))

    assert cost.memory is not None
    assert cost.memory.context == CONTEXT
    assert 0 < cost.memory.optimiser <= cost.memory.weights
    assert cost.memory.activations > cost.memory.workspace > 0
    assert 0 < cost.seconds.low < cost.seconds.typical < cost.seconds.high


def test_inference_costs_less_than_training() -> None:
    configuration = short("stgcn", clips=8)

    inference, training = CARD.inference(configuration), CARD.training(configuration)

    assert inference.memory is not None
    assert training.memory is not None
    assert inference.memory.total < training.memory.total
    assert inference.seconds.typical < training.seconds.typical
    assert inference.memory.gradients == 0


def test_the_largest_micro_batch_fits_and_one_more_does_not() -> None:
    configuration = short("stgcn", batch=4000)
    limit = CONTEXT + 300 * MIB

    clips = CARD.largest_micro_batch(configuration, limit)

    def needed(count: int) -> int:
        memory = CARD.training(configuration.with_micro_batch(count)).memory
        assert memory is not None
        return memory.total

    assert 1 < clips < 4000
    assert needed(clips) <= limit < needed(clips + 8)


def test_a_batch_that_fits_whole_is_passed_whole_and_nothing_fits_into_nothing() -> None:
    configuration = short("stgcn", batch=3)

    assert CARD.largest_micro_batch(configuration, 8 * GIB) == 3
    assert CARD.largest_micro_batch(configuration, CONTEXT) == 0


def test_what_does_not_fit_is_said_with_both_sizes() -> None:
    small = PredictedDevice.of_memory(GIB)

    with pytest.raises(DoesNotFitError, match=r"^\d+\.\d GB are needed for 500 .*, 1\.0 GB are"):
        small.training(short("stgcn", clips=500))


def test_a_card_without_bfloat16_does_not_try_it() -> None:
    old = PredictedDevice.named("GTX 1660 Ti")

    with pytest.raises(NotTriedError, match=r"^GTX 1660 Ti has no bfloat16"):
        old.training(short("stgcn", "precision=bf16"))
    assert old.training(short("stgcn", "precision=fp16")).memory is not None


def test_half_the_bits_take_less_memory_and_less_time() -> None:
    full, half = (
        CARD.training(short("stgcn", f"precision={precision}", clips=64))
        for precision in ("fp32", "fp16")
    )

    assert full.memory is not None
    assert half.memory is not None
    assert half.memory.activations < 0.7 * full.memory.activations
    assert half.seconds.typical < 0.8 * full.seconds.typical


@pytest.mark.parametrize(
    ("precision", "said"),
    [("apex-o1", "Predicted as fp16, which"), ("apex-o2", "Predicted as fp16, with")],
)
def test_apex_is_predicted_as_fp16_and_says_so(precision: str, said: str) -> None:
    cost = CARD.training(short("stgcn", f"precision={precision}"))

    assert said in cost.note


def test_level_two_of_apex_keeps_weights_twice() -> None:
    plain, apex = (
        CARD.training(short("stgcn", f"precision={precision}")).memory
        for precision in ("fp16", "apex-o2")
    )

    assert plain is not None
    assert apex is not None
    assert apex.weights == plain.weights * 3 // 2


def test_few_clips_leave_the_device_waiting_and_that_is_said() -> None:
    few, many = (CARD.training(short("stgcn", clips=clips)) for clips in (1, 200))

    assert "waits for the processor" in few.note
    assert many.note == ""
    assert many.seconds.typical > few.seconds.typical


def test_memory_alone_gets_the_times_of_a_typical_card_and_says_so() -> None:
    card = PredictedDevice.of_memory(8 * GIB)

    cost = card.training(short("stgcn"))

    assert card.name == "a card of 8 GB"
    assert cost.note.startswith("Times are those of an RTX 4060, which stands for cards of about 8")
    assert cost.seconds == PredictedDevice.named("RTX 4060").training(short("stgcn")).seconds


def test_a_processor_is_predicted_from_its_measured_peaks() -> None:
    processor = PredictedDevice.processor(
        "two cores",
        flops=2e11,
        half_flops=4e11,
        bandwidth=2e10,
        memory_limit=4 * GIB,
        context=GIB // 2,
    )

    cost = processor.training(short("stgcn"))

    assert cost.memory is not None
    assert cost.memory.context == GIB // 2
    assert processor.describe()["predicted"] is True
    with pytest.raises(NotTriedError, match=r"^precision fp16 needs a GPU$"):
        processor.training(short("stgcn", "precision=fp16"))


def test_an_unknown_card_is_an_error_of_the_user() -> None:
    with pytest.raises(GpuError, match=r"^unknown GPU 'RTX 9999'"):
        PredictedDevice.named("RTX 9999")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"), [("msg3d", "about 11 GB"), ("ctrgcn", "353 clips"), ("stgcnpp", "3458 MiB")]
)
def test_what_was_published_and_missed_is_said(name: str, said: str) -> None:
    assert said in CARD.training(short(name)).note
    assert said not in CARD.inference(short(name)).note
