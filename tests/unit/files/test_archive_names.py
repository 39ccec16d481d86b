"""Names of members that a damaged archive may have."""

import zipfile
from pathlib import Path

from skelab.files.archives import list_members, open_archive


def test_a_member_without_a_name_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"1")
    with open_archive(path) as archive:
        archive.infolist()[0].filename = ""

        found = list_members(archive)

    assert len(found) <= 1
