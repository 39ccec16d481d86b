"""`skelab.__all__` is the public face: documented, typed with shapes, and cheap to import."""

import ast
import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import skelab

PUBLIC = [name for name in skelab.__all__ if name != "__version__"]  # a string has no docstring
HEAVY = ("torch", "pyarrow", "matplotlib", "scipy", "sklearn", "accelerate")
BARE_ARRAYS = ("Tensor", "ndarray", "np.ndarray", "torch.Tensor", "NDArray")


def methods() -> Iterator[Any]:
    """Public functions, and the public methods and properties of public classes."""
    for name in PUBLIC:
        thing = getattr(skelab, name)
        if inspect.isclass(thing):
            for inner, member in vars(thing).items():
                function = getattr(member, "fget", None) or getattr(member, "__func__", member)
                function = getattr(function, "func", function)  # cached_property
                if not inner.startswith("_") and inspect.isfunction(function):
                    yield pytest.param(function, id=f"{name}.{inner}")
        elif inspect.isroutine(thing):
            yield pytest.param(inspect.unwrap(thing), id=name)


def source_tree(function: Callable[..., Any]) -> ast.FunctionDef:
    """The syntax tree of a function as it is written, before any decorator."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


def test_the_public_face_is_sorted_and_names_nothing_twice() -> None:
    names = list(skelab.__all__)

    assert names == sorted(set(names))
    assert all(name == "__version__" or not name.startswith("_") for name in names)


def test_dir_shows_the_public_face() -> None:
    shown = dir(skelab)

    assert set(skelab.__all__) <= set(shown)


def test_an_unknown_name_is_an_attribute_error_as_everywhere_in_python() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        skelab.no_such_name  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    text = inspect.getdoc(getattr(skelab, name))

    assert text
    assert text.strip().splitlines()[0].rstrip().endswith((".", ":", ","))


@pytest.mark.parametrize("function", list(methods()))
def test_every_public_function_and_method_is_documented(function: Callable[..., Any]) -> None:
    tree = source_tree(function)

    assert ast.get_docstring(tree)


@pytest.mark.parametrize("function", list(methods()))
def test_a_function_that_raises_says_so(function: Callable[..., Any]) -> None:
    tree = source_tree(function)
    raises = [node for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]

    text = ast.get_docstring(tree) or ""

    assert not raises or "Raises:" in text


@pytest.mark.parametrize("function", list(methods()))
def test_every_array_in_a_signature_has_its_shape(function: Callable[..., Any]) -> None:
    arguments = source_tree(function).args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    written = [argument.annotation for argument in every] + [source_tree(function).returns]

    kinds = [ast.unparse(annotation) for annotation in written if annotation]

    for kind in kinds:
        alternatives = [piece.strip() for piece in kind.split("|")]
        assert not set(alternatives) & set(BARE_ARRAYS), kind


@pytest.mark.parametrize("statement", ["import skelab", "import skelab.cli.main"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    script = f"import sys; {statement}; print(*[m for m in {HEAVY!r} if m in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.split() == []
