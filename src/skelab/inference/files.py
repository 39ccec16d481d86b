"""Files that hold a network: checkpoints and exported graphs, read without running anything."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from skelab.errors import ExportError
from skelab.files.reading import read_whole
from skelab.inference.checkpoint import Checkpoint, read_checkpoint
from skelab.inference.onnx_file import read_onnx_entries
from skelab.inference.places import CHECKPOINT, file_kind, files_of, no_export
from skelab.inference.spec import METADATA_KEY, NetworkSpec

WEIGHTS_KEY: Final = "skelab_weights"
"""The entry of OpenVINO's run-time info that holds the digest of the ``.bin`` file."""

MEMBER: Final = f"{METADATA_KEY}.json"
"""The extra file of a ``.pt2`` archive that holds the description."""

Files = Mapping[str, bytes]
"""Content of each file, by its suffix."""


@dataclass(frozen=True)
class NetworkFile:
    """A network as it was read, before an engine opens it.

    Attributes:
        path: Where it lies; only used in messages.
        spec: What it says of itself.
        checkpoint: The checkpoint; None for an exported network.
        content: The bytes of an exported network's files.
    """

    path: Path
    spec: NetworkSpec
    checkpoint: Checkpoint | None = None
    content: Files = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Kind of file: ``checkpoint``, ``onnx``, ``openvino`` or ``torch``."""
        return self.spec.target

    def damaged(self, error: Exception) -> ExportError:
        """The error for a file that an engine could not open."""
        return _damaged(self.path, error)


def read_network_file(path: Path) -> NetworkFile:
    """Read a run folder, a checkpoint or an exported file; nothing in it is run.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        ExportError: An exported file is missing, damaged, or of another maker.
    """
    if file_kind(path) == CHECKPOINT or path.is_dir():
        checkpoint = read_checkpoint(path)
        return NetworkFile(path, NetworkSpec.of_checkpoint(checkpoint), checkpoint)
    content = {}
    for file in files_of(path):
        try:
            content[file.suffix] = read_whole(file)
        except OSError as error:
            raise no_export(file, str(error.strerror or error)) from None
    return exported_file(path, content)


def exported_file(path: Path, content: Files) -> NetworkFile:
    """An exported network by the bytes of its files.

    Raises:
        ExportError: It is damaged, or was not written by ``skelab export``.
    """
    try:
        text = _DESCRIPTIONS[file_kind(path)](content)
    except _UnpairedError:
        raise ExportError(
            f"{path}: the .bin file beside it is of another export, or damaged; copy both files of"
            " an export together"
        ) from None
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    if text is None:
        raise ExportError(
            f"{path}: expected a file of `skelab export`, found one without the description that"
            " says which joints and classes it is for"
        )
    spec = NetworkSpec.from_json(text, str(path))
    if spec.target != file_kind(path):  # trust and engine go by the kind, so it must be true
        raise ExportError(
            f"{path}: its description is of a file of kind {spec.target!r:.40}, found in one of"
            f" kind {file_kind(path)!r}; has it been renamed?"
        )
    return NetworkFile(path, spec, content=content)


def weights_digest(data: bytes) -> str:
    """The digest that ties an ``.xml`` file to its ``.bin``."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


_DAMAGE: Final = (
    ValueError,
    expat.ExpatError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a zip feature that Python does not know
    RecursionError,  # messages nested without end
    RuntimeError,  # a member that claims to be encrypted
)


class _UnpairedError(Exception):
    """The ``.bin`` file is not that of the ``.xml`` file."""


def _damaged(path: Path, error: Exception) -> ExportError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return ExportError(
        f"{path}: expected a file of `skelab export`, found one that is damaged or of another"
        f" kind: {reason}"
    )


def _onnx_description(content: Files) -> str | None:
    return read_onnx_entries(content[".onnx"]).get(METADATA_KEY)


def _openvino_description(content: Files) -> str | None:
    entries: dict[str, str] = {}
    above: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if above == ["net", "rt_info"]:
            entries[name] = attributes.get("value", "")
        above.append(name)

    def refuse(*declaration: object) -> None:
        raise ValueError("it declares entities, which could make it grow without bound")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: above.pop()
    parser.EntityDeclHandler = refuse
    parser.Parse(content[".xml"], True)
    written = entries.get(WEIGHTS_KEY)
    if written is not None and written != weights_digest(content[".bin"]):
        raise _UnpairedError
    return entries.get(METADATA_KEY)


def _torch_description(content: Files) -> str | None:
    """Read out of the archive without PyTorch, whose loader would run what is pickled in it."""
    with zipfile.ZipFile(io.BytesIO(content[".pt2"])) as archive:
        for name in archive.namelist():
            if name.endswith(f"/extra/{MEMBER}"):
                return archive.read(name).decode()
    return None


_DESCRIPTIONS: Final[Mapping[str, Callable[[Files], str | None]]] = {
    "onnx": _onnx_description,
    "openvino": _openvino_description,
    "torch": _torch_description,
}
