"""What pyproject.toml cannot say yet: compiled kernels, which the installation can do without.

They use Python's stable interface, so one build serves every Python from 3.11 on, and nothing of
the machine that they are built on beyond its kind of processor.
"""

import os
import platform
from pathlib import Path

from setuptools import Extension, setup

STABLE_SINCE = "0x030B0000"  # Python 3.11
SOURCES = Path("src/skelab/native")
FLAGS = ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden"]
SAME_BITS = ["-ffp-contract=off"]  # as numpy computes: no multiplication fused with an addition
FAST = ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-O1", "-g1"]
SANITIZE = SANITIZED if os.environ.get("SKELAB_SANITIZE") else []  # `make sanitize`
INSTRUCTION_SETS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": [
        "-mavx2", "-mfma", "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq",
        "-mprefer-vector-width=512",
    ],
}  # fmt: skip
INSTRUCTION_SETS["avx512bf16"] = [*INSTRUCTION_SETS["avx512"], "-mavx512bf16"]


def kernel(name: str, source: str, flags: list[str], headers: list[str]) -> Extension:
    """A kernel that the installation can do without."""
    return Extension(
        f"skelab.native._{name}",
        [str(SOURCES / source)],
        depends=headers,
        define_macros=[("Py_LIMITED_API", STABLE_SINCE)],
        extra_compile_args=FLAGS + flags + SANITIZE,
        extra_link_args=SANITIZE[:1],
        language="c++",
        optional=True,  # without a compiler, Python and torch do all
        py_limited_api=True,
    )


def headers_in(folder: Path) -> list[str]:
    """The headers that a change of asks for another build."""
    return [str(header) for header in sorted(folder.glob("*.h"))]


is_x86 = platform.machine().lower() in ("x86_64", "amd64")
setup(
    ext_modules=[
        kernel(name, f"{name}.cpp", SAME_BITS, headers_in(SOURCES))
        for name in ("skeleton_text", "ctrgcn", "variance", "resample")
    ]
    + [
        kernel(
            f"networks_{name}",
            f"networks/{name}.cpp",
            FAST + flags,
            headers_in(SOURCES / "networks"),
        )
        for name, flags in INSTRUCTION_SETS.items()
        if is_x86 or name == "baseline"
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
