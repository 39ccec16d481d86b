"""Preprocessing pipelines by name: the authors' own, and ours."""

from skelab.data.preprocessing.as_given import AS_GIVEN
from skelab.data.preprocessing.base import Pipeline
from skelab.data.preprocessing.clean import CLEAN
from skelab.data.preprocessing.ctrgcn import CTRGCN
from skelab.data.preprocessing.msg3d import MSG3D, pad_loop
from skelab.data.preprocessing.pyskl import PYSKL, PYSKL_CENTRED
from skelab.errors import DataError, unknown_name
from skelab.skeleton import Layout

_PIPELINES = {
    pipeline.name: pipeline for pipeline in (AS_GIVEN, CLEAN, CTRGCN, MSG3D, PYSKL, PYSKL_CENTRED)
}


def get_pipeline(name: str) -> Pipeline:
    """The pipeline called ``name``.

    Raises:
        DataError: There is no such pipeline; the message lists the known ones.
    """
    try:
        return _PIPELINES[name]
    except KeyError:
        raise DataError(unknown_name("pipeline", name, _PIPELINES)) from None


def choose_pipeline(name: str | None, layout: Layout) -> Pipeline:
    """Choose a pipeline by name; by default ``ctrgcn`` if it fits the layout, else ``as-given``.

    Raises:
        DataError: There is no such pipeline, or it needs x, y, z and the layout has other axes.
    """
    spatial = layout.axes == ("x", "y", "z")
    pipeline = get_pipeline(name or (CTRGCN.name if spatial else AS_GIVEN.name))
    if not spatial and pipeline is not AS_GIVEN:
        raise DataError(
            f"pipeline {pipeline.name} needs coordinates x, y, z: layout {layout.name} has"
            f" {', '.join(layout.axes)}; --pipeline {AS_GIVEN.name} takes them as they are"
        )
    return pipeline


def list_pipelines() -> tuple[Pipeline, ...]:
    """All pipelines, by name."""
    return tuple(_PIPELINES[name] for name in sorted(_PIPELINES))


__all__ = ["Pipeline", "choose_pipeline", "get_pipeline", "list_pipelines", "pad_loop"]
