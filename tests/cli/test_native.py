"""What `skelab ingest` says where nothing was compiled."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_outcome import Outcome, SmallSet

from skelab.native import skeleton_text

SLOW = "reading with the Python parser; a C++ compiler makes it about 15 times as fast"


@pytest.mark.parametrize("compiled", [True, False])
def test_ingest_says_once_that_a_compiler_would_help_and_only_where_it_would(
    skelab: Callable[..., Outcome],
    small_set: SmallSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compiled: bool,
) -> None:
    usual = skeleton_text._compiled or (lambda data: None)
    monkeypatch.setattr(skeleton_text, "_compiled", usual if compiled else None)

    done = skelab("ingest", small_set.skeletons, tmp_path / "store.arrow", "--workers", 1)

    assert done.status == 0
    assert done.err.count(SLOW) == (0 if compiled else 1)
    assert (tmp_path / "store.arrow").read_bytes() == small_set.store.read_bytes()
