"""What a look at a clip costs: bytes and seconds of pages, pictures and films; reasons; drawing.

The clip is synthetic, two people walking towards each other, repeated to 120 frames. Drawing is
measured in Chromium where it and playwright are installed.

    python benchmarks/bench_view.py
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.feeding.feeder import FeederConfig
from skelab.data.recordings.skeleton_file import read_skeleton_file
from skelab.inference import Checkpoint, InputSpec, NetworkFile, NetworkSpec, explain
from skelab.inference.checkpoint import build_model
from skelab.models import ModelSpec
from skelab.skeleton import get_layout
from skelab.synthetic import write_synthetic
from skelab.viewer import View, open_clip, view

FRAMES = 120
NTU25 = get_layout("ntu25")
DRAWN = 60
DRAW = """(drawn) => {
  const { player } = document.querySelector(".skv");
  const start = performance.now();
  for (let k = 0; k < drawn; k++) {
    player.frame = k;
    for (const pane of player.panes) player.paint(pane);
  }
  return (performance.now() - start) / drawn;
}"""


def recording(folder: Path) -> RawClip:
    """Two people walking towards each other, to and fro until there are 120 frames."""
    write_synthetic(folder, clips=24, seed=0)
    raw = read_skeleton_file(sorted(folder.glob("*A059.skeleton"))[0])
    there_and_back = np.abs(
        (np.arange(FRAMES) + raw.num_frames) % (2 * raw.num_frames) - raw.num_frames
    )
    frames = np.minimum(there_and_back, raw.num_frames - 1)
    tracks = {}
    for body, track in raw.bodies.items():
        rows = np.searchsorted(track.frames, frames).clip(0, len(track.frames) - 1)
        seen = np.flatnonzero(track.frames[rows] == frames)
        tracks[body] = BodyTrack(seen.astype(np.int32), track.joints[rows[seen]])
    return RawClip(FRAMES, tracks)


def ctrgcn() -> NetworkFile:
    """CTR-GCN with the authors' sizes, untrained."""
    spec = ModelSpec("ctrgcn", 60, NTU25, 3, 2, {})
    classes = tuple(f"action {number}" for number in range(60))
    inputs = InputSpec("ctrgcn", "metres", "ntu", classes, FeederConfig())
    weights = build_model(spec).state_dict()
    checkpoint = Checkpoint(spec, inputs, "name: ctrgcn\n", weights, 0, "honest")
    return NetworkFile(Path("untrained"), NetworkSpec.of_checkpoint(checkpoint), checkpoint)


def seconds(act: Callable[[], object], *, rounds: int = 3) -> float:
    """Median time of an act."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def report_file(shown: View, path: Path) -> None:
    """Print size and time of a file."""
    taken = seconds(lambda: shown.save(path))
    print(f"{path.suffix:6} {path.stat().st_size / 1000:8.1f} kB {taken:8.2f} s")


def report_drawing(page: Path) -> None:
    """Print the time to draw a frame of both panes."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("draw   playwright is not installed")
        return
    chromium = shutil.which("chromium")
    if chromium is None:
        print("draw   chromium is not installed")
        return
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
        tab.goto(page.as_uri())
        tab.evaluate(DRAW, DRAWN)
        print(f"draw   {tab.evaluate(DRAW, DRAWN):8.2f} ms a frame, two panes of two bodies")
        browser.close()


def main() -> None:
    """Measure everything once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = recording(folder / "skeletons")
        shown = view(raw, name="bench", layout=NTU25)
        for suffix in (".html", ".png", ".gif", ".mp4"):
            report_file(shown, folder / f"clip{suffix}")
        clip, network = open_clip(raw, name="bench", layout=NTU25).clip, ctrgcn()
        taken = seconds(lambda: explain(network, clip), rounds=1)
        print(f"reasons of CTR-GCN, two bodies {taken:6.1f} s")
        report_drawing(folder / "clip.html")


if __name__ == "__main__":
    main()
