"""Damage a file of each kind; a reader must answer in one line or do its work.

Recordings have a script of their own, ``fuzz_skeleton_file.py``.

Bytes are flipped, cut, moved, repeated and replaced by numbers at the edge of their range. Each
reader runs in a process of its own, so that a crash of the interpreter is a finding, too.

    python tests/fuzz_readers.py --seconds 60
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attack.kit import Kit, call, limit_memory, make_kit

REPOSITORY: Final = Path(__file__).resolve().parents[1]
EDGES: Final = (
    b"\x00" * 8,
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    b"\x80" + b"\x00" * 7,
    b"-1",
    b"1e999",
)

Reader = tuple[Path, tuple[str, ...]]
"""A sound file, and the command that reads it; ``{}`` stands for the damaged copy."""


def readers(kit: Kit) -> Mapping[str, Reader]:
    """Every kind of file but recordings, with a command that reads all of it."""
    return {
        "store": (kit.store, ("inspect", "{}", "--verify")),
        "checkpoint": (kit.checkpoint, ("inspect", "{}")),
        "scores": (kit.scores, ("ensemble", "{}", str(kit.scores), "--out", "{}.out")),
        "exported": (kit.onnx, ("inspect", "{}")),
        "npz": (kit.run.parent / "prepared.npz", ("inspect", "{}")),
        "pyskl": (kit.run.parent / "prepared.pkl", ("inspect", "{}")),
        "recipe": (REPOSITORY / "src/skelab/recipes/ctrgcn-demo.yaml", ("recipes", "{}")),
        "plan": (
            REPOSITORY / "studies/utd-streams.yaml",
            ("study", "{}", "--out", "{}.out", "--table"),
        ),
    }


def prepare(folder: Path) -> Kit:
    """The sound files, those of other repositories among them."""
    kit = make_kit(folder)
    for to, name in (("ctrgcn", "prepared.npz"), ("pyskl", "prepared.pkl")):
        words = ("convert", kit.store, folder / name, "--to", to, "--split", "xsub")
        said = call([str(word) for word in words])
        assert said.status == 0, said
    return kit


def damage(data: bytes, rng: random.Random) -> bytes:
    """A damaged copy, by one to eight changes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = rng.choice(
            (rng.randrange(len(changed) + 1), rng.randrange(min(len(changed), 512) + 1))
        )
        if rng.random() < 0.3:  # tables of contents stand at the end
            place = max(len(changed) - place, 0)
        size = rng.choice((1, 2, 8, 64))
        kind = rng.randrange(6)
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place : place + size] = rng.randbytes(size)
        elif kind == 2:
            edge = rng.choice(EDGES)
            changed[place : place + len(edge)] = edge
        elif kind == 3:
            del changed[place : place + size]
        elif kind == 4:
            changed[place:place] = changed[place : place + size]
        elif rng.random() < 0.2:
            del changed[place:]
    return bytes(changed)


def fuzz(sample: Path, words: tuple[str, ...], seconds: float, seed: int) -> Counter[str]:
    """How a reader answered damaged copies of a file, counted.

    The copy that is being read lies under its name until the next one, also after a crash.
    """
    rng, data, counted = random.Random(seed), sample.read_bytes(), Counter[str]()
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / sample.name
        while time.monotonic() < until:
            file.write_bytes(damage(data, rng))
            said = call([word.replace("{}", str(file)) for word in words])
            sound = said.status == 2 and "skelab: " in said.err
            counted["read" if said.status == 0 else "refused" if sound else "fault"] += 1
            if said.status != 0 and not sound:
                kept = Path(tempfile.mkdtemp(prefix="fuzz-")) / sample.name
                shutil.copy(file, kept)
                print(f"{kept}: exit {said.status}: {said.err.strip()[-400:]}", file=sys.stderr)
    return counted


def in_a_process(name: str, folder: Path, seconds: float, seed: int) -> Counter[str]:
    """The same in a process of its own; a crash of it is a fault."""
    words = [sys.executable, __file__, "--reader", name, "--kit", str(folder)]
    done = subprocess.run(
        [*words, "--seconds", str(seconds), "--seed", str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    if done.returncode or not done.stdout:
        print(f"{name}: the process ended by {done.returncode}", file=sys.stderr)
        return Counter({"fault": 1})
    return Counter(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Fuzz one reader and print JSON, or all of them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reader")
    parser.add_argument("--kit", type=Path)
    arguments = parser.parse_args()
    if arguments.reader:
        limit_memory()
        sample, words = readers(make_kit(arguments.kit))[arguments.reader]
        found = fuzz(sample, words, arguments.seconds, arguments.seed)
        print(json.dumps(found))
        return
    faults = 0
    with tempfile.TemporaryDirectory() as place:
        kit = prepare(Path(place))
        print("| reader | files | read | refused | faults |\n|---|---|---|---|---|")
        for name in readers(kit):
            found = in_a_process(name, Path(place), arguments.seconds, arguments.seed)
            row = (found.total(), found["read"], found["refused"], found["fault"])
            print(f"| {name} | {' | '.join(f'{number:,}' for number in row)} |", flush=True)
            faults += found["fault"]
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
