from .comparison import (
    ComparedRun as ComparedRun,
    Figure as Figure,
    RunComparison as RunComparison,
    compare_runs as compare_runs,
    render_comparison as render_comparison,
    write_comparison as write_comparison,
)
from .confused_clips import clips_to_show as clips_to_show
from .detection import (
    DetectionFigures as DetectionFigures,
    detection_note as detection_note,
    detection_rows as detection_rows,
    detection_section as detection_section,
    overlap_rows as overlap_rows,
    write_detection_page as write_detection_page,
)
from .early import (
    EXPLANATIONS as EXPLANATIONS,
    EarlyCurve as EarlyCurve,
    accuracy_rows as accuracy_rows,
    calibration_rows as calibration_rows,
    change_lines as change_lines,
    early_sections as early_sections,
    exit_note as exit_note,
    exit_rows as exit_rows,
    settling_rows as settling_rows,
    write_early_page as write_early_page,
)
from .next_action import (
    NEXT_COLUMNS as NEXT_COLUMNS,
    NextBlock as NextBlock,
    next_rows as next_rows,
    next_sections as next_sections,
    write_next_page as write_next_page,
)
from .plots import (
    figure_svg as figure_svg,
    name_axes as name_axes,
    new_figure as new_figure,
)
from .report import (
    Report as Report,
    Section as Section,
    Table as Table,
    render_report as render_report,
    write_report as write_report,
)
from .tables import (
    class_rows as class_rows,
    confused_rows as confused_rows,
    percent as percent,
    summary_rows as summary_rows,
    top5_says_something as top5_says_something,
)
