"""`skelab doctor`: what is installed here, what is missing, and what that would gain."""

import platform
import re
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Annotated, Any, Final

import typer

from skelab._version import __version__
from skelab.cli.output import print_json, print_pairs, print_table, result

_PACKAGE: Final = "skeleton-action-lab"
_SHOWN: Final = ("torch", "numpy", "pyarrow", "scipy", "accelerate")
_GAINS: Final = {
    "export": "ONNX and OpenVINO files, and the runtimes that compute them",
    "pictures": "image descriptors beside skeletons",
    "pose": "skeletons from videos",
    "search": "search for settings in studies",
    "slurm": "studies on a cluster",
    "video": "films of clips",
}
_EXTRA: Final = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")


@dataclass(frozen=True)
class Extra:
    """An optional part of the installation.

    Attributes:
        name: What stands in brackets behind the package's name.
        installed: Its packages that are here, with their versions.
        missing: Its packages that are not.
        gain: What it makes possible.
    """

    name: str
    installed: dict[str, str]
    missing: tuple[str, ...]
    gain: str

    @property
    def state(self) -> str:
        """Whether it is installed, and what of it is missing."""
        if self.missing:
            return f"missing {', '.join(self.missing)}"
        return "yes" if self.installed else "unknown"


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """Say what is installed, what this machine has, what is missing, and what that would gain.

    Nothing in it names a person, a machine or a folder: paste it into an issue as it is.
    """
    machine, kernels, extras = _machine(), _kernels(), list_extras()
    versions = {"skelab": __version__, "python": platform.python_version()}
    versions |= {name: _version(name) or "missing" for name in _SHOWN}
    if as_json:
        print_json(
            {
                "versions": versions,
                "machine": machine,
                "kernels": kernels,
                "extras": [asdict(extra) for extra in extras],
            }
        )
        return
    shown = ", ".join(f"{name} {found}" for name, found in versions.items())
    facts = {name: str(fact) for name, fact in machine.items()}
    print_pairs({"versions": shown, **facts, **kernels})
    rows = [(extra.name, extra.state, extra.gain) for extra in extras]
    print_table(["extra", "installed", "what for"], rows, title="optional parts")
    absent = ",".join(extra.name for extra in extras if extra.missing)
    if absent:
        result(f"next: pip install '{_PACKAGE}[{absent}]'")


def list_extras() -> list[Extra]:
    """The optional parts of the installation, by the package's own metadata."""
    wanted: dict[str, list[str]] = {name: [] for name in _GAINS}
    for line in _requirements():
        found = _EXTRA.search(line)
        if found and found[1] in wanted:
            wanted[found[1]].append(re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0])
    extras = []
    for name, packages in wanted.items():
        versions = {package: _version(package) for package in packages}
        installed = {package: found for package, found in versions.items() if found}
        missing = tuple(package for package in packages if package not in installed)
        extras.append(Extra(name, installed, missing, _GAINS[name]))
    return extras


def _requirements() -> list[str]:
    try:
        return metadata.requires(_PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from its source
        return []


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    """The facts of the machine that bear on speed and memory."""
    from skelab.host.probe import probe

    found = probe()
    gpus = [f"{gpu.name}, {gpu.memory_total / 2**30:.0f} GiB" for gpu in found.gpus]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": found.processor,
        "cores": found.usable_cores,
        "instructions": ", ".join(found.instructions) or "none that networks gain from",
        "memory": f"{found.memory_total / 2**30:.1f} GiB, {found.usable_memory / 2**30:.1f} free",
        "GPU": "; ".join(gpus) or "none",
    }


def _kernels() -> dict[str, str]:
    """Which compiled kernels are there, and which of them compute."""
    from skelab.errors import NetworkError
    from skelab.native import available, can_prepare
    from skelab.native.networks import built_instruction_sets, get_kernels

    missing = "not compiled; with a C++17 compiler, install the package again from its source"
    reading = can_prepare() and available()
    try:
        networks = f"{get_kernels().name}, of {', '.join(built_instruction_sets())}"
    except NetworkError as error:
        networks = str(error) if built_instruction_sets() else f"{missing}: PyTorch computes"
    return {
        "kernels for reading": "compiled" if reading else f"{missing}: reading takes longer",
        "kernels for networks": networks,
    }
