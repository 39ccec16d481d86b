"""The reference of sources names every key and every column, with its default."""

import json

from docs.pages import REPOSITORY, read_page
from pydantic import BaseModel

from skelab.data.recordings import custom, custom_layout, custom_sequences

PAGE = read_page(REPOSITORY / "docs/reference/sources.md")


def keys(model: type[BaseModel]) -> dict[str, str]:
    return {
        name: "" if field.is_required() else json.dumps(field.default).strip('"')
        for name, field in model.model_fields.items()
    }


def test_every_key_of_a_data_set_is_there_with_its_default() -> None:
    listed = {row[0]: row[1] for row in PAGE.table("key of `dataset.yaml`")}

    assert listed == keys(custom.DatasetTable)


def test_every_key_of_a_layout_is_there_with_its_default() -> None:
    listed = {row[0]: row[1] for row in PAGE.table("key of `layout`")}

    assert listed == keys(custom_layout.LayoutTable)


def test_every_key_of_sequences_is_there_with_its_default() -> None:
    listed = {row[0]: row[1] for row in PAGE.table("key of `sequences`")}

    assert listed == keys(custom_sequences.SequenceTable)


def test_every_column_of_a_table_of_segments_is_there() -> None:
    rows = PAGE.table("column of the segments")

    listed = [name.strip("` ") for row in rows for name in row[0].split(",")]

    assert listed == list(custom_sequences.SEGMENT_COLUMNS)


def test_every_column_of_a_table_is_there() -> None:
    rows = PAGE.table("column of the table")

    listed = [name.strip("` ") for row in rows for name in row[0].split(",")]

    assert listed == list(custom._COLUMNS)
