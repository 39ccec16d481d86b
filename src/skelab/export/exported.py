"""Exported files, ready to use: the graph, and what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from skelab.errors import ExportError
from skelab.export.check import FEWEST_FRAMES, Network
from skelab.export.formats import SUFFIXES, open_network, read_metadata
from skelab.export.metadata import ExportMetadata
from skelab.files.reading import read_whole

_MAIN: Final = {suffixes[0]: suffixes for suffixes in SUFFIXES.values()}


@dataclass(frozen=True)
class ExportedModel:
    """An exported network, on the CPU; made by :func:`load_exported`.

    Attributes:
        path: The file.
        metadata: Which joints, classes and preprocessing it is for.
    """

    path: Path
    metadata: ExportMetadata
    _network: Network

    def logits(self, joints: Float[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        """Logits of the K classes for N clips, shaped as the feeder shapes them.

        Raises:
            ExportError: The clips have other axes, frames, joints or bodies than the graph takes.
        """
        check_shape(joints.shape, self.metadata, str(self.path))
        return self._network(np.ascontiguousarray(joints, dtype=np.float32))


def is_exported(path: Path) -> bool:
    """Whether a path is called as an exported file."""
    return path.suffix in _MAIN


def load_exported(path: Path | str, *, trust: bool = False) -> ExportedModel:
    """Open a file that ``skelab export`` has written.

    ONNX and OpenVINO files hold numbers and the names of operators: reading one from a stranger
    runs no code of theirs. A ``.pt2`` file is read by ``torch.export.load``, which unpickles
    and evaluates parts of it, so that it can do anything on this machine.

    Args:
        path: ``.onnx``, ``.xml`` (with its ``.bin`` beside it) or ``.pt2``.
        trust: Open a ``.pt2`` file, since it comes from somebody whom you trust.

    Raises:
        ExportError: There is no such file, it is damaged or of another maker, a package that runs
            it is not installed, or it is a ``.pt2`` file and ``trust`` was not given.
    """
    path = Path(path)
    files = read_files(path)
    metadata = read_metadata(files, str(path))
    if path.suffix == ".pt2" and not trust:
        raise ExportError(
            f"{path}: opening a .pt2 file can run any code that its maker put into it; give --trust"
            " (in Python, trust=True) if you made it or trust whoever did. .onnx and .xml files"
            " need no trust"
        )
    return ExportedModel(path, metadata, open_network(files, str(path)))


def read_files(path: Path) -> Mapping[str, bytes]:
    """The content of an exported file, and of the one that belongs to it.

    Raises:
        ExportError: There is no such file, or it is called otherwise.
    """
    if path.suffix not in _MAIN:
        raise ExportError(
            f"{path}: expected a name that ends with {', '.join(_MAIN)}, found"
            f" {path.suffix or 'none of them'!r}"
        )
    content = {}
    for suffix in _MAIN[path.suffix]:
        file = path.with_suffix(suffix)
        try:
            content[suffix] = read_whole(file)
        except OSError as error:
            raise ExportError(
                f"{file}: cannot be read: {error.strerror or error}; `skelab export` writes"
                f" {' and '.join(_MAIN[path.suffix])}"
            ) from None
    return content


def check_shape(shape: tuple[int, ...], metadata: ExportMetadata, where: str) -> None:
    """Refuse clips of a shape that a network does not take.

    Raises:
        ExportError: Channels, frames, joints or bodies are others.
    """
    clips, _, frames, _, _ = shape
    fits = shape == metadata.shape(clips, frames) and clips > 0
    if metadata.dynamic_frames:
        fits = fits and frames >= FEWEST_FRAMES and frames % metadata.frames_multiple_of == 0
    else:
        fits = fits and frames == metadata.window
    if not fits:
        _, channels, window, joints, bodies = metadata.shape()
        step = metadata.frames_multiple_of
        some = "T" if step == 1 else f"T (a multiple of {step})"
        raise ExportError(
            f"{where}: expected N x {channels} x {some if metadata.dynamic_frames else window} x"
            f" {joints} x {bodies} (channels, frames, joints, bodies), found"
            f" {' x '.join(map(str, shape))}"
        )
