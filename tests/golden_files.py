"""The synthetic ``.skeleton`` files of the golden kit, and what the authors' programs made of them.

Origin: see ``tests/parity/test_preprocessing.py``.
"""

import json
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.data.clips.clip import RawClip
from skelab.data.recordings.skeleton_file import parse_skeleton

PREPROCESS = Path(__file__).parent / "golden" / "preprocess"


@cache
def recordings() -> dict[str, RawClip]:
    """Every file by sample name; not to be changed."""
    clips = {}
    with tarfile.open(PREPROCESS / "skeletons.tar.gz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if member.isfile() and content is not None:
                name = Path(member.name).stem
                clips[name] = parse_skeleton(content.read(), member.name)
    return clips


@cache
def names_of(case: str) -> tuple[str, ...]:
    """The files that were written to test something."""
    files = json.loads((PREPROCESS / "cases.json").read_text())["files"]
    return tuple(entry["name"] for entry in files if entry["case"] == case)


def recording_of(case: str) -> RawClip:
    """The first file that was written to test something."""
    return recordings()[names_of(case)[0]]


def unpack(folder: Path) -> Path:
    """The files in a folder."""
    with tarfile.open(PREPROCESS / "skeletons.tar.gz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if member.isfile() and content is not None:
                (folder / Path(member.name).name).write_bytes(content.read())
    return folder


@cache
def ctrgcn_clips() -> tuple[Float32[ndarray, "M T V C"], ...]:
    """Rows of the authors' CTR-GCN arrays as clips, padding and absent bodies included."""
    with np.load(PREPROCESS / "ctrgcn" / "NTU60_CS.npz") as archive:
        rows = [row for part in ("train", "test") for row in archive[f"x_{part}"]]
    return tuple(row.reshape(len(row), 2, 25, 3).swapaxes(0, 1) for row in rows)


@cache
def msg3d_clips() -> tuple[Float32[ndarray, "M T V C"], ...]:
    """Rows of the authors' MS-G3D arrays as clips, looped to 300 frames."""
    with np.load(PREPROCESS / "msg3d" / "xsub_joint.npz") as archive:
        rows = [row for part in ("train", "val") for row in archive[f"{part}_data"]]
    return tuple(row.transpose(3, 1, 2, 0) for row in rows)
