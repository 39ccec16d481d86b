"""The figure of a benchmark."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.patches import Rectangle

from skelab.bench.cases import Runtime
from skelab.bench.inference import BenchRow
from skelab.bench.plot import FORMATS, plot_rows, write_plot
from skelab.errors import OutputError
from skelab.host.timing import Quartiles
from skelab.training.config import Precision

EAGER = BenchRow(
    "ctrgcn",
    frames=64,
    runtime=Runtime.EAGER,
    precision=Precision.FP32,
    batch=1,
    ms_per_clip=Quartiles(90.0, 85.0, 100.0),
    speedup=Quartiles(1.0, 1.0, 1.0),
)
NATIVE = replace(
    EAGER,
    runtime=Runtime.NATIVE,
    ms_per_clip=Quartiles(36.0, 35.0, 38.0),
    speedup=Quartiles(2.5, 2.4, 2.6),
)
MISSING = replace(EAGER, runtime=Runtime.ONNX, ms_per_clip=None, speedup=None, note="none")


def test_each_network_has_a_panel_with_a_bar_for_each_runtime_that_was_measured() -> None:
    figure = plot_rows([EAGER, MISSING, NATIVE, replace(NATIVE, batch=16)], "a machine")

    first, second = figure.axes
    titles = [axes.get_title(loc="left") for axes in (first, second)]
    assert titles == ["ctrgcn, 64 frames, batch 1", "ctrgcn, 64 frames, batch 16"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["eager fp32", "native fp32"]
    bars = [bar for bar in first.patches if isinstance(bar, Rectangle)]
    assert [bar.get_width() for bar in bars] == [90.0, 36.0]
    assert [text.get_text().strip() for text in first.texts] == ["1.00 x", "2.50 x"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_figure_is_written_even_where_nothing_could_be_measured(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"times{suffix}"

    write_plot([MISSING], "a machine", path)

    assert path.stat().st_size > 0


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "times.png").mkdir()

    with pytest.raises(OutputError, match=r"times\.png: cannot be written: Is a directory"):
        write_plot([EAGER], "a machine", tmp_path / "times.png")
