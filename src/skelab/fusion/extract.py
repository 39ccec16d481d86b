"""Videos, folders of pictures or files of vectors become one side-car store.

What is done is kept beside the store until all is done, so that a command that was stopped goes on
where it was. A source that cannot be read is left out and named; it never stops the others.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Final

from skelab.errors import SideCarError
from skelab.files.kinds import SIDE_CARS
from skelab.files.output import check_output
from skelab.fusion.decoding import PICTURES, VIDEOS, decode
from skelab.fusion.encoders import FILE, Encoder, get_encoder
from skelab.fusion.spec import SideCarInfo
from skelab.fusion.store import (
    SideCar,
    make_side_car,
    open_side_cars,
    write_side_cars,
)
from skelab.fusion.vectors import SUFFIXES, read_vectors

SECONDS: Final = 600.0
"""Time that the decoding of one video may take."""

_ENDINGS: Final = ("_rgb", "_color", "_colour")


@dataclass(frozen=True)
class Extraction:
    """What became of some sources.

    Attributes:
        info: The store that was written.
        made: Number of side-cars in it.
        resumed: How many of them an earlier command had made.
    """

    info: SideCarInfo
    made: int
    resumed: int


def extract_features(
    source: Path,
    out: Path,
    *,
    encoder: str,
    every: int = 5,
    version: str = "1",
    seconds: float = SECONDS,
    force: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Write the side-car store of a source.

    Args:
        source: A video, or a folder of videos or of folders of pictures; with the encoder ``file``
            a file or folder of ``.npy``, ``.npz`` or ``.csv``. A file's name without suffix, and
            without ``_rgb``, is the name of the clip.
        out: The store.
        encoder: One of ``list_encoders()``; ``file:NAME`` for vectors that NAME made.
        every: Take every n-th frame.
        version: Version of what made the user's vectors; encoders have their own.
        seconds: Time that the decoding of one source may take.
        force: Replace a side-car store.
        on_progress: Called with the sources that are done, and all sources.

    Raises:
        SideCarError: There is no source or encoder, or no source gave a side-car.
        OutputError: The store cannot be written, or would replace something else.
    """
    own, _, label = encoder.partition(":")
    vectors = own == FILE
    if every < 1:
        raise SideCarError(f"--every: expected a whole number from 1, found {every}")
    network = None if vectors else get_encoder(encoder)
    found = find_sources(source, vectors=vectors)
    check_output(out, SIDE_CARS, inputs=found.values(), force=force)
    name, version = (label or FILE, version) if network is None else (network.name, network.version)
    parts = out.with_name(f".{out.name}.features")
    made: list[SideCar] = []
    skipped: list[tuple[str, str]] = []
    resumed = 0
    for done, (clip, path) in enumerate(found.items(), start=1):
        kept = parts / f"{_key(clip, path, name, version, every)}.arrow"
        try:
            if (entry := _kept(kept, clip)) is not None:
                resumed += 1
            elif network is None:
                entry = read_vectors(path, clip)
            else:
                entry = _encode(network, clip, path, every, seconds)
            if made and entry.features.shape[1] != made[0].features.shape[1]:
                raise SideCarError(
                    f"{path.name}: expected vectors of {made[0].features.shape[1]} numbers, as"
                    f" {made[0].name} has, found {entry.features.shape[1]}"
                )
            if not kept.exists():
                write_side_cars(kept, [entry], SideCarInfo(name, version, entry.features.shape[1]))
            made.append(entry)
        except SideCarError as error:
            skipped.append((clip, str(error)))
        if on_progress:
            on_progress(done, len(found))
    if not made:
        raise SideCarError(f"{source}: no side-car could be made; {skipped[0][0]}: {skipped[0][1]}")
    info = SideCarInfo(name, version, made[0].features.shape[1], tuple(skipped))
    info = write_side_cars(out, made, info)
    rmtree(parts, ignore_errors=True)
    return Extraction(info, len(made), resumed)


def find_sources(source: Path, *, vectors: bool) -> dict[str, Path]:
    """The sources in a folder, or the one that a path is, by the name of their clip.

    Raises:
        SideCarError: There is none, or two belong to one clip.
    """
    if not source.exists():
        raise SideCarError(f"{source}: there is no such file or folder")
    suffixes = SUFFIXES if vectors else VIDEOS
    kind = "vectors" if vectors else "videos or folders of pictures"
    if source.is_file() or (not vectors and _has_pictures(source)):
        entries = [source]
    else:
        entries = sorted(source.iterdir())
    found: dict[str, Path] = {}
    for path in entries:
        if path.is_file() and path.suffix.lower() not in suffixes:
            continue
        if path.is_dir() and (vectors or not _has_pictures(path)):
            continue
        name = clip_name(path)
        if name in found:
            raise SideCarError(f"{source}: {found[name].name} and {path.name} are of one clip")
        found[name] = path
    if not found:
        raise SideCarError(f"{source}: expected {kind} ({', '.join(suffixes)}), found none")
    return found


def clip_name(path: Path) -> str:
    """The name of the clip that a video, a folder of pictures or a file of vectors is of."""
    name = path.name if path.is_dir() else path.stem
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def _has_pictures(folder: Path) -> bool:
    return folder.is_dir() and any(
        file.suffix.lower() in PICTURES for file in folder.iterdir() if file.is_file()
    )


def _encode(encoder: Encoder, clip: str, path: Path, every: int, seconds: float) -> SideCar:
    frames, pictures, length = decode(path, every, encoder.side, seconds)
    return make_side_car(clip, encoder.encode(pictures), frames, length=length)


def _key(clip: str, path: Path, *settings: object) -> str:
    """What a finished side-car is kept under: changes with the source and the settings."""
    files: Sequence[Path] = sorted(path.iterdir()) if path.is_dir() else [path]
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    text = json.dumps([clip, facts, *map(str, settings)])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _kept(path: Path, clip: str) -> SideCar | None:
    if not path.is_file():
        return None
    try:
        return open_side_cars(path).get(clip)
    except SideCarError:
        path.unlink()
        return None
