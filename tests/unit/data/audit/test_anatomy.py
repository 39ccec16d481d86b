"""Right joints are never refused, scrambled ones always; on every set that there is."""

from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import ctrgcn_clips, msg3d_clips, recordings
from jaxtyping import Float
from listed_source import ListedSource
from numpy import ndarray
from shared_data import shared_data

from skelab.data.audit.anatomy import (
    AnatomyReport,
    check_anatomy,
    check_clips,
    check_source,
    refuse_if_scrambled,
    spread,
    usual_up,
)
from skelab.data.audit.scrambles import scramble
from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.datasets import open_source
from skelab.data.preprocessing import get_pipeline
from skelab.errors import DataError, SourceError
from skelab.skeleton import Layout, get_layout
from skelab.synthetic import clip_names, synthetic_clip

Clips = Sequence[Float[ndarray, "_ _ V C"]]

NTU25 = get_layout("ntu25")
WRONG_FRAMES = [
    pair
    for order in ("".join(order) for order in permutations("MVC"))
    if order != "MVC"
    for pair in ((f"T{order}", "TMVC"), ("TMVC", f"T{order}"))
]
"""Wrong reshapes of a frame, in both directions: stored, read."""

WRONG_CLIPS = [("CTVM", "TMVC"), ("TMVC", "CTVM"), ("CTVM", "MTVC")]
COMMON = [
    *(("TMVC", "TVCM"), ("TVCM", "TMVC"), ("TMVC", "TCVM"), ("TCVM", "TMVC")),
    *WRONG_CLIPS[:2],
]
"""Those that were seen in the field: (25, 3, 2), (3, 25, 2), and one repository's for another's."""


def dense(raw: RawClip, joints: int) -> Float[ndarray, "M T V 3"]:
    """A recording as an array, zeros where nobody stands."""
    array = np.zeros((max(len(raw.bodies), 1), raw.num_frames, joints, 3))
    for body, track in zip(array, raw.bodies.values(), strict=False):
        body[track.frames] = track.joints
    return array


def scrambled(clips: Clips, stored: str, read: str) -> list[Float[ndarray, "_ _ V C"]]:
    """Clips read in a wrong order, by somebody who then leaves absent bodies out."""
    wrong = []
    for clip in clips:
        padded = np.concatenate([clip, np.zeros_like(clip)])[:2]
        mixed = scramble(padded, stored, read)
        present = [body for body in mixed if body.any()]
        wrong.append(np.stack(present) if present else mixed[:1])
    return wrong


def names_the_right_one(report: AnatomyReport, stored: str, read: str) -> bool:
    """Whether the report says how the values lie and how they were read."""
    if report.likely is None:
        return False
    if stored[0] == read[0] == "T":
        stored, read = stored[1:], read[1:]
    if f"are {' x '.join(stored)} (" in report.likely:
        return f"read as {' x '.join(read)} (" in report.likely
    alone = stored.replace("M", ""), read.replace("M", "")  # the same for clips of one body
    return f"are {' x '.join(alone[0])} (" in report.likely


def check_both_ways(
    clips: Clips, layout: Layout, up: str, wrong: Sequence[tuple[str, str]] = COMMON
) -> None:
    """Right clips pass, one by one and together; every wrong order is refused by its name."""
    report = check_anatomy(clips, layout, up=up)
    assert report.plausible, report.reason
    assert report.up == up
    assert report.upright is not None
    assert report.upright > 0.9
    for position, clip in enumerate(clips):
        alone = check_anatomy([clip], layout, up=up)
        assert alone.plausible, (position, alone.reason)
    some = [clips[row] for row in spread(len(clips), 16)]
    for stored, read in wrong:
        found = check_anatomy(scrambled(some, stored, read), layout)
        assert not found.plausible, (stored, read)
        assert names_the_right_one(found, stored, read), (stored, read, found.likely)


def made_up(count: int) -> list[Float[ndarray, "_ _ 25 3"]]:
    return [dense(synthetic_clip(name), 25) for name in clip_names(count)]


def test_the_authors_ctrgcn_arrays_pass_and_their_wrong_reshapes_do_not() -> None:
    check_both_ways(ctrgcn_clips(), NTU25, "+y")


def test_the_authors_msg3d_arrays_pass_and_their_wrong_reshapes_do_not() -> None:
    clips = [clip for clip in msg3d_clips() if clip.any()]

    check_both_ways(clips, NTU25, "+z")


def test_the_golden_recordings_pass() -> None:
    clips = [raw for raw in recordings().values() if raw.bodies]

    report = check_anatomy(clips, NTU25, up="+y")

    assert report.plausible
    assert report.num_clips == 61
    assert all(check_anatomy([clip], NTU25, up="+y").plausible for clip in clips)


@pytest.mark.parametrize("name", ["ctrgcn", "msg3d", "clean"])
def test_what_a_pipeline_makes_of_right_joints_passes(name: str) -> None:
    prepare = get_pipeline(name).prepare
    clips = [prepare(raw, NTU25).joints for raw in recordings().values() if raw.bodies]

    assert check_anatomy(clips, NTU25, up=usual_up("ntu", name)).plausible


def test_forty_synthetic_clips_pass_and_their_wrong_reshapes_do_not() -> None:
    check_both_ways(made_up(40), NTU25, "+y")


@pytest.mark.slow
def test_a_thousand_synthetic_clips_pass_and_their_wrong_reshapes_do_not() -> None:
    check_both_ways(made_up(1000), NTU25, "+y", [*WRONG_FRAMES, *WRONG_CLIPS])


@pytest.mark.slow
@pytest.mark.parametrize("clips", [ctrgcn_clips, msg3d_clips], ids=["ctrgcn", "msg3d"])
def test_every_wrong_order_of_the_authors_arrays_is_refused_by_name(
    clips: Callable[[], Clips],
) -> None:
    present = [clip for clip in clips() if clip.any()]
    up = "+y" if clips is ctrgcn_clips else "+z"

    check_both_ways(present, NTU25, up, [*WRONG_FRAMES, *WRONG_CLIPS])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "count", "up"),
    [
        ("utd-mhad", 431, "+y"),
        ("nw-ucla", 1020, "+y"),
        ("sbu-interaction", 217, "-y"),
        ("ntu-samples", 2, "+y"),
    ],
)
def test_real_recordings_pass_and_their_wrong_reshapes_do_not(
    folder: str, count: int, up: str
) -> None:
    source = open_source(shared_data(folder))
    joints = source.layout.num_joints

    clips = [dense(source.read(item), joints) for item in source.items()]

    assert len(clips) == count
    check_both_ways(clips, source.layout, up, [*WRONG_FRAMES, *WRONG_CLIPS])
    assert usual_up(source.kind) == up


def test_a_sample_of_real_recordings_passes() -> None:
    source = open_source(shared_data("nw-ucla"))

    report = check_source(source)

    assert report.plausible
    assert report.num_clips == 64


@pytest.mark.parametrize(("folder", "layout"), [("utd-mhad", "kinect20"), ("nw-ucla", "utd20")])
def test_a_layout_of_as_many_joints_in_another_order_is_refused_by_name(
    folder: str, layout: str
) -> None:
    source = open_source(shared_data(folder), layout=layout)

    with pytest.raises(SourceError) as caught:
        refuse_if_scrambled(check_source(source), source.path)

    right = "utd20" if layout == "kinect20" else "kinect20"
    assert f"for layout {layout} (compactness 0." in str(caught.value)
    assert f"most likely joints in the order of layout {right}" in str(caught.value)
    assert str(caught.value).endswith("--no-anatomy-check goes on all the same")


def test_an_unknown_order_of_the_joints_is_refused_without_a_name() -> None:
    order = np.random.default_rng(3).permutation(25)

    report = check_anatomy([clip[:, :, order] for clip in ctrgcn_clips()], NTU25)

    assert report.verdict == "scrambled"
    assert report.likely is None
    assert report.reason.endswith("; none of the known wrong orders explains it")


@pytest.mark.parametrize(
    ("turn", "found"),
    [
        ([[1, 0, 0], [0, 0, 1], [0, 1, 0]], "+z"),
        ([[0, 1, 0], [1, 0, 0], [0, 0, 1]], "+x"),
        ([[1, 0, 0], [0, -1, 0], [0, 0, 1]], "-y"),
    ],
)
def test_axes_in_another_order_or_turned_over_are_refused_by_where_the_head_is(
    turn: list[list[int]], found: str
) -> None:
    clips = [clip @ np.array(turn, np.float32).T for clip in ctrgcn_clips()]

    report = check_anatomy(clips, NTU25, up="+y")

    assert not report.plausible
    assert report.likely == f"+y is up here, so that {found} stands where +y should"
    assert check_anatomy(clips, NTU25).plausible  # where up is not known, nothing is refused


def test_one_body_lying_down_is_no_reason_to_refuse() -> None:
    lying = [clip[..., [1, 0, 2]] for clip in ctrgcn_clips()[:4]]

    report = check_anatomy([*lying, *ctrgcn_clips()[4:24]], NTU25, up="+y")

    assert report.plausible


def test_one_scrambled_clip_among_sound_ones_is_named_and_nothing_refused() -> None:
    clips = list(ctrgcn_clips()[:20])
    clips[7] = scramble(clips[7], "TMVC", "TVCM")

    report = check_anatomy(clips, NTU25, up="+y")

    assert report.plausible
    assert report.odd == ("7",)


def test_bones_that_change_all_the_time_are_refused() -> None:
    rng = np.random.default_rng(0)
    clips = [clip * rng.uniform(0.02, 2, size=(1, clip.shape[1], 1, 1)) for clip in ctrgcn_clips()]

    report = check_anatomy(clips, NTU25)

    assert report.verdict == "scrambled"
    assert "their bones change by" in report.reason


def test_left_and_right_that_do_not_match_are_refused() -> None:
    lopsided = np.ones((25, 1), np.float32)
    lopsided[[4, 5, 6, 7, 12, 13, 14, 15, 21, 22]] = 3
    report = check_anatomy([clip * lopsided for clip in ctrgcn_clips()], NTU25)

    assert report.verdict == "scrambled"
    assert "their left and right bones differ by" in report.reason


def test_a_still_body_of_identical_frames_passes() -> None:
    clip = np.repeat(ctrgcn_clips()[0][:, :1], 30, axis=1)

    assert check_anatomy([clip] * 10, NTU25, up="+y").plausible


def test_values_that_are_not_finite_are_counted_and_passed_over() -> None:
    clips = [clip.copy() for clip in ctrgcn_clips()[:10]]
    clips[2][0, 3, 4] = np.nan
    clips[5][:] = np.inf

    report = check_anatomy(clips, NTU25, up="+y")

    assert (report.verdict, report.num_clips, report.not_finite) == ("plausible", 9, 2)
    assert report.to_dict()["clips with NaN or inf"] == 2


@pytest.mark.parametrize("clips", [[], [np.zeros((1, 5, 25, 3))], [RawClip(4, {})]])
def test_where_nobody_is_nothing_is_known(clips: list[Any]) -> None:
    report = check_anatomy(clips, NTU25, up="+y")

    assert (report.verdict, report.plausible, report.num_clips) == ("unknown", True, 0)
    assert report.to_dict() == {"verdict": "unknown", "reason": "no body to look at"}


def test_joints_of_another_number_are_an_error() -> None:
    with pytest.raises(DataError) as caught:
        check_anatomy([np.ones((1, 2, 20, 3))], NTU25)

    assert str(caught.value) == ("expected 25 joints of 3 values for layout ntu25, found 20 of 3")


def test_bones_of_ones_own_may_be_as_long_as_they_are_meant() -> None:
    star = Layout(
        name="star",
        title="every joint tied to the first",
        joints=NTU25.joints,
        bones=tuple((joint, 20) for joint in range(25) if joint != 20),
        pairs=(),
        centre=20,
        origin=20,
        source="made up",
    )

    report = check_anatomy(ctrgcn_clips(), star, up="+y")

    assert report.plausible
    assert report.compactness is not None
    assert report.compactness < 0.5


def flattened(layout: Layout) -> Callable[[ndarray], ndarray]:
    """Poses seen in an image, with a made-up score; the face is guessed from head and shoulders."""
    rng = np.random.default_rng(1)

    def project(clip: ndarray) -> ndarray:
        joints = {name: clip[:, :, number] for number, name in enumerate(NTU25.joints)}
        head, across = joints["head"], joints["left shoulder"] - joints["right shoulder"]
        joints |= {"nose": head, "neck": joints["spine at the shoulders"]}
        for side, sign in (("left", 1), ("right", -1)):
            joints[f"{side} eye"] = head + sign * 0.08 * across
            joints[f"{side} ear"] = head + sign * 0.18 * across
        points = np.stack([joints[name] for name in layout.joints], axis=2)
        image = np.stack([points[..., 0], -points[..., 1]], axis=-1) * 400 + 500
        image += rng.normal(0, 5, image.shape)
        scores = rng.uniform(0.5, 1, (*image.shape[:-1], 1))
        present = (clip != 0).max(axis=(2, 3), keepdims=True)
        return np.asarray(np.concatenate([image, scores], axis=-1) * present)

    return project


@pytest.mark.parametrize("name", ["coco17", "openpose18"])
def test_poses_in_an_image_pass_and_their_wrong_reshapes_do_not(name: str) -> None:
    layout = get_layout(name)
    clips = [flattened(layout)(clip) for clip in made_up(24)]

    report = check_anatomy(clips, layout)

    assert report.plausible
    assert (report.variation, report.asymmetry, report.up) == (None, None, "-y")
    for read in ("TVCM", "TCVM"):
        for pair in (("TMVC", read), (read, "TMVC")):
            found = check_anatomy(scrambled(clips, *pair), layout)
            assert names_the_right_one(found, *pair), (pair, found.reason)


def test_joints_that_were_not_found_and_stand_at_zero_do_not_hide_the_others() -> None:
    layout = get_layout("coco17")
    clips = [flattened(layout)(clip) for clip in made_up(12)]
    before = check_anatomy(clips, layout).compactness
    for clip in clips:
        clip[:, ::2, 9:11] = 0

    after = check_anatomy(clips, layout).compactness

    assert before is not None
    assert after == pytest.approx(before, abs=0.03)


def test_coordinates_of_which_there_is_only_one_say_nothing() -> None:
    layout = Layout(
        name="heights",
        title="heights only",
        joints=("a", "b", "c"),
        bones=((1, 0), (2, 0)),
        pairs=(),
        centre=0,
        origin=0,
        axes=("y",),
        source="made up",
    )

    assert check_anatomy([np.ones((1, 4, 3, 1))], layout).verdict == "unknown"


def test_damaged_samples_are_passed_over(tmp_path: Path) -> None:
    names = frozenset(f"clip{row:03d}" for row in range(4))

    report = check_source(ListedSource(tmp_path, 10, damaged=names))

    assert report.num_clips == 6


def test_the_sample_is_spread_from_the_first_to_the_last() -> None:
    assert spread(5) == [0, 1, 2, 3, 4]
    assert spread(0) == []
    assert spread(1000)[:3] == [0, 16, 32]
    assert spread(1000)[-1] == 999
    assert len(set(spread(1000))) == 64


def test_opened_clips_are_judged_by_what_prepared_them(tmp_path: Path) -> None:
    from skelab.data.ingest import ingest
    from skelab.data.opened import open_clips

    tracks = {"1": BodyTrack(np.arange(4, dtype=np.int32), np.ones((4, 15, 3)))}
    assert check_anatomy([RawClip(4, tracks)], get_layout("sbu15")).verdict == "unknown"
    source = ListedSource(tmp_path, 9)
    ingest(source, tmp_path / "clips.arrow", workers=1, anatomy_check=False)

    report = check_clips(open_clips(tmp_path / "clips.arrow"))

    assert report.num_clips == 9


# What makes no body, though each figure alone would pass


def own_layout() -> Layout:
    """The joints of NTU RGB+D as a layout that the lab does not know."""
    return Layout(
        name="mine",
        title="a layout of one's own",
        joints=NTU25.joints,
        bones=NTU25.bones,
        pairs=NTU25.pairs,
        centre=NTU25.centre,
        origin=NTU25.origin,
        source="made up",
    )


@pytest.mark.parametrize("layout", [NTU25, own_layout(), get_layout("sbu15"), get_layout("utd20")])
def test_noise_makes_no_body(layout: Layout) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal((1, 30, layout.num_joints, 3)) for _ in range(16)]

    report = check_anatomy(noise, layout)

    assert not report.plausible
    assert "their bones are no shorter than those of joints in random order" in report.reason


@pytest.mark.parametrize("layout", [NTU25, own_layout()])
@pytest.mark.parametrize("seed", range(5))
def test_joints_in_random_order_are_refused_in_a_layout_of_ones_own_too(
    layout: Layout, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(25)

    report = check_anatomy([clip[:, :, order] for clip in ctrgcn_clips()], layout)

    assert not report.plausible


@pytest.mark.parametrize(
    ("one", "other"),
    [("left hand", "right hand"), ("left elbow", "left knee"), ("head", "base of spine")],
)
@pytest.mark.parametrize("layout", [NTU25, own_layout()])
def test_two_joints_in_each_others_place_are_named(layout: Layout, one: str, other: str) -> None:
    order = np.arange(25)
    order[[layout.joint(one), layout.joint(other)]] = layout.joint(other), layout.joint(one)

    report = check_anatomy([clip[:, :, order] for clip in ctrgcn_clips()], layout)

    assert not report.plausible
    assert report.likely is not None
    assert {one, other} == set(report.likely.removesuffix(" exchanged").split(" and "))


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2)])
def test_exchanged_axes_and_mirror_images_are_refused_where_up_is_known(
    order: tuple[int, int, int],
) -> None:
    turned = [clip[..., order] for clip in ctrgcn_clips()]

    refused, told = check_anatomy(turned, NTU25, up="+y"), check_anatomy(turned, NTU25)

    assert not refused.plausible
    assert told.plausible
    assert told.notes[0].startswith("the bodies are mirror images, their toes point backwards")


def test_millimetres_are_no_metres() -> None:
    clips = [clip * 1000 for clip in ctrgcn_clips()]

    report = check_anatomy(clips, NTU25, up="+y", units="metres")

    assert not report.plausible
    assert report.likely == "units: millimetres"
    assert check_anatomy(clips, NTU25, up="+y", units="millimetres").plausible


def test_poses_about_a_root_are_told_and_not_refused() -> None:
    root = NTU25.origin
    clips = [clip[:1] - clip[:1, :, root : root + 1] for clip in ctrgcn_clips()]

    report = check_anatomy(clips, NTU25, up="+y")

    assert report.plausible
    assert report.notes == (
        f"{NTU25.joints[root]} is at the origin in every pose: where the bodies went is not in the"
        " clips",
    )


def test_odd_clips_have_names() -> None:
    clips = list(ctrgcn_clips()[:20])
    clips[7] = scramble(clips[7], "TMVC", "TVCM")

    report = check_anatomy(clips, NTU25, names=[f"clip {number}" for number in range(20)])

    assert report.odd == ("clip 7",)
    assert report.to_dict()["odd clips"] == ["clip 7"]
