"""Rows of the tables that papers print: one accuracy for each usual split."""

from skelab.models.card import ReportedAccuracy

_NTU_SPLITS = (("NTU60", "xsub"), ("NTU60", "xview"), ("NTU120", "xsub"), ("NTU120", "xset"))


def reported_on_ntu(streams: str, *top1: float | None, source: str) -> tuple[ReportedAccuracy, ...]:
    """Accuracies on NTU RGB+D 60 (xsub, xview) and 120 (xsub, xset), those that were printed.

    Args:
        streams: What was fused, say ``"joint"``.
        *top1: Percent, in this order; None or nothing where none was printed.
        source: Who printed them, and where.
    """
    return tuple(
        ReportedAccuracy(dataset, split, streams, figure, source)
        for (dataset, split), figure in zip(_NTU_SPLITS, top1, strict=False)
        if figure is not None
    )
