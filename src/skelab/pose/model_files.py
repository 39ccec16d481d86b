"""The files of pose models: where they are kept, how they are fetched, and that they are genuine.

No model comes with the lab. BlazePose's are data files inside packages of the public indexes, so
the user's own package client fetches those, by name and version; what comes out of them must have
the checksums that stand here.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Final

from skelab.errors import DataError, PoseError, unknown_name
from skelab.files.archives import is_archive, open_archive, read_member
from skelab.files.atomic import atomic_write
from skelab.files.reading import read_whole

INSTALL: Final = "pip install 'skeleton-action-lab[pose]'"

VARIANTS: Final = ("full", "lite", "heavy")
"""Sizes of the landmark model; ``full`` is the usual one."""

_LARGEST: Final = 64 << 20  # bytes of a file
_SECONDS: Final = 1800.0
_WHEEL: Final = "mediapipe==0.10.21"
_NPM: Final = "@mediapipe/pose@0.5.1675469404"
_IN_WHEEL: Final = "mediapipe/modules"
_IN_NPM: Final = "package"


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: What it is called in the cache and in its package.
        sha256: Of its content.
        package: The package that has it, as its client takes it.
        place: Its path in that package.
    """

    name: str
    sha256: str
    package: str
    place: str


DETECTOR: Final = ModelFile(
    "pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    _WHEEL,
    f"{_IN_WHEEL}/pose_detection/pose_detection.tflite",
)
LANDMARK: Final = {
    "full": ModelFile(
        "pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        _WHEEL,
        f"{_IN_WHEEL}/pose_landmark/pose_landmark_full.tflite",
    ),
    "lite": ModelFile(
        "pose_landmark_lite.tflite",
        "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
        _NPM,
        f"{_IN_NPM}/pose_landmark_lite.tflite",
    ),
    "heavy": ModelFile(
        "pose_landmark_heavy.tflite",
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
        _NPM,
        f"{_IN_NPM}/pose_landmark_heavy.tflite",
    ),
}
LICENCES: Final = {
    _WHEEL: ("mediapipe-0.10.21.dist-info/LICENSE", "LICENSE-mediapipe.txt"),
    _NPM: ("package/package.json", "LICENCE-mediapipe-pose.json"),
}
"""Of each package, what states its licence (Apache-2.0), and what that is called in the cache."""


@dataclass(frozen=True)
class PoseModelFiles:
    """The two models of BlazePose, checked.

    Attributes:
        variant: Size of the landmark model.
        detector: Content of the file.
        landmark: Likewise.
    """

    variant: str
    detector: bytes = field(repr=False)
    landmark: bytes = field(repr=False)

    @property
    def landmark_digest(self) -> str:
        """sha256 of the landmark model."""
        return hashlib.sha256(self.landmark).hexdigest()


def models_folder() -> Path:
    """Where models are kept: ``SKELAB_MODELS``, or ``skelab/models`` in the user's cache."""
    if own := os.environ.get("SKELAB_MODELS"):
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "skelab" / "models"


def load_pose_models(variant: str = "full", folder: Path | None = None) -> PoseModelFiles:
    """The models out of the cache, their checksums verified.

    Args:
        variant: Size of the landmark model.
        folder: Where they are; None for the cache.

    Raises:
        PoseError: There is no such variant, or a file is missing or another.
    """
    files = _files_of(variant)
    folder = _pose_folder(folder)
    content = []
    for file in files:
        path = folder / file.name
        try:
            found = read_whole(path, largest=_LARGEST)
        except OSError as error:
            option = "" if variant == "full" else f" --variant {variant}"
            raise PoseError(
                f"{path}: cannot be read ({error.strerror}); `skelab models fetch pose{option}`"
                " fetches it"
            ) from None
        _verify(file, found, str(path))
        content.append(found)
    return PoseModelFiles(variant, *content)


def fetch_pose_models(
    variant: str = "full",
    *,
    source: Path | None = None,
    folder: Path | None = None,
    on_message: Callable[[str], None] = lambda _: None,
) -> tuple[Path, ...]:
    """Put the models of BlazePose into the cache, with the text of their licence.

    Without ``source`` the packages are downloaded by pip, and by npm for the sizes ``lite`` and
    ``heavy``, from whatever index these are set up for; nothing is installed.

    Args:
        variant: Size of the landmark model.
        source: Where the files are already: a folder, the wheel, or the package of npm.
        folder: Where to put them; None for the cache.
        on_message: Called with a line before each download.

    Returns:
        The files that are there now.

    Raises:
        PoseError: There is no such variant, a download fails, or a file is missing or another.
        OutputError: The cache cannot be written.
    """
    files = _files_of(variant)
    folder = _pose_folder(folder)
    if source is not None:
        return _keep_all(files, Path(source), folder)
    wanted = [file for file in files if not _is_kept(file, folder)]
    with tempfile.TemporaryDirectory(prefix="skelab-models-") as temporary:
        for package in dict.fromkeys(file.package for file in wanted):
            on_message(f"downloading {package}")
            archive = _download(package, Path(temporary))
            some = [file for file in wanted if file.package == package]
            _keep_all(some, archive, folder)
    return tuple(folder / file.name for file in files)


def _files_of(variant: str) -> tuple[ModelFile, ModelFile]:
    if variant not in LANDMARK:
        raise PoseError(unknown_name("size of the pose model", variant, VARIANTS))
    return DETECTOR, LANDMARK[variant]


def _pose_folder(folder: Path | None) -> Path:
    return Path(folder) if folder is not None else models_folder() / "pose"


def _is_kept(file: ModelFile, folder: Path) -> bool:
    try:
        content = read_whole(folder / file.name, largest=_LARGEST)
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest() == file.sha256


def _keep_all(files: Sequence[ModelFile], source: Path, folder: Path) -> tuple[Path, ...]:
    """Write files and licences into the cache, each checked before; returns the files."""
    kept = []
    for file in files:
        content = _read_from(source, file.name, file.place)
        _verify(file, content, file.name)
        kept.append(_keep(folder / file.name, content))
    for package in dict.fromkeys(file.package for file in files):
        place, name = LICENCES[package]
        try:
            _keep(folder / name, _read_from(source, name, place))
        except PoseError:
            continue  # a folder of models alone
    return tuple(kept)


def _keep(path: Path, content: bytes) -> Path:
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return path


def _verify(file: ModelFile, content: bytes, where: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise PoseError(
            f"{where}: expected the model of {file.package} (sha256 {file.sha256[:12]}…), found"
            f" another file (sha256 {found[:12]}…)"
        )


def _read_from(source: Path, name: str, place: str) -> bytes:
    """A file out of a folder, a wheel or a package of npm."""
    if not source.exists():
        raise PoseError(f"{source}: there is no such file or folder")
    try:
        if source.is_dir():
            near = [path for path in (source / name, source / place) if path.is_file()]
            if not near:
                raise PoseError(f"{source}: expected a file {name}, found none")
            return read_whole(near[0], largest=_LARGEST)
        if is_archive(source):
            with open_archive(source) as archive:
                return read_member(archive, place, _LARGEST)
        with tarfile.open(fileobj=io.BytesIO(read_whole(source))) as packed:
            member = packed.getmember(place)
            content = packed.extractfile(member) if member.size <= _LARGEST else None
            if content is None:
                raise PoseError(f"{source}: expected a file {place}, found another thing")
            return content.read()
    except (DataError, OSError, KeyError, tarfile.TarError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise PoseError(f"{source}: {place} cannot be taken out of it: {reason}") from None


def _download(package: str, folder: Path) -> Path:
    """The archive of a package, downloaded by its client and not installed."""
    if package == _WHEEL:
        # Data files are the same in the wheels of all platforms: one of them is named.
        target = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
        target += ["--platform", "manylinux_2_28_x86_64", "--only-binary", ":all:"]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        command = [*pip, "download", "--no-deps", *target, "--dest", str(folder), package]
        pattern = "*.whl"
    else:
        npm = which("npm")
        if npm is None:
            raise PoseError(
                f"{package}: comes with npm, which is not installed; the model in size full needs"
                " pip only, and --from takes a package that is there"
            )
        command = [npm, "pack", "--ignore-scripts", "--pack-destination", str(folder), package]
        pattern = "*.tgz"
    try:
        done = subprocess.run(  # noqa: S603 - a package client, and names of ours
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
        reason = (done.stderr.strip().splitlines() or ["it did not say why"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"it took more than {_SECONDS:,.0f} s"
    found = sorted(folder.glob(pattern))
    if not found:
        raise PoseError(
            f"{package}: cannot be downloaded: {reason}; --from takes the package, or a folder with"
            " the model files"
        )
    return found[0]
