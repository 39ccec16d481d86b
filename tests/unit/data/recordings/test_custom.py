"""A data set of one's own: dataset.yaml, a table, and clips as arrays or csv."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jaxtyping import Float64
from numpy import ndarray

from skelab.data.datasets import open_source
from skelab.data.recordings import CustomSource, Source
from skelab.errors import DataError, LayoutError, SourceError
from skelab.skeleton import get_layout

STICK: dict[str, Any] = {
    "joints": ["head", "hip", "left foot", "right foot"],
    "bones": [["head", "hip"], ["hip", "left foot"], [3, 1]],
    "centre": "hip",
    "pairs": [["left foot", "right foot"]],
}
ABOUT = {"name": "sticks", "layout": STICK}
TABLE = "name,label,subject\nb,wave,2\na,sit,1\n"


def poses(frames: int = 5, bodies: int | None = None, seed: int = 0) -> Float64[ndarray, " ..."]:
    shape = (frames, 4, 3) if bodies is None else (bodies, frames, 4, 3)
    return np.random.default_rng(seed).normal(0.0, 0.4, size=shape)


def data_set(
    folder: Path,
    *,
    table: str = TABLE,
    clips: dict[str, Any] | None = None,
    about: Any = None,
    **changes: Any,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {**ABOUT, **changes} if about is None else about
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / "dataset.yaml").write_text(text)
    (folder / "clips.csv").write_text(table)
    for name, clip in ({"a": poses(), "b": poses(3)} if clips is None else clips).items():
        if isinstance(clip, str):
            (folder / f"{name}.csv").write_text(clip)
        else:
            np.save(folder / f"{name}.npy", clip)
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        CustomSource(path).items()
    return str(caught.value)


def damage(path: Path) -> str:
    source = open_source(path)
    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])
    return str(caught.value)


def test_a_folder_with_the_file_is_read(tmp_path: Path) -> None:
    source = open_source(data_set(tmp_path))

    raw = source.read(source.items()[0])

    assert isinstance(source, CustomSource)
    assert isinstance(source, Source)
    assert [(item.info.name, item.info.label, item.info.subject) for item in source.items()] == [
        ("a", 0, 1),
        ("b", 1, 2),
    ]
    assert (source.classes, source.units, source.synthetic) == (("sit", "wave"), "metres", False)
    assert raw.actors_chosen
    assert raw.num_frames == 5
    np.testing.assert_array_equal(raw.bodies["1"].joints, poses())


def test_a_layout_is_written_with_joints_by_name_or_number_and_bones_either_way(
    tmp_path: Path,
) -> None:
    layout = open_source(data_set(tmp_path, layout={**STICK, "origin": "head"})).layout

    assert layout.name == "sticks"
    assert set(layout.bones) == {(0, 1), (2, 1), (3, 1)}
    assert (layout.centre, layout.origin) == (1, 0)
    assert layout.pairs == ((2, 3),)
    assert layout.axes == ("x", "y", "z")


def test_a_layout_may_be_named_or_chosen_by_the_caller(tmp_path: Path) -> None:
    clips = {name: np.ones((2, 20, 3)) for name in "ab"}
    path = data_set(tmp_path, layout="kinect20", clips=clips)

    named, chosen = open_source(path), open_source(path, layout="utd20")

    assert named.layout == get_layout("kinect20")
    assert chosen.layout == get_layout("utd20")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["f8", "f4", "f2", "i2", ">f4"])
def test_arrays_of_any_type_and_order_are_read(tmp_path: Path, kind: str, order: Any) -> None:
    clip = np.asarray(poses() * 10, dtype=kind, order=order)
    source = open_source(data_set(tmp_path, clips={"a": clip, "b": clip}))

    raw = source.read(source.items()[0])

    np.testing.assert_array_equal(raw.bodies["1"].joints, clip.astype(float))


def test_several_bodies_stand_in_front_and_an_absent_one_is_zeros(tmp_path: Path) -> None:
    clip = poses(5, bodies=2)
    clip[1, 2:] = 0
    source = open_source(data_set(tmp_path, clips={"a": clip, "b": clip}))

    raw = source.read(source.items()[0])

    np.testing.assert_array_equal(raw.bodies["1"].joints, clip[0])
    np.testing.assert_array_equal(raw.bodies["2"].joints, clip[1, :2])
    assert raw.bodies["2"].frames.tolist() == [0, 1]


@pytest.mark.parametrize("head", ["", "x0,y0,z0" + ",more" * 9 + "\n"])
@pytest.mark.parametrize("bodies", [1, 2])
def test_a_csv_clip_is_a_line_a_frame(tmp_path: Path, head: str, bodies: int) -> None:
    clip = poses(4, bodies=bodies)
    rows = clip.swapaxes(0, 1).reshape(4, -1).tolist()
    text = head + "".join(",".join(map(repr, row)) + "\n" for row in rows)
    source = open_source(data_set(tmp_path, clips={"a": text, "b": text + "\n\n"}))

    raws = [source.read(item) for item in source.items()]

    for raw in raws:
        joints = np.stack([track.joints for track in raw.bodies.values()])
        np.testing.assert_array_equal(joints, clip)


def test_every_column_of_the_table_is_taken(tmp_path: Path) -> None:
    table = (
        "\ufeffName, Label, Subject, camera, setup, replication, part, file, remark\n"
        'one,wave,3,2,5,1,test,"b.npy",windy\n'
        ",,,,,,,,\n"
        "two,,,,,,,a.npy,\n"
    )
    source = open_source(data_set(tmp_path, table=table, classes=["sit", "wave"]))

    one, two = source.items()

    info = one.info
    assert (info.label, info.subject, info.camera, info.setup, info.replication) == (1, 3, 2, 5, 1)
    assert info.parts == ("test",)
    assert one.location == "b.npy"
    assert (two.info.label, two.info.subject, two.info.parts) == (None, None, ())


@pytest.mark.parametrize(
    ("table", "classes", "wanted"),
    [
        ("name,label\na,0\nb,2\n", None, ("class 0", "class 1", "class 2")),
        ("name,label\na,run\nb,hop\n", None, ("hop", "run")),
        ("name,label\na,run\nb,\n", ["hop", "run", "sit"], ("hop", "run", "sit")),
    ],
)
def test_classes_are_listed_or_taken_from_the_table(
    tmp_path: Path, table: str, classes: list[str] | None, wanted: Sequence[str]
) -> None:
    more: dict[str, Any] = {} if classes is None else {"classes": classes}

    source = open_source(data_set(tmp_path, table=table, **more))

    assert source.classes == wanted
    assert not source.rejected


def test_clips_and_table_may_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    path = data_set(
        tmp_path,
        clips={},
        table="",
        about={
            **ABOUT,
            "table": "about/all.csv",
            "clips": "poses",
            "synthetic": True,
            "units": "mm",
        },
    )
    for folder, name, content in (("about", "all.csv", TABLE),):
        (path / folder).mkdir()
        (path / folder / name).write_text(content)
    (path / "poses").mkdir()
    for name in "ab":
        np.save(path / "poses" / f"{name}.npy", poses())

    source = open_source(path)

    assert [item.location for item in source.items()] == ["poses/a.npy", "poses/b.npy"]
    assert source.read(source.items()[0]).num_frames == 5
    assert (source.synthetic, source.units) == (True, "mm")


def test_it_can_be_pickled_and_leaves_its_listing_behind(tmp_path: Path) -> None:
    source = open_source(data_set(tmp_path))
    items = source.items()

    copy = pickle.loads(pickle.dumps(source))  # noqa: S301

    assert set(vars(copy)) == {"path", "layout"}
    assert copy.read(items[0]).num_frames == 5
    assert copy.items() == items


def test_the_digest_follows_tables_and_sizes(tmp_path: Path) -> None:
    sets: list[dict[str, Any]] = [
        {},
        {},
        {"units": "mm"},
        {"table": TABLE + " \n"},
        {"clips": {"a": poses(9)}},
    ]

    digests = {
        open_source(data_set(tmp_path / str(number), **changes)).digest()
        for number, changes in enumerate(sets)
    }

    assert len(digests) == 4


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ("a: [", ", line 1: expected YAML, found a fault: "),
        ("a: &a [1]\nb: *a", ", line 2: expected YAML, found a fault: an alias (*a); write"),
        ("- a\n", ": expected keys such as name, layout and table, found a list"),
        ("!!python/object/apply:os.mkdir [was-here]", ", line 1: expected YAML, found a fault: c"),
        ({"name": "a"}, ": layout: Field required"),
        (
            {**ABOUT, "tabel": "x"},
            ": tabel: unknown key 'tabel', did you mean 'table'? Known: classes, clips,",
        ),
        (
            {**ABOUT, "layout": {**STICK, "center": "hip"}},
            ": layout.center: unknown key 'center', did you mean 'centre'? Known: axes, bones,",
        ),
        (
            {**ABOUT, "layout": {"joints": ["a", "b"], "bones": [], "center": "a"}},
            ": layout.center: unknown key 'center', did you mean 'centre'?",
        ),
        (
            {**ABOUT, "sequences": {"segmets": "a"}},
            ": sequences.segmets: unknown key 'segmets', did",
        ),
        ({**ABOUT, "labels_from": -1}, ": labels_from: Input should be greater than or equal to 0"),
        ({**ABOUT, "classes": []}, ": classes: Tuple should have at least 1 item"),
        ({**ABOUT, "layout": {**STICK, "centre": None}}, ": layout.centre"),
        ({**ABOUT, "layout": {"joints": STICK["joints"], "centre": 0}}, ": layout.bones: Field"),
        ({**ABOUT, "layout": {**STICK, "joints": ["a", False]}}, ": layout.joints.1: Input should"),
    ],
)
def test_a_fault_in_the_file_is_named_by_its_key(tmp_path: Path, about: Any, found: str) -> None:
    path = data_set(tmp_path, about=about)

    message = refusal(path)

    assert message.startswith(f"{path / 'dataset.yaml'}{found}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("layout", "found"),
    [
        ("ntu24", "unknown layout 'ntu24', did you mean 'ntu25'?"),
        (
            {**STICK, "centre": "hips"},
            "layout 'sticks': expected one of its joints (head, hip, left foot, right foot), found"
            " 'hips', did you mean 'hip'?",
        ),
        ({**STICK, "centre": 9}, "layout 'sticks': a bone, pair, centre or origin names a joint"),
        (
            {**STICK, "bones": [["head", "hip"], ["left foot", "right foot"]]},
            "layout 'sticks': expected bones from every joint to the centre 'hip', found none from"
            " left foot, right foot; add a bone that ties them to the rest",
        ),
        (
            {**STICK, "bones": [*STICK["bones"], ["head", "left foot"]]},
            "layout 'sticks': expected bones that form a tree, found that [head, left foot] closes"
            " a circle of bones; leave one bone of it out",
        ),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(
    tmp_path: Path, layout: Any, found: str
) -> None:
    path = data_set(tmp_path, layout=layout)

    with pytest.raises(LayoutError) as caught:
        open_source(path)

    assert str(caught.value).startswith(f"{path / 'dataset.yaml'}: {found}")


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("", "line 1: expected the columns name and label (and any of subject, camera, setup,"),
        (
            "name;label;subject\na;b;1\n",
            "line 1: expected the columns name and label (and any of subject, camera, setup,"
            " replication, script, part, file), found name;label;subject; the fields stand between"
            " semicolons: write commas",
        ),
        ('name,label\na,"b\n', "line 2: not a line of csv: unexpected end of data"),
        ("name,label\na,\n", "expected labels, or classes in dataset.yaml, found neither"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path, table: str, found: str) -> None:
    path = data_set(tmp_path, table=table)

    message = refusal(path)

    where = f"{path / 'clips.csv'}{', ' if found.startswith('line') else ': '}"
    assert message.startswith(f"{where}{found}")


@pytest.mark.parametrize("content", [None, b"name,label\na,\xff\n"])
def test_a_table_that_is_no_text_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = data_set(tmp_path)
    (path / "clips.csv").unlink()
    if content:
        (path / "clips.csv").write_bytes(content)

    assert "the table of clips cannot be read" in refusal(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "c,run,1",
            "expected a label that is a class (sit, wave) or a number from 0 to 1, found 'run'",
        ),
        (
            "c,-1,1",
            "expected a label that is a class (sit, wave) or a number from 0 to 1, found '-1'",
        ),
        (
            "c,wave,one",
            "subject: expected a whole number from 0, or words in all lines, found 'one'",
        ),
        (",wave,1", "expected a name, found nothing"),
        ("a,wave,1", "a stands in the table twice"),
        ("c,wave,1", "expected a file c.npy or c.csv, found none"),
        ("../a,wave,1", "expected a path inside the folder, found '../a.npy'"),
        ("/etc/passwd,wave,1", "expected a path inside the folder, found '/etc/passwd.npy'"),
    ],
)
def test_a_line_that_is_no_sample_is_rejected_with_its_number(
    tmp_path: Path, line: str, reason: str
) -> None:
    path = data_set(tmp_path, table=f"{TABLE}{line}\n", classes=["sit", "wave"])

    source = open_source(path)

    assert [item.info.name for item in source.items()] == ["a", "b"]
    separator = ", " if reason.startswith("subject") else ": "
    assert [why for _, why in source.rejected] == [
        f"{path / 'clips.csv'}, line 4{separator}{reason}"
    ]


def test_a_part_or_a_file_of_another_kind_is_rejected(tmp_path: Path) -> None:
    table = 'name,label,part,file\na,0,"x,y",\nb,0,,b.txt\n'
    path = data_set(tmp_path, table=table)
    (path / "b.txt").touch()

    reasons = [why for _, why in open_source(path).rejected]

    assert [reason.partition(": ")[2] for reason in reasons] == [
        "expected a part in plain letters, found 'x,y'",
        "expected a file that ends in .npy or .csv, found b.txt",
    ]


@pytest.mark.parametrize(
    ("clip", "found"),
    [
        (
            np.ones((5, 5, 3)),
            "expected frames x 4 joints x 3 axes, or up to 8 bodies of that, found"
            " the shape 5 x 5 x 3",
        ),
        (
            np.ones((3, 9, 4)),
            "found the shape 3 x 9 x 4; the axes stand in another order: save"
            " np.transpose(clip, (1, 2, 0))",
        ),
        (np.ones((2, 9, 3, 4)), "in another order: save np.transpose(clip, (0, 1, 3, 2))"),
        (
            np.ones((9, 4, 2)),
            "found the shape 9 x 4 x 2; a joint has 2 values here and 3 in the layout: say axes:"
            " [x, y], under layout in dataset.yaml",
        ),
        (np.ones((0, 4, 3)), "found the shape 0 x 4 x 3"),
        (np.ones((9, 5, 4, 3)), "found the shape 9 x 5 x 4 x 3"),
        (np.ones(12), "found the shape 12"),
        (np.ones((5, 4, 3), bool), "expected numbers, found values of the type bool"),
        (
            np.full((5, 4, 3), 1e39),
            "expected finite numbers, found 1e+39 at frame 0, joint 'head',"
            " axis x; write zeros where a joint was not seen",
        ),
        (
            np.where(np.arange(60).reshape(5, 4, 3) == 31, np.nan, 1),
            "expected finite numbers, found"
            " nan at frame 2, joint 'left foot', axis y; write zeros where a joint was not seen",
        ),
        ("", "expected a line of numbers a frame, found none"),
        (
            "1,2,3\n",
            "expected 12 numbers a line for each body (4 joints of sticks, 3 axes), found 3",
        ),
        (
            ",".join(map(str, range(16))) + "\n",
            "4 joints of sticks, 3 axes), found 16; a joint has 4 values here and 3 in the layout:"
            " say axes: [x, y, z, score], under layout in dataset.yaml",
        ),
        (
            ",".join(map(str, range(13))) + "\n",
            "found 13; leave out the column of frame numbers, if the first one is that",
        ),
        (
            "1;2\n1;3\n",
            ", line 1: expected numbers with commas between them, found '1;2'; the fields stand"
            " between semicolons: write commas, and points in decimals",
        ),
        ("1,2\n1\n", ", line 2: expected 2 numbers as in the lines above, found 1"),
        (
            "1,2\n1,x\n",
            ", line 2: expected numbers with commas between them, found '1,x'; write 0"
            " where a joint was not seen",
        ),
        (
            "1,2\n1,\n",
            ", line 2: expected numbers with commas between them, found '1,'; write 0"
            " where a joint was not seen",
        ),
        ("1,2\n1_0,2\n", ", line 2: expected numbers with commas between them, found '1_0,2'"),
    ],
)
def test_a_damaged_clip_is_named_with_what_is_wrong(tmp_path: Path, clip: Any, found: str) -> None:
    message = damage(data_set(tmp_path, clips={"a": clip, "b": poses()}))

    ending = ".csv" if isinstance(clip, str) else ".npy"
    assert message.startswith(str(tmp_path / f"a{ending}"))
    assert found in message


def test_a_clip_of_objects_or_cut_off_is_refused(tmp_path: Path) -> None:
    path = data_set(tmp_path)
    np.save(path / "a.npy", np.array([{}]), allow_pickle=True)
    objects = damage(path)
    np.save(path / "a.npy", poses())
    (path / "a.npy").write_bytes((path / "a.npy").read_bytes()[:-1])

    short = damage(path)

    assert objects.endswith("found one of Python objects, which could run code; it was not loaded")
    assert short.endswith("found 607: the file was cut off or is damaged")


def test_a_clip_that_has_gone_is_named(tmp_path: Path) -> None:
    source = open_source(data_set(tmp_path))
    item = source.items()[0]
    (tmp_path / "a.npy").unlink()

    with pytest.raises(DataError, match=r"a\.npy: cannot be read: No such file"):
        source.read(item)


def numbered(folder: Path, labels: Sequence[str], **changes: Any) -> Path:
    names = [f"c{number}" for number in range(len(labels))]
    lines = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
    table = "\n".join(["name,label", *lines]) + "\n"
    return data_set(folder, table=table, clips={name: poses() for name in names}, **changes)


@pytest.mark.parametrize("classes", [{}, {"classes": ["sit", "wave"]}])
def test_labels_that_do_not_begin_at_zero_need_a_word_on_where_they_do(
    tmp_path: Path, classes: dict[str, Any]
) -> None:
    message = refusal(numbered(tmp_path, ["1", "2"], **classes))

    assert message == (
        f"{tmp_path / 'clips.csv'}: expected labels from 0, found 1 as the smallest: say"
        " `labels_from: 1 in dataset.yaml` if the first class is number 1, or"
        " `labels_from: 0 in dataset.yaml` if it is number 0 and has no clip here"
    )


@pytest.mark.parametrize(
    ("first", "classes", "wanted", "labels"),
    [
        (1, None, ("class 1", "class 2"), [0, 1]),
        (0, None, ("class 0", "class 1", "class 2"), [1, 2]),
        (1, ["sit", "wave"], ("sit", "wave"), [0, 1]),
        (0, ["a", "sit", "wave"], ("a", "sit", "wave"), [1, 2]),
    ],
)
def test_labels_are_counted_from_the_number_that_is_said(
    tmp_path: Path,
    first: int,
    classes: list[str] | None,
    wanted: Sequence[str],
    labels: Sequence[int],
) -> None:
    more: dict[str, Any] = {} if classes is None else {"classes": classes}

    source = CustomSource(numbered(tmp_path, ["1", "2"], labels_from=first, **more))

    assert source.classes == wanted
    assert [item.info.label for item in source.items()] == labels


@pytest.mark.parametrize(
    ("labels", "first", "line", "found"),
    [(["0", "1", "2"], None, 4, 2), (["1", "2", "0"], 1, 4, 0), (["1", "3"], 1, 3, 3)],
)
def test_a_number_that_is_no_class_stops_with_its_line(
    tmp_path: Path, labels: Sequence[str], first: int | None, line: int, found: int
) -> None:
    path = numbered(tmp_path, labels, classes=["sit", "wave"], labels_from=first)

    message = refusal(path)

    begin = first or 0
    assert message.startswith(
        f"{tmp_path / 'clips.csv'}, line {line}: expected a label from {begin} to {begin + 1}, the"
        f" numbers of 2 classes, found {found}; `labels_from` in dataset.yaml is the number"
    )


def test_subjects_that_are_words_are_numbered_in_sorted_order(tmp_path: Path) -> None:
    table = "name,label,subject\na,0,s10\nb,0,s2\n"

    source = CustomSource(data_set(tmp_path, table=table))

    assert source.categories == {"subject": {"s2": 1, "s10": 2}}
    assert [item.info.subject for item in source.items()] == [2, 1]
    assert not source.rejected


def test_a_clip_without_a_file_is_missing_and_not_merely_no_sample(tmp_path: Path) -> None:
    source = CustomSource(
        data_set(tmp_path, table=f"{TABLE}c,wave,1\nd,run,1\n", classes=["sit", "wave"])
    )

    assert [name for name, _ in source.rejected] == ["c", "d"]
    assert [source.cause(name) for name in "cd"] == ["missing file", "wrong line"]
