"""Lack of memory is told from other faults, and buffers can be put back."""

import psutil
import pytest
import torch
from torch import nn

from skelab.training.memory import BufferGuard, Reserve, free_memory, is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a memory object"),
        RuntimeError("could not create a primitive"),
    ],
)
def test_what_allocators_say_is_recognised(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("out of memory"),
        OSError(),
    ],
)
def test_other_faults_are_not(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_an_allocation_that_cannot_be_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)

    assert is_out_of_memory(caught.value)
    free_memory()


def test_a_guard_puts_back_what_a_forward_pass_has_moved() -> None:
    model = nn.BatchNorm1d(3)
    guard = BufferGuard(model)
    model(torch.randn(8, 3) * 5 + 2)
    moved = {name: value.clone() for name, value in model.named_buffers()}

    guard.undo()

    assert not torch.equal(moved["running_mean"], torch.zeros(3))
    assert torch.equal(model.running_mean, torch.zeros(3))  # type: ignore[arg-type]
    assert torch.equal(model.running_var, torch.ones(3))  # type: ignore[arg-type]
    assert int(model.num_batches_tracked) == 0  # type: ignore[arg-type]


def test_a_reserve_takes_addresses_and_no_memory_until_it_is_released() -> None:
    process = psutil.Process()
    before = process.memory_info()

    reserve = Reserve()
    held = process.memory_info()
    reserve.release()
    reserve.release()

    assert held.vms - before.vms >= Reserve.SIZE
    assert held.rss - before.rss < Reserve.SIZE // 4
    assert process.memory_info().vms <= held.vms - Reserve.SIZE
