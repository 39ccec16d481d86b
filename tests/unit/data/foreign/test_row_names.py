"""Names of rows that carry none: rebuilt, and taken only where every label agrees."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy import ndarray
from prepared_files import padded_rows, write_npz

from skelab.data.clips.clip import SampleInfo
from skelab.data.foreign import Part, open_npz, read_samples, rebuild_names
from skelab.data.foreign.orders import ctrgcn_row_order
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import SourceError

NAMES = tuple(
    f"S{setup:03d}C{camera:03d}P{subject:03d}R001A{action:03d}"
    for setup in (1, 2)
    for camera in (1, 2, 3)
    for subject in (1, 2, 3, 6)
    for action in (1, 2, 3)
    if (setup + camera + subject + action) % 4
)

SAMPLES = tuple(parse_sample_name(name) for name in NAMES)


def ordered(benchmark: str, names: tuple[str, ...] = NAMES) -> tuple[list[SampleInfo], int]:
    """The samples in the authors' order, and how many of them train."""
    infos = [parse_sample_name(name) for name in names]
    train, test = ctrgcn_row_order(infos, benchmark)
    return [infos[row] for row in (*train, *test)], len(train)


def parts_of(folder: Path, benchmark: str, names: tuple[str, ...] = NAMES) -> tuple[Part, ...]:
    """An npz of the samples in the authors' order."""
    infos, trained = ordered(benchmark, names)
    labels = np.array([info.label for info in infos])
    return parts_with(folder, labels, trained)


def parts_with(folder: Path, labels: ndarray, trained: int) -> tuple[Part, ...]:
    rows = padded_rows(len(labels), columns=75)
    path = write_npz(
        folder / "a.npz",
        x_train=rows[:trained],
        y_train=labels[:trained],
        x_test=rows[trained:],
        y_test=labels[trained:],
    )
    return open_npz(path).parts


def refusal(parts: tuple[Part, ...], names: tuple[str, ...], ignore: tuple[str, ...] = ()) -> str:
    with pytest.raises(SourceError) as caught:
        rebuild_names(parts, [parse_sample_name(name) for name in names], ignore)
    return str(caught.value)


@pytest.mark.parametrize("benchmark", ["xsub", "xview", "xset"])
def test_the_order_that_agrees_with_every_label_names_the_rows(
    tmp_path: Path, benchmark: str
) -> None:
    parts = parts_of(tmp_path, benchmark)

    found, infos = rebuild_names(parts, SAMPLES[::-1])

    assert found == benchmark
    assert [info.name for info in infos] == [info.name for info in ordered(benchmark)[0]]
    assert [info.parts for info in infos] == [("train",)] * len(parts[0].rows) + [("test",)] * len(
        parts[1].rows
    )


def test_samples_to_ignore_are_taken_off_the_list_first(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "xsub", NAMES[3:])

    found, infos = rebuild_names(parts, SAMPLES, NAMES[:3])

    assert found == "xsub"
    assert {info.name for info in infos} == set(NAMES[3:])


def test_samples_to_ignore_may_stand_in_the_file_after_all(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "xview")

    found, infos = rebuild_names(parts, SAMPLES, NAMES[:3])

    assert found == "xview"
    assert {info.name for info in infos} == set(NAMES)


@pytest.mark.parametrize("row", [0, 11, 20])
def test_one_label_that_disagrees_is_enough_to_refuse(tmp_path: Path, row: int) -> None:
    infos, trained = ordered("xsub")
    labels = np.array([info.label for info in infos])
    labels[row] = (labels[row] + 1) % 3
    parts = parts_with(tmp_path, labels, trained)
    part, first = (parts[0], 0) if row < trained else (parts[1], trained)

    message = refusal(parts, NAMES)

    assert message == (
        f"{part.rows.title}, row {row - first}: expected label {infos[row].label}, as"
        f" {infos[row].name} has in the order of xsub, found {labels[row]}"
        f" (1 of {len(part.rows)} rows disagree)"
    )


@pytest.mark.parametrize(
    ("file", "benchmark"),
    [("NTU60_CS.npz", "xsub"), ("NTU60_CV.npz", "xview"), ("NTU120_CSet.npz", "xset")],
)
def test_a_refusal_speaks_of_the_benchmark_that_the_files_name_means(
    tmp_path: Path, file: str, benchmark: str
) -> None:
    infos, trained = ordered(benchmark)
    labels = np.array([info.label for info in infos])
    labels[0] = (labels[0] + 1) % 3  # the first row, so that other orders agree for longer
    parts = parts_with(tmp_path, labels, trained)

    with pytest.raises(SourceError, match=f"order of {benchmark}"):
        rebuild_names(parts, SAMPLES, file=file)


def test_another_number_of_names_is_refused_with_what_mends_it(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "xset", NAMES[3:])

    message = refusal(parts, NAMES)

    assert message.startswith(
        f"expected names for {len(parts[0].rows)} train and {len(parts[1].rows)} test rows, found"
        f" that {len(NAMES)} names give"
    )
    assert message.endswith("--ignore takes the authors' list of missing samples")


def test_two_orders_that_agree_and_differ_are_refused(tmp_path: Path) -> None:
    names = ("S001C002P003R001A001", "S002C001P001R001A001")
    parts = parts_with(tmp_path, np.zeros(2, int), 1)

    message = refusal(parts, names)

    assert message == (
        "expected one order of the names to agree with all labels, found xsub and xview, which"
        " name the rows differently"
    )


def test_a_name_of_another_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("wave-1\nwave-2\n")

    with pytest.raises(SourceError) as caught:
        read_samples(path)

    assert str(caught.value) == (
        f"{path}: wave-1: expected a name like S001C002P003R002A013, found another form"
    )


def test_names_come_from_a_list_a_folder_or_an_archive(tmp_path: Path) -> None:
    names = sorted(NAMES[:5])
    (tmp_path / "names.txt").write_text("All samples:\n\n" + "\n".join(names))
    folder = tmp_path / "raw"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        for name in names:
            (folder / f"{name}.skeleton").touch()
            archive.writestr(f"deep/inside/{name}.skeleton", "")

    found = [read_samples(tmp_path / each) for each in ("names.txt", "raw", "raw.zip")]

    assert [[sample.name for sample in each] for each in found] == [names] * 3
    assert found[0] == found[1] == found[2]


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the list of samples cannot be read"):
        read_samples(tmp_path / "none.txt")


def test_the_files_of_a_synthetic_set_count_their_labels_as_they_do(tmp_path: Path) -> None:
    (tmp_path / "SYNTHETIC.json").write_text('{"actions": [["A007", "throw"], ["A023", "wave"]]}')
    (tmp_path / "S001C001P001R001A023.skeleton").touch()

    samples = read_samples(tmp_path)

    assert [sample.label for sample in samples] == [1]
