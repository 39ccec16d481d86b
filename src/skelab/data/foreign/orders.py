"""The row order of arrays whose rows carry no names."""

from collections.abc import Sequence

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.splits import GivenSplit
from skelab.data.datasets import parse_split
from skelab.errors import SplitError


def ctrgcn_row_order(
    infos: Sequence[SampleInfo], benchmark: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which sample stands in each row of CTR-GCN's npz: positions of the train and test rows.

    Rows go by subject (``xsub``), camera (``xview``) or setup (``xset``), ascending, and by name
    within each; so row order is not name order.

    Args:
        infos: Every sample of the data set, in any order.
        benchmark: A split by name, as ``parse_split`` takes it.

    Returns:
        Positions in ``infos`` for ``x_train`` and for ``x_test``.

    Raises:
        SplitError: The benchmark is unknown, or a sample belongs to neither part.

    Source: Uason-Chen/CTR-GCN@e13d758, ``data/ntu/seq_transformation.py``.
    """
    split = parse_split(benchmark)
    if isinstance(split, GivenSplit):
        raise SplitError(f"split {split.name} goes by parts: rows are in no order that it knows")
    rows: dict[int, list[int]] = {number: [] for number in sorted(split.train | split.test)}
    for row in sorted(range(len(infos)), key=lambda row: infos[row].name):
        number = getattr(infos[row], split.by)
        if number not in rows:
            found = "none" if number is None else str(number)
            raise SplitError(
                f"{infos[row].name}: split {split.name} goes by {split.by}: expected one that it"
                f" lists, found {found}"
            )
        rows[number].append(row)
    train = tuple(row for number in rows if number in split.train for row in rows[number])
    test = tuple(row for number in rows if number in split.test for row in rows[number])
    return train, test
