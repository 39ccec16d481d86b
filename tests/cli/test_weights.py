"""`skelab import-weights` and `skelab export-weights`."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cli_outcome import Outcome, SmallSet
from golden_kit import golden_weights
from module_kit import SMALL
from torch import Tensor

from skelab.data.clips.store import open_store
from skelab.models import create_model, export_weights

Skelab = Callable[..., Outcome]


def small_weights(name: str = "ctrgcn", num_classes: int = 60) -> dict[str, Tensor]:
    """Weights of a small new network by the authors' names."""
    return export_weights(create_model(name, num_classes=num_classes, **SMALL[name]))


@pytest.mark.parametrize("name", ["shiftgcn", "stgcn_official"])
def test_the_authors_weights_go_in_and_come_out_unchanged(
    name: str, skelab: Skelab, tmp_path: Path
) -> None:
    weights = golden_weights(name)
    theirs, net, again = (tmp_path / file for file in ("a.pt", "net.safetensors", "b.pt"))
    torch.save(weights, theirs)

    taken = skelab("import-weights", name, theirs, net)
    given = skelab("export-weights", net, again)

    assert (taken.status, given.status) == (0, 0)
    assert f"next: skelab evaluate {net} --data STORE" in taken.out
    assert given.out == f"{len(weights)} tensors in {again}\n"
    found = torch.load(again, weights_only=True)
    assert list(found) == list(weights)
    assert all(torch.equal(found[key], tensor) for key, tensor in weights.items())


def test_what_was_assumed_is_printed(skelab: Skelab, tmp_path: Path) -> None:
    torch.save(small_weights("stgcn_official"), tmp_path / "a.pt")
    net = tmp_path / "net.safetensors"

    done = skelab("import-weights", "stgcn_official", tmp_path / "a.pt", net, "--json")

    assert done.json["pipeline"] == "msg3d"
    assert done.json["layout"] == "ntu25"
    assert (done.json["classes"], done.json["bodies"], done.json["window"]) == (60, 2, 300)
    assert done.json["notes"][0] in done.err


def test_classes_of_ones_own_are_read_from_a_file(skelab: Skelab, tmp_path: Path) -> None:
    torch.save(small_weights(num_classes=3), tmp_path / "a.pt")
    (tmp_path / "classes.txt").write_text("wave\nsit\nfall\n")
    net = tmp_path / "net.safetensors"

    options = ["--classes", tmp_path / "classes.txt", "--stream", "bone", "--window", "32"]
    done = skelab("import-weights", "ctrgcn", tmp_path / "a.pt", net, *options)
    described = skelab("inspect", net, "--json")

    assert done.status == 0
    assert described.json["classes"] == ["wave", "sit", "fall"]


def test_the_weights_of_a_run_can_be_exported(skelab: Skelab, tmp_path: Path) -> None:
    torch.save(small_weights(), tmp_path / "a.pt")
    run = tmp_path / "run"
    net = run / "checkpoints" / "best.safetensors"
    net.parent.mkdir(parents=True)
    assert skelab("import-weights", "ctrgcn", tmp_path / "a.pt", net).status == 0

    done = skelab("export-weights", run, tmp_path / "b.safetensors", "--json")

    assert done.json["tensors"] == len(small_weights())


def test_an_import_says_that_the_training_part_is_unknown_or_which_it_was(
    skelab: Skelab, tmp_path: Path
) -> None:
    torch.save(small_weights(), tmp_path / "a.pt")
    unknown, known = tmp_path / "unknown.safetensors", tmp_path / "known.safetensors"

    silent = skelab("import-weights", "ctrgcn", tmp_path / "a.pt", unknown)
    told = skelab("import-weights", "ctrgcn", tmp_path / "a.pt", known, "--split", "xview")

    assert silent.out.split("trained on split")[1].split()[0] == "unknown"
    assert "every figure says so; --split NAME" in silent.err
    assert told.out.split("trained on split")[1].split()[0] == "xview"
    assert "unknown" not in told.err


@pytest.mark.parametrize("split", ["", "xsub"])
def test_every_figure_of_imported_weights_says_whether_their_training_part_is_known(
    split: str, skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    torch.save(small_weights(num_classes=3), tmp_path / "a.pt")
    classes, net = tmp_path / "classes.txt", tmp_path / "net.safetensors"
    classes.write_text("\n".join(open_store(small_set.store).info.classes))
    options = ["--classes", classes, "--window", "16", *(["--split", split] if split else [])]
    skelab("import-weights", "ctrgcn", tmp_path / "a.pt", net, *options)

    scored = skelab("evaluate", net, "--data", small_set.store)
    figures = skelab("evaluate", net, "--data", small_set.store, "--json")
    named = skelab("predict", net, small_set.store)
    fused = skelab("ensemble", tmp_path / "scores-test.npz", tmp_path / "scores-test.npz")
    early = skelab("anticipate", net, "--data", small_set.store)

    expected = not split
    assert [done.status for done in (scored, figures, named, fused, early)] == [0] * 5
    assert ("paper; training part unknown" in " ".join(early.out.split())) == expected
    assert ("paper; training part unknown" in " ".join(scored.out.split())) == expected
    assert figures.json["training_part_known"] != expected
    assert ("Training part unknown" in named.out) == expected
    assert "protocol paper: the test part chose the epoch" in " ".join(named.out.split())
    assert ("training part unknown" in " ".join(fused.out.split())) == expected


def assert_refused(done: Outcome, message: str, out: Path) -> None:
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("skelab: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not out.exists()


def test_a_partial_file_is_refused_with_the_keys_that_it_lacks(
    skelab: Skelab, tmp_path: Path
) -> None:
    weights = small_weights()
    del weights["fc.bias"]
    weights["fc.extra"] = torch.zeros(2)
    weights["l2.gcn1.alpha"] = torch.zeros(3)
    torch.save(weights, tmp_path / "a.pt")
    net = tmp_path / "net.safetensors"

    done = skelab("import-weights", "ctrgcn", tmp_path / "a.pt", net)

    message = (
        "weights of CTR-GCN: 1 missing: fc.bias; 1 unexpected: fc.extra;"
        " 1 misshapen: l2.gcn1.alpha (expected 1, found 3)"
    )
    assert_refused(done, message, net)


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.sprung,)


def test_a_file_that_would_run_code_is_refused_and_runs_none(
    skelab: Skelab, tmp_path: Path
) -> None:
    sprung, net = tmp_path / "sprung", tmp_path / "net.safetensors"
    torch.save({"fc.weight": Trap(sprung)}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps({"fc.weight": Trap(sprung)}))

    for name in ("a.pt", "b.pt"):
        done = skelab("import-weights", "ctrgcn", tmp_path / name, net)

        assert_refused(done, f"{tmp_path / name}: ", net)
        assert not sprung.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ctr-gcn", "a.pt"], "unknown model 'ctr-gcn', did you mean 'ctrgcn'?"),
        (["ctrgcn", "none.pt"], "none.pt: cannot be read: No such file"),
        (["ctrgcn", "a.pt", "--layout", "ntu"], "unknown layout 'ntu'"),
        (["ctrgcn", "a.pt", "--dataset", "ntu"], "unknown data set 'ntu'"),
        (["ctrgcn", "a.pt", "--classes", "no.txt"], "no.txt: the class names cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    words: list[str],
    message: str,
    skelab: Skelab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(small_weights(), "a.pt")
    model, file, *options = words

    done = skelab("import-weights", model, file, "net.safetensors", *options)

    assert_refused(done, message, Path("net.safetensors"))


def test_something_else_than_a_checkpoint_cannot_be_exported(
    skelab: Skelab, tmp_path: Path
) -> None:
    torch.save(small_weights(), tmp_path / "a.pt")
    out = tmp_path / "b.pt"

    done = skelab("export-weights", tmp_path / "a.pt", out)

    assert_refused(done, f"{tmp_path / 'a.pt'}: expected a checkpoint", out)
