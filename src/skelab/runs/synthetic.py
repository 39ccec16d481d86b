"""Generates a store of synthetic clips."""

from collections.abc import Callable
from pathlib import Path

from skelab.data.clips.store import ClipStore, open_store
from skelab.data.datasets import open_source
from skelab.data.ingest import ingest
from skelab.synthetic import write_synthetic

DEFAULT_CLIPS = 480


def synthetic_store(
    folder: Path,
    *,
    clips: int | None = None,
    actions: int | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> ClipStore:
    """Synthetic NTU files in ``folder/skeletons``, and their store beside it.

    The files are written and read like real ones, so that the whole way is walked. Without
    ``clips`` there are ``DEFAULT_CLIPS``.

    Raises:
        OutputError: The folder cannot be written.
    """
    skeletons = folder / "skeletons"
    clips = clips or DEFAULT_CLIPS

    def report(done: int) -> None:
        if on_progress:
            on_progress(done, clips)

    write_synthetic(
        skeletons, clips=clips, actions=actions, seed=seed, on_progress=report, overwrite=True
    )
    made = ingest(open_source(skeletons), folder / "synthetic.arrow", force=True)
    return open_store(made.path)
