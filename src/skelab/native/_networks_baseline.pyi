from typing import Any

LANES: int

def make_program(
    precision: str,
    channels: int,
    joints: int,
    tensors: tuple[tuple[int, int, int, int], ...],
    steps: tuple[tuple[str, tuple[int, ...], tuple[Any, ...]], ...],
    /,
) -> object: ...
def run_program(
    program: object,
    clips: Any,
    shape: tuple[int, ...],
    rows: Any,
    out: Any,
    threads: int,
    /,
) -> None: ...
def count_outputs(program: object, frames: int, /) -> int: ...
def find_present(clips: Any, shape: tuple[int, ...], /) -> bytearray: ...
def measure_peak() -> float: ...
def list_supported() -> tuple[bool, bool, bool]: ...
