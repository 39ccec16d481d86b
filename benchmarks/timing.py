"""Times of several ways to do one thing, taken in turn, and tables of them.

A shared machine is now fast, now slow. The ways take turns in every round, so that what disturbs
one disturbs the others as well: their ratio can be trusted where a time alone cannot.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple


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
) -> Result:
    """Both ways in turn; medians per item, and the median of the rounds' ratios."""
    times = in_turn({"plain": plain, "ours": ours}, rounds)
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


class Seconds(NamedTuple):
    """How long something took, by the clock and by the processor."""

    wall: float
    cpu: float


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Seconds]]:
    """The time of each way in each round, after one that does not count."""
    times: dict[str, list[Seconds]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            if number:
                spent = Seconds(time.perf_counter() - wall, time.process_time() - cpu)
                times[name].append(spent)
    return times


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
        ratio = "" if result.ratio is None else f"**{result.ratio:.1f}**"
        if result.spread:
            ratio += f" ({result.spread[0]:.1f} to {result.spread[1]:.1f})"
        ours = f"{result.ours:.3g} {result.unit}"
        cpu = "" if result.cpu_ratio is None else f"{result.cpu_ratio:.1f}"
        print(f"| {result.case} | {plain} | {ours} | {ratio} | {cpu} | {result.target} |")
