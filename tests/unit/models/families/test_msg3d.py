"""MS-G3D's units, stages and scales."""

import pytest
import torch
from module_kit import STICK, normed, randomised
from torch import Tensor

from skelab.models import SkeletonModel, create_model
from skelab.models.families.msg3d import FrameUnit, MSG3DStage, TemporalUnit, WindowUnit
from skelab.skeleton import get_layout


def scales_of(model: object) -> tuple[int, int]:
    """Scales within frames and within windows."""
    assert isinstance(model, SkeletonModel)
    stage = model.backbone.get_submodule("0")
    assert isinstance(stage, MSG3DStage)
    frame, window = stage.frames[0], stage.windows[0]
    assert isinstance(frame, FrameUnit)
    assert isinstance(window, WindowUnit)
    return len(frame.mix.refinement), len(window.mix.refinement)


def test_a_frame_unit_norms_and_rectifies_what_its_scales_mix() -> None:
    unit = randomised(FrameUnit(3, 4, scales=torch.zeros(2, 5, 5)))
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)

    expected = normed(unit.norm, unit.mix(x)).clamp(min=0).transpose(2, 3)

    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_window_unit_collapses_the_frames_of_each_window(stride: int) -> None:
    joints, window = 4, 3
    scales = torch.zeros(2, window * joints, window * joints)
    unit = randomised(WindowUnit(3, 5, 6, scales=scales, window=window, stride=stride))
    x = torch.randn(2, 3, 7, joints, dtype=torch.float64)

    nodes = normed(unit.norm, unit.mix(x)).clamp(min=0)  # N E w*V L
    weight = unit.collapse.weight.view(6, 5, window)  # D E w
    assert unit.collapse.bias is not None
    collapsed: Tensor = unit.collapse.bias.view(1, -1, 1, 1).repeat(2, 1, joints, nodes.shape[3])
    for frame in range(window):
        inside = nodes[:, :, frame * joints : (frame + 1) * joints]  # N E V L
        collapsed += torch.einsum("de,nevl->ndvl", weight[:, :, frame], inside)
    expected = normed(unit.collapse_norm, collapsed).transpose(2, 3)

    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("rectify", [True, False])
def test_a_temporal_unit_adds_its_input_and_rectifies_where_told(rectify: bool) -> None:
    unit = randomised(TemporalUnit(6, 12, stride=2, rectify=rectify))
    x = torch.randn(2, 6, 7, 3, dtype=torch.float64)

    expected = unit.mix(x) + unit.residual(x)

    torch.testing.assert_close(unit(x), expected.clamp(min=0) if rectify else expected)


def test_a_stage_adds_both_windows_to_the_frames_before_it_rectifies() -> None:
    windows = {window: torch.zeros(2, window * 4, window * 4) for window in (3, 5)}
    stage = randomised(
        MSG3DStage(6, 12, width=6, stride=2, scales=torch.zeros(3, 4, 4), window_scales=windows)
    )
    x = torch.randn(2, 6, 7, 4, dtype=torch.float64)

    total = stage.frames(x) + stage.windows[0](x) + stage.windows[1](x)

    torch.testing.assert_close(stage(x), stage.temporal(total.clamp(min=0)))


@pytest.mark.parametrize(
    ("layout", "expected"), [("ntu25", (13, 6)), ("kinect20", (11, 6)), ("sbu15", (8, 6))]
)
def test_scales_reach_as_far_as_the_skeleton_but_no_further_than_the_authors(
    layout: str, expected: tuple[int, int]
) -> None:
    model = create_model("msg3d", num_classes=2, layout=layout, width=6)

    assert scales_of(model) == expected


def test_a_small_skeleton_has_few_scales_unless_told_otherwise() -> None:
    usual = create_model("msg3d", num_classes=2, layout=STICK, width=6)
    told = create_model(
        "msg3d", num_classes=2, layout=STICK, width=6, num_scales=8, num_window_scales=2
    )

    assert scales_of(usual) == (4, 4)
    assert scales_of(told) == (8, 2)


def test_the_fixed_graph_moves_with_the_model_but_is_not_saved() -> None:
    model = create_model("msg3d", num_classes=2, layout=get_layout("sbu15"), width=6).double()

    graphs = [buffer for name, buffer in model.named_buffers() if name.endswith("adjacency")]

    assert len(graphs) == 9
    assert all(graph.dtype == torch.float64 for graph in graphs)
    assert not any("adjacency" in key for key in model.state_dict())
