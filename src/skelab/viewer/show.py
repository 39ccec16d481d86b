"""`skelab.view`: shows a clip in a notebook or saves it to a file."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray

from skelab.data.clips.clip import Clip, RawClip
from skelab.errors import DataError, OutputError, unknown_name
from skelab.files.atomic import atomic_write
from skelab.files.kinds import GIF, MP4, PAGE, PNG, FileKind
from skelab.skeleton import Layout
from skelab.viewer.page import facts_of, ranks, render_frame, render_page
from skelab.viewer.reading import Shown, open_clip
from skelab.viewer.scene import FRAMES_PER_SECOND, Answer, Evidence, Links, Scene, on_timeline

if TYPE_CHECKING:
    from skelab.inference import NetworkFile, Reasons

KINDS: Final = {kind.suffixes[0]: kind for kind in (PAGE, GIF, MP4, PNG)}
"""Suffixes of the files that a clip can be saved as."""

HEIGHT: Final = 480
"""Height of a film, and of each pose in a picture, pixels."""

THEMES: Final = ("light", "dark")
"""Colours of pictures and films."""

GRADIENT: Final = "Gradient times input"
OCCLUSION: Final = "Occlusion"


@dataclass(frozen=True)
class View:
    """A view of a clip: a player in notebooks; can be saved as a page, picture or film.

    Attributes:
        scene: The scene.
    """

    scene: Scene

    def html(self) -> str:
        """One self-contained page."""
        return render_page(self.scene)

    def save(self, path: Path | str, *, theme: str = "light", height: int = HEIGHT) -> Path:
        """Write a page, picture or film, by the suffix; whole or not at all.

        Args:
            path: ``.html``, ``.png`` (six poses side by side), ``.gif`` or ``.mp4``.
            theme: ``light`` or ``dark``, for pictures and films; a page has both.
            height: Height of a film, and of each pose in a picture, pixels.

        Returns:
            The path.

        Raises:
            OutputError: The suffix is another, the file cannot be written, or PyAV is missing.
            DataError: A film of one frame, or of too many.
        """
        path = Path(path)
        kind = kind_of(path)
        check_theme(theme, height)
        if kind is PAGE:
            with atomic_write(path) as temporary:
                temporary.write_text(self.html(), encoding="utf-8")
        elif kind is PNG:
            from skelab.viewer.picture import draw_strip

            with atomic_write(path) as temporary:
                draw_strip(self.scene, theme=theme, height=height).save(
                    temporary, format="PNG", optimize=True
                )
        else:
            from skelab.viewer.film import write_film

            write_film(path, self.scene, theme=theme, height=height)
        return path

    def describe(self) -> list[str]:
        """A line or two about the clip and the network's prediction."""
        scene = self.scene
        title = f"{scene.label}: " if scene.label else ""
        made = "SYNTHETIC, " if scene.synthetic else ""
        lines = [title + made + ", ".join(facts_of(scene))]
        if scene.answer:
            name, share = scene.answer.top[0]
            joints, frames = (
                "not defined" if math.isnan(rho) else f"{round(rho, 2) + 0.0:.2f}"
                for rho in scene.answer.agreement
            )
            lines.append(
                f"{scene.answer.network} says {name}, {share:.1%}; for {scene.answer.target} speaks"
                f" most the {self._strongest()}; the two methods agree by {joints} over joints,"
                f" {frames} over moments (rank correlation)"
            )
        return lines

    def _strongest(self) -> str:
        answer = self.scene.answer
        found = ranks(answer.evidence[0]) if answer and answer.evidence else []
        return self.scene.layout.joints[found[0][1]] if found else "nothing"

    def _repr_html_(self) -> str:
        """The HTML for notebooks."""
        return render_frame(self.scene)


def view(
    clip: Path | str | Clip | RawClip | Shaped[ndarray, " ..."],
    *,
    name: str | None = None,
    layout: Layout | str | None = None,
    pipeline: str | None = None,
    network: "Path | str | NetworkFile | None" = None,
    target: str | None = None,
    frames: tuple[int, int] | None = None,
    frames_per_second: float = FRAMES_PER_SECOND,
    raw: bool = True,
) -> View:
    """View a clip, and optionally a network's prediction with evidence.

    Args:
        clip: A ``.skeleton`` or ``.npy`` file, a store or prepared clips, a folder of
            recordings; a recording or an array of coordinates as recorded, T V C or M T V C, which
            is shown beside its preprocessed clip; or a clip.
        name: Name of the clip; needed if there are several.
        layout: The joints, if the source does not define them; by default from their number.
        pipeline: Preprocessing of a recording; by default the network's, or the one that ``skelab
            ingest`` takes.
        network: A run or a checkpoint, as a path or as it was read: adds its prediction and which
            joints and moments speak for it.
        target: The class to explain; the most likely one by default.
        frames: First frame to show, and the one after the last.
        frames_per_second: Speed at which the clip was recorded.
        raw: Show a recording beside its preprocessed clip.

    Raises:
        DataError: The clip cannot be read, several are there and none was named, nobody is in it,
            or it does not fit the network.
        LayoutError: The layout is unknown, or several have so many joints and none was named.
        NetworkError: The network cannot be opened, or is an exported file.
    """
    if network is None:
        if target is not None:
            raise DataError("a class to give reasons for needs a network; --network names one")
        shown = open_clip(clip, name=name, layout=layout, pipeline=pipeline)
    else:
        shown = _with_answer(clip, name, pipeline, network, target)
    scene = replace(shown.scene, frames_per_second=float(frames_per_second))
    if not raw:
        scene = replace(scene, panes=scene.panes[-1:])
    return View(scene.between(*frames) if frames else scene)


def kind_of(path: Path) -> FileKind:
    """The kind of a file by its suffix.

    Raises:
        OutputError: The suffix is unknown; the message lists the known ones.
    """
    found = [kind for kind in KINDS.values() if path.suffix.lower() in kind.suffixes]
    if not found:
        raise OutputError(
            f"{path}: expected a name that ends with {', '.join(KINDS)}, found"
            f" {path.suffix or 'none of it'!r}"
        )
    return found[0]


def check_theme(name: str, height: int = HEIGHT) -> None:
    """Check the theme and the height.

    Raises:
        OutputError: There are none of that name, the message lists those that there are; or the
            height is out of range.
    """
    if not 120 <= height <= 2160:
        raise OutputError(f"expected a height of 120 to 2160 pixels, found {height}")
    if name not in THEMES:
        raise OutputError(unknown_name("theme", name, THEMES))


def _with_answer(
    clip: Path | str | Clip | RawClip | Shaped[ndarray, " ..."],
    name: str | None,
    pipeline: str | None,
    network: "Path | str | NetworkFile",
    target: str | None,
) -> Shown:
    """The preprocessed clip with the network's prediction and evidence."""
    from skelab.inference import check_network

    if isinstance(network, str | Path):
        check_network(Path(network))  # before PyTorch is imported
    from skelab.inference import explain, read_network_file

    if isinstance(network, str | Path):
        network = read_network_file(Path(network))
    spec = network.spec
    if pipeline not in (None, spec.inputs.pipeline):
        raise DataError(
            f"{network.path}: the network was trained on pipeline {spec.inputs.pipeline}, found"
            f" --pipeline {pipeline}; leave it out"
        )
    shown = open_clip(clip, name=name, layout=spec.layout, pipeline=spec.inputs.pipeline)
    if shown.scene.layout.joints != spec.layout.joints:
        raise DataError(
            f"{shown.scene.name}: the network was trained on the joints of {spec.layout.name},"
            f" found those of {shown.scene.layout.name}"
        )
    units = shown.scene.panes[-1].units
    if units != spec.inputs.units:
        raise DataError(
            f"{shown.scene.name}: the network was trained on units {spec.inputs.units}, found"
            f" {units}"
        )
    reasons = explain(network, shown.clip, target=target)
    trained = "SYNTHETIC clips" if spec.synthetic else spec.inputs.dataset
    answer = answer_of(reasons, shown, network=spec.title, trained_on=trained)
    return replace(shown, scene=replace(shown.scene, answer=answer))


def answer_of(reasons: "Reasons", shown: Shown, *, network: str, trained_on: str) -> Answer:
    """A network's prediction, mapped to the shown frames."""
    scene, clip = shown.scene, shown.clip
    gradient = np.moveaxis(on_timeline(scene, clip, np.moveaxis(reasons.gradient, 1, -1)), -1, 1)
    occlusion = np.repeat(reasons.occlusion[:, None], scene.num_frames, axis=1)
    return Answer(
        network=network,
        trained_on=trained_on,
        top=reasons.prediction.top,
        target=reasons.target,
        evidence=(
            Evidence(GRADIENT, _float(gradient), _float(gradient.sum(axis=(0, 2)))),
            Evidence(OCCLUSION, _float(occlusion), on_timeline(scene, clip, reasons.spans)),
        ),
        agreement=reasons.agreement,
        layers=tuple(Links(each.layer, each.weights) for each in reasons.layers),
        note=reasons.note,
    )


def _float(values: Shaped[ndarray, " ..."]) -> Float32[ndarray, " ..."]:
    return np.ascontiguousarray(values, dtype=np.float32)
