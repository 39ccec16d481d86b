"""What pyproject.toml cannot say yet: compiled kernels, which the installation can do without.

They use Python's stable interface, so one build serves every Python from 3.11 on, and nothing of
the machine that they are built on beyond its kind of processor.
"""

from setuptools import Extension, setup

STABLE_SINCE = "0x030B0000"  # Python 3.11
FLAGS = ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-ffp-contract=off"]
HEADERS = ("skeleton_walk", "column_variances", "numpy_sum")

setup(
    ext_modules=[
        Extension(
            f"skelab.native._{name}",
            [f"src/skelab/native/{name}.cpp"],
            depends=[f"src/skelab/native/{header}.h" for header in HEADERS],
            define_macros=[("Py_LIMITED_API", STABLE_SINCE)],
            extra_compile_args=FLAGS,
            language="c++",
            optional=True,  # without a compiler, Python and torch do all
            py_limited_api=True,
        )
        for name in ("skeleton_text", "ctrgcn", "variance", "resample")
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
