"""Engines by name: which files each runs, and whether its package is installed."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from jaxtyping import Float32
from numpy import ndarray

from skelab.errors import NetworkError, unknown_name
from skelab.inference.files import NetworkFile

FASTEST: Final = "fastest"
"""What to ask for instead of an engine's name to get the fastest that gives the same answer."""

Forward = Callable[[Float32[ndarray, "N C T V M"]], Float32[ndarray, "N ..."]]
"""A network that is ready to compute: clips in, logits out."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine computes.

    Attributes:
        threads: Threads; None leaves it to the engine. PyTorch has one number for the process.
        precision: ``fp32`` or ``bf16``.
    """

    threads: int | None = None
    precision: str = "fp32"


@dataclass(frozen=True)
class Engine:
    """What computes a network.

    Attributes:
        name: Its name.
        package: The module that must be importable.
        install: The command that installs it.
        kinds: Kinds of files that it runs.
        preferred_for: Those of them that it runs unless another engine is asked for.
        precisions: Number formats that it computes in.
        prepare: Imports the package; what is measured afterwards is the network's own.
        load: Makes a network ready to compute.
        is_fastest_for: Whether it computes this network faster than the preferred engine here, and
            as exactly.
    """

    name: str
    package: str
    install: str
    kinds: tuple[str, ...]
    preferred_for: tuple[str, ...]
    precisions: tuple[str, ...]
    prepare: Callable[[], Any]
    load: Callable[[NetworkFile, EngineOptions], Forward]
    is_fastest_for: Callable[[NetworkFile], bool] = lambda file: False

    @property
    def is_installed(self) -> bool:
        """Whether its package is there; nothing is imported."""
        return find_spec(self.package) is not None

    @property
    def missing(self) -> str:
        """What to say where it is not installed."""
        return f"{self.package} is not installed: {self.install}"


_ENGINES: Final[dict[str, Engine]] = {}


def register_engine(engine: Engine) -> None:
    """Enter an engine under its name.

    Raises:
        NetworkError: The name is taken.
    """
    if engine.name in _ENGINES:
        raise NetworkError(f"engine name {engine.name!r} is taken; choose another")
    _ENGINES[engine.name] = engine


def get_engine(name: str) -> Engine:
    """The engine called ``name``.

    Raises:
        NetworkError: There is no such engine; the message lists those that there are.
    """
    if name not in _ENGINES:
        raise NetworkError(unknown_name("engine", name, _ENGINES))
    return _ENGINES[name]


def list_engines(kind: str | None = None) -> tuple[Engine, ...]:
    """All engines, or those that run a kind of file, the preferred one first."""
    running = [engine for engine in _ENGINES.values() if kind is None or kind in engine.kinds]
    return tuple(sorted(running, key=lambda each: (kind not in each.preferred_for, each.name)))


def choose_engine(file: NetworkFile, name: str | None) -> Engine:
    """The engine that opens a file: the one that is asked for, or the preferred one.

    Where the preferred engine is not installed, another one that runs the file is taken.

    Args:
        file: The network.
        name: What was asked for: an engine, ``fastest``, or None for the preferred one.

    Raises:
        NetworkError: The engine is unknown, is not installed, or does not run such files.
    """
    running = list_engines(file.kind)
    if file.spec.fusion is not None:  # the others take no side-cars
        running = tuple(engine for engine in running if engine.name == "torch")
    installed = [engine for engine in running if engine.is_installed]
    preferred = installed[0] if installed else running[0]
    if name is None:
        return preferred
    if name == FASTEST:
        return next((engine for engine in installed if engine.is_fastest_for(file)), preferred)
    engine = get_engine(name)
    if engine not in running:
        known = ", ".join(each.name for each in running)
        raise NetworkError(
            f"{file.path}: engine {name} does not run files of kind {file.kind}; expected: {known}"
        )
    return engine


def load_network(file: NetworkFile, engine: Engine, options: EngineOptions) -> Forward:
    """Make a network ready to compute.

    Raises:
        NetworkError: The engine is not installed, or does not compute in the precision.
        ExportError: The file is damaged.
        CheckpointError: The weights do not fit the network.
    """
    if not engine.is_installed:
        raise NetworkError(f"{file.path}: engine {engine.name}: {engine.missing}")
    if options.precision not in engine.precisions:
        raise NetworkError(
            f"{file.path}: engine {engine.name} computes in {', '.join(engine.precisions)}, found"
            f" {options.precision!r}"
        )
    engine.prepare()
    return engine.load(file, options)
