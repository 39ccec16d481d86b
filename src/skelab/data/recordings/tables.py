"""Tables of a data set of one's own: csv with named columns, each line with its number."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from skelab.errors import SourceError
from skelab.files.reading import read_whole

_LARGEST: Final = 1 << 28


def read_table(
    path: Path, columns: Sequence[str], wanted: Sequence[str], title: str
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each line of a table with its number, all known columns filled in.

    Args:
        path: The table.
        columns: All columns that it may have; others are passed over.
        wanted: Those of them that it must have.
        title: What it is, for messages.

    Raises:
        SourceError: It cannot be read, is no csv, or lacks a column.
    """
    try:
        text = read_whole(path, largest=_LARGEST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SourceError(f"{path}: the {title} cannot be read: {reason}") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        found = [(column or "").strip().lower() for column in reader.fieldnames or ()]
        reader.fieldnames = found
        if not set(wanted) <= set(found):
            others = ", ".join(column for column in columns if column not in wanted)
            plural = "columns" if len(wanted) > 1 else "column"
            listed = " and ".join([", ".join(wanted[:-1]), wanted[-1]] if wanted[1:] else wanted)
            raise SourceError(
                f"{path}, line 1: expected the {plural} {listed} (and any of {others}), found"
                f" {', '.join(found) or 'nothing'}{_cure(found, wanted)}"
            )
        for row in reader:
            values = {column: (row.get(column) or "").strip() for column in columns}
            if any(values.values()):
                yield reader.line_num, values
    except csv.Error as error:
        line = reader.reader.line_num  # that of the rows lags behind
        raise SourceError(f"{path}, line {line}: not a line of csv: {error}") from None


def _cure(found: Sequence[str], wanted: Sequence[str]) -> str:
    """What would make a headline right, where it is only separated in another way."""
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if set(wanted) <= {field.strip() for each in found for field in each.split(separator)}:
            return f"; the fields stand between {name}: write commas"
    return ""
