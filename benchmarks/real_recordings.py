"""What the recipes reach on real recordings: every experiment of docs/results.md, unattended.

Each experiment is trained, evaluated and kept in a folder of its own. Started again, the script
leaves alone what has ended and resumes what has not, so it may be stopped at any time. At the end,
and whenever it is asked with ``--table``, it prints the table of all that has been measured.

    python benchmarks/real_recordings.py DATA OUT [--only PATTERN] [--table]

DATA is a folder with ``utd-mhad``, ``nw-ucla`` and ``sbu-interaction``; what is missing in it is
left out by name.
"""

import argparse
import fnmatch
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skelab.evaluation import Scores, authors_weights, fuse
from skelab.evaluation.metrics import Proportion, proportion, topk_accuracy
from skelab.report import percent
from skelab.training.records import read_history

STREAMS = ("joint", "bone", "joint-motion", "bone-motion")
SUBJECTS = ("1", "3", "5", "7")
UTD = {"utd-ctrgcn": "ctrgcn-utd", "utd-authors": "ctrgcn-utd-authors"}
FOLDERS = {"utd": "utd-mhad", "ucla": "nw-ucla", "sbu": "sbu-interaction"}


@dataclass(frozen=True)
class Experiment:
    """One run.

    Attributes:
        name: Its name, also of its folder.
        data: Key of ``FOLDERS``.
        recipe: Name of the recipe.
        split: Who trains and who tests.
        stream: What the network is shown.
    """

    name: str
    data: str
    recipe: str
    split: str
    stream: str = "joint"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    trained_on: str
    top1: Proportion
    minutes: float | None = None


def experiments() -> list[Experiment]:
    """All of them, the most telling ones first."""
    split = "subject:1,3,5/7"
    found = []
    for first, recipe in UTD.items():
        for subject in reversed(SUBJECTS):
            others = ",".join(other for other in SUBJECTS if other != subject)
            name = f"{first}-joint-{subject}"
            found.append(Experiment(name, "utd", recipe, f"subject:{others}/{subject}"))
        for stream in STREAMS[1:]:
            found.append(Experiment(f"{first}-{stream}-7", "utd", recipe, split, stream))
    found.append(Experiment("utd-msg3d-joint-7", "utd", "msg3d-utd", split))
    for views in ("1/2", "2/1"):
        name = f"ucla-ctrgcn-joint-view{views[-1]}"
        found.append(Experiment(name, "ucla", "ctrgcn-ucla", f"camera:{views}"))
    for stream in STREAMS[1:]:
        found.append(
            Experiment(f"ucla-ctrgcn-{stream}-view2", "ucla", "ctrgcn-ucla", "camera:1/2", stream)
        )
    for fold in range(1, 5):
        name = f"sbu-ctrgcn-joint-fold{fold}"
        found.append(Experiment(name, "sbu", "ctrgcn-sbu", f"sbu-fold{fold}"))
    return found


def carry_out(experiment: Experiment, data: Path, out: Path) -> None:
    """Ingest, train and evaluate, each where it has not been done."""
    run = out / experiment.name
    if (run / "scores-test.npz").is_file():
        return
    store = out / f"{experiment.data}.arrow"
    if not store.is_file():
        skelab("ingest", data / FOLDERS[experiment.data], store)
    skelab(
        *("train", experiment.recipe, "--data", store, "--out", run),
        *("--set", f"data.split={experiment.split}", "--set", f"data.stream={experiment.stream}"),
        *(["--resume"] if (run / "recipe.yaml").is_file() else []),
    )
    skelab("evaluate", run, "--data", store)


def skelab(*words: object) -> None:
    """Run one command of the lab; its failure ends the script."""
    command = [sys.executable, "-c", "from skelab.cli.main import main; main()"]
    print(f"== skelab {' '.join(map(str, words))}", flush=True)
    subprocess.run([*command, *map(str, words)], check=True)


def rows(out: Path) -> list[Row]:
    """What has been measured so far: single runs, all subjects together, ensembles."""
    done = [each for each in experiments() if (out / each.name / "scores-test.npz").is_file()]
    scores = {each.name: Scores.load(out / each.name / "scores-test.npz") for each in done}
    found = []
    for each in done:
        history = read_history(out / each.name)
        minutes = sum(record["seconds"] for record in history) / 60
        found.append(Row(each.name, each.split, topk_accuracy(scores[each.name], 1), minutes))
    for first in UTD:
        names = [f"{first}-joint-{subject}" for subject in SUBJECTS]
        if all(name in scores for name in names):
            hits = [scores[name].predictions == scores[name].labels for name in names]
            found.append(Row(f"{first}, joint", "each left out", proportion(np.concatenate(hits))))
    for first, last in (*((name, "7") for name in UTD), ("ucla-ctrgcn", "view2")):
        for streams in (STREAMS[:2], STREAMS):
            names = [f"{first}-{stream}-{last}" for stream in streams]
            if all(name in scores for name in names):
                fusable = [scores[name] for name in names]
                fused = fuse(fusable, authors_weights([one.info.stream for one in fusable]))
                trained_on = next(each.split for each in done if each.name == names[0])
                title = f"{first}, {len(names)} streams"
                found.append(Row(title, trained_on, topk_accuracy(fused, 1)))
    return found


def table(measured: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| run | trained on / tested on | top-1 | 95 % | clips | minutes |",
        "|---|---|---|---|---|---|",
    ]
    for row in measured:
        top1 = row.top1
        minutes = "" if row.minutes is None else f"{row.minutes:.0f}"
        interval = f"{100 * top1.low:.1f} to {100 * top1.high:.1f}"
        cells = (row.name, f"`{row.trained_on}`", percent(top1.value), interval)
        lines.append(f"| {' | '.join((*cells, str(top1.total), minutes))} |")
    return "\n".join(lines)


def main() -> None:
    """Carry out what was asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="*", help="names of experiments, with * and ?")
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    options = parser.parse_args()

    for experiment in [] if options.table else experiments():
        if not fnmatch.fnmatch(experiment.name, options.only):
            continue
        if not (options.data / FOLDERS[experiment.data]).is_dir():
            print(f"left out, its recordings are not there: {experiment.name}")
            continue
        carry_out(experiment, options.data, options.out)
    print(table(rows(options.out)))


if __name__ == "__main__":
    main()
