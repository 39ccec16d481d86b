"""What can be known of the images without building one: see build_and_test.sh for the rest."""

import os
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
SERVICES = ("fit", "demo", "train", "evaluate")


@pytest.fixture
def dockerfile(repository: Path) -> list[str]:
    """The instructions of the Dockerfile, each on one line, without comments."""
    text = (repository / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [line for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines() if line]


@pytest.fixture
def compose(repository: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((repository / "compose.yaml").read_text())
    return read


def defaults(dockerfile: list[str]) -> dict[str, str]:
    """The arguments that have a default; where one stands in several stages they agree."""
    found: dict[str, str] = {}
    for line in dockerfile:
        if line.startswith("ARG ") and "=" in line:
            name, _, value = line.removeprefix("ARG ").partition("=")
            assert found.setdefault(name, value) == value, name
    return found


def stage(dockerfile: list[str], name: str) -> list[str]:
    """The instructions of a stage."""
    start = next(i for i, line in enumerate(dockerfile) if line.endswith(f" AS {name}"))
    rest = dockerfile[start + 1 :]
    stop = next((i for i, line in enumerate(rest) if line.startswith("FROM ")), len(rest))
    return rest[:stop]


# The Dockerfile


def test_the_variants_are_sets_of_arguments(dockerfile: list[str]) -> None:
    given = defaults(dockerfile)

    assert {"BASE_IMAGE", "BUILD_IMAGE", "TORCH_SPEC", "WITH_APEX", "APEX_REF"} <= given.keys()
    assert given["TORCH_SPEC"] == "torch==2.3.1"
    assert given["APEX_REF"] == "24.04.01"
    assert "FROM apex-${WITH_APEX} AS apex" in dockerfile


def test_what_is_built_on_is_pinned_by_digest_and_apex_by_commit(dockerfile: list[str]) -> None:
    given = defaults(dockerfile)

    for name in ("BASE_IMAGE", "BUILD_IMAGE"):
        assert DIGEST.search(given[name]), name
    assert re.fullmatch(r"[0-9a-f]{40}", given["APEX_COMMIT"])


def test_every_stage_stands_on_a_pinned_image_or_on_another_stage(dockerfile: list[str]) -> None:
    froms = [line.split() for line in dockerfile if line.startswith("FROM ")]
    known = {"${BASE_IMAGE}", "${BUILD_IMAGE}", "apex-${WITH_APEX}"}

    for _, base, _, name in froms:
        assert base in known, base
        known.add(name)

    assert froms[-1][3] == "runtime"


def test_the_image_is_that_of_a_command_for_a_user_who_is_not_root(dockerfile: list[str]) -> None:
    runtime = stage(dockerfile, "runtime")

    assert 'ENTRYPOINT ["tini", "--", "skelab"]' in runtime
    assert "USER 1000:1000" in runtime
    assert 'VOLUME ["/workspace/data", "/workspace/work_dir"]' in runtime
    assert any(line.startswith("HEALTHCHECK ") for line in runtime)
    assert any("org.opencontainers.image.licenses=" in line for line in runtime)


def test_layers_that_change_least_come_first(dockerfile: list[str]) -> None:
    libraries = stage(dockerfile, "libraries")
    order = [
        next(i for i, line in enumerate(libraries) if wanted in line)
        for wanted in ('"${TORCH_SPEC}"', "COPY pyproject.toml", "--requirement")
    ]

    assert order == sorted(order)
    assert not any("COPY src" in line or "COPY . ." in line for line in libraries)


def test_no_heredocs_and_a_cache_for_every_download(dockerfile: list[str]) -> None:
    for line in dockerfile:
        assert "<<" not in line
        if "pip install" in line and "--no-index" not in line:
            assert "--mount=type=cache" in line, line


def test_no_index_of_packages_is_named(repository: Path) -> None:
    names = ("Dockerfile", "compose.yaml", "cluster/skelab.def", "tests/image/build_and_test.sh")
    text = "".join((repository / name).read_text() for name in names)

    assert re.findall(r"https?://\S+", text) == ["https://github.com/NVIDIA/apex.git"]


def test_the_image_has_the_python_that_the_package_asks_for(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]

    assert project["requires-python"] == ">=3.11"
    assert "python3.11" in (repository / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-oldest.txt"])
def test_the_torch_of_a_variant_is_that_of_its_constraints(repository: Path, name: str) -> None:
    text = (repository / "compose.yaml").read_text()
    pinned = re.search(r"^torch==(\S+)$", (repository / name).read_text(), flags=re.MULTILINE)
    assert pinned

    given = re.search(rf"TORCH_SPEC: torch==(\S+)\n\s+CONSTRAINTS: {re.escape(name)}\n", text)

    assert given
    assert given[1].split("+")[0] == pinned[1]


def test_the_makefile_and_compose_build_the_same_variants(
    repository: Path, compose: dict[str, Any]
) -> None:
    makefile = (repository / "Makefile").read_text().replace("\\\n", " ")
    cpu = next(line for line in makefile.splitlines() if "--tag $(IMAGE):cpu" in line)

    for name, value in compose["x-cpu"]["build"]["args"].items():
        if not name.startswith("PIP_"):
            assert f"--build-arg {name}={value}" in re.sub(r" +", " ", cpu), name


# compose.yaml


def test_each_service_runs_its_command_with_and_without_a_gpu(compose: dict[str, Any]) -> None:
    services = compose["services"]

    assert sorted(services) == sorted([*SERVICES, *(f"{name}-cpu" for name in SERVICES)])
    for name in SERVICES:
        on_gpu, on_cpu = services[name], services[f"{name}-cpu"]
        assert on_gpu["command"][0] == on_cpu["command"][0] == name
        (device,) = on_gpu["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
        assert "deploy" not in on_cpu
        for service in (on_gpu, on_cpu):
            assert service["shm_size"] == "${SHM_SIZE:-8gb}"
            assert service["ipc"] == "${IPC:-private}"
            targets = [volume.rpartition("}:")[2] for volume in service["volumes"]]
            assert targets == ["/workspace/data:ro", "/workspace/work_dir"]


# .dockerignore


def sent(repository: Path, path: str) -> bool:
    """Whether a file goes to the engine: the last pattern that covers it decides."""
    verdict = True
    for line in (repository / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern, keeps = line.removeprefix("!"), line.startswith("!")
        parents = [str(parent) for parent in [PurePosixPath(path), *PurePosixPath(path).parents]]
        anywhere = pattern.removeprefix("**/")
        if any(fnmatch(each, pattern) and "/" not in each for each in parents) or (
            anywhere != pattern
            and any(fnmatch(PurePosixPath(each).name, anywhere) for each in parents)
        ):
            verdict = keeps
    return verdict


@pytest.mark.parametrize(
    "path",
    [
        "NTU60_CS.npz",
        "data/NTU60_CS.npz",
        "nturgb+d_skeletons/S001C001P001R001A001.skeleton",
        "store.arrow",
        "work_dir/run/checkpoints/best.safetensors",
        "runs/first/recipe.yaml",
        "demo/run/report.html",
        ".venv/bin/python",
        ".venv-oldest/bin/python",
        ".git/config",
        ".env",
        "src/skelab/.env",
        "src/skelab/native/_ctrgcn.abi3.so",
        "src/skelab/__pycache__/errors.cpython-311.pyc",
        "site/index.html",
    ],
)
def test_data_runs_and_environments_never_reach_the_engine(path: str, repository: Path) -> None:
    assert not sent(repository, path)


@pytest.mark.parametrize(
    "path",
    [
        "pyproject.toml",
        "setup.py",
        "constraints.txt",
        "constraints-oldest.txt",
        "README.md",
        "LICENSE",
        "src/skelab/errors.py",
        "src/skelab/recipes/ctrgcn.yaml",
        "src/skelab/native/ctrgcn.cpp",
        "tests/golden/golden_weights.py",
        "docs/index.md",
        "cluster/train.sbatch",
        ".ci/run",
        ".pre-commit-config.yaml",
    ],
)
def test_what_the_image_and_its_tests_need_reaches_the_engine(path: str, repository: Path) -> None:
    assert sent(repository, path)
    assert (repository / path).is_file()


# Clusters

STUBS = {
    "scontrol": "echo first; echo second",
    "apptainer": 'printf "%s\\n" "--$SLURM_NODEID" "$@"',
    "srun": 'shift; for n in $(seq 0 $((SLURM_NNODES - 1))); do SLURM_NODEID=$n "$@"; done',
}


def submit(repository: Path, folder: Path, *words: str, **given: str) -> Any:
    """Carry out the SLURM script where programs that print what they are given stand in."""
    for name, script in STUBS.items():
        stub = folder / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(f"#!/usr/bin/env bash\n{script}\n")
        stub.chmod(0o755)
    environment = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "DATA": "/ntu",
        "RUNS": str(folder),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "first,second",
        "SLURM_NNODES": "2",
        "SLURM_GPUS_ON_NODE": "4",
        "SLURM_CPUS_PER_TASK": "8",
        **given,
    }
    script = str(repository / "cluster/train.sbatch")
    return subprocess.run(
        ["bash", script, *words], env=environment, capture_output=True, text=True, check=False
    )


def test_each_machine_of_a_job_starts_its_part_of_one_run(repository: Path, tmp_path: Path) -> None:
    done = submit(repository, tmp_path, "ctrgcn", "--out", "run", "--set", "seeds=1")

    assert done.returncode == 0, done.stderr
    machines = done.stdout.split("--1\n")
    assert len(machines) == 2
    for rank, said in enumerate(machines):
        words = said.split()
        assert words[words.index("--machine_rank") + 1] == str(rank)
        assert words[words.index("--num_processes") + 1] == "8"
        assert words[words.index("--main_process_ip") + 1] == "first"
        assert words[words.index("--main_process_port") + 1] == "20007"
        assert "--multi_gpu" in words
        assert f"/ntu:/workspace/data:ro,{tmp_path}:/workspace/work_dir" in words
        assert said.endswith("--module\nskelab\ntrain\nctrgcn\n--out\nrun\n--set\nseeds=1\n")


def test_one_gpu_is_no_group_of_processes(repository: Path, tmp_path: Path) -> None:
    done = submit(
        repository, tmp_path, "ctrgcn", "--out", "run", SLURM_NNODES="1", SLURM_GPUS_ON_NODE="1"
    )

    assert done.returncode == 0, done.stderr
    assert "--multi_gpu" not in done.stdout


def test_a_job_that_was_put_back_goes_on(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").touch()

    done = submit(repository, tmp_path, "ctrgcn", "--out", "run")

    assert done.stdout.split()[-1] == "--resume"


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (["ctrgcn"], {}, "expected --out, found none"),
        (["ctrgcn", "--out", "run"], {"DATA": ""}, "expected the folder of the recordings"),
        (["ctrgcn", "--out", "run"], {"RUNS": ""}, "expected the folder of the runs"),
    ],
)
def test_a_job_that_lacks_something_ends_at_once(
    words: list[str], given: dict[str, str], said: str, repository: Path, tmp_path: Path
) -> None:
    done = submit(repository, tmp_path, *words, **given)

    assert done.returncode != 0
    assert said in done.stderr
    assert not done.stdout
