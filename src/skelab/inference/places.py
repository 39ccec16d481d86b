"""Finds networks in run folders, checkpoints and exported files without PyTorch."""

from pathlib import Path
from typing import Final

from skelab.errors import CheckpointError, ExportError
from skelab.files.reading import special_kind

CHECKPOINT: Final = "checkpoint"
"""The kind of file that ``skelab train`` writes."""

CHECKPOINTS: Final = "checkpoints"
"""Folder of the checkpoints in a run folder."""

CHOSEN: Final = "best.safetensors"
"""The chosen checkpoint, which is evaluated."""

RECIPE: Final = "recipe.yaml"
"""The resolved recipe in a run folder, written first."""

SUFFIXES: Final = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "torch": (".pt2",)}
"""The suffixes of each kind of exported network, the main file first."""

_CLIPS: Final = (".skeleton", ".npy", ".csv", ".npz", ".pkl", ".arrow")

_KINDS: Final = {suffixes[0]: kind for kind, suffixes in SUFFIXES.items()}


def file_kind(path: Path) -> str:
    """The kind of a network file by its name; ``checkpoint`` for anything but exported files."""
    return _KINDS.get(path.suffix, CHECKPOINT)


def files_of(path: Path) -> tuple[Path, ...]:
    """All files of a network, the main file first."""
    kind = file_kind(path)
    return tuple(map(path.with_suffix, SUFFIXES[kind])) if kind in SUFFIXES else (path,)


def chosen_checkpoint(path: Path) -> Path:
    """The checkpoint of a path: the file itself, or the chosen one of a run folder.

    Raises:
        CheckpointError: There is neither.
    """
    file = path / CHECKPOINTS / CHOSEN if path.is_dir() else path
    if file.is_file():
        return file
    without = f"a folder without {CHECKPOINTS}/{CHOSEN}" if path.is_dir() else "nothing"
    found = special_kind(file) or without
    raise CheckpointError(
        f"{path}: there is no checkpoint: expected a run folder or a checkpoint, found {found};"
        " `skelab train` makes one"
    )


def check_network(path: Path) -> None:
    """Refuse a path without a network before heavy imports.

    Raises:
        CheckpointError: There is neither a run folder nor a checkpoint, or there are clips.
        ExportError: A file of an exported network is not there.
    """
    if path.is_dir() and (path / RECIPE).is_file():
        return  # a run, perhaps of several seeds; whoever reads it says what it lacks
    if path.is_file() and path.suffix in _CLIPS:
        raise CheckpointError(
            f"{path}: expected a run folder, a checkpoint or an exported file, found clips; the"
            " network is named first: skelab predict NETWORK FILE"
        )
    if file_kind(path) == CHECKPOINT or path.is_dir():
        chosen_checkpoint(path)
        return
    for file in files_of(path):
        if not file.exists():
            raise no_export(file, "No such file or directory")


def no_export(file: Path, reason: str) -> ExportError:
    """The error for a file of an exported network that cannot be read."""
    return ExportError(
        f"{file}: cannot be read: {reason}; `skelab export` writes"
        f" {' and '.join(_files_beside(file))}"
    )


def _files_beside(file: Path) -> tuple[str, ...]:
    """The suffixes of the kind of network that a file belongs to."""
    return next((each for each in SUFFIXES.values() if file.suffix in each), (file.suffix,))
