"""What the names of NTU samples say."""

import pytest

from skelab.data.clips.clip import SampleInfo
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import DataError


def test_a_name_says_setup_camera_performer_replication_and_action() -> None:
    info = parse_sample_name("S017C003P040R002A060")

    assert info == SampleInfo(
        "S017C003P040R002A060", label=59, subject=40, camera=3, setup=17, replication=2
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A001",
        "S001C001P001R001A01",
        "S001C001P001R001A001.skeleton",
        "s001c001p001r001a001",
        "S001C001P001R001A001\n",
        "S\u0660\u0660\u0661C001P001R001A001",
    ],
)
def test_another_form_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_sample_name(name)

    assert str(caught.value) == (
        f"{name}: expected a name like S001C002P003R002A013, found another form"
    )


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("S000C001P001R001A001", "setup"),
        ("S001C000P001R001A001", "camera"),
        ("S001C001P000R001A001", "performer"),
        ("S001C001P001R000A001", "replication"),
        ("S001C001P001R001A000", "action"),
    ],
)
def test_a_number_of_zero_is_refused_by_its_part(name: str, part: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_sample_name(name)

    assert str(caught.value) == f"{name}: expected numbers from 1 on, found {part} 0"
