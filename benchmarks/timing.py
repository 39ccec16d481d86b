"""Times of several ways to do one thing, taken in turn, and tables of them.

A shared machine is now fast, now slow. The ways take turns in every round, so that what disturbs
one disturbs the others as well: their ratio can be trusted where a time alone cannot.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from skelab.host.timing import Seconds, clocked
from skelab.host.timing import in_turn as turns


@dataclass(frozen=True)
class Result:
    """One line of a table.

    Attributes:
        case: What was measured.
        unit: Of both values.
        plain: The yardstick; None where there is none.
        ours: Ours.
        ratio: How many times better ours is; None where there is no yardstick.
        spread: Lowest and highest ratio of a round.
        cpu_ratio: The ratio by processor time, which other programs disturb less.
        target: What was to be reached.
    """

    case: str
    unit: str
    ours: float
    plain: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    cpu_ratio: float | None = None
    target: str = ""


def compare(
    case: str,
    plain: Callable[[], object],
    ours: Callable[[], object],
    *,
    rounds: int,
    divide_by: int,
    scale: float,
    unit: str,
    target: str = "",
    repeat: int = 1,
) -> Result:
    """Both ways in turn; medians per item, and the median of the rounds' ratios.

    Ours is done ``repeat`` times in a round, so that it takes about as long as the yardstick and
    whatever disturbs the machine weighs alike on both.
    """

    def ours_again() -> None:
        for _ in range(repeat):
            ours()

    times = in_turn({"plain": plain, "ours": ours_again}, rounds)
    times["ours"] = [Seconds(time.wall / repeat, time.cpu / repeat) for time in times["ours"]]
    ratios = [a.wall / b.wall for a, b in zip(times["plain"], times["ours"], strict=True)]
    return Result(
        case,
        unit,
        plain=statistics.median(time.wall for time in times["plain"]) / divide_by * scale,
        ours=statistics.median(time.wall for time in times["ours"]) / divide_by * scale,
        ratio=statistics.median(ratios),
        spread=(min(ratios), max(ratios)),
        cpu_ratio=statistics.median(
            a.cpu / b.cpu for a, b in zip(times["plain"], times["ours"], strict=True)
        ),
        target=target,
    )


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Seconds]]:
    """The time of each way in each round, after one that does not count."""
    timed = {name: clocked(way) for name, way in ways.items()}
    _, *counted = turns(timed, rounds + 1)
    return {name: [times[name] for times in counted] for name in ways}


def report(title: str, results: Sequence[Result], *, as_json: bool) -> None:
    """Print results as a table in Markdown, or as one line of JSON."""
    if as_json:
        print(json.dumps({"title": title, "results": [asdict(result) for result in results]}))
        return
    print(f"\n### {title}\n")
    print("| case | plain | ours | ratio (rounds) | by processor time | wanted |")
    print("|---|---|---|---|---|---|")
    for result in results:
        plain = "" if result.plain is None else f"{result.plain:.3g} {result.unit}"
        ratio = "" if result.ratio is None else f"**{_times(result.ratio)}**"
        if result.spread:
            ratio += f" ({_times(result.spread[0])} to {_times(result.spread[1])})"
        ours = f"{result.ours:.3g} {result.unit}"
        cpu = "" if result.cpu_ratio is None else _times(result.cpu_ratio)
        print(f"| {result.case} | {plain} | {ours} | {ratio} | {cpu} | {result.target} |")


def _times(ratio: float) -> str:
    """A ratio, to three digits that count where it is small."""
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"
