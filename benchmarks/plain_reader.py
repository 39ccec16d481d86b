"""The yardstick: NTU preprocessing as it is usually written, sample by sample.

Not part of the package, and plain on purpose: text is split, every field goes through ``float()``
and a joint is a record of named numbers, as in the reader that the data set's makers gave out;
frames are visited one by one. It was written from descriptions of the format and of CTR-GCN's
preprocessing, without their code at hand, and gives the same arrays as ``skelab`` (the benchmarks
check it before they measure).
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy import ndarray

NUM_JOINTS = 25
FIELDS = (
    *("x", "y", "z", "depthX", "depthY", "colorX", "colorY"),
    *("orientationW", "orientationX", "orientationY", "orientationZ", "trackingState"),
)


@dataclass
class Body:
    """One body id of a recording."""

    start: int
    joints: list[ndarray] = field(default_factory=list)  # of each frame, 25 by 3


def read_recording(path: Path, *, lean: bool = False) -> dict[str, Body]:
    """Bodies by id; frames without a body are dropped, and a body's frames close up.

    ``lean`` makes no records and keeps the first three numbers of a line.
    """
    bodies: dict[str, Body] = {}
    frame = 0
    with path.open() as file:
        for _ in range(int(file.readline())):
            num_bodies = int(file.readline())
            if num_bodies == 0:
                continue
            for _ in range(num_bodies):
                body_id = file.readline().split()[0]
                joints = []
                for _ in range(int(file.readline())):
                    fields = [float(value) for value in file.readline().split()]
                    if lean:
                        joints.append(fields[:3])
                        continue
                    joint = dict(zip(FIELDS, fields, strict=True))
                    joints.append([joint["x"], joint["y"], joint["z"]])
                body = bodies.setdefault(body_id, Body(frame))
                body.joints.append(np.array(joints, dtype=np.float32))
            frame += 1
    return bodies


@dataclass
class Track:
    """One body as an array, with how much it moves."""

    start: int
    joints: ndarray  # frames, 75
    motion: float

    @property
    def end(self) -> int:
        """Last frame, inclusive."""
        return self.start + len(self.joints) - 1


def prepare(bodies: dict[str, Body]) -> ndarray:
    """Up to two actors, denoised and moved to the origin: frames, 75 or 150, float32."""
    tracks = [
        Track(body.start, np.array(body.joints).reshape(-1, 75), 0.0) for body in bodies.values()
    ]
    if len(tracks) == 1:
        return _translate(tracks[0].joints)
    for track in tracks:
        track.motion = _motion(track.joints)
    length = max(track.end for track in tracks) + 1
    tracks = [track for track in tracks if len(track.joints) > 11]
    if len(tracks) > 1:
        tracks = _drop_implausible(tracks)
    tracks.sort(key=lambda track: track.motion, reverse=True)
    joints = _two_actors(tracks, length)
    return _translate(np.array([row for row in joints if row.sum() != 0]))


def _motion(joints: ndarray) -> float:
    points = joints.reshape(-1, 3)
    return float(np.sum(np.var(points, axis=0)))


def _drop_implausible(tracks: list[Track]) -> list[Track]:
    left = list(tracks)
    for track in tracks:
        if len(left) == 1:
            break
        valid = []
        for frame in range(len(track.joints)):
            points = track.joints[frame].reshape(NUM_JOINTS, 3)
            width = points[:, 0].max() - points[:, 0].min()
            height = points[:, 1].max() - points[:, 1].min()
            if width <= np.float32(0.8) * height:
                valid.append(frame)
        invalid = len(track.joints) - len(valid)
        if not invalid:
            continue
        if invalid / len(track.joints) >= 0.69754:
            left.remove(track)
        else:
            track.motion = min(track.motion, _motion(track.joints[valid]))
    return left


def _two_actors(tracks: list[Track], length: int) -> ndarray:
    first = tracks[0]
    if len(tracks) == 1:
        joints = np.zeros((length, 75), dtype=np.float32)
        joints[first.start : first.end + 1] = first.joints
        return joints
    joints = np.zeros((length, 150), dtype=np.float32)
    joints[first.start : first.end + 1, :75] = first.joints
    hulls = [[first.start, first.end], [0, 0]]
    for track in tracks[1:]:
        for actor, hull in enumerate(hulls):
            if min(hull[1], track.end) - max(hull[0], track.start) <= 0:
                joints[track.start : track.end + 1, 75 * actor : 75 * actor + 75] = track.joints
                hulls[actor] = [min(hull[0], track.start), max(hull[1], track.end)]
                break
    return joints


def _translate(joints: ndarray) -> ndarray:
    moved = joints.copy()
    for frame in range(len(joints)):
        if (joints[frame, :75] != 0).any():
            break
    origin = joints[frame, 3:6].copy()
    for frame in range(len(joints)):
        if joints.shape[1] == 75:
            moved[frame] = joints[frame] - np.tile(origin, 25)
            continue
        moved[frame] = joints[frame] - np.tile(origin, 50)
        for actor in (slice(0, 75), slice(75, 150)):
            if joints[frame, actor].sum() == 0:
                moved[frame, actor] = 0
    return moved


def read_folder(folder: Path, out: Path) -> None:
    """The whole job: every file of a folder to one padded npz, labels one-hot."""
    names, sequences = [], []
    for path in sorted(folder.glob("*.skeleton")):
        bodies = read_recording(path)
        if bodies:
            names.append(path.stem)
            sequences.append(prepare(bodies))
    longest = max(len(sequence) for sequence in sequences)
    joints = np.zeros((len(sequences), longest, 150), dtype=np.float32)
    labels = np.zeros((len(sequences), 60))
    for row, (name, sequence) in enumerate(zip(names, sequences, strict=True)):
        joints[row, : len(sequence), : sequence.shape[1]] = sequence
        labels[row, int(name[-3:]) - 1] = 1
    np.savez(out, x_train=joints, y_train=labels)
