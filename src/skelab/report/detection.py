"""Online detection as tables, a curve and a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from skelab.evaluation import DetectionResult, SegmentationResult
from skelab.report.page import render_page, write_page
from skelab.report.plots import SERIES, figure_svg, name_axes, new_figure, value_ticks
from skelab.report.report import Section, Table
from skelab.report.tables import percent


@dataclass(frozen=True)
class DetectionFigures:
    """What the detections in some sequences are worth.

    Attributes:
        title: Network, data set and split.
        sequences: Number of sequences.
        segments: Number of true segments.
        frames: Number of frames.
        likeliest_frame_accuracy: Share of frames whose likeliest class is right, before thresholds.
        commonest_share: Share of frames with the commonest label: the accuracy of a constant.
        segmentation: Frame accuracy, edit score and F1 of the segments.
        overlaps: Figures of detection at each overlap.
        thresholds_chosen: Whether the thresholds were chosen on validation sequences.
    """

    title: str
    sequences: int
    segments: int
    frames: int
    likeliest_frame_accuracy: float
    commonest_share: float
    segmentation: SegmentationResult
    overlaps: tuple[DetectionResult, ...]
    thresholds_chosen: bool

    @property
    def at_half(self) -> DetectionResult:
        """The figures at overlap 0.5."""
        return next(each for each in self.overlaps if each.overlap == 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts."""
        return {
            "title": self.title,
            "sequences": self.sequences,
            "segments": self.segments,
            "frames": self.frames,
            "frame_accuracy": self.segmentation.frame_accuracy,
            "likeliest_frame_accuracy": self.likeliest_frame_accuracy,
            "commonest_share": self.commonest_share,
            "edit": self.segmentation.edit,
            "f1": {f"{overlap:g}": value for overlap, value in self.segmentation.f1.items()},
            "map": {f"{each.overlap:g}": each.mean_ap for each in self.overlaps},
            "mean_delay": self.at_half.mean_delay,
            "thresholds_chosen": self.thresholds_chosen,
        }


def detection_rows(figures: DetectionFigures) -> list[tuple[str, str]]:
    """The headline figures: name and value."""
    found = figures.segmentation
    delay = figures.at_half.mean_delay
    return [
        ("sequences", f"{figures.sequences:,} with {figures.segments:,} segments"),
        ("frame accuracy", percent(found.frame_accuracy)),
        ("  likeliest class", percent(figures.likeliest_frame_accuracy)),
        ("  always the commonest", percent(figures.commonest_share)),
        ("edit score", percent(found.edit)),
        *((f"F1@{round(100 * at)}", percent(value)) for at, value in found.f1.items()),
        ("mAP@0.5", percent(figures.at_half.mean_ap)),
        (
            "mean delay",
            "none hit" if delay != delay else f"{delay:+.1f} frames, of hits at overlap 0.5",
        ),
    ]


def overlap_rows(figures: DetectionFigures) -> tuple[list[str], list[list[str]]]:
    """Heading and rows: mAP, precision and recall at each overlap."""
    rows = [
        [
            f"{each.overlap:.1f}",
            percent(each.mean_ap),
            percent(each.precision),
            percent(each.recall),
            percent(each.f1),
        ]
        for each in figures.overlaps
    ]
    return ["overlap", "mAP", "precision", "recall", "F1"], rows


def detection_note(figures: DetectionFigures) -> str:
    """How the figures are to be read."""
    chosen = (
        "were chosen on the validation sequences"
        if figures.thresholds_chosen
        else "are fixed, since the recipe has no validation part (data.validation_subjects)"
    )
    return (
        "Each frame is scored while the sequence runs, from that frame and earlier ones. A segment"
        " begins where an action reaches a probability, and ends where it falls below a lower one;"
        f" these thresholds {chosen}. mAP is the usual one: each truth is matched once, precision"
        " is the envelope. F1 and edit score are those of MS-TCN. A delay counts from the true"
        " start to that of the detection, before it where negative."
    )


def detection_section(figures: DetectionFigures) -> Section:
    """A section of a report."""
    columns, rows = overlap_rows(figures)
    return Section(
        title="Online detection",
        text=detection_note(figures),
        figures=(_overlap_figure(figures.overlaps),),
        tables=(
            Table(("figure", "value"), tuple(detection_rows(figures)), "Segments and frames"),
            Table(tuple(columns), tuple(tuple(row) for row in rows), "Detections by overlap"),
        ),
    )


def write_detection_page(path: Path, figures: DetectionFigures, *, synthetic: bool = False) -> None:
    """Write the page of a detection as one HTML file, whole or not at all.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    write_sections(path, figures.title, "Online detection", [detection_section(figures)], synthetic)


def write_sections(
    path: Path, title: str, overline: str, sections: Sequence[Section], synthetic: bool
) -> None:
    """Write a page of sections as one HTML file.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    listed = [
        {"section": each, "figures": [Markup(svg) for svg in each.figures]}  # noqa: S704
        for each in sections
    ]
    html = render_page(
        "sections.html.jinja",
        title=title,
        overline=overline,
        sections=listed,
        notes=[],
        synthetic=synthetic,
    )
    write_page(path, html)


def _overlap_figure(overlaps: Sequence[DetectionResult]) -> Markup:
    """MAP and F1 against the overlap."""
    figure, axes = new_figure(width=6.4, height=3.2)
    at = [each.overlap for each in overlaps]
    for colour, name, values in (
        (SERIES[0], "mAP", [each.mean_ap for each in overlaps]),
        (SERIES[1], "F1", [each.f1 for each in overlaps]),
    ):
        axes.plot(
            at, [100 * each for each in values], "o-", color=colour, markersize=3.5, label=name
        )
    axes.set_ylim(0, 101.5)
    axes.yaxis.set_major_locator(value_ticks())
    axes.legend(frameon=False, fontsize=8)
    name_axes(axes, x="overlap (intersection over union)", title="mAP and F1 by overlap, %")
    return figure_svg(
        figure, name="detection-overlaps", description="mAP and F1 of detections by overlap"
    )
