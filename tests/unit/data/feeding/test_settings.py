"""What a recipe may list under ``data.transforms``."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.transforms import TRANSFORM_SETTINGS
from skelab.errors import DataError
from skelab.recipes import DataConfig
from skelab.skeleton import Layout, get_layout

SBU15 = get_layout("sbu15")


def labels(config: FeederConfig) -> list[str]:
    return [step.label for step in Feeder(config, SBU15).training]


def test_the_short_keys_stand_for_the_usual_transforms_and_the_list_follows() -> None:
    usual = FeederConfig()
    more = FeederConfig.model_validate(
        {
            "fill": "loop",
            "rotation": 0,
            "yaw": 0.5,
            "limbs": 0.1,
            "transforms": [{"name": "mirror"}, "noise", {"name": "mask-time"}, "mask-time", "mix"],
        }
    )

    assert labels(usual) == ["crop-resize", "rotate"]
    assert labels(more) == [
        *("pick-frames", "rotate", "limbs", "mirror", "noise", "mask-time", "mask-time 2", "mix")
    ]
    assert [step.label for step in Feeder(more, SBU15).evaluation] == ["pick-frames"]


def test_turns_and_limbs_may_have_another_place_in_the_list() -> None:
    config = FeederConfig.model_validate(
        {
            "rotation": 0,
            "transforms": ["mirror", {"name": "rotate", "limit": 0.2, "yaw": 1}, "limbs"],
        }
    )

    assert labels(config) == ["crop-resize", "mirror", "rotate", "limbs"]


@pytest.mark.parametrize("name", sorted(TRANSFORM_SETTINGS))
def test_every_transform_goes_through_json_with_its_options(name: str) -> None:
    config = FeederConfig.model_validate({"rotation": 0, "transforms": [name]})

    content = json.loads(json.dumps(config.model_dump(mode="json")))

    assert content["transforms"][0]["name"] == name
    assert set(content["transforms"][0]) == set(TRANSFORM_SETTINGS[name].model_fields)
    assert FeederConfig.model_validate(content) == config


def test_settings_that_were_written_before_there_was_a_list_mean_an_empty_one() -> None:
    before = {
        "stream": "joint",
        "window": 64,
        "fill": "resize",
        "train_crop": [0.5, 1.0],
        "eval_crop": 0.95,
        "rotation": 0.3,
        "yaw": None,
        "limbs": 0.0,
    }

    assert FeederConfig.model_validate(before) == FeederConfig()
    assert FeederConfig().model_dump(mode="json") == {**before, "transforms": []}
    assert DataConfig().feeder == FeederConfig()


def test_the_data_of_a_recipe_hand_the_list_on() -> None:
    data = DataConfig.model_validate({"transforms": ["shear"]})

    assert data.feeder == FeederConfig.model_validate({"transforms": ["shear"]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"transforms": ["flip"]},
            r"unknown transform 'flip'.*Known: drop-joints, limbs, mask-tim",
        ),
        ({"transforms": [{"name": "miror"}]}, r"unknown transform 'miror', did you mean 'mirror'"),
        ({"transforms": ["mirror", "mirror"]}, "mirror is listed twice; once is enough"),
        ({"transforms": ["mix", "noise"]}, "mix comes last, since noise would take two clips"),
        ({"transforms": ["rotate"]}, "rotate applies twice.*--set data.rotation=0 leaves it"),
        ({"rotation": 0, "yaw": 1, "transforms": ["rotate"]}, "twice.*--set data.yaw=0 leaves"),
        ({"limbs": 0.1, "transforms": ["limbs"]}, "limbs applies twice.*--set data.limbs=0 leaves"),
        ({"transforms": ["crop-resize"]}, "crop-resize fills the window, which.*data.train_crop"),
        ({"transforms": [{"name": "pick-frames"}]}, "pick-frames fills the window"),
        ({"transforms": [{"name": "mirror", "chance": 1}]}, "chance"),
        ({"transforms": [{"name": "mirror", "probability": 0}]}, "probability"),
        ({"transforms": [{"name": "mask-time", "frames": [0.5, 0.1]}]}, "0 < lowest <= highest"),
        ({"transforms": [{"name": "drop-joints", "frames": [0, 1]}]}, "0 < lowest <= highest"),
        ({"transforms": [{"name": "noise", "std": 0}]}, "std"),
        ({"transforms": [{}]}, "name"),
        ({"transforms": [3]}, "transforms"),
        ({"transforms": "mirror"}, "transforms"),
    ],
)
def test_lists_that_make_no_feeder_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FeederConfig.model_validate(content)


@pytest.mark.parametrize(
    ("layout", "content", "message"),
    [
        (
            get_layout("coco17"),
            {"transforms": ["mirror", "shear", {"name": "noise", "std": 0.5}]},
            r"shear needs coordinates x, y, z; layout coco17 has x, y, score; --set"
            r" data\.transforms='\[\{.name.: .mirror.\}, \{.name.: .noise., .std.: 0\.5\}\]' leaves"
            r" it out",
        ),
        (
            get_layout("coco17"),
            {"transforms": ["limbs"]},
            r"limbs needs coordinates x, y, z; layout coco17 has x, y, score; --set"
            r" data\.transforms='\[\]' leaves it out",
        ),
        (
            Layout.from_dict({**SBU15.to_dict(), "name": "bare", "pairs": ()}),
            {"transforms": ["mirror"]},
            r"mirror needs left and right joints; layout bare has no pairs; --set data\.transf",
        ),
        (
            Layout.from_dict({**SBU15.to_dict(), "name": "side", "axes": ("z", "y")}),
            {"transforms": ["mirror"]},
            "mirror needs a coordinate x; layout side has z, y",
        ),
        (get_layout("coco17"), {"limbs": 0.1}, r"limbs needs .*--set data\.limbs=0 turns it off"),
        (get_layout("coco17"), {"yaw": 0.1}, r"yaw needs .*--set data\.yaw=0 turns it off"),
    ],
)
def test_a_layout_that_lacks_what_a_transform_needs_is_refused_with_the_way_out(
    layout: Layout, content: dict[str, Any], message: str
) -> None:
    config = FeederConfig.model_validate({"rotation": 0, **content})

    with pytest.raises(DataError, match=message):
        Feeder(config, layout)
