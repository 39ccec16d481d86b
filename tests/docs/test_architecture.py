"""The picture of the rooms agrees with the import contracts and with the code."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from docs.pages import REPOSITORY

PICTURE = REPOSITORY / "docs" / "architecture.svg"
PAGE = REPOSITORY / "docs" / "architecture.md"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def picture() -> ElementTree.Element:
    """The root of the picture; the file is our own."""
    return ElementTree.parse(PICTURE).getroot()  # noqa: S314


@pytest.fixture(scope="module")
def floors(picture: ElementTree.Element) -> list[set[str]]:
    """The rooms of each floor, the highest first; rooms of one floor are drawn at one height."""
    heights: dict[float, set[str]] = {}
    for room in picture.iter(f"{SVG}g"):
        if room.get("class", "").startswith("room"):
            box = room.find(f"{SVG}rect")
            assert box is not None
            heights.setdefault(float(box.attrib["y"]), set()).add(room.attrib["data-room"])
    return [heights[height] for height in sorted(heights)]


def imports_between_rooms(package: Path) -> Iterator[tuple[str, str, Path]]:
    """The room of each module, and that of what it imports."""
    for path in package.rglob("*.py"):
        own = path.relative_to(package).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skelab."):
                yield own, str(node.module).split(".")[1], path


def test_every_room_is_drawn_once(floors: list[set[str]], repository: Path) -> None:
    package = repository / "src" / "skelab"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    drawn = [room for floor in floors for room in floor]

    assert sorted(drawn) == sorted(folders | {"errors"})


def test_the_rooms_inside_data_are_drawn(picture: ElementTree.Element, repository: Path) -> None:
    package = repository / "src" / "skelab" / "data"
    inner = {
        room.attrib["data-room"] for room in picture.iter(f"{SVG}g") if room.get("class") == "inner"
    }

    assert inner == {f"data.{path.parent.name}" for path in package.glob("*/__init__.py")}


def test_floors_stand_in_the_order_of_the_import_contract(
    floors: list[set[str]], repository: Path
) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    contract = project["tool"]["importlinter"]["contracts"][0]
    layers = [layer.strip("()") for layer in contract["layers"]]

    places = [sorted(layers.index(room) for room in floor) for floor in floors]

    assert all(above[-1] < below[0] for above, below in pairwise(places))


def test_no_room_imports_one_of_its_own_floor_or_above(
    floors: list[set[str]], repository: Path
) -> None:
    floor_of = {room: number for number, floor in enumerate(floors) for room in floor}

    upwards = [
        (own, other, path.name)
        for own, other, path in imports_between_rooms(repository / "src" / "skelab")
        if own in floor_of and other in floor_of
        if own != other and floor_of[other] <= floor_of[own]
    ]

    assert upwards == []


def test_the_way_of_a_clip_leads_through_functions_that_are_there(
    picture: ElementTree.Element,
) -> None:
    table = re.findall(r"^\| (\d) \| `([\w.]+)` \| `([\w.]+)`", PAGE.read_text(), re.MULTILINE)
    marked = [
        (step.attrib["data-step"], step.attrib["data-room"])
        for step in picture.iter(f"{SVG}g")
        if step.get("class") == "step"
    ]

    assert [(number, room) for number, room, _ in table] == marked
    for _, room, function in table:
        module, _, name = function.rpartition(".")
        assert callable(getattr(import_module(module), name))
        assert function.startswith(f"skelab.{room}.")
