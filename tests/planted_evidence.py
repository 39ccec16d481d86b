"""Clips whose two actions differ in the right arm alone, and a network that knows them."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32
from numpy import ndarray
from viewer_kit import NTU25, standing

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.inference import Checkpoint, InputSpec
from skelab.inference.checkpoint import build_model
from skelab.models import ModelSpec

CLASSES: Final = ("arm down", "arm raised")
ARM: Final = tuple(
    NTU25.joint(name)
    for name in ("right elbow", "right wrist", "right hand", "tip of right hand", "right thumb")
)
RAISED: Final = (8, 20)
"""Frames in which the arm is up."""

FEEDER: Final = FeederConfig(window=16, eval_crop=1.0, rotation=0.0)
_FRAMES: Final = 28
STEPS, STEPS_CLIPS = 24, 16


def arm_clip(seed: int, *, raised: bool, bodies: int = 1) -> Clip:
    """Somebody stands, turned and placed by chance, and in one action raises the right arm."""
    rng = np.random.default_rng(seed)
    joints = standing(_FRAMES, bodies, seed)
    if raised:
        lift = np.zeros(_FRAMES, np.float32)
        lift[slice(*RAISED)] = np.sin(np.linspace(0, np.pi, RAISED[1] - RAISED[0]))
        joints[0][:, ARM, 1] += 0.8 * lift[:, None]
    joints = joints - joints[0, 0, NTU25.origin]
    joints *= rng.uniform(0.9, 1.1)
    joints[..., 0] += rng.normal(0, 0.03)
    info = SampleInfo(f"clip {seed}", int(raised))
    return Clip(info, joints.astype(np.float32), np.arange(_FRAMES, dtype=np.int32))


def train_arm_network(path: Path) -> Path:
    """A small CTR-GCN that tells the two actions of one person apart, as a checkpoint."""
    torch.manual_seed(0)
    spec = ModelSpec("ctrgcn", len(CLASSES), NTU25, 3, 1, {"width": 8})
    inputs = InputSpec("ctrgcn", "metres", "made-up", CLASSES, FEEDER, synthetic=True)
    network = build_model(spec)
    clips = [arm_clip(seed, raised=seed % 2 == 1) for seed in range(STEPS_CLIPS)]
    batch = Feeder(FEEDER, NTU25).evaluation_batch(pad_clips(list(enumerate(clips)), 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(network(batch.joints), batch.labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    Checkpoint(spec, inputs, "name: arm\n", network.state_dict(), STEPS, "honest").save(path)
    return path


def share_of_arm(values: Float32[ndarray, "M V"]) -> float:
    """The share of all that speaks for a class which the right arm of the first body has."""
    speaks = np.maximum(values, 0)
    return float(speaks[0, list(ARM)].sum() / speaks.sum())
