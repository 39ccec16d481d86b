"""What a table of times says of its machine."""

from importlib import metadata
from pathlib import Path

import pytest

from skelab.host import machine as machine_module
from skelab.host.machine import count_cores, describe_machine

PROCESSORS = """\
processor\t: 0
model name\t: Some CPU @ 3.00GHz
flags\t\t: fpu avx2 {flag}
processor\t: 1
model name\t: Another
"""


def test_threads_are_those_asked_for_or_all_cores() -> None:
    assert describe_machine().threads == count_cores() >= 1
    assert describe_machine(3).threads == 3


def test_the_versions_of_what_computes_are_named() -> None:
    machine = describe_machine(1)

    version = metadata.version("torch")
    assert machine.versions["torch"] == version
    assert f"torch {version}" in machine.title
    assert "1 threads" in machine.title


@pytest.mark.parametrize(("flag", "bf16"), [("avx512_bf16", True), ("amx_bf16", True), ("", False)])
def test_the_first_processor_is_named_with_what_it_can_do(
    flag: str, bf16: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(PROCESSORS.format(flag=flag))
    monkeypatch.setattr(machine_module, "_PROCESSORS", file)

    machine = describe_machine(1)

    assert machine.processor == "Some CPU @ 3.00GHz"
    assert machine.bf16 is bf16


def test_a_system_that_says_nothing_of_its_processor_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_module, "_PROCESSORS", tmp_path / "none")

    machine = describe_machine(1)

    assert not machine.bf16
    assert machine.title
