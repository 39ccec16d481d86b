"""`skelab export` and `skelab predict`: one line if something is wrong, a table or JSON if not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import Outcome, SmallSet
from export_kit import family_checkpoint, skip_without_export
from tiny_run import enter_tiny_family

from skelab.cli.main import run
from skelab.skeleton import get_layout
from skelab.synthetic import write_synthetic

Skelab = Callable[..., Outcome]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tiny network for NTU recordings, as checkpoint and as ONNX file beside it."""
    skip_without_export()
    folder = tmp_path_factory.mktemp("net")
    with pytest.MonkeyPatch.context() as patch:
        enter_tiny_family(patch)
        layout = get_layout("ntu25")
        checkpoint = folder / "net.safetensors"
        family_checkpoint(checkpoint, "tiny", layout=layout, options={}, pipeline="ctrgcn")
        assert run(["export", str(checkpoint), str(folder / "net.onnx"), "--to", "onnx"]) == 0
        yield checkpoint


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic recording."""
    folder = tmp_path_factory.mktemp("recordings")
    write_synthetic(folder, clips=2, actions=2, seed=1)
    return sorted(folder.glob("*.skeleton"))[0]


def test_an_exported_file_alone_names_the_action_of_a_recording(
    skelab: Skelab, net: Path, recording: Path
) -> None:
    by_file = skelab("predict", net.with_suffix(".onnx"), recording, "--json").json
    by_checkpoint = skelab("predict", net, recording, "--json").json

    (found,), (expected,) = by_file["predictions"], by_checkpoint["predictions"]
    assert by_file["synthetic"] is True
    assert found["clip"] == recording.stem
    assert [entry["class"] for entry in found["top"]] == [e["class"] for e in expected["top"]]
    np.testing.assert_allclose(
        [entry["probability"] for entry in found["top"]],
        [entry["probability"] for entry in expected["top"]],
        atol=1e-5,
    )


def test_predictions_are_a_table_that_says_that_the_network_knows_synthetic_clips_only(
    skelab: Skelab, net: Path, recording: Path
) -> None:
    outcome = skelab("predict", net, recording, "--top", "2")

    assert outcome.status == 0
    assert "Tiny network, trained on SYNTHETIC clips, 4 classes" in outcome.out
    assert recording.stem in outcome.out
    assert outcome.out.count("%") == 2


def test_export_says_how_it_was_checked(skelab: Skelab, net: Path, tmp_path: Path) -> None:
    in_words = skelab("export", net, tmp_path / "net.pt2", "--to", "torch")
    as_json = skelab("export", net, tmp_path / "net.pt2", "--to", "torch", "--json", "--force")

    assert "13 inputs against eager: largest difference" in in_words.out
    assert "SYNTHETIC" in in_words.out
    assert f"next: skelab predict {tmp_path / 'net.pt2'} FILE --trust" in in_words.out
    assert as_json.json["files"] == [str(tmp_path / "net.pt2")]
    assert as_json.json["frames"] == "any"
    assert as_json.json["deviation"] < 1e-4


def test_a_pt2_file_is_opened_only_if_that_is_asked(
    skelab: Skelab, net: Path, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "net.pt2"
    assert skelab("export", net, out, "--to", "torch").status == 0

    refused = skelab("predict", out, recording)
    opened = skelab("predict", out, recording, "--trust")

    assert refused.status == 2
    assert "can run any code that its maker put into it; give --trust" in refused.err
    assert refused.err.count("\n") == 1
    assert opened.status == 0


def test_a_contradiction_is_one_line(skelab: Skelab, net: Path, tmp_path: Path) -> None:
    outcome = skelab("export", net, tmp_path / "net.xml", "--to", "onnx")

    assert outcome.status == 2
    assert "net.xml: expected a name that ends with .onnx for onnx, found '.xml'" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.slow
def test_a_run_becomes_int8_and_its_clips_are_chosen_by_name(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    out = tmp_path / "net.xml"
    name = sorted(small_set.skeletons.glob("*.skeleton"))[3].stem

    made = skelab(
        *("export", small_set.run, out, "--to", "openvino", "--precision", "int8"),
        *("--calibrate", small_set.store, "--json"),
    )
    predicted = skelab("predict", out, small_set.store, "--clip", name, "--json")

    assert made.status == 0, made.err
    assert made.json["agreement"] >= 0.9
    assert [entry["clip"] for entry in predicted.json["predictions"]] == [name]
