"""The text of a ``.skeleton`` file: every number as C would print it, every line in its place."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skelab.synthetic import clip_names
from skelab.synthetic.exact import Draws
from skelab.synthetic.text import significant, skeleton_text
from skelab.synthetic.tracking import Recording, record


def written(recording: Recording) -> list[str]:
    """The lines of the file."""
    text = skeleton_text(recording, Draws(0)).decode("ascii")
    assert text.endswith("\n")
    return text[:-1].split("\n")


def standing_at(x: list[float], *, frames: list[int], num_frames: int) -> Recording:
    """One body whose joints all have these x, one a pose, 3 m away."""
    joints = np.random.default_rng(0).normal(0.0, 0.2, size=(len(frames), 25, 3))
    joints[:, :, 0] = np.array(x)[:, None]
    joints[:, :, 2] += 3.0
    return Recording(
        num_frames=num_frames,
        frames=np.array(frames),
        ids=np.full(len(frames), 72057594037932185),
        joints=joints,
        states=np.full((len(frames), 25), 2, dtype=np.int8),
        faults=frozenset(),
    )


EDGES = [
    *[0.0, -0.0, 1.0, -1.0, 0.5, -12.25, 100.0, 999.99995, 999.99994, 1234.5678, 9998.9996],
    *[0.1, 0.099999994, 0.099999996, 0.01, 0.001, 0.00012345678, 1e-4, 9.9999999e-5, -4.248406e-5],
    *[3e-9, -2.5e-12, 9.9999994, 9.9999996, 1 / 3, -2 / 3, 1.000001, 1.0000001, 20.00001],
]


def test_numbers_are_written_as_c_writes_them_with_seven_digits() -> None:
    frames = list(range(len(EDGES)))

    lines = written(standing_at(EDGES, frames=frames, num_frames=len(EDGES)))

    found = [lines[1 + 28 * frame + 3].split()[0] for frame in frames]
    assert found == [f"{value:.7G}" if value else "0" for value in EDGES]


def test_significant_digits_are_those_that_a_reader_finds() -> None:
    rng = np.random.default_rng(0)
    size = 10.0 ** rng.uniform(-8, 3.9, size=20_000)
    values = np.where(rng.random(20_000) < 0.5, -size, size)

    found = significant(values)

    assert_array_equal(found, [float(f"{value:.7G}") for value in values])
    assert_array_equal(significant(found), found)


@pytest.mark.parametrize("name", clip_names(40))
def test_every_field_of_a_file_is_the_shortest_of_seven_digits(name: str) -> None:
    lines = written(record(name, seed=3))

    fields = {field for line in lines for field in line.split(" ") if len(field) < 17}
    assert all(f"{float(field):.7G}" == field for field in fields)


def test_lines_follow_each_other_as_in_a_file_of_the_kinect() -> None:
    recording = record(clip_names(60)[50], seed=0)
    lines = written(recording)

    assert int(lines[0]) == recording.num_frames
    at, poses = 1, 0
    for frame in range(recording.num_frames):
        count = int(lines[at])
        at += 1
        assert count == np.count_nonzero(recording.frames == frame)
        for _ in range(count):
            body, *flags = lines[at].split(" ")
            assert body == str(recording.ids[poses])
            assert len(flags) == 9
            assert flags[-1] == "2"
            assert lines[at + 1] == "25"
            joints = [line.split(" ") for line in lines[at + 2 : at + 27]]
            assert {len(fields) for fields in joints} == {12}
            assert [fields[11] for fields in joints] == [str(s) for s in recording.states[poses]]
            at, poses = at + 27, poses + 1
    assert at == len(lines)
    assert poses == len(recording.frames)


def test_frames_without_a_body_say_0_at_the_start_inside_and_at_the_end() -> None:
    lines = written(standing_at([0.1, 0.2], frames=[2, 4], num_frames=7))

    counts = [*lines[:4], *lines[4 + 27 : 4 + 29], *lines[4 + 29 + 27 :]]
    assert counts == ["7", "0", "0", "1", "0", "1", "0", "0"]


def test_edges_that_cut_a_body_off_are_flagged() -> None:
    lines = written(standing_at([0.0, 2.5, -2.5], frames=[0, 1, 2], num_frames=3))

    flags = [lines[1 + 28 * frame + 1].split(" ")[1] for frame in range(3)]
    assert flags == ["0", "1", "2"]
