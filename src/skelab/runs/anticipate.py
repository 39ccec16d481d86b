"""Evaluates the early recognition of trained networks, and writes scores and a page."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final

from skelab.data.clips.opened_clips import OpenedClips
from skelab.errors import ScoresError
from skelab.evaluation import (
    EarlyProtocol,
    EarlyScores,
    ScoresInfo,
    compare_areas,
    evaluate_early,
)
from skelab.files.kinds import PAGE, SCORES
from skelab.files.output import check_output
from skelab.inference.checkpoint import read_checkpoint
from skelab.inference.engines import FASTEST
from skelab.inference.network import Network, open_network
from skelab.recipes import Protocol, Recipe
from skelab.report import EarlyCurve, accuracy_rows, write_early_page
from skelab.runs.evaluate import (
    read_files,
    recipes_and_rows,
)
from skelab.runs.parts import choose_parts
from skelab.runs.progress import find_seed_runs, unfinished

_STEMS: Final[Mapping[EarlyProtocol, str]] = {
    EarlyProtocol.P1: "early",
    EarlyProtocol.P2: "early-frames",
}

OnScored = Callable[[int, int], None]


@dataclass(frozen=True)
class Anticipation:
    """Early recognition of some networks on the same part of a split.

    Attributes:
        curves: The networks under each protocol; P1 and P2 cannot be compared.
        info: Which data set, split and part.
        report_file: The page with the curves.
        scores_files: Where the scores are kept.
        notes: Remarks on single networks.
    """

    curves: Mapping[EarlyProtocol, tuple[EarlyCurve, ...]]
    info: ScoresInfo
    report_file: Path
    scores_files: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    @property
    def p1(self) -> tuple[EarlyCurve, ...]:
        """The networks under P1: clips are truncated before all transforms."""
        return self.curves[EarlyProtocol.P1]

    @property
    def p2(self) -> tuple[EarlyCurve, ...]:
        """The networks that classify each frame, under P2: clips of known length."""
        return self.curves[EarlyProtocol.P2]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts; None where a figure is not defined."""
        tables = {
            protocol.value: [
                {
                    "network": curve.name,
                    **curve.evaluation.to_dict(),
                    "against_first": curve.change and asdict(curve.change),
                }
                for curve in listed
            ]
            for protocol, listed in self.curves.items()
        }
        info = self.info
        return {
            "dataset": info.dataset,
            "split": info.split,
            "part": info.part,
            "synthetic": info.synthetic,
            **tables,
            "notes": list(self.notes),
            "files": {
                "report": str(self.report_file),
                "scores": [str(file) for file in self.scores_files],
            },
        }

    def to_json(self) -> str:
        """The same as one line of strict JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def _repr_html_(self) -> str:
        """The tables, as notebooks show them."""
        parts = []
        for protocol, listed in self.curves.items():
            if listed:
                columns, rows = accuracy_rows(listed)
                head = "".join(f"<th>{escape(name)}</th>" for name in columns)
                body = "".join(
                    f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
                    for row in rows
                )
                parts.append(f"<h4>{protocol.value}</h4><table><tr>{head}</tr>{body}</table>")
        return "".join(parts)


@dataclass(frozen=True)
class _Scored:
    """The scores of a network, and the validation scores that choose its thresholds."""

    name: str
    scores: Mapping[EarlyProtocol, EarlyScores]
    validation: Mapping[EarlyProtocol, EarlyScores]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = field(default=())


def anticipate(
    networks: Path | str | Sequence[Path | str],
    store: OpenedClips | None = None,
    *,
    split: str | None = None,
    part: str = "test",
    engine: str | None = None,
    trust: bool = False,
    out: Path | None = None,
    on_scored: OnScored | None = None,
) -> Anticipation:
    """Evaluate how early networks recognise actions, and write curves and scores.

    Every classifier has a row under P1; a network trained on whole clips is the baseline of early
    recognition. Networks of the task ``early-frames`` have a row under P2 as well. The other
    networks are compared with the first one, clip by clip.

    Args:
        networks: Run folders, those of several seeds too, checkpoints or exported files; or one.
        store: The clips; None reads the scores of an earlier call.
        split: Protocol of the data set; None takes that of each recipe.
        part: ``test``, ``validation`` or ``train``.
        engine: What computes the networks; None takes the fastest that
            gives the same answer.
        trust: Open ``.pt2`` files, which can run code of their maker.
        out: Folder for page and scores; None writes scores beside each network and the page beside
            the first.
        on_scored: Called with the clips that are done, and all clips of one network.

    Raises:
        NetworkError: A network cannot be opened, belongs to other data, or names no classes.
        SplitError: The clips do not fit the split, or a network was trained on clips of the part.
        ScoresError: There is no network, one is given twice, or scores are asked for that were
            never kept.
        OutputError: The results cannot be written.
    """
    listed = [networks] if isinstance(networks, str | Path) else list(networks)
    paths = [run for path in listed for run in find_seed_runs(Path(path)) or [Path(path)]]
    names = _names(paths)
    folder = out or _folder(paths[0])
    page = folder / f"early-{part}.html"
    inputs = [] if store is None else [store.path]
    check_output(page, PAGE, inputs=inputs, force=True)
    scored = []
    for path, name in zip(paths, names, strict=True):
        kept = _folder(path) if out is None else out / name if len(paths) > 1 else out
        if store is None:
            scored.append(_kept_scores(path, name, kept, part, split))
        else:
            opened = open_network(path, engine=engine or FASTEST, trust=trust)
            scored.append(_score(opened, name, store, kept, part, split, on_scored))
    curves = {protocol: _curves(scored, protocol) for protocol in EarlyProtocol}
    info = scored[0].scores[EarlyProtocol.P1].info
    notes = tuple(f"{each.name}: {note}" for each in scored for note in each.notes)
    title = f"Early recognition on {info.dataset}, {info.split} {part}"
    write_early_page(page, title, curves, notes=notes, synthetic=info.synthetic)
    files = tuple(file for each in scored for file in each.files)
    return Anticipation(curves, info, page, files, notes)


def kept_early_scores(folder: Path, part: str, protocol: EarlyProtocol) -> Path:
    """The file with the early scores of a part."""
    return folder / f"{_STEMS[protocol]}-{part}.npz"


def _score(
    network: Network,
    name: str,
    store: OpenedClips,
    folder: Path,
    part: str,
    split: str | None,
    on_scored: OnScored | None,
) -> _Scored:
    """Score a network at all shares, and save the scores."""
    path = network.path
    network.spec.check_store(store.info, store.path, str(path))
    trained, recipe, rows = recipes_and_rows(network, store, split, part, needs_labels=True)
    parts = {part: rows}
    if part == "test" and recipe == trained and _has_validation(trained, store):
        parts["validation"] = choose_parts(trained, store).validation
    protocols = [EarlyProtocol.P1, *([EarlyProtocol.P2] if network.answers_per_frame else [])]
    found: dict[str, dict[EarlyProtocol, EarlyScores]] = {each: {} for each in parts}
    files = []
    for each, own in parts.items():
        for protocol in protocols:
            file = kept_early_scores(folder, each, protocol)
            check_output(file, SCORES, inputs=(*read_files(path), store.path), force=True)
            scores = network.early_scores(
                store,
                own,
                split=recipe.data.split,
                part=each,
                protocol=protocol,
                batch_size=recipe.training.batch_size,
                on_scored=on_scored,
            )
            scores.save(file)
            found[each][protocol] = scores
            files.append(file)
    return _Scored(
        name,
        found[part],
        found.get("validation", {}) if part == "test" else {},
        tuple(files),
        _notes(path, trained),
    )


def _kept_scores(path: Path, name: str, folder: Path, part: str, split: str | None) -> _Scored:
    """Saved scores of the current weights of a network."""
    digest = read_checkpoint(path).digest
    found: dict[str, dict[EarlyProtocol, EarlyScores]] = {part: {}, "validation": {}}
    files = []
    for each in dict.fromkeys((part, "validation")):
        for protocol in EarlyProtocol:
            file = kept_early_scores(folder, each, protocol)
            scores = EarlyScores.load(file) if file.is_file() else None
            if scores is None or scores.info.checkpoint != digest:
                continue
            if split in (None, scores.info.split):
                found[each][protocol] = scores
                files.append(file)
    if EarlyProtocol.P1 not in found[part]:
        raise ScoresError(
            f"{path}: no early scores of its {part} part are kept in {folder}; score them with"
            f" skelab anticipate {path} --data STORE"
        )
    return _Scored(name, found[part], found["validation"] if part == "test" else {}, tuple(files))


def _curves(scored: Sequence[_Scored], protocol: EarlyProtocol) -> tuple[EarlyCurve, ...]:
    """The networks with scores under a protocol, each compared with the first."""
    curves: list[EarlyCurve] = []
    first: EarlyScores | None = None
    for each in scored:
        scores = each.scores.get(protocol)
        if scores is None:
            continue
        same = first is not None and set(first.names) == set(scores.names)
        change = compare_areas(first, scores) if first is not None and same else None
        evaluation = evaluate_early(scores, each.validation.get(protocol))
        curves.append(EarlyCurve(each.name, evaluation, change))
        first = first or scores
    return tuple(curves)


def _has_validation(recipe: Recipe, store: OpenedClips) -> bool:
    """Whether there are validation clips to choose thresholds on."""
    if recipe.protocol is Protocol.PAPER:
        return False
    return len(choose_parts(recipe, store).validation) > 0


def _notes(path: Path, recipe: Recipe) -> tuple[str, ...]:
    notes = [f"task {recipe.task.name}"]
    if recipe.task.name == "classification":
        notes = ["trained on whole clips only: the baseline"]
    elif recipe.task.options.get("oracle"):
        notes = ["task early, with a second loss on whole clips"]
    early = unfinished(path) if path.is_dir() else ""
    return (*notes, *([early] if early else []))


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _names(paths: Sequence[Path]) -> list[str]:
    """A short name per network: the shortest distinct end of its path."""
    if not paths:
        raise ScoresError("anticipate: expected at least one network, found none")
    places = [path.resolve() for path in paths]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise ScoresError(f"{paths[number]}: is given twice; give each network once")
    for length in range(1, max(len(place.parts) for place in places)):
        names = ["/".join(place.parts[-length:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]
