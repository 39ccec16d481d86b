"""What does a clip show? Any network, trained or exported, on any clip that it can take."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Shaped
from numpy import ndarray
from torch import nn

from skelab.data.clips.clip import Clip, RawClip
from skelab.data.recordings.one_file import recording_of_array
from skelab.errors import DataError
from skelab.fusion import open_side_cars, side_cars_of_clips
from skelab.inference.checkpoint import Checkpoint
from skelab.inference.clips import prepare_clip, read_clips
from skelab.inference.engines import FASTEST
from skelab.inference.network import Network, Prediction, open_network
from skelab.inference.spec import NetworkSpec


def predict(
    network: Path | str | Checkpoint | Network | nn.Module,
    clip: Path | str | Clip | RawClip | Shaped[ndarray, " ..."],
    *,
    top: int = 5,
    names: Sequence[str] = (),
    engine: str | None = None,
    trust: bool = False,
    anatomy_check: bool = True,
    side_cars: Path | str | None = None,
) -> tuple[Prediction, ...]:
    """Say what a clip shows, by the network of a run, a checkpoint or an exported file.

    Args:
        network: What :func:`open_network` takes, or what it gave, which serves many clips.
        clip: A ``.skeleton``, ``.npy``, ``.csv`` or ``.npz`` file, a folder of recordings or a
            clip store; a recording, or an array
            of coordinates as recorded (T V C or M T V C), which is preprocessed; or a ``Clip``,
            which is taken as it is.
        top: How many classes to name.
        names: Clips to take from a file that holds several; otherwise all.
        engine: As for :func:`open_network`; None takes the fastest.
        trust: Open a ``.pt2`` file, which can run code of its maker.
        anatomy_check: Refuse arrays whose joints are scrambled.
        side_cars: Side-car store for a fused network; clips that are not in it, and all clips
            without a store, are served by their skeletons alone.

    Returns:
        One prediction for each clip, in order.

    Raises:
        NetworkError: The network cannot be opened.
        SideCarError: The side-cars are of another encoder, or of shorter recordings.
        DataError: The clip does not fit the network, cannot be read, or nobody is in it.
    """
    if not isinstance(network, Network):
        network = open_network(network, engine=engine or FASTEST, trust=trust)
    clips = _clips(clip, network.spec, names, anatomy_check)
    if side_cars is not None:
        store = open_side_cars(side_cars)
        network = network.with_side_cars(side_cars_of_clips(store, clips))
        if network.spec.fusion is not None:
            network.spec.fusion.check(store.info, store.path, str(network.path))
    return network.predict(clips, top=top)


def _clips(
    clip: Path | str | Clip | RawClip | Shaped[ndarray, " ..."],
    spec: NetworkSpec,
    names: Sequence[str],
    anatomy_check: bool,
) -> list[Clip]:
    if isinstance(clip, str | Path):
        return read_clips(Path(clip), spec, names, anatomy_check=anatomy_check)
    if isinstance(clip, Clip):
        expected = (spec.layout.num_joints, spec.model.in_channels)
        if clip.joints.shape[2:] != expected:
            raise DataError(
                f"{clip.info.name}: expected {expected[0]} joints of {spec.layout.name} with"
                f" {expected[1]} values, found {clip.joints.shape[2]} with {clip.joints.shape[3]}"
            )
        return [clip]
    raw = clip if isinstance(clip, RawClip) else recording_of_array(clip, spec.layout, "clip")
    return [prepare_clip(raw, spec, "clip", name="clip")]
