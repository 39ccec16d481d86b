"""Pictures show the bodies in their colours; the camera is that of the player."""

import numpy as np
from PIL import Image
from viewer_kit import NTU25, a_scene, an_answer, standing

from skelab.viewer.camera import Camera
from skelab.viewer.picture import THEMES, draw_frame, draw_strip
from skelab.viewer.scene import Pane


def count(picture: Image.Image, colour: str) -> int:
    """Pixels of nearly this colour."""
    wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    return int((np.abs(pixels - wanted).max(axis=1) < 8).sum())


def test_the_camera_stands_where_the_recorder_stood() -> None:
    poses = standing(10)
    camera = Camera.fitting(poses, NTU25, flat=True)

    spots = camera.see(poses[0, 0], (400, 400), camera.scale(400, 400))

    head, foot = spots[NTU25.joint("head")], spots[NTU25.joint("left foot")]
    left, right = spots[NTU25.joint("left hand")], spots[NTU25.joint("right hand")]
    assert head[1] < foot[1]  # y points down
    assert right[0] < left[0]  # who faces us has the right hand on our left


def test_everybody_is_in_the_picture() -> None:
    poses = standing(10, bodies=2)
    camera = Camera.fitting(poses, NTU25)

    spots = camera.see(poses, (300, 500), camera.scale(300, 500))

    assert (spots[..., 0] > 0).all()
    assert (spots[..., 0] < 300).all()
    assert (spots[..., 1] > 0).all()
    assert (spots[..., 1] < 500).all()


def test_each_body_has_its_colour() -> None:
    light = THEMES["light"]

    one, two = draw_frame(a_scene(4, 1), 2), draw_frame(a_scene(4, 2), 2)

    assert count(one, light.bodies[0][0]) > 500
    assert count(one, light.bodies[1][0]) == 0
    assert count(two, light.bodies[1][0]) > 300
    assert count(two, light.bodies[1][1]) > 100  # left limbs


def test_dark_pictures_have_a_dark_ground() -> None:
    dark = THEMES["dark"]

    picture = draw_frame(a_scene(4), 0, theme="dark")

    assert picture.getpixel((0, picture.height // 2)) == (20, 23, 26)
    assert count(picture, dark.bodies[0][0]) > 500


def test_a_picture_has_both_panes_side_by_side_and_an_even_size() -> None:
    panes = (Pane("As recorded", standing(4)), Pane("Preprocessed: ctrgcn", standing(4)))

    one, both = draw_frame(a_scene(4), 0), draw_frame(a_scene(4, panes=panes), 0)

    assert both.width == 2 * one.width
    assert both.width % 2 == both.height % 2 == 0


def test_joints_that_speak_for_the_class_are_coloured() -> None:
    light = THEMES["light"]

    picture = draw_frame(a_scene(4, answer=an_answer(4)), 1)

    assert count(picture, light.speaks_for) > 30
    assert count(picture, light.bodies[0][0]) < 2000  # the line of the time alone


def test_a_strip_shows_frames_in_which_somebody_is_there() -> None:
    poses = standing(12)
    poses[:, 4:] = np.nan

    strip = draw_strip(a_scene(12, panes=(Pane("Clip", poses),)), height=200)

    width = strip.width // 4  # of the four frames there are
    for column in range(4):
        part = strip.crop((column * width, 0, (column + 1) * width, strip.height))
        assert count(part, THEMES["light"].bodies[0][0]) > 50


def test_a_joint_that_is_seen_alone_is_drawn() -> None:
    poses = np.full((1, 2, 25, 3), np.nan, np.float32)
    poses[0, :, NTU25.joint("head")] = (0.5, 1.0, 3.0)

    picture = draw_frame(a_scene(2, panes=(Pane("Clip", poses),)), 0)

    assert count(picture, THEMES["light"].bodies[0][0]) > 20


def test_a_long_name_is_cut_and_flat_clips_have_no_floor() -> None:
    scene = a_scene(3, name="a very long name " * 20)

    picture = draw_frame(scene, 0)

    assert picture.size[1] == 480
