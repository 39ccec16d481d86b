"""Pictures a second from a video to actions, and what they cost the processor, part by part.

Where other programs share the machine, the processor's time tells what a picture costs, and the
clock does not.

    python benchmarks/bench_pose.py VIDEO NETWORK [full|lite|heavy]
"""

import resource
import sys
import time
from pathlib import Path

from skelab.host.video import VideoReader
from skelab.inference import FASTEST, open_network
from skelab.inference.timeline import make_timeline
from skelab.pose.blazepose import BlazePose
from skelab.pose.extract import LONGEST_SIDE, RATE, PoseSettings, extract_landmarks
from skelab.pose.model_files import load_pose_models


def child_seconds() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(video: Path, network: Path, variant: str) -> None:
    """Measure each part once and print it, in ms a picture."""
    before, count = child_seconds(), 0
    with VideoReader(video, frames_per_second=RATE, longest_side=LONGEST_SIDE) as reader:
        for _ in reader:
            count += 1
    decoding = child_seconds() - before

    estimator = BlazePose(load_pose_models(variant))
    began, used = time.perf_counter(), time.process_time()
    made = extract_landmarks(video, estimator, PoseSettings(mirrored=False))
    poses, clock = time.process_time() - used, time.perf_counter() - began

    opened = open_network(network, engine=FASTEST)
    used, began = time.process_time(), time.perf_counter()
    timeline = make_timeline(opened, made.landmarks)
    answers = time.process_time() - used
    clock += time.perf_counter() - began

    bodies = len(made.landmarks.frames) / count
    print(f"{count} pictures, {bodies:.2f} people in each, {len(timeline.people)} timelines")
    for name, seconds in (("decoding", decoding), ("poses", poses), ("network", answers)):
        print(f"{name:9} {1000 * seconds / count:6.1f} ms of the processor a picture")
    total = decoding + poses + answers
    print(f"{count / total:.1f} pictures a second of one core, {count / clock:.1f} by the clock")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *(sys.argv[3:] or ["full"]))
