"""Synthetic sequences of actions from a grammar, so that the best guess of the next is known."""

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from skelab.errors import DataError, OutputError
from skelab.files.atomic import write_error
from skelab.synthetic.actions import SyntheticAction, get_action
from skelab.synthetic.body import joints_of
from skelab.synthetic.exact import TURN, Draws
from skelab.synthetic.performer import Performance, Performer, performer
from skelab.synthetic.scene import placed

GRAMMAR_FILE: Final = "grammar.json"
FOLLOWERS: Final = ((1, 0.7), (2, 0.2), (4, 0.1))
"""Which action follows, as a distance in the circle of actions, and how likely."""

MIN_ACTIONS, MAX_ACTIONS = 5, 8
_NUMBERS: Final = (23, 10, 24, 27, 6, 22, 35, 40)  # one person each, from standing to standing
_PERFORMERS: Final = 8
_LENGTH: Final = 7
_FORMAT: Final = 1
_NOISE: Final = 0.004


@dataclass(frozen=True)
class Grammar:
    """Which action follows which; all actions are equally frequent.

    Attributes:
        actions: The actions, by label.
    """

    actions: tuple[SyntheticAction, ...]

    @classmethod
    def of(cls, count: int) -> "Grammar":
        """The grammar of so many actions.

        Raises:
            DataError: There are too few or too many.
        """
        if not MIN_ACTIONS <= count <= MAX_ACTIONS:
            raise DataError(
                f"actions: expected a number from {MIN_ACTIONS} to {MAX_ACTIONS} for sequences,"
                f" found {count}"
            )
        return cls(tuple(get_action(number) for number in _NUMBERS[:count]))

    @property
    def transitions(self) -> Float64[ndarray, "K K"]:
        """The probability of each action (column) after each action (row)."""
        count = len(self.actions)
        made = np.zeros((count, count))
        for label in range(count):
            for distance, share in FOLLOWERS:
                made[label, (label + distance) % count] = share
        return made

    @property
    def best_top1(self) -> float:
        """The share of next actions that is right if the likeliest is named: no one does better."""
        return float(self.transitions.max(axis=1).mean())

    @property
    def best_log_loss(self) -> float:
        """The entropy of the next action given the last one, nats."""
        shares = self.transitions[self.transitions > 0]
        return float(-(shares * np.log(shares)).sum() / len(self.actions))

    def draw(self, draws: Draws, length: int) -> tuple[int, ...]:
        """A sequence of labels."""
        count = len(self.actions)
        labels = [draws.integer(0, count - 1)]
        while len(labels) < length:
            left = draws.uniform()
            for distance, share in FOLLOWERS:
                left -= share
                if left < 0 or distance == FOLLOWERS[-1][0]:
                    labels.append((labels[-1] + distance) % count)
                    break
        return tuple(labels)


@dataclass(frozen=True)
class SyntheticSequence:
    """One synthetic sequence.

    Attributes:
        name: Its name.
        subject: Number of the performer, from 1.
        joints: Layout ``ntu25``, metres.
        segments: Label, first frame, and the frame behind the last, of each action.
    """

    name: str
    subject: int
    joints: Float32[ndarray, "T V C"]
    segments: tuple[tuple[int, int, int], ...]


def synthetic_sequence(number: int, grammar: Grammar, *, seed: int = 0) -> SyntheticSequence:
    """A sequence of seven actions; the same number and seed give the same bits on any machine.

    Between actions the performer stands. What happens there is drawn without knowledge of the next
    action, whose first frame is the first one that depends on it.
    """
    subject = 1 + number % _PERFORMERS
    who = performer(subject, seed=seed)
    order = grammar.draw(Draws(seed, "grammar", number), _LENGTH)
    draws = Draws(seed, "sequence", number)
    heading = draws.uniform(-0.06, 0.06) * TURN
    pieces = [_standing(who, draws.integer(15, 30), Draws(seed, "stand", number, -1))]
    segments = []
    start = pieces[0].shape[2]
    for place, label in enumerate(order):
        own = Draws(seed, "action", number, place)
        frames = min(max(round(24 * grammar.actions[label].seconds / who.tempo), 30), 60)
        pieces.append(_acting(grammar.actions[label], who, frames, own))
        segments.append((label, start, start + frames))
        rest = Draws(seed, "stand", number, place)
        pieces.append(_standing(who, rest.integer(8, 20), rest))
        start += frames + pieces[-1].shape[2]
    joints = np.concatenate(pieces, axis=2)
    joints = placed(joints, heading, np.zeros(2)) + _NOISE * draws.normals(*joints.shape)
    joints = joints.transpose(2, 1, 0) + np.array([0.0, 0.0, 3.0])
    return SyntheticSequence(
        f"seq{number:04d}", subject, joints.round(4).astype(np.float32), tuple(segments)
    )


def write_sequences(
    out: Path,
    *,
    sequences: int,
    actions: int = 6,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> Grammar:
    """Write synthetic sequences as a data set of one's own, with their grammar beside them.

    The folder can be ingested. Its ``dataset.yaml`` says that it is synthetic, ``grammar.json``
    what the best guess of the next action is worth.

    Args:
        out: Folder; new or empty.
        sequences: Number of sequences, from 1.
        actions: Number of actions.
        seed: 0 or more; same seed, same bytes.
        on_progress: Called with the number of sequences done.

    Raises:
        DataError: A number is out of range.
        OutputError: The folder is not empty or cannot be written; nothing is left behind.
    """
    out = Path(out)
    grammar = Grammar.of(actions)
    if sequences < 1 or seed < 0:
        raise DataError(
            f"expected at least one sequence and a seed from 0, found {sequences} and {seed}"
        )
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise OutputError(f"{out}: expected a new or empty folder; choose another")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".skelab-synth-", dir=out.parent) as aside:
            folder = Path(aside) / "set"
            folder.mkdir()
            _write_all(folder, grammar, sequences, seed, on_progress or (lambda done: None))
            if out.exists():
                out.rmdir()
            shutil.move(folder, out)
    except OSError as error:
        raise write_error(out, error) from error
    return grammar


def _write_all(
    folder: Path, grammar: Grammar, sequences: int, seed: int, tell: Callable[[int], None]
) -> None:
    clips: list[list[Any]] = [["name", "subject"]]
    segments: list[list[Any]] = [["name", "label", "start", "end"]]
    for number in range(sequences):
        made = synthetic_sequence(number, grammar, seed=seed)
        np.save(folder / f"{made.name}.npy", made.joints)
        clips.append([made.name, made.subject])
        segments += [
            [made.name, grammar.actions[label].name, start, end]
            for label, start, end in made.segments
        ]
        tell(number + 1)
    (folder / "clips.csv").write_text(_as_csv(clips), encoding="utf-8")
    (folder / "segments.csv").write_text(_as_csv(segments), encoding="utf-8")
    names = [action.name for action in grammar.actions]
    about = {
        "name": "synthetic sequences",
        "layout": "ntu25",
        "synthetic": True,
        "classes": names,
        "sequences": {"segments": "segments.csv"},
    }
    text = json.dumps(about, indent=1)  # JSON is YAML, too
    (folder / "dataset.yaml").write_text(text + "\n", encoding="utf-8")
    told = {
        "format": _FORMAT,
        "synthetic": True,
        "seed": seed,
        "classes": names,
        "transitions": grammar.transitions.tolist(),
        "best_top1": grammar.best_top1,
        "best_log_loss": grammar.best_log_loss,
    }
    (folder / GRAMMAR_FILE).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _as_csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _standing(who: Performer, frames: int, draws: Draws) -> Float64[ndarray, "3 25 T"]:
    return joints_of(Performance(who, frames, draws).standing(), who.physique)


def _acting(
    action: SyntheticAction, who: Performer, frames: int, draws: Draws
) -> Float64[ndarray, "3 25 T"]:
    if action.solo is None:
        raise DataError(f"{action.code}: expected an action of one person, found one of two")
    return joints_of(action.solo(Performance(who, frames, draws)), who.physique)
