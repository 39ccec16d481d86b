"""The authors' weights in and out, and files of weights that run no code."""

import pickle
import re
import struct
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from skelab.errors import ModelError, WeightsError
from skelab.files.reading import special_kind
from skelab.files.safetensors_head import check_header, is_safetensors
from skelab.models.authors import AuthorsFormat
from skelab.models.create import create_model, model_spec
from skelab.models.registry import (
    authors_format,
    get_card,
    has_authors_format,
    list_models,
)
from skelab.skeleton import Layout, get_layout, list_layouts

_SHOWN = 5  # keys of a kind that a message names


def import_weights(
    name: str,
    state_dict: Mapping[str, object],
    *,
    layout: str | Layout | None = None,
    max_bodies: int | None = None,
) -> nn.Module:
    """A model of the family ``name`` with weights that the authors' code has trained.

    Classes, joints, channels, bodies and widths are read off the shapes; where the authors' code
    departs from their paper, the model does as the code. Weights of another floating type become
    float32; the random generator is left as it was.

    Args:
        name: One of ``list_models()``.
        state_dict: By the authors' keys, with or without ``module.`` before each.
        layout: Skeleton layout; ``ntu25`` by default for 25 joints.
        max_bodies: M; unless given, what the shapes say, or 2 where they do not depend on it.

    Raises:
        WeightsError: Keys are missing, unexpected or misshapen; or the layout does not fit.
        ModelError: There is no such family, or none that can be converted.
        LayoutError: There is no such layout.
    """
    authors = authors_format(name)
    theirs = _without_prefix(name, state_dict)
    with torch.random.fork_rng(devices=[]):
        try:
            arguments = authors.build_arguments(theirs)
            chosen = _layout(name, arguments.pop("num_joints", None), layout)
            if max_bodies is not None:
                arguments["max_bodies"] = max_bodies
            model = create_model(name, layout=chosen, **arguments)
        except (KeyError, IndexError, ValueError, ZeroDivisionError, ModelError) as error:
            usual = _authors_state_dict(authors, create_model(name, num_classes=60))
            reason = _misfit(theirs, usual, compare_sizes=False) or str(error)
            reason += _whose(theirs, name)
            raise WeightsError(f"{_weights_of(name)}: {reason}") from error
    misfit = _misfit(theirs, _authors_state_dict(authors, model))
    if misfit:
        raise WeightsError(f"{_weights_of(name)}: {misfit}{_whose(theirs, name)}")
    model.load_state_dict(
        {
            key: theirs[authors.key(key)].reshape(tensor.shape) if authors.saves(key) else tensor
            for key, tensor in model.state_dict().items()
        }
    )
    return model


def export_weights(model: nn.Module) -> dict[str, Shaped[Tensor, " ..."]]:
    """Copies of a model's weights, by the authors' keys, in their order and shapes.

    Raises:
        ModelError: The model was not made by ``create_model``, or its family has no such names.
    """
    authors = authors_format(model_spec(model).name)
    theirs = _authors_state_dict(authors, model)
    return {key: tensor.detach().clone() for key, tensor in theirs.items()}


def _authors_state_dict(authors: AuthorsFormat, model: nn.Module) -> dict[str, Tensor]:
    """The model's weights under the authors' names, in their shapes and order; not copied."""
    own = {key: tensor for key, tensor in model.state_dict().items() if authors.saves(key)}
    theirs = {authors.key(key): authors.as_authors(key, tensor) for key, tensor in own.items()}
    for pattern, replacement in authors.second_names:
        again = {re.sub(pattern, replacement, key): tensor for key, tensor in theirs.items()}
        theirs = {**again, **theirs}
    return {key: theirs[key] for key in sorted(theirs, key=authors.rank)}


def read_state_dict(path: Path) -> dict[str, Shaped[Tensor, " ..."]]:
    """The tensors of a ``.safetensors``, ``.pt`` or ``.pth`` file, by key; told by content.

    No code in the file is ever run. A checkpoint that holds its weights under ``state_dict`` is
    unwrapped.

    Raises:
        WeightsError: The file is missing, damaged, would run code, or holds no tensors by key.
    """
    path = Path(path)
    try:
        kind = special_kind(path)
        if kind:
            raise WeightsError(f"{path}: expected a file, found {kind}")
        if is_safetensors(path):
            check_header(path, WeightsError)
        content: object = load_file(path) if is_safetensors(path) else _load_pickled(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: {_refusal(error)}") from error
    except (SafetensorError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{path}: expected weights saved by torch or safetensors, found a damaged file or one"
            f" of another kind ({_first_line(error)})"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{path}: expected tensors by key, found {type(content).__name__}")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"{path}, entry {key!r}: expected a tensor, found {type(value).__name__}"
            )
    return dict(content)


def _load_pickled(path: Path) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on pickles of an unusual protocol, before it refuses them
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (IndexError, TypeError, AttributeError, AssertionError, struct.error) as error:
            # torch's unpickler takes any bytes for a program, and stumbles wherever they lead it
            raise ValueError(f"{type(error).__name__}: {error}") from error


def _refusal(error: pickle.UnpicklingError) -> str:
    """One line for a pickle that torch would not load."""
    called = re.search(r"GLOBAL ([\w.]+)", str(error))
    if called:
        return f"refused, expected tensors only, found a call of {called[1]}: loading it runs code"
    return "refused, expected tensors only, found a damaged file or one of another kind"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _weights_of(name: str) -> str:
    return f"weights of {get_card(name).title}"


def _without_prefix(name: str, state_dict: Mapping[str, object]) -> dict[str, Tensor]:
    """The entries without the ``module.`` that data-parallel training puts before each."""
    theirs = {}
    for key, value in state_dict.items():
        if not isinstance(value, Tensor):
            raise WeightsError(
                f"{_weights_of(name)}, entry {key!r}: expected a tensor, found"
                f" {type(value).__name__}"
            )
        theirs[key.removeprefix("module.")] = value
    return theirs


def _layout(name: str, num_joints: int | None, given: str | Layout | None) -> Layout:
    """The layout that was given, or the only usual one; checked against the weights.

    Weights that do not tell the number of joints are taken to be of the usual layout.
    """
    usual = (get_layout(layout) for layout in (authors_format(name).usual_layout, "ntu25"))
    chosen = next((layout for layout in usual if num_joints in (layout.num_joints, None)), None)
    if given is None and chosen is not None:
        return chosen
    if given is None:
        fitting = [layout.name for layout in list_layouts() if layout.num_joints == num_joints]
        raise WeightsError(
            f"{_weights_of(name)}: {num_joints} joints; say in which layout, by layout=NAME"
            f" (with as many joints: {', '.join(fitting) or 'none'})"
        )
    layout = get_layout(given) if isinstance(given, str) else given
    if num_joints is not None and layout.num_joints != num_joints:
        raise WeightsError(
            f"{_weights_of(name)}: expected the {layout.num_joints} joints of {layout.name}, found"
            f" {num_joints}"
        )
    return layout


def _misfit(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, compare_sizes: bool = True
) -> str | None:
    """What is missing, unexpected and misshapen, or None if all fits.

    Without ``compare_sizes``, only the number of axes counts as the shape.
    """

    def fits(key: str, tensor: Tensor) -> bool:
        return found[key].ndim == tensor.ndim and (
            not compare_sizes or found[key].shape == tensor.shape
        )

    misshapen = [
        f"{key} (expected {_shape(tensor)}, found {_shape(found[key])})"
        for key, tensor in expected.items()
        if key in found and not fits(key, tensor)
    ]
    faults = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "misshapen": misshapen,
    }
    return "; ".join(_some(kind, keys) for kind, keys in faults.items() if keys) or None


def _whose(theirs: Mapping[str, Tensor], name: str) -> str:
    """The families that have exactly these keys, in words; nothing if only ``name`` has them."""
    owners = []
    for card in list_models():
        if card.name == name or not has_authors_format(card.name):
            continue
        authors = authors_format(card.name)
        try:
            arguments = authors.build_arguments(theirs)
            arguments.pop("num_joints", None)
            with torch.device("meta"):
                model = create_model(card.name, layout=authors.usual_layout, **arguments)
        except (KeyError, IndexError, ValueError, ZeroDivisionError, RuntimeError, ModelError):
            continue
        if set(_authors_state_dict(authors, model)) == set(theirs):
            owners.append(card)
    if not owners:
        return ""
    titles = " or ".join(card.title for card in owners)
    return f"; the keys are those of {titles}: skelab import-weights {owners[0].name}"


def _some(kind: str, keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{len(keys)} {kind}: {', '.join(keys[:_SHOWN])}{more}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"
