"""The reference of transforms names every transform and every option, with its default."""

import json

from docs.pages import REPOSITORY, read_page

from skelab.data.feeding.transforms import TRANSFORM_SETTINGS

PAGE = read_page(REPOSITORY / "docs/reference/transforms.md")


def test_every_option_of_every_transform_is_there_with_its_default() -> None:
    expected = {
        (name, option): json.dumps(field.default)
        for name, kind in TRANSFORM_SETTINGS.items()
        for option, field in kind.model_fields.items()
        if option != "name"
    }

    listed = {(row[0], row[1]): row[2] for row in PAGE.table("name")}

    assert listed == expected


def test_every_transform_has_a_paragraph() -> None:
    told = [line.split("**")[1].strip("`") for _, line in PAGE.prose if line.startswith("**`")]

    assert sorted(told) == sorted([*TRANSFORM_SETTINGS, "crop-resize", "pick-frames"])
