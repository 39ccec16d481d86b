"""What attacks are made of: sound files to forge, values that nobody expects, and the verdict."""

import contextlib
import hashlib
import io
import json
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from cli_outcome import SMALL
from safetensors import safe_open
from safetensors.torch import save_file

from skelab.cli.main import run
from skelab.inference import checkpoint as checkpoints

SECONDS: Final = 20
"""Of processor time that a command may take at most to say no; a busy machine does not count."""

MEMORY: Final = 12 << 30
"""Address space of the process that is attacked."""

DEEP: Final[Any] = object()
"""Stands for JSON that is nested 100,000 times."""

STRANGE: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    10**9,
    10**400,
    float("nan"),
    "",
    "text",
    "\ud800",
    "x" * 100_000,
    [],
    [[[]]],
    {},
    {"a": {}},
    DEEP,
)
"""Values of a description that its writer never wrote."""


@dataclass(frozen=True)
class Kit:
    """Sound files of every kind, to be forged.

    Attributes:
        skeletons: Recordings.
        store: Their clip store.
        run: A run on it, trained and evaluated.
        onnx: Its network, exported.
    """

    skeletons: Path
    store: Path
    run: Path
    onnx: Path

    @property
    def checkpoint(self) -> Path:
        """The chosen checkpoint of the run."""
        return self.run / "checkpoints" / "best.safetensors"

    @property
    def scores(self) -> Path:
        """The scores of the run's test part."""
        return self.run / "scores-test.npz"


def make_kit(folder: Path) -> Kit:
    """Sound files in a folder."""
    kit = Kit(folder / "skeletons", folder / "clips.arrow", folder / "run", folder / "net.onnx")
    if not kit.onnx.exists():
        data = ("--data", str(kit.store))
        for words in (
            ("synth", str(kit.skeletons), "--clips", "48", "--actions", "3"),
            ("ingest", str(kit.skeletons), str(kit.store), "--workers", "1"),
            ("train", "ctrgcn", *data, "--out", str(kit.run), *SMALL),
            ("evaluate", str(kit.run), *data),
            ("export", str(kit.run), str(kit.onnx), "--to", "onnx"),
        ):
            said = call(words)
            assert said.status == 0, said
    return kit


@dataclass(frozen=True)
class Attack:
    """One try.

    Attributes:
        name: What is forged, and how.
        words: The command.
        forge: Makes the forged file at a path, which stands as ``{}`` in the words.
        suffix: Of that file.
        may_pass: The command may also do what it was asked: the value happens to be allowed.
        largest_file: Bytes that a file may have while the command runs, as on a full disk.
    """

    name: str
    words: Sequence[str]
    forge: Callable[[Path], object] | None = None
    suffix: str = ""
    may_pass: bool = False
    largest_file: int | None = None


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


class StillRunningError(BaseException):
    """A command has used up its time; nothing in the lab catches this."""


def call(words: Sequence[str]) -> Said:
    """Run a command in this process, for a limited time of the processor."""
    out, err = io.StringIO(), io.StringIO()
    with _limited(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run([str(word) for word in words])
        except StillRunningError:
            return Said(-1, out.getvalue(), "still running")
        except MemoryError:
            return Said(-2, out.getvalue(), "out of memory")
    return Said(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise StillRunningError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def fault(attack: Attack, folder: Path) -> str:
    """What is wrong with the answer to an attack; empty if nothing is."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        file = Path(place) / f"forged{attack.suffix}"
        if attack.forge is not None:
            attack.forge(file)
        with _files_of_at_most(attack.largest_file):
            said = call([word.replace("{}", str(file)) for word in attack.words])
    if said.status not in ((0, 2) if attack.may_pass else (2,)):
        return f"exit {said.status}: {said.err.strip()[-300:]}"
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in said.out + said.err):
        return "control characters reach the terminal"
    if said.status == 2 and not said.err.splitlines()[-1].startswith("skelab: "):
        return f"no line of its own: {said.err[-300:]!r}"
    return ""


@contextlib.contextmanager
def _files_of_at_most(size: int | None) -> Iterator[None]:
    """Refuse to let a file grow beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def limit_memory() -> None:
    """Bound the address space of this process, so that a bomb shows as a MemoryError."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def to_json(content: Any) -> str:
    """JSON as an attacker writes it: any number, half surrogates, and depth where DEEP stands."""
    text = json.dumps(content, default=lambda _: "DEEP")
    return text.replace('"DEEP"', "[" * 100_000 + "]" * 100_000)


def changed(content: Any, place: str, value: Any) -> Any:
    """A copy of a description with another value at a dotted place."""
    copy = deepcopy(content)
    *above, last = place.split(".")
    within = copy
    for piece in above:
        within = within[int(piece)] if isinstance(within, list) else within[piece]
    if isinstance(within, list):
        within[int(last)] = value
    else:
        within[last] = value
    return copy


def described(path: Path) -> dict[str, Any]:
    """The description of a checkpoint."""
    with safe_open(str(path), framework="pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["skelab"])
    return found


def forge_checkpoint(source: Path, target: Path, place: str, value: Any) -> None:
    """A checkpoint whose description has another value, and a digest that fits it if it can."""
    description = changed(described(source), place, value)
    with safe_open(str(source), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    description.pop("digest", None)
    text = to_json(description)
    with contextlib.suppress(RecursionError, ValueError, TypeError):
        digest = checkpoints._digest(json.loads(text), tensors)
        text = text[:-1] + f', "digest": "{digest}"}}'
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target, {"skelab": text})


def forge_store(source: Path, target: Path, place: str, value: Any) -> None:
    """A clip store whose description has another value, with a digest that fits it."""
    with pa.memory_map(str(source)) as file:
        reader = pa.ipc.open_file(file)
        metadata = dict(reader.schema.metadata)
        text = to_json(changed(json.loads(metadata[b"skelab"]), place, value)).encode()
        metadata |= {b"skelab": text, b"skelab-check": _digest(text)}
        schema = reader.schema.with_metadata(metadata)
        with pa.OSFile(str(target), "wb") as out, pa.ipc.new_file(out, schema) as writer:
            for number in range(reader.num_record_batches):
                writer.write_batch(reader.get_batch(number))


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).hexdigest().encode()


def forge_scores(source: Path, target: Path, **arrays: Any) -> None:
    """A score file with other arrays."""
    with np.load(source, allow_pickle=False) as archive:
        content = {name: archive[name] for name in archive.files}
    np.savez(target, **{**content, **arrays})
