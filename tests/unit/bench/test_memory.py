"""Memory of this process, as the system says it."""

from pathlib import Path

import numpy as np
import pytest

from skelab.bench import memory


def test_growth_is_what_was_taken_at_most() -> None:
    before = memory.start_to_watch_memory()

    taken = np.ones(8 << 20)  # 64 MiB, each page written
    del taken
    growth = memory.memory_growth(before)

    if before is None:
        assert growth is None
    else:
        assert growth is not None
        assert 60 << 20 < growth < 200 << 20


def test_a_system_that_says_nothing_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")

    assert memory.own_memory("VmRSS") is None
    assert memory.memory_growth(1) is None
