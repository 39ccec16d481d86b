import errno
import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from made_scores import made_info, made_scores, scores_of

from skelab.errors import OutputError, ScoresError
from skelab.evaluation import Scores
from skelab.evaluation.scores import MOST_CLASSES


def test_what_is_saved_is_loaded_again_to_the_last_bit(tmp_path: Path) -> None:
    scores = made_scores(synthetic=True, checkpoint="ü")
    path = tmp_path / "new folder" / "scores.npz"

    scores.save(path)
    loaded = Scores.load(path)

    assert loaded.names == scores.names
    assert loaded.classes == scores.classes
    assert loaded.info == scores.info
    np.testing.assert_array_equal(loaded.labels, scores.labels)
    np.testing.assert_array_equal(loaded.logits, scores.logits)
    assert loaded.groups.keys() == {"subject", "camera"}
    np.testing.assert_array_equal(loaded.group("camera"), scores.group("camera"))


def test_the_same_scores_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"

    made_scores().save(first)
    made_scores().save(second)

    assert first.read_bytes() == second.read_bytes()


def test_the_file_holds_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"

    made_scores().save(path)

    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.npz"
    made_scores(seed=1).save(path)
    before = path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)

    with pytest.raises(OutputError, match="the disk is full"):
        made_scores(seed=2).save(path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_top_k_equals_counting_sample_by_sample() -> None:
    scores = made_scores(60, 7)

    for k in range(1, 8):
        hits = sum(
            label in sorted(range(7), key=lambda c: -row[c])[:k]
            for row, label in zip(scores.logits.tolist(), scores.labels.tolist(), strict=True)
        )
        assert scores.top(k) == hits / 60


def test_of_equal_logits_the_lower_class_stands_first() -> None:
    scores = scores_of(np.zeros((3, 3)), [0, 1, 2])

    ranks = scores.ranks

    assert ranks.tolist() == [0, 1, 2]
    assert scores.predictions.tolist() == [0, 0, 0]
    assert scores.top(2) == pytest.approx(2 / 3)


def test_top_zero_is_refused() -> None:
    with pytest.raises(ScoresError, match=r"expected k of at least 1, found 0"):
        made_scores().top(0)


def test_a_column_that_is_not_known_is_unknown_throughout() -> None:
    scores = made_scores(5)

    column = scores.group("setup")

    assert column.tolist() == [-1] * 5
    with pytest.raises(ScoresError, match="unknown group column 'sensor'"):
        scores.group("sensor")


def test_parts_merge_in_the_order_given() -> None:
    whole = made_scores(30)
    parts = [whole.take(np.arange(20)), whole.take(np.arange(20, 30))]

    merged = Scores.from_parts(parts)

    assert merged.names == whole.names
    np.testing.assert_array_equal(merged.logits, whole.logits)
    np.testing.assert_array_equal(merged.labels, whole.labels)
    np.testing.assert_array_equal(merged.group("subject"), whole.group("subject"))


def test_a_part_without_a_column_counts_as_unknown() -> None:
    whole = made_scores(6)
    bare = replace(whole.take(np.arange(3, 6)), groups={})

    merged = Scores.from_parts([whole.take(np.arange(3)), bare])

    assert merged.group("subject").tolist() == [*whole.group("subject")[:3].tolist(), -1, -1, -1]


def test_parts_of_different_origin_merge_under_a_new_name_only() -> None:
    whole = made_scores(6)
    other = replace(whole.take(np.arange(3, 6)), info=made_info(split="fold2"))
    parts = [whole.take(np.arange(3)), other]

    merged = Scores.from_parts(parts, info=made_info(split="all folds"))

    assert merged.info.split == "all folds"
    with pytest.raises(ScoresError, match="cannot merge, split differs: 'xsub' and 'fold2'"):
        Scores.from_parts(parts)


def test_parts_that_share_a_sample_are_refused() -> None:
    scores = made_scores(4)

    with pytest.raises(ScoresError, match="expected every sample name once, found 'S0000' 2 times"):
        Scores.from_parts([scores, scores])


def test_no_parts_are_refused() -> None:
    with pytest.raises(ScoresError, match="at least one part to merge, found none"):
        Scores.from_parts([])


def test_parts_of_other_classes_are_refused() -> None:
    parts = [made_scores(4, 3), made_scores(4, 5)]

    with pytest.raises(ScoresError, match="have different classes: 3 and 5 of them"):
        Scores.from_parts(parts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ()}, "expected at least one sample, found none"),
        ({"names": ("a", "a", "b")}, "every sample name once, found 'a' 2 times"),
        ({"names": ("a", "", "b")}, "a non-empty text as sample name, found ''"),
        ({"names": ("a", "b\0", "c")}, "a non-empty text as sample name"),
        ({"classes": ("x", "x")}, "every class name once, found 'x' 2 times"),
        ({"labels": np.array([0, 1, 2])}, r"'c': expected a label in 0..1, found 2"),
        ({"labels": np.array([0, -1, 1])}, r"'b': expected a label in 0..1, found -1"),
        (
            {"logits": np.array([[0, 0], [0, 0], [np.nan, 0]], np.float32)},
            r"'c': expected finite logits, found NaN or infinity \(1 of 3 samples\)",
        ),
        ({"groups": {"sensor": np.zeros(3, np.int64)}}, "unknown group column 'sensor'"),
    ],
)
def test_scores_that_contradict_themselves_are_refused(
    changes: dict[str, object], message: str
) -> None:
    fields: dict[str, object] = {
        "names": ("a", "b", "c"),
        "labels": np.array([0, 1, 0]),
        "logits": np.zeros((3, 2), np.float32),
        "classes": ("x", "y"),
        "info": made_info(),
    }

    with pytest.raises(ScoresError, match=message):
        Scores(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part": "tset"}, "unknown part 'tset', did you mean 'test'?"),
        ({"protocol": "strict"}, "unknown protocol 'strict'. Known: honest, paper"),
    ],
)
def test_provenance_that_does_not_exist_is_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ScoresError, match=message.replace("?", r"\?")):
        made_info(**changes)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"none\.npz: expected a score file, found: No such file"):
        Scores.load(tmp_path / "none.npz")


def test_a_file_of_another_kind_is_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    path.write_bytes(b"not a zip at all")

    with pytest.raises(ScoresError, match=r"scores\.npz: expected a score file .*another kind"):
        Scores.load(path)


def test_an_npz_of_another_program_is_told(tmp_path: Path) -> None:
    path = tmp_path / "NTU60_CS.npz"
    np.savez(path, x_test=np.zeros(3), names=np.array(["a"]))

    with pytest.raises(ScoresError, match=r"NTU60_CS\.npz: .* npz without format, info, labels"):
        Scores.load(path)


def test_another_format_is_told(tmp_path: Path) -> None:
    path = _changed(tmp_path, format=np.array("skelab-scores-9"))

    with pytest.raises(ScoresError, match="expected format 'skelab-scores-1', found 'skelab-score"):
        Scores.load(path)


def test_a_contradiction_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = _changed(tmp_path, labels=np.full(40, 9))

    with pytest.raises(ScoresError, match=r"changed\.npz: scores, sample 'S0000': expected a lab"):
        Scores.load(path)


def test_a_pickle_in_a_score_file_is_not_loaded(tmp_path: Path) -> None:
    path = _changed(tmp_path, logits=np.array([object()], dtype=object))

    with pytest.raises(ScoresError, match=r"changed\.npz: damaged score file .*allow_pickle"):
        Scores.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": np.zeros(2, np.int64)},
            r"labels of int64 and shape \(40,\), found int64 .*\(2,",
        ),
        ({"labels": np.zeros(40)}, r"labels of int64 .*, found float64"),
        ({"logits": np.zeros((40, 9), np.float32)}, r"shape \(40, 6\), found float32 and \(40, 9"),
        ({"logits": np.zeros((40, 6))}, "logits of float32 .*, found float64"),
        ({"camera": np.zeros(2, np.int64)}, "group column camera of int64"),
        ({"names": np.arange(40)}, r"expected a row of texts as names, found int64 \(40,\)"),
        ({"classes": np.array("x")}, r"expected a row of texts as classes, found <U1 \(\)"),
        (
            {"classes": np.frombuffer(b"\xff" * 24, "<U1")},
            "expected classes to be text, found .*no Unicode",
        ),
        (
            {"info": np.array('{"colour": 1}')},
            "damaged score file, its info: dataset: expected, found nothing",
        ),
        ({"info": np.array("[]")}, "its info: expected an object, found a list of 0"),
        ({"info": np.array("{")}, "damaged score file"),
    ],
)
def test_arrays_that_do_not_fit_are_told(
    tmp_path: Path, changes: dict[str, np.ndarray], message: str
) -> None:
    path = _changed(tmp_path, **changes)

    with pytest.raises(ScoresError, match=rf"changed\.npz: .*{message}"):
        Scores.load(path)


@pytest.mark.parametrize(("name", "value"), [("model", 3), ("synthetic", "no"), ("stream", None)])
def test_provenance_of_another_type_is_told(tmp_path: Path, name: str, value: object) -> None:
    header = asdict(made_info()) | {name: value}
    path = _changed(tmp_path, info=np.array(json.dumps(header)))

    with pytest.raises(
        ScoresError, match=rf"its info: {name}: expected a valid .*, found {value!r}"
    ):
        Scores.load(path)


def test_files_from_before_engines_were_named_still_open(tmp_path: Path) -> None:
    header = {name: value for name, value in asdict(made_info()).items() if name != "engine"}
    path = _changed(tmp_path, info=np.array(json.dumps(header)))

    assert Scores.load(path).info == replace(made_info(), engine="")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    made_scores().save(path)
    whole = path.read_bytes()

    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ScoresError, match=r"scores\.npz"):
            Scores.load(path)


def test_a_flipped_byte_never_ends_in_anything_but_our_error(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    made_scores(3, 2).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0

    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            Scores.load(path)
        except ScoresError:
            refused += 1

    assert refused > 200  # the rest hit bytes that nobody reads, such as dates


def _changed(folder: Path, **changes: np.ndarray) -> Path:
    plain, path = folder / "plain.npz", folder / "changed.npz"
    made_scores().save(plain)
    with np.load(plain) as archive:
        arrays = {name: archive[name] for name in archive.files}
    assert zipfile.is_zipfile(plain)
    np.savez(path, **(arrays | changes))
    return path


def test_scores_of_more_classes_than_can_be_counted_in_pairs_are_refused() -> None:
    scores = made_scores()
    classes = tuple(f"class {number}" for number in range(MOST_CLASSES + 1))
    logits = np.zeros((len(scores), len(classes)), np.float32)

    with pytest.raises(ScoresError, match=r"expected at most 5,000 classes, .*found 5,001"):
        replace(scores, classes=classes, logits=logits)


def test_half_of_a_surrogate_pair_is_no_class_name() -> None:
    scores = made_scores()

    with pytest.raises(ScoresError, match=r"non-empty text as class name, found '\\ud800'"):
        replace(scores, classes=("\ud800", *scores.classes[1:]))
