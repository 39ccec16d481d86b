import io
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skelab.errors import ScoresError
from skelab.files.plain_pickle import load_plain_pickle


class _Attack:
    """Unpickled by Python itself, it makes the folder ``was-here``."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("was-here",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.array([1.5, -2.0], np.float32),
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(5, dtype=">i2"),
        np.array([True, False]),
        np.array(["wave", "ü"]),
        np.array([b"wave", b"clap"]),
        np.zeros((0, 4), np.float16),
        np.float32(2.5),
        np.array(7),
    ],
)
def test_an_array_is_read_as_it_was_written(tmp_path: Path, array: Any, protocol: int) -> None:
    path = tmp_path / "content.pkl"
    path.write_bytes(pickle.dumps(array, protocol=protocol))

    loaded = load_plain_pickle(path, ScoresError)

    np.testing.assert_array_equal(loaded, array)
    assert loaded.shape == array.shape
    assert loaded.dtype == array.dtype.newbyteorder("=")


def test_containers_are_read_with_what_is_in_them(tmp_path: Path) -> None:
    content = OrderedDict(a=[1, 2.5, None], b=(True, "ü", b"raw"), c={"deep": np.arange(3)})
    path = _pickled(tmp_path, content)

    loaded = load_plain_pickle(path, ScoresError)

    assert loaded["a"] == [1, 2.5, None]
    assert loaded["b"] == (True, "ü", b"raw")
    assert loaded["c"]["deep"].tolist() == [0, 1, 2]


def test_an_array_that_occurs_twice_is_read_twice(tmp_path: Path) -> None:
    array = np.arange(3)
    path = _pickled(tmp_path, [array, array])

    loaded = load_plain_pickle(path, ScoresError)

    assert [entry.tolist() for entry in loaded] == [[0, 1, 2]] * 2


def test_what_is_shared_a_thousand_times_is_made_once(tmp_path: Path) -> None:
    content: list[Any] = [np.arange(3)]
    for _ in range(10):
        content = [content, content]
    path = _pickled(tmp_path, content)

    loaded = load_plain_pickle(path, ScoresError)

    assert loaded[0] is loaded[1]


@pytest.mark.parametrize("kind", [list, tuple, lambda pair: {"a": pair[0], "b": pair[1]}])
def test_what_is_shared_a_million_million_times_is_refused(tmp_path: Path, kind: Any) -> None:
    # To show it, to compare it or to make an array of it would walk through all of it.
    content: Any = kind([1, 2])
    for _ in range(40):
        content = kind([content, content])
    path = _pickled(tmp_path, content)

    with pytest.raises(
        ScoresError, match=r"bad\.pkl: .*found more than 1,00\d,\d+ entries in so sm"
    ):
        load_plain_pickle(path, ScoresError)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_key_that_is_a_tuple_of_tuples_is_refused_before_it_is_hashed(
    tmp_path: Path, protocol: int
) -> None:
    key: Any = 1
    for _ in range(60):
        key = (key, key)
    path = tmp_path / "bad.pkl"
    made = io.BytesIO()
    pickler: Any = pickle._Pickler(made, protocol)
    pickler.framer.start_framing = lambda: None
    pickler.dump(key)
    tupled = made.getvalue()[2 if protocol else 0 : -1]
    path.write_bytes(b"\x80\x05(d" + tupled + b"I1\ns.")

    with pytest.raises(ScoresError, match=r"bad\.pkl: .*found a tuple as the key of a dict"):
        load_plain_pickle(path, ScoresError)


def test_a_shape_of_tuples_of_tuples_is_refused_without_being_shown(tmp_path: Path) -> None:
    shape: Any = (1,)
    for _ in range(60):
        shape = (shape, shape)
    path = tmp_path / "bad.pkl"
    path.write_bytes(_forged((1, shape, "dtype", False, b"12345678")))

    with pytest.raises(ScoresError, match=r"bad\.pkl: .*found an array of shape a tuple"):
        load_plain_pickle(path, ScoresError)


def test_bytes_that_become_an_array_again_and_again_are_refused(tmp_path: Path) -> None:
    state = b"(K\x01(J\x00\x00\x10\x00tcnumpy\ndtype\n(Vu1\ntR\x89B\x00\x00\x10\x00"
    state += bytes(1 << 20) + b"tq\x00"
    again = b"cnumpy\nndarray\n(tRh\x00b"
    path = tmp_path / "bad.pkl"
    path.write_bytes(b"\x80\x02](cnumpy\nndarray\n(tR" + state + b"b" + again * 100 + b"e.")

    with pytest.raises(ScoresError, match=r"bad\.pkl: .*found arrays of more than 9,\d+,\d+ bytes"):
        load_plain_pickle(path, ScoresError)


def test_a_set_is_refused(tmp_path: Path) -> None:
    path = _pickled(tmp_path, {"a": {1, 2}})

    with pytest.raises(ScoresError, match=r"bad\.pkl: .*found a set"):
        load_plain_pickle(path, ScoresError)


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bad.pkl")

    with pytest.raises(
        ScoresError, match=r"bad\.pkl: .*found: expected a file, found a named pipe"
    ):
        load_plain_pickle(tmp_path / "bad.pkl", ScoresError)


def test_text_of_python_2_is_taken_for_bytes(tmp_path: Path) -> None:
    path = tmp_path / "content.pkl"
    path.write_bytes(
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'i2'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        b"I00\nS'\\x01\\x00\\xff\\xff'\ntb."
    )

    loaded = load_plain_pickle(path, ScoresError)

    assert loaded.tolist() == [1, -1]


@pytest.mark.parametrize("content", [_Attack(), {"a": [_Attack()]}, print, Path("x"), object])
def test_what_could_run_code_is_refused_unloaded(tmp_path: Path, content: Any) -> None:
    path = _pickled(tmp_path, content)

    with pytest.raises(ScoresError, match=r"bad\.pkl: expected .*could run code; it was not load"):
        load_plain_pickle(path, ScoresError)
    assert not Path("was-here").exists()


REFUSED = [
    (b"c_codecs\nencode\n(Vtext\nVrot13\ntR.", "found bytes encoded as 'rot13'"),
    (b"cnumpy\nndarray\n.", "found a function in the place of a value"),
    (b"cnumpy\nndarray\n(I9\ntR.", "found an array without content"),
    (b"cnumpy\ndtype\n(VO8\ntR.", "found an array of type 'O8'"),
    (b"cnumpy\ndtype\n(Vf4\ntR.", "found a function in the place of a value"),
    (b"cnumpy\nndarray\n}Vf\nI1\nsb.", "found a state for something that has none"),
    (b"cnumpy.core.multiarray\nscalar\n(I1\nVx\ntR.", "found an array without a type"),
    (b"\x80\x02c__builtin__\nbytes\n(K\x09tR.", "found a damaged file"),
    (b"\x80\x05\x96\x00\x00\x00\x00\x01\x00\x00\x00abc.", "found a damaged file"),
    (b"(lp0\ng0\na.", "found a container that holds itself"),
    (b"(dp0\nI1\ng0\ns.", "found a container that holds itself"),
    (b"", "found a damaged file"),
    (b"I1\n", "found a damaged file"),
]


@pytest.mark.parametrize(("data", "message"), REFUSED)
def test_a_forged_pickle_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(data)

    with pytest.raises(ScoresError, match=rf"bad\.pkl: expected .*{message}"):
        load_plain_pickle(path, ScoresError)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((1, (2,), "dtype", False, b"12345678"), None),
        ((1, (3,), "dtype", False, b"12345678"), r"of shape \(3,\) in 8 bytes"),
        ((1, (2**62, 4), "dtype", False, b""), "in 0 bytes"),
        ((1, (-2,), "dtype", False, b"12345678"), r"of shape \(-2,\)"),
        ((1, [2], "dtype", False, b"12345678"), r"of shape \[2\]"),
        ((1, (2,), "dtype", False, [1, 2]), "an array made of a list"),
        ((1, (2,), None, False, b"12345678"), "an array without a type"),
    ],
)
def test_an_array_must_have_as_many_bytes_as_it_claims(
    tmp_path: Path, state: tuple[Any, ...], message: str | None
) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(_forged(state))

    if message is None:
        assert load_plain_pickle(path, ScoresError).shape == (2,)
        return
    with pytest.raises(ScoresError, match=rf"bad\.pkl: expected .*{message}"):
        load_plain_pickle(path, ScoresError)


def test_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    data = pickle.dumps(np.array(["wave"]), protocol=3)
    path = tmp_path / "bad.pkl"
    path.write_bytes(data.replace("wave".encode("utf-32-le"), b"\xff" * 16))

    with pytest.raises(ScoresError, match="found an array of text that is no Unicode"):
        load_plain_pickle(path, ScoresError)


def test_a_type_with_forged_flags_is_only_a_type(tmp_path: Path) -> None:
    # numpy itself would take these flags for "holds pointers" and follow them.
    path = tmp_path / "bad.pkl"
    path.write_bytes(_forged((1, (2,), "dtype", False, b"12345678"), flags=63))

    assert load_plain_pickle(path, ScoresError).dtype == np.float32


def test_a_huge_memo_number_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "content.pkl"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")

    assert load_plain_pickle(path, ScoresError) == {}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"none\.pkl: expected .*found: No such file"):
        load_plain_pickle(tmp_path / "none.pkl", ScoresError)


@pytest.mark.parametrize("protocol", [0, 2, 3, 5])
def test_damaged_bytes_never_end_in_anything_but_our_error(tmp_path: Path, protocol: int) -> None:
    content = {"a": np.zeros(3, np.float32), "b": [np.float64(1), ("x", 2)]}
    whole = pickle.dumps(content, protocol=protocol)
    path = tmp_path / "bad.pkl"
    rng = np.random.default_rng(protocol)
    refused = 0

    for _ in range(400):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            load_plain_pickle(path, ScoresError)
        except ScoresError:
            refused += 1

    assert refused > 150


def _pickled(folder: Path, content: Any) -> Path:
    path = folder / "bad.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def _forged(state: tuple[Any, ...], *, flags: int = 0) -> bytes:
    """A pickle of one float32 array with the state given; "dtype" stands for its type."""
    body = b""
    for entry in state:
        if entry == "dtype":
            body += b"cnumpy\ndtype\n(Vf4\ntR(I3\nV<\nNNNI-1\nI-1\nI" + b"%d\ntb" % flags
        elif isinstance(entry, bytes):
            body += b"B" + struct.pack("<I", len(entry)) + entry
        else:
            body += pickle.dumps(entry, protocol=0)[:-1]
    return b"cnumpy.core.multiarray\n_reconstruct\n(tR(" + body + b"tb."
