"""What an exported file says of itself survives the trip, and nothing else is believed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from skelab.errors import ExportError
from skelab.export import ExportReport
from skelab.inference import NetworkSpec, read_checkpoint
from skelab.models import FamilyTraits, get_card


def test_the_description_is_read_back_as_it_was_written(checkpoint: Path) -> None:
    described = NetworkSpec.of_checkpoint(read_checkpoint(checkpoint))
    described = replace(
        described, target="onnx", precision="int8", calibration={"store": "ab", "clips": 3}
    )

    text = described.to_json()

    assert "\n" not in text
    assert NetworkSpec.from_json(text, "net.onnx") == described


def test_a_file_alone_says_all_that_a_user_of_it_must_know(
    exports: dict[str, ExportReport], checkpoint: Path
) -> None:
    trained = read_checkpoint(checkpoint)

    content = json.loads(exports["onnx"].spec.to_json())

    assert content["inputs"]["classes"] == list(trained.inputs.classes)
    assert content["inputs"]["pipeline"] == "as-given"
    assert content["inputs"]["units"] == "metres"
    assert content["inputs"]["dataset"] == "made-up"
    assert content["inputs"]["synthetic"] is True
    assert content["inputs"]["feeder"]["window"] == 8
    assert content["inputs"]["feeder"]["eval_crop"] == 0.95
    assert content["model"]["layout"]["joints"] == list(trained.model.layout.joints)
    assert content["title"] == "Tiny network"
    assert content["checkpoint"] == trained.digest
    assert content["input"]["axes"] == ["clips", "channels", "frames", "joints", "bodies"]
    assert {"skelab", "torch", "onnx", "opset"} <= set(content["versions"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "invalid JSON: EOF while parsing"),
        ("[]", "fault"),
        ('{"format": 3}', "expected format 1 or 2, found 3"),
        ('{"format": 1, "input": 0, "output": 0}', "model: expected, found nothing"),
    ],
)
def test_another_description_is_refused(text: str, reason: str) -> None:
    with pytest.raises(
        ExportError, match=r"net.onnx: expected the description that `skelab"
    ) as error:
        NetworkSpec.from_json(text, "net.onnx")

    assert reason in str(error.value)


def test_the_lengths_of_a_graph_are_those_of_the_family_from_8_frames_on(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traits = FamilyTraits(frames_multiple_of=4, min_frames=4, max_frames=40)
    monkeypatch.setattr(
        "skelab.inference.spec.get_card", lambda name: replace(get_card(name), traits=traits)
    )

    described = NetworkSpec.of_checkpoint(read_checkpoint(checkpoint))

    assert described.traits == traits
    assert replace(described, target="onnx").lengths == replace(traits, min_frames=8)
    assert NetworkSpec.from_json(described.to_json(), "net.onnx").traits == traits


def test_a_description_of_before_the_lengths_had_limits_is_read(checkpoint: Path) -> None:
    described = NetworkSpec.of_checkpoint(read_checkpoint(checkpoint))
    content = json.loads(described.to_json())
    del content["min_frames"], content["max_frames"]

    assert NetworkSpec.from_json(json.dumps(content), "net.onnx") == described


def test_a_family_that_is_not_known_here_keeps_its_name(checkpoint: Path) -> None:
    trained = read_checkpoint(checkpoint)

    described = NetworkSpec.of_checkpoint(
        replace(trained, model=replace(trained.model, name="somebody-elses"))
    )

    assert described.title == "somebody-elses"
    assert described.frames_multiple_of == 1
