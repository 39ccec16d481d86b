"""Model files: fetched by a package client or taken from where they are, and always verified."""

import hashlib
import io
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skelab.errors import PoseError
from skelab.pose import model_files
from skelab.pose.model_files import (
    DETECTOR,
    LANDMARK,
    LICENCES,
    fetch_pose_models,
    load_pose_models,
    models_folder,
)

CONTENT = {"detector": b"a detector", "full": b"landmarks", "lite": b"light landmarks"}


@pytest.fixture(autouse=True)
def made_up_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small files in place of the real models, and a cache of the test's own."""

    def named(file: Any, content: bytes) -> Any:
        return replace(file, sha256=hashlib.sha256(content).hexdigest())

    monkeypatch.setattr(model_files, "DETECTOR", named(DETECTOR, CONTENT["detector"]))
    landmark = {name: named(LANDMARK[name], CONTENT[name]) for name in ("full", "lite")}
    monkeypatch.setattr(model_files, "LANDMARK", landmark)
    monkeypatch.setenv("SKELAB_MODELS", str(tmp_path / "cache"))


def a_wheel(path: Path, **changes: bytes) -> Path:
    """A wheel with two models and a licence."""
    content = {**CONTENT, **changes}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(DETECTOR.place, content["detector"])
        archive.writestr(LANDMARK["full"].place, content["full"])
        archive.writestr(LICENCES[DETECTOR.package][0], "Apache License")
    return path


def a_package(path: Path) -> Path:
    """A package of npm with a model."""
    with tarfile.open(path, "w:gz") as archive:
        members = {LANDMARK["lite"].place: CONTENT["lite"], "package/package.json": b"{}"}
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_models_are_taken_out_of_a_wheel_with_the_licence(tmp_path: Path) -> None:
    kept = fetch_pose_models(source=a_wheel(tmp_path / "a.whl"))

    folder = models_folder() / "pose"
    assert kept == (folder / DETECTOR.name, folder / LANDMARK["full"].name)
    assert (folder / "LICENSE-mediapipe.txt").read_text() == "Apache License"
    loaded = load_pose_models()
    assert (loaded.detector, loaded.landmark) == (CONTENT["detector"], CONTENT["full"])
    assert loaded.landmark_digest == hashlib.sha256(CONTENT["full"]).hexdigest()


def test_models_are_taken_out_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / DETECTOR.name).write_bytes(CONTENT["detector"])
    (tmp_path / LANDMARK["lite"].name).write_bytes(CONTENT["lite"])

    fetch_pose_models("lite", source=tmp_path)

    assert load_pose_models("lite").landmark == CONTENT["lite"]


def test_each_package_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(package: str, folder: Path) -> Path:
        asked.append(package)
        make = a_package if "@" in package[:1] else a_wheel
        return make(folder / "archive")

    monkeypatch.setattr(model_files, "_download", download)
    said: list[str] = []

    fetch_pose_models("full", on_message=said.append)
    fetch_pose_models("lite", on_message=said.append)
    fetch_pose_models("lite", on_message=said.append)

    assert asked == ["mediapipe==0.10.21", "@mediapipe/pose@0.5.1675469404"]
    assert said == [f"downloading {package}" for package in asked]
    assert load_pose_models("lite").variant == "lite"


def test_another_file_is_refused_and_not_kept(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path / "a.whl", full=b"something else")

    with pytest.raises(
        PoseError,
        match=r"pose_landmark_full\.tflite: expected the model of "
        r"mediapipe==0\.10\.21 \(sha256 \w{12}…\), found another file",
    ):
        fetch_pose_models(source=wheel)
    assert not (models_folder() / "pose" / LANDMARK["full"].name).exists()


def test_a_file_that_was_changed_in_the_cache_is_refused(tmp_path: Path) -> None:
    fetch_pose_models(source=a_wheel(tmp_path / "a.whl"))
    (models_folder() / "pose" / DETECTOR.name).write_bytes(b"changed")

    with pytest.raises(PoseError, match=r"pose_detection\.tflite: expected the model of"):
        load_pose_models()


def test_missing_models_say_what_fetches_them() -> None:
    with pytest.raises(PoseError, match=r"`skelab models fetch pose --variant lite` fetches it"):
        load_pose_models("lite")


def test_an_unknown_size_lists_the_known() -> None:
    with pytest.raises(PoseError, match=r"unknown size of the pose model 'fulll', did you mean"):
        fetch_pose_models("fulll")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.whl", b"PK\x03\x04 and no more", "cannot be taken out of it: .*damaged or was cut off"),
        ("a.tgz", b"no archive", "cannot be taken out of it"),
        ("none", None, "there is no such file or folder"),
    ],
)
def test_other_sources_are_refused(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(PoseError, match=said) as caught:
        fetch_pose_models(source=tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_without_the_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoseError, match=r"expected a file pose_detection\.tflite, found none"):
        fetch_pose_models(source=tmp_path)


def test_a_download_that_fails_says_why_and_what_else_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(command: list[str], **_: Any) -> Any:
        assert command[1:3] == ["-m", "pip"]
        assert "--no-deps" in command
        assert command[-1] == "mediapipe==0.10.21"
        return subprocess.CompletedProcess(command, 1, "", "x\nERROR: no such host\n")

    monkeypatch.setattr(subprocess, "run", fail)

    with pytest.raises(
        PoseError,
        match=r"mediapipe==0\.10\.21: cannot be downloaded: ERROR: no "
        r"such host; --from takes the package",
    ):
        fetch_pose_models()


def test_without_npm_the_message_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetch_pose_models(source=a_wheel(tmp_path / "a.whl"))
    monkeypatch.setattr(model_files, "which", lambda name: None)

    with pytest.raises(PoseError, match="comes with npm, which is not installed"):
        fetch_pose_models("lite")


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SKELAB_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert models_folder() == tmp_path / "skelab" / "models"
