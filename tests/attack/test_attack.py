"""Whatever is handed to a command, it answers in one line and ends by exit 2, or does its work."""

from pathlib import Path

import pytest
from attack.__main__ import in_a_process
from attack.attacks import kinds
from attack.kit import make_kit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound files to forge, made once."""
    made = tmp_path_factory.mktemp("attacked")
    make_kit(made)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("title", kinds())
def test_no_attack_is_a_fault_of_the_lab(title: str, folder: Path) -> None:
    tried, failed = in_a_process(title, folder)

    assert failed == {}
    assert tried >= 20
