"""One clip at a time: what is made is what a reader finds."""

import hashlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skelab.data.recordings.skeleton_file import parse_skeleton
from skelab.errors import DataError
from skelab.synthetic import clip_names, synthetic_clip, synthetic_file


@pytest.mark.parametrize("name", clip_names(60)[::7])
def test_reading_the_file_gives_the_clip_to_the_bit(name: str) -> None:
    clip = synthetic_clip(name, seed=5)

    read = parse_skeleton(synthetic_file(name, seed=5), name)

    assert read.num_frames == clip.num_frames
    assert list(read.bodies) == list(clip.bodies)
    for body, track in clip.bodies.items():
        other = read.bodies[body]
        assert_array_equal(other.frames, track.frames)
        assert_array_equal(other.joints, track.joints)
        assert track.tracking is not None
        assert track.slots is not None
        assert_array_equal(np.asarray(other.tracking), track.tracking)
        assert_array_equal(np.asarray(other.slots), track.slots)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("S002C001P001R001A023", "95aff3ace0c22294"),
        ("S008C002P007R002A060", "28329d9e4bea20d8"),
        ("S017C003P033R001A058", "74cd91835fbc728f"),
    ],
)
def test_the_bytes_of_a_file_never_change(name: str, digest: str) -> None:
    content = synthetic_file(name, seed=0)

    # Another value means another synthetic set under the same seed: raise the marker's format.
    assert hashlib.sha256(content).hexdigest()[:16] == digest


def test_another_seed_makes_another_clip() -> None:
    name = clip_names(1)[0]

    assert synthetic_file(name, seed=0) != synthetic_file(name, seed=1)


def test_a_name_of_another_form_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        synthetic_clip("a01_s01_e00_v01")

    assert str(caught.value) == (
        "a01_s01_e00_v01: expected a name like S001C002P003R002A013, found another form"
    )
