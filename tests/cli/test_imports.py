"""Which heavy packages a command imports before it answers; seconds would depend on the machine."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

TIMEOUT = 600  # seconds; a busy machine is slow, and no test judges that

HEAVY = (
    *("torch", "accelerate", "tensorboard", "onnx", "onnxruntime", "openvino"),
    *("scipy", "sklearn", "matplotlib", "pyarrow", "pandas"),
)
"""What takes a fifth of a second or more to import; PyTorch and what comes with it takes two."""

SCRIPT = f"""
import sys
from skelab.cli.main import run
status = run(sys.argv[1:])
print("heavy:", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
sys.exit(status)
"""

READS_STORES = {"pyarrow"}


def imported(*words: str, cwd: Path) -> tuple[int, set[str], str]:
    """The status of a command in a process of its own, what it imported, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
        cwd=cwd,
    )
    *said, last = done.stderr.splitlines()
    assert last.startswith("heavy:"), done.stderr
    return done.returncode, set(last.split()[1:]), "\n".join(said)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["synth", "--help"],
        ["models"],
        ["models", "--json"],
        ["models", "--markdown"],
        ["recipes"],
        ["recipes", "--json"],
        ["layouts"],
        ["datasets"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_help_and_lists_import_nothing_heavy(words: Sequence[str], tmp_path: Path) -> None:
    status, heavy, _ = imported(*words, cwd=tmp_path)

    assert (status, heavy) == (0, set())


@pytest.mark.parametrize(
    ("words", "message", "allowed"),
    [
        (["inspect", "nosuch"], "nosuch: there is nothing to inspect", set()),
        (["train", "nosuch"], "unknown recipe 'nosuch'", set()),
        (["train", "ctrgcn", "--set=model.name=nosuch"], "unknown model 'nosuch'", set()),
        (["train", "ctrgcn", "--set=training.epoch=3"], "unknown key of training 'epoch'", set()),
        (["train", "ctrgcn", "--resume", "--out=x"], "x: there is no run to resume", set()),
        (["train", "ctrgcn", "--out=held"], "held: holds a run already; --resume goes on", set()),
        (["train", "ctrgcn", "--out=file/x"], "file/x: cannot be written: Not a directory", set()),
        (["train", "ctrgcn", f"--out={'x' * 300}"], "cannot be written: the name is too", set()),
        (["train", "ctrgcn", "--out="], "expected a name, found an empty text", set()),
        (["train", "ctrgcn", "--data=nosuch"], "nosuch: there is no clip store", READS_STORES),
        (["evaluate", "nosuch", "--data=x"], "x: there is no clip store", READS_STORES),
        (["anticipate", "nosuch", "--data=x"], "x: there is no clip store", READS_STORES),
        (["anticipate", "nosuch"], "nosuch: there is no checkpoint: expected a run", set()),
        (["predict", "nosuch", "x"], "nosuch: there is no checkpoint: expected a run", set()),
        (["predict", "net.onnx", "x"], "net.onnx: cannot be read: No such file", set()),
        (["view", "nosuch"], "nosuch: there is no such file; expected .skeleton", READS_STORES),
        (["view", "x", "--network=nosuch"], "nosuch: there is no checkpoint", READS_STORES),
        (["view", "x", "--out=x.txt"], "x.txt: expected a name that ends with", READS_STORES),
        (["export", "nosuch", "x.onnx", "--to=onnx"], "nosuch: there is no checkpoint", set()),
        (["export-weights", "nosuch", "x.pt"], "nosuch: there is no checkpoint", set()),
        (["import-weights", "nosuch", "x.pt", "y"], "unknown model 'nosuch'", set()),
        (["import-weights", "ctrgcn", "x.pt", "y"], "x.pt: cannot be read: No such", set()),
        (["bench", "nosuch"], "unknown model 'nosuch'", set()),
        (["fit", "nosuch"], "unknown model or recipe 'nosuch'", set()),
        (["report", "nosuch"], "nosuch: expected a run folder or a score file", set()),
        (["ensemble", "nosuch"], "nosuch: expected a score file or a run folder", set()),
        (["convert", "nosuch", "x", "--to=ctrgcn"], "there is no clip store", READS_STORES),
        (["ingest", "nosuch", "x.arrow"], "nosuch: expected a folder with files", READS_STORES),
        (["layouts", "--map", "ntu", "coco17"], "unknown layout 'ntu'", set()),
    ],
)
def test_a_wrong_name_or_path_is_refused_before_anything_heavy_is_imported(
    words: Sequence[str], message: str, allowed: set[str], tmp_path: Path
) -> None:
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "recipe.yaml").touch()
    (tmp_path / "file").touch()

    status, heavy, said = imported(*words, cwd=tmp_path)

    assert status == 2
    assert message in said
    assert said.count("\n") == 0
    assert heavy <= allowed


def test_a_store_is_inspected_without_pytorch(tmp_path: Path) -> None:
    files, store = str(tmp_path / "skeletons"), str(tmp_path / "clips.arrow")
    made = imported("synth", files, "--clips", "12", "--actions", "3", cwd=tmp_path)
    filled = imported("ingest", files, store, "--workers", "1", cwd=tmp_path)

    status, heavy, _ = imported("inspect", store, cwd=tmp_path)

    assert (made[:2], filled[:2]) == ((0, set()), (0, READS_STORES | {"scipy"}))
    assert (status, heavy) == (0, READS_STORES | {"scipy"})  # the anatomy check takes its trees
