"""`skelab export` and `skelab predict`: one line if something is wrong, a table or JSON if not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import Outcome, SmallSet
from export_kit import CLASSES, family_checkpoint, skip_without_export
from tiny_clips import tiny_clip, tiny_info, tiny_store
from tiny_run import enter_tiny_family

from skelab.cli.main import run
from skelab.data.clips.write import write_store
from skelab.evaluation import Scores
from skelab.inference import read_checkpoint
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


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips with the classes of the network, eight with a label and one without."""
    path = tmp_path_factory.mktemp("store") / "clips.arrow"
    layout = get_layout("ntu25")
    clips = [tiny_clip(row, layout=layout, label=row % 4) for row in range(8)]
    clips.append(tiny_clip(8, layout=layout, label=None))
    write_store(path, clips, tiny_info(layout=layout, classes=CLASSES))
    return path


def test_predict_counts_what_is_right_among_labelled_clips(
    skelab: Skelab, net: Path, store: Path
) -> None:
    in_words = skelab("predict", net, store, "--top", "1")
    as_json = skelab("predict", net, store, "--json").json

    labels = [entry["label"] for entry in as_json["predictions"]]
    right = sum(entry["top"][0]["class"] == entry["label"] for entry in as_json["predictions"])
    assert labels == [*CLASSES, *CLASSES, None]
    assert (as_json["labelled"], as_json["correct"], as_json["top1"]) == (8, right, right / 8)
    assert in_words.out.splitlines()[-1] == f"top-1 {right / 8:.2%}: {right} of 8 labelled clips"


def test_labels_count_by_name_and_only_those_that_the_network_knows(
    skelab: Skelab, net: Path, tmp_path: Path
) -> None:
    layout = get_layout("ntu25")
    classes = ("jump", *reversed(CLASSES))
    clips = [tiny_clip(row, layout=layout, label=row) for row in range(5)]
    write_store(tmp_path / "clips.arrow", clips, tiny_info(layout=layout, classes=classes))

    found = skelab("predict", net, tmp_path / "clips.arrow", "--json").json

    assert [entry["label"] for entry in found["predictions"]] == [None, *reversed(CLASSES)]
    assert found["labelled"] == 4


def test_without_labels_predict_counts_nothing(skelab: Skelab, net: Path, recording: Path) -> None:
    in_words = skelab("predict", net, recording)
    as_json = skelab("predict", net, recording, "--json").json

    assert "top-1" not in in_words.out
    assert (as_json["labelled"], as_json["correct"], as_json["top1"]) == (0, 0, None)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_evaluate_scores_an_exported_file_as_its_checkpoint(
    engine: str, skelab: Skelab, net: Path, store: Path, tmp_path: Path
) -> None:
    words = ("--data", store, "--split", "subject:1,2,4/3", "--json", "--out")

    expected = skelab("evaluate", net, *words, tmp_path / "a").json
    done = skelab("evaluate", net.with_suffix(".onnx"), *words, tmp_path / "b", "--engine", engine)

    assert done.status == 0
    files = [Path(each["files"]["scores"]) for each in (expected, done.json)]
    first, second = map(Scores.load, files)
    assert done.json["confusion"] == expected["confusion"]
    assert (first.names, replace(first.info, engine=engine)) == (second.names, second.info)
    np.testing.assert_allclose(first.logits, second.logits, rtol=1e-4, atol=1e-5)


def test_an_exported_file_knows_the_split_of_its_recipe(
    skelab: Skelab, net: Path, store: Path, tmp_path: Path
) -> None:
    checkpoint = replace(
        read_checkpoint(net),
        recipe="name: tiny\nmodel: {name: tiny}\ndata: {split: 'subject:1-3/4'}\n",
    )
    checkpoint.save(tmp_path / "net.safetensors")
    made = skelab("export", tmp_path / "net.safetensors", tmp_path / "net.onnx", "--to", "onnx")

    done = skelab("evaluate", tmp_path / "net.onnx", "--data", store)

    assert (made.status, done.status) == (0, 0)
    assert "made-up subject:1-3/4, test (honest)" in done.out
    assert (tmp_path / "report.html").is_file()


def test_an_older_exported_file_wants_its_split_named(
    skelab: Skelab, repository: Path, tmp_path: Path
) -> None:
    old = repository / "tests" / "golden" / "exported" / "tiny.onnx"
    clips = tiny_store(tmp_path / "clips.arrow").path

    refused = skelab("evaluate", old, "--data", clips, "--out", tmp_path)
    done = skelab("evaluate", old, "--data", clips, "--split", "subject:1-3/4", "--out", tmp_path)

    assert refused.status == 2
    assert "tiny.onnx: does not say on which split it was trained" in refused.err
    assert refused.err.rstrip().endswith("--split NAME says which, say --split xsub")
    assert done.status == 0


def test_evaluate_opens_a_pt2_file_only_if_that_is_asked(
    skelab: Skelab, net: Path, store: Path, tmp_path: Path
) -> None:
    assert skelab("export", net, tmp_path / "net.pt2", "--to", "torch").status == 0
    words = ("--data", store, "--split", "subject:1,2,4/3")

    refused = skelab("evaluate", tmp_path / "net.pt2", *words)
    opened = skelab("evaluate", tmp_path / "net.pt2", *words, "--trust")

    assert refused.status == 2
    assert "give --trust" in refused.err
    assert opened.status == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("net.onnx", "--engine", "torch"), "engine torch does not run files of kind onnx"),
        (("net.onnx", "--engine", "tvm"), "unknown engine 'tvm'. Known: native, onnxruntime"),
        (("none.xml",), "none.xml: cannot be read: No such file or directory"),
        (("none",), "none: there is no checkpoint: expected a run folder or a checkpoint"),
        ((".",), "a folder without checkpoints/best.safetensors"),
    ],
)
def test_a_network_that_cannot_be_opened_is_one_line(
    words: tuple[str, ...], message: str, skelab: Skelab, net: Path, recording: Path, store: Path
) -> None:
    path, options = net.parent / words[0], words[1:]

    predicted = skelab("predict", path, recording, *options)
    evaluated = skelab("evaluate", path, "--data", store, *options)

    for done in (predicted, evaluated):
        assert done.status == 2
        assert message in done.err
        assert done.err.count("\n") == 1


def test_inspect_says_what_an_exported_file_is_for(skelab: Skelab, net: Path) -> None:
    found = skelab("inspect", net.with_suffix(".onnx"), "--json").json

    assert (found["kind"], found["format"]) == ("exported network", "onnx, fp32")
    assert found["engines"] == ["onnxruntime", "openvino"]
    assert found["classes"] == list(CLASSES)
    assert found["frames"] == "any number"
    assert "exported network" in skelab("inspect", net.with_suffix(".onnx")).out


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
