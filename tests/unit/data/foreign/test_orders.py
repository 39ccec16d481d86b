"""The row order of CTR-GCN's arrays."""

import pytest

from skelab.data.clips.clip import SampleInfo
from skelab.data.foreign.orders import ctrgcn_row_order
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import SplitError

NAMES = [
    "S002C001P002R001A001",
    "S001C003P003R001A001",
    "S001C002P002R001A001",
    "S001C003P001R001A001",
    "S001C001P006R001A001",
]


@pytest.mark.parametrize(
    ("benchmark", "train", "test"),
    [
        ("xsub", (3, 2, 0), (1, 4)),
        ("xview", (2, 3, 1), (4, 0)),
        ("xset", (0,), (4, 2, 3, 1)),
    ],
)
def test_rows_go_by_the_deciding_number_then_by_name(
    benchmark: str, train: tuple[int, ...], test: tuple[int, ...]
) -> None:
    infos = [parse_sample_name(name) for name in NAMES]

    order = ctrgcn_row_order(infos, benchmark)

    assert order == (train, test)


@pytest.mark.parametrize(("camera", "found"), [(None, "none"), (4, "4")])
def test_a_sample_of_neither_part_is_refused(camera: int | None, found: str) -> None:
    infos = [SampleInfo("one", camera=camera)]

    with pytest.raises(SplitError) as caught:
        ctrgcn_row_order(infos, "xview")

    assert str(caught.value) == (
        f"one: split xview goes by camera: expected one that it lists, found {found}"
    )


def test_an_unknown_benchmark_is_refused() -> None:
    with pytest.raises(SplitError, match="unknown split 'cross'"):
        ctrgcn_row_order([], "cross")
