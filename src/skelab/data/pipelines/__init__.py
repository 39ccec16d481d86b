"""Preprocessing pipelines: the authors' own, by name."""

from skelab.data.pipelines.base import Pipeline, Prepared
from skelab.data.pipelines.ctrgcn import CTRGCN
from skelab.data.pipelines.msg3d import MSG3D, pad_loop
from skelab.errors import DataError, unknown_name

_PIPELINES = {pipeline.name: pipeline for pipeline in (CTRGCN, MSG3D)}


def get_pipeline(name: str) -> Pipeline:
    """The preprocessing called ``name``.

    Raises:
        DataError: There is no such pipeline; the message lists those that there are.
    """
    try:
        return _PIPELINES[name]
    except KeyError:
        raise DataError(unknown_name("pipeline", name, _PIPELINES)) from None


def list_pipelines() -> tuple[Pipeline, ...]:
    """All pipelines, by name."""
    return tuple(_PIPELINES[name] for name in sorted(_PIPELINES))


__all__ = ["Pipeline", "Prepared", "get_pipeline", "list_pipelines", "pad_loop"]
