"""Graphs of networks: what they keep, what they refuse, and which PyTorch they need."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from export_kit import needs_export
from torch import Tensor, nn

from skelab.errors import ExportError
from skelab.export.trace import trace_network
from skelab.inference import NetworkSpec, read_checkpoint


@pytest.fixture
def spec(checkpoint: Path) -> NetworkSpec:
    """Of the tiny network, for clips of its window only."""
    described = NetworkSpec.of_checkpoint(read_checkpoint(checkpoint))
    return replace(described, target="torch", dynamic_frames=False)


class _Named(nn.Module):
    """A parameter that is called as the graph's output is."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(3 * 15 * 2, 4))
        self.clips = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=2).flatten(1) @ self.logits + self.clips


@needs_export
def test_a_graph_takes_any_number_of_clips(spec: NetworkSpec, checkpoint: Path) -> None:
    network = read_checkpoint(checkpoint).build()

    graph = trace_network(network, spec).module()

    for clips in (1, 3, 8):
        x = torch.randn(spec.shape(clips))
        torch.testing.assert_close(graph(x), network(x))


@needs_export
def test_parameters_may_be_called_as_inputs_and_outputs_are(spec: NetworkSpec) -> None:
    network = _Named()

    program = trace_network(network, spec)

    assert {"network.logits", "network.clips"} == set(program.state_dict)


class _Branching(nn.Module):
    """What it does hangs on the numbers in the clip, which no graph can know."""

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean(dim=(2, 3, 4))
        return pooled if bool(x.sum() > 0) else -pooled


@needs_export
def test_a_network_that_branches_on_its_input_is_refused(spec: NetworkSpec) -> None:
    with pytest.raises(ExportError, match=r"tiny: torch\.export cannot trace a graph of it: "):
        trace_network(_Branching(), spec)


@needs_export
def test_a_graph_takes_clips_of_any_length_in_its_steps(
    spec: NetworkSpec, checkpoint: Path
) -> None:
    network = read_checkpoint(checkpoint).build()
    in_steps = replace(spec, dynamic_frames=True, frames_multiple_of=4)

    graph = trace_network(network, in_steps).module()

    for frames in (8, 12, 40):
        x = torch.randn(in_steps.shape(2, frames))
        torch.testing.assert_close(graph(x), network(x))


@needs_export
def test_a_graph_takes_clips_within_the_limits_of_its_family(
    spec: NetworkSpec, checkpoint: Path
) -> None:
    network = read_checkpoint(checkpoint).build()
    limited = replace(spec, dynamic_frames=True, max_frames=40)

    graph = trace_network(network, limited).module()

    for frames in (8, 13, 40):
        x = torch.randn(limited.shape(2, frames))
        torch.testing.assert_close(graph(x), network(x))


@needs_export
def test_a_window_that_the_family_does_not_take_is_refused(spec: NetworkSpec) -> None:
    with pytest.raises(
        ExportError, match=r"tiny: expected a window whose number of frames is at least 9, found 8"
    ):
        trace_network(nn.Identity(), replace(spec, min_frames=9))


def test_an_old_pytorch_is_told_and_shown_another_way(
    spec: NetworkSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", "2.3.1+cpu")

    with pytest.raises(ExportError, match=r"needs PyTorch 2\.6 or newer, found 2\.3\.1.*predict"):
        trace_network(nn.Identity(), spec)
