"""An npz of the size of NTU RGB+D 60 opens at once and takes no memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sparse_npz import CLIPS, first_rows, write_ntu_sized_npz

from skelab.data.foreign import open_npz

MEASURE = """
import json, sys, time
from pathlib import Path
from skelab.data.foreign import open_npz

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

before, times = resident(), []
for _ in range(7):
    start = time.perf_counter()
    clips = open_npz(Path(sys.argv[1]))
    times.append(1000 * (time.perf_counter() - start))
shapes = [clips.clip(row).joints.shape for row in range(4)]
print(json.dumps([min(times), resident() - before, len(clips), shapes]))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.npz"
    write_ntu_sized_npz(path, first_rows(4))
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_it_opens_without_being_read_and_in_little_memory(large: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(large)], capture_output=True, text=True, check=True
    )

    milliseconds, megabytes, clips, shapes = json.loads(done.stdout)

    assert clips == CLIPS
    assert shapes == [[1, 60, 25, 3]] * 4
    assert milliseconds < 1000  # reading it all takes many seconds; benchmarks time the opening
    assert megabytes < 150


def test_members_behind_four_gigabytes_are_found(large: Path) -> None:
    clips = open_npz(large)

    clip = clips.clip(2)

    wanted = first_rows(4)[2][:, :75].reshape(1, 60, 25, 3)
    np.testing.assert_array_equal(clip.joints, wanted)
    assert clips.index.labels[:61].tolist() == [*range(60), 0]
    assert clips.index.names[-1] == f"train_{CLIPS - 1}"
