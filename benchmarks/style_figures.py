"""Figures of style: sizes of modules and functions, shapes, Raises and Source in docstrings.

Usage: python benchmarks/style_figures.py [PACKAGE ...]

Prints one column per package folder, by default that of this checkout, so that two states of the
code can be compared (``git archive COMMIT src | tar -x -C FOLDER`` gives an older one).

A docstring needs a Source where the definition computes what a paper or other code defines. The
figure approximates this: in the rooms of ``FROM_PAPERS`` it counts every public class that is a
layer or a transform (it has ``forward``, ``transform`` or ``apply``, or derives from a layer) and
every public function that takes or returns an array. Records, settings, protocols and registries
compute nothing and are not counted.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

HERE = Path(__file__).resolve().parents[1] / "src" / "skelab"
ARRAYS = ("Tensor", "ndarray")
FROM_PAPERS = (
    *("nn/", "models/", "evaluation/", "skeleton/", "training/"),
    *("data/preprocessing/", "data/feeding/"),
    *("data/pipelines/", "data/feeder", "data/streams", "data/transforms"),
)
"""Where the code computes what papers define; the last line are former names of the one above."""
LAYERS = ("Module", "Block", "TenBlocks", "Sequential", "BatchNorm1d", "BatchNorm2d")
COMPUTES = {"forward", "transform", "apply"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Figures:
    """What was counted in a package."""

    module_lines: list[int] = field(default_factory=list)
    function_lines: list[int] = field(default_factory=list)
    public: int = 0
    documented: int = 0
    arrays: int = 0
    shaped: int = 0
    raising: int = 0
    raises_named: int = 0
    from_papers: int = 0
    sourced: int = 0

    def rows(self) -> dict[str, str]:
        """The figures by name, as text."""
        return {
            "modules": f"{len(self.module_lines)}",
            "lines": f"{sum(self.module_lines):,}",
            "lines of a module: median, p90, longest": _spread(self.module_lines),
            "lines of a function: median, p90, longest": _spread(self.function_lines),
            "functions over 40 lines": f"{sum(n > 40 for n in self.function_lines)}",
            "public definitions with a docstring": _share(self.documented, self.public),
            "arrays in public signatures with a shape": _share(self.shaped, self.arrays),
            "public functions that raise, with Raises": _share(self.raises_named, self.raising),
            "layers, transforms, functions of arrays with Source": _share(
                self.sourced, self.from_papers
            ),
        }


def measure(package: Path) -> Figures:
    """The figures of a package's folder."""
    figures = Figures()
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        figures.module_lines.append(text.count("\n"))
        room = path.relative_to(package).as_posix()
        tree = ast.parse(text)
        for node, public in _definitions(tree):
            of_papers = (
                room.startswith(FROM_PAPERS) and node in tree.body
            )  # methods are its class's
            _count(figures, node, public=public, of_papers=of_papers)
    return figures


def _definitions(tree: ast.AST, public: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function | ast.ClassDef):
            seen = public and not node.name.startswith("_")
            yield node, seen
            yield from _definitions(node, seen and isinstance(node, ast.ClassDef))


def _count(figures: Figures, node: ast.AST, *, public: bool, of_papers: bool) -> None:
    assert isinstance(node, Function | ast.ClassDef)  # noqa: S101 - for the type checker
    said = ast.get_docstring(node) or ""
    if isinstance(node, Function):
        figures.function_lines.append(_length(node))
    if not public:
        return
    figures.public += 1
    figures.documented += bool(said)
    if of_papers and _computes(node):
        figures.from_papers += 1
        figures.sourced += "Source:" in said
    if isinstance(node, Function):
        written = [ast.unparse(note) for note in _annotations(node)]
        arrays = [note for note in written if any(kind in note for kind in ARRAYS)]
        figures.arrays += len(arrays)
        figures.shaped += sum('"' in note or "'" in note for note in arrays)
        if any(isinstance(inner, ast.Raise) and inner.exc for inner in ast.walk(node)):
            figures.raising += 1
            figures.raises_named += "Raises:" in said


def _computes(node: ast.AST) -> bool:
    """Whether a definition is a layer, a transform or a function of arrays."""
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        if "Protocol" in bases:
            return False
        methods = {inner.name for inner in node.body if isinstance(inner, Function)}
        return any(base in LAYERS for base in bases) or bool(methods & COMPUTES)
    assert isinstance(node, Function)  # noqa: S101 - for the type checker
    written = [ast.unparse(note) for note in _annotations(node)]
    return any(kind in note for note in written for kind in ARRAYS)


def _length(node: Function) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    hidden = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - hidden


def _annotations(node: Function) -> list[ast.expr]:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    notes = [argument.annotation for argument in arguments] + [node.returns]
    return [note for note in notes if note is not None]


def _spread(counts: list[int]) -> str:
    return f"{median(counts):.0f}, {quantiles(counts, n=10)[-1]:.0f}, {max(counts)}"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / max(whole, 1):.0%})"


def main(arguments: list[str]) -> None:
    """Print the table."""
    packages = [Path(argument) for argument in arguments] or [HERE]
    columns = [measure(package).rows() for package in packages]
    print("| | " + " | ".join(map(str, packages if arguments else ["now"])) + " |")
    print("|---|" + "---|" * len(packages))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
