"""Lists of samples to leave out, as the authors publish them."""

import re
from pathlib import Path

from skelab.errors import SourceError
from skelab.files.reading import read_whole

_LARGEST = 1 << 28
_NTU_NAME = re.compile(r"S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}")


def read_ignore_list(path: Path) -> tuple[str, ...]:
    """The sample names in a list, one a line.

    A line that is one word names a sample; its ending ``.skeleton`` is dropped. Lines of prose,
    such as the three that head the lists of missing skeletons of NTU RGB+D, and empty lines are
    passed over.

    Raises:
        SourceError: The file cannot be read or names nothing.
    """
    try:
        lines = read_whole(path, largest=_LARGEST).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SourceError(f"{path}: the list of samples cannot be read: {reason}") from None
    words = [line.strip().removesuffix(".skeleton") for line in lines]
    names = [word for word in words if word and " " not in word]
    if any(_NTU_NAME.fullmatch(name) for name in names):
        names = [name for name in names if _NTU_NAME.fullmatch(name)]
    if not names:
        raise SourceError(f"{path}: expected one sample name a line, found none")
    return tuple(dict.fromkeys(names))
