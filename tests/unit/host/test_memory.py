"""Memory of this process, as the system says it."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from skelab.host import memory

TAKE_64_MIB = """
import numpy as np
from skelab.host.memory import memory_growth, reset_peak_memory
before = reset_peak_memory()
taken = np.ones(8 << 20)
del taken
print(before, memory_growth(before))
"""


def test_growth_is_what_was_taken_at_most() -> None:
    # In a process of its own: this one may free what other tests have left, at any moment.
    done = subprocess.run(
        [sys.executable, "-c", TAKE_64_MIB], capture_output=True, text=True, check=True
    )

    before, growth = done.stdout.split()

    if before == "None":
        assert growth == "None"
    else:
        assert 60 << 20 < int(growth) < 200 << 20


def test_a_system_that_says_nothing_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")

    assert memory.memory_growth(1) is None


def test_more_than_the_machine_has_is_refused_within_the_block_only() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)

    with memory.growth_within_memory(), pytest.raises(MemoryError):
        bytearray(memory.physical_memory() + (1 << 30))

    assert resource.getrlimit(resource.RLIMIT_AS) == before
