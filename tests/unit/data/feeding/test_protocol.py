"""What holds for every transform: axes, types, devices, JSON, and what is left alone."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from feeding_kit import SBU15, batch_of, facts_of, random_batch

from skelab.data.feeding.chance import ClipChance
from skelab.data.feeding.transforms import (
    TRANSFORM_SETTINGS,
    CropResize,
    Fill,
    Need,
    PickFrames,
    Transform,
    build_transform,
)
from skelab.data.feeding.transforms.protocol import num_coordinates
from skelab.skeleton import Layout, get_layout

LISTED = sorted(TRANSFORM_SETTINGS)


def listed(name: str, layout: Layout = SBU15, **options: Any) -> Transform:
    """The transform of a recipe's entry; where it says, done to every clip."""
    kind = TRANSFORM_SETTINGS[name]
    if "probability" in kind.model_fields:
        options.setdefault("probability", 1.0)
    return build_transform(kind(**options), layout)


EVERY = [
    CropResize(12, (0.5, 1.0)),
    *(PickFrames(12, (0.5, 1.0), fill) for fill in (Fill.LOOP, Fill.ZEROS, Fill.SAMPLE)),
    *(listed(name) for name in LISTED),
]


def sampled(transform: Transform, clips: int = 2) -> list[Any]:
    """What is drawn for clips of 12 frames, with no more draws than the transform declares."""
    uniforms = np.random.default_rng(3).random((clips, transform.draws)).tolist()
    return [
        transform.sample(facts_of(12, window=12, row=row, company=range(clips)), ClipChance(draws))
        for row, draws in enumerate(uniforms)
    ]


@pytest.mark.parametrize("transform", EVERY, ids=lambda transform: transform.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_axes_type_labels_and_rows_are_kept(transform: Transform, dtype: torch.dtype) -> None:
    joints = random_batch().joints.to(dtype)
    before = joints.clone()

    done = transform.apply(batch_of(joints), sampled(transform))

    assert done.joints.shape == (2, 3, 12, 15, 2)
    assert done.joints.dtype is dtype
    assert done.joints.isfinite().all()
    assert (done.labels.tolist(), done.rows) == ([0, 1], (0, 1))
    assert torch.equal(joints, before), "what comes in is not changed"


@pytest.mark.parametrize("transform", EVERY, ids=lambda transform: transform.name)
def test_what_was_drawn_survives_a_trip_through_json(transform: Transform) -> None:
    batch, drawn = random_batch(), sampled(transform)

    again = transform.apply(batch, json.loads(json.dumps(drawn)))

    assert torch.equal(again.joints, transform.apply(batch, drawn).joints)


@pytest.mark.parametrize("transform", EVERY, ids=lambda transform: transform.name)
def test_a_body_that_is_absent_stays_absent(transform: Transform) -> None:
    joints = random_batch().joints
    joints[..., 1] = 0

    done = transform.apply(batch_of(joints), sampled(transform))

    assert not done.joints[..., 1].any()
    assert done.joints[..., 0].any()


@pytest.mark.parametrize("name", [name for name in LISTED if name not in ("rotate", "limbs")])
def test_a_clip_for_which_nothing_is_drawn_is_left_as_it_is(name: str) -> None:
    transform, batch = listed(name, probability=0.5), random_batch()
    drawn = [value or None for value in sampled(transform, 2)]
    kind = {"mirror": False, "reverse-time": False}.get(name)

    untouched = transform.apply(batch, [kind, drawn[1]]).joints[0]
    draws = [
        transform.sample(facts_of(12, window=12), np.random.default_rng(seed))
        for seed in range(200)
    ]

    assert torch.equal(untouched, batch.joints[0])
    done = sum(value is not None and value is not False for value in draws)
    assert 70 < done < 130


@pytest.mark.parametrize(
    "name", [name for name in LISTED if name not in ("rotate", "limbs", "shear")]
)
@pytest.mark.parametrize("layout", ["coco17", "openpose18"])
def test_scores_are_kept_wherever_only_coordinates_are_moved(name: str, layout: str) -> None:
    poses = get_layout(layout)
    transform = listed(name, poses)
    batch = random_batch(joints=poses.num_joints)
    facts = [facts_of(12, window=12, row=row, layout=poses, company=(0, 1)) for row in (0, 1)]
    drawn = [transform.sample(known, np.random.default_rng(known.row)) for known in facts]

    done = transform.apply(batch, drawn).joints

    assert not torch.equal(done[:, :2], batch.joints[:, :2])
    if name in ("scale", "noise"):
        assert torch.equal(done[:, 2], batch.joints[:, 2])
    if name == "mirror":
        assert torch.equal(done[:, 2], batch.joints[:, 2][:, :, list(poses.mirror)])


def test_needs_say_what_a_layout_has_instead() -> None:
    coco = get_layout("coco17")
    bare = Layout.from_dict({**SBU15.to_dict(), "pairs": (), "axes": ("z", "y")})

    assert [need.found(SBU15) for need in Need] == [None, None, None]
    assert Need.SPACE.found(coco) == "x, y, score"
    assert (Need.SIDEWAYS.found(coco), Need.PAIRS.found(coco)) == (None, None)
    assert (Need.SIDEWAYS.found(bare), Need.PAIRS.found(bare)) == ("z, y", "no pairs")
    assert (num_coordinates(SBU15), num_coordinates(coco)) == (3, 2)
