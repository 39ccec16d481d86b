from .comparison import (
    ComparedRun as ComparedRun,
    Figure as Figure,
    RunComparison as RunComparison,
    compare_runs as compare_runs,
    render_comparison as render_comparison,
    write_comparison as write_comparison,
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
)
