"""Write an sdist again with sorted names, no owner and the time of ``SOURCE_DATE_EPOCH``."""

import gzip
import io
import os
import sys
import tarfile
from pathlib import Path


def normalise(path: Path, time: int) -> None:
    """Write the archive at a path again, so that equal files give equal bytes."""
    content = io.BytesIO()
    with (
        tarfile.open(path) as found,
        tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as out,
    ):
        for entry in sorted(found.getmembers(), key=lambda entry: entry.name):
            plain = tarfile.TarInfo(entry.name)
            plain.size, plain.type, plain.mtime = entry.size, entry.type, time
            plain.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            out.addfile(plain, found.extractfile(entry) if entry.isfile() else None)
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, time) as packed:
        packed.write(content.getvalue())


if __name__ == "__main__":
    normalise(Path(sys.argv[1]), int(os.environ["SOURCE_DATE_EPOCH"]))
