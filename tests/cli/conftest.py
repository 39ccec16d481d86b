"""Commands run in this process, and one small synthetic set that several tests share."""

from collections.abc import Callable

import pytest
from cli_outcome import SMALL, Outcome, SmallSet

from skelab.cli.main import run


@pytest.fixture
def skelab(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run one command: ``skelab("ingest", source, store)``."""

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        status = run([str(word) for word in words])
        said = capsys.readouterr()
        return Outcome(status, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> SmallSet:
    """48 synthetic clips of three actions, and a network of few channels trained on them."""
    folder = tmp_path_factory.mktemp("small-set")
    made = SmallSet(folder / "skeletons", folder / "clips.arrow", folder / "run")
    assert run(["synth", str(made.skeletons), "--clips", "48", "--actions", "3"]) == 0
    assert run(["ingest", str(made.skeletons), str(made.store), "--workers", "1"]) == 0
    data = ["--data", str(made.store), "--out", str(made.run)]
    assert run(["train", "ctrgcn", *data, *SMALL]) == 0
    return made
