"""Damage ``.skeleton`` files by chance; both readers must say the same of each.

The compiled reader and its twin in Python get the same file and must give the same recording, bit
for bit, or the same error in one line. A file on which either stops for a minute ends the run.

    python tests/fuzz_skeleton_file.py --files 200000
"""

import argparse
import faulthandler
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.recordings import skeleton_file
from skelab.data.recordings.skeleton_file import parse_skeleton
from skelab.errors import SkeletonFileError
from skelab.native import available, read_plain_poses

PATIENCE_S = 60
TOKENS = [
    *[b"", b" ", b"  ", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b"\x00", b"\x85", b"\xa0", b"\xff"],
    *[b"-", b"+", b".", b"e", b"E", b"_", b"#", b",", b'"', b"nan", b"-inf", b"0x1", b"1_0"],
    *[b"0", b"-0", b"-0.0", b"1", b"2", b"3", b"2.0", b"25", b"26", b"025", b"-1", b"127", b"128"],
    *[b"1e999", b"1e-999", b"5e-324", b"1.7976931348623157e308", b"9" * 400, b"1" * 41],
    *[b"1e5", b"1E-5", b"1.e5", b".5", b"5.", b"1..2", b"1.2.3", b"1e5e5", b"1e5.0"],
    *[b"+-1", b"--1"],
    *[b"9007199254740993", b"9007199254740992.5", b"0.1", b"2.2250738585072011e-308"],
    *[b"123456789012345678", b"12345678901234567890", b"0.30000000000000004", b"00001.50000"],
]

Damage = Callable[[random.Random, bytes], bytes]


def outcome(parse: Callable[[], RawClip]) -> RawClip | str:
    """The recording, or the words with which it was refused."""
    try:
        return parse()
    except SkeletonFileError as error:
        return str(error)


def by_twin(content: bytes) -> RawClip:
    """The recording as the reader in Python finds it, the compiled one left out."""
    plain = content.replace(b"\r\n", b"\n")
    try:
        return skeleton_file._parse_plain(plain)
    except (ValueError, IndexError):
        return skeleton_file._ExactParser(plain.split(b"\n"), "a").parse()


def same(ours: RawClip | str, theirs: RawClip | str) -> bool:
    """Whether two outcomes are equal to the last bit, or the last letter."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return ours == theirs
    return (
        (ours.num_frames, ours.actors_chosen) == (theirs.num_frames, theirs.actors_chosen)
        and list(ours.bodies) == list(theirs.bodies)
        and all(map(_same_track, ours.bodies.values(), theirs.bodies.values()))
    )


def _same_track(ours: BodyTrack, theirs: BodyTrack) -> bool:
    return all(
        (mine.dtype, mine.shape, mine.tobytes()) == (other.dtype, other.shape, other.tobytes())
        for mine, other in (
            (np.asarray(getattr(ours, name)), np.asarray(getattr(theirs, name)))
            for name in ("frames", "joints", "tracking", "slots")
        )
    )


def seed_files() -> list[bytes]:
    """Small sound files that differ in bodies, line ends and the way their numbers are written."""
    rng = random.Random(0)
    styles = ["{:.7g}", "{!r}", "{:.3e}", "{:+.9f}", "{:.0f}", "{:.20f}"]
    files = []
    for number, style in enumerate(styles):
        for bodies in ([1], [2, 0, 1], [0, 1, 1]):
            end = "\r\n" if (number + len(bodies)) % 2 else "\n"
            files.append(_sound_file(rng, bodies, style, end))
    return files


def _sound_file(rng: random.Random, bodies: Sequence[int], style: str, end: str) -> bytes:
    lines = [str(len(bodies))]
    for present in bodies:
        lines.append(str(present))
        for body in range(present):
            lines += [f"{72057594037931101 + body} 0 1 1 1 1 0 -0.0892 -0.4798 2", "25"]
            for _ in range(25):
                values = [rng.uniform(-4, 4) * 10 ** rng.choice([0, 0, 0, -5]) for _ in range(11)]
                lines.append(" ".join(style.format(value) for value in values) + " 2")
    return (end.join(lines) + end).encode()


def damage(rng: random.Random, content: bytes) -> bytes:
    """The file with one to three things changed."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        content = rng.choice(_DAMAGES)(rng, content)
    return content


def _change_byte(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]


def _drop_bytes(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at + rng.randint(1, 4) :]


def _insert_token(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(TOKENS) + content[at:]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _change_field(rng: random.Random, content: bytes) -> bytes:
    """Another token in a field, most often one of the fields that are kept."""
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    fields = lines[at].split(b" ")
    place = rng.choice([0, 1, 2, 11, rng.randrange(12)]) % len(fields)
    fields[place] = rng.choice(TOKENS)
    lines[at] = b" ".join(fields)
    return b"\n".join(lines)


def _rewrite_number(rng: random.Random, content: bytes) -> bytes:
    """Some field of a joint becomes another number, written in one of many ways."""
    lines = content.split(b"\n")
    for _ in range(rng.randint(1, 20)):
        at = rng.randrange(len(lines))
        fields = lines[at].split(b" ")
        if len(fields) == 12:
            fields[rng.randrange(11)] = _any_number(rng).encode()
            lines[at] = b" ".join(fields)
    return b"\n".join(lines)


def _any_number(rng: random.Random) -> str:
    value = rng.uniform(-1, 1) * 10.0 ** rng.randint(-30, 30)
    digits = rng.randint(0, 22)
    style = rng.choice("gGeEfr")
    return repr(value) if style == "r" else f"{value:.{digits}{style}}"


def _move_line(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    line = lines.pop(rng.randrange(len(lines)))
    at = rng.randrange(len(lines) + 1)
    return b"\n".join([*lines[:at], *[line] * rng.randint(0, 2), *lines[at:]])


def _change_end(rng: random.Random, content: bytes) -> bytes:
    ends = [b"", b"\n", b"\r\n", b"\n\n\r\n", b"\r", b" ", b" \n", b"0"]
    return content.rstrip() + rng.choice(ends)


_DAMAGES: list[Damage] = [
    *[_change_byte, _drop_bytes, _insert_token, _cut, _change_field, _change_field],
    *[_rewrite_number, _rewrite_number, _rewrite_number, _move_line, _change_end],
]


def fuzz(files: int, seed: int) -> Counter[str]:
    """Damage and compare so many files; how many were read by whom, or refused.

    Raises:
        AssertionError: The readers disagree; the file is part of the message.
    """
    rng = random.Random(seed)
    seeds = seed_files()
    counts: Counter[str] = Counter()
    for number in range(files):
        if number % 256 == 0:
            faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
        content = damage(rng, rng.choice(seeds))
        ours = outcome(partial(parse_skeleton, content, "a"))
        theirs = outcome(partial(by_twin, content))
        if not same(ours, theirs) or (isinstance(ours, str) and not ours.isprintable()):
            raise AssertionError(f"{ours!r} is not {theirs!r} for the file\n{content!r}")
        if isinstance(ours, str):
            counts["refused"] += 1
        else:
            compiled = read_plain_poses(content) is not None
            counts["read, compiled" if compiled else "read, in Python"] += 1
    faulthandler.cancel_dump_traceback_later()
    return counts


def main() -> None:
    """Fuzz and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not available():
        sys.exit("the compiled reader was not built: there is nothing to compare")
    started = time.perf_counter()
    counts = fuzz(options.files, options.seed)
    spent = time.perf_counter() - started
    lines = [f"{options.files:,} damaged files, no difference, {spent:.0f} s"]
    lines += [f"  {what}: {count:,}" for what, count in sorted(counts.items())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
