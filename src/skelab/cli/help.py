"""What `--help` of a command shows: plain words for what an option takes, and examples."""

import re
from typing import Any, Final

from typer.core import TyperCommand

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "demo": ("skelab demo", "skelab demo --out demo --set training.epochs=3"),
    "fit": (
        "skelab fit",
        'skelab fit ctrgcn --gpu "RTX 3060"',
        "skelab fit ctrgcn-small --data mine.arrow",
    ),
    "synth": ("skelab synth recordings --clips 240 --actions 4 --seed 1",),
    "ingest": (
        "skelab ingest nturgb+d_skeletons ntu60.arrow",
        "skelab ingest mine mine.arrow",
        "skelab ingest NTU60_CS.npz ntu60.arrow",
    ),
    "features": ("skelab features videos pictures.arrow --encoder hog",),
    "inspect": ("skelab inspect mine", "skelab inspect mine.arrow --split xsub"),
    "convert": ("skelab convert ntu60.arrow NTU60_CS.npz --to ctrgcn --split xsub",),
    "train": (
        "skelab train ctrgcn --data ntu60.arrow --out runs/ntu60",
        "skelab train ctrgcn-small --data mine.arrow --set data.split=subject:1-4/5,6",
        "skelab train ctrgcn --data ntu60.arrow --out runs/ntu60 --resume",
    ),
    "evaluate": (
        "skelab evaluate runs/ntu60 --data ntu60.arrow",
        "skelab evaluate runs/ntu60 --data ntu60.arrow --part validation",
    ),
    "anticipate": ("skelab anticipate runs/early --data ntu60.arrow",),
    "next": ("skelab next runs/next --data precog.arrow",),
    "detect": ("skelab detect runs/detection --data precog.arrow",),
    "ensemble": ("skelab ensemble runs/joint runs/bone --weights equal --out runs/both",),
    "report": ("skelab report runs/joint runs/bone --out compared",),
    "study": ("skelab study plan.yaml --out studies/streams",),
    "predict": (
        "skelab predict runs/ntu60 S001C001P001R001A001.skeleton",
        "skelab predict runs/mine mine/wave-1-1.csv --top 3",
    ),
    "view": ("skelab view mine/wave-1-1.npy --out clip.html",),
    "export": ("skelab export runs/ntu60 net.onnx --to onnx",),
    "import-weights": ("skelab import-weights ctrgcn joint.pt net.safetensors --split xsub",),
    "export-weights": ("skelab export-weights runs/ntu60 joint.pt",),
    "bench": ("skelab bench ctrgcn runs/ntu60",),
    "doctor": ("skelab doctor",),
    "models": ("skelab models", "skelab models fetch pose"),
    "recipes": ("skelab recipes", "skelab recipes ctrgcn-small > mine.yaml"),
    "layouts": ("skelab layouts", "skelab layouts --map kinect20 ntu25"),
    "datasets": ("skelab datasets",),
}
"""Lines for the end of the help of each command."""

_WORDS: Final = {"int": "N", "float": "NUMBER", "path": "PATH", "str": "TEXT"}
_TYPE: Final = re.compile(r"<(?:list\[)?(\w+)(?: range)?\]?>")
_CHOICE: Final = re.compile(r"<([\w|-]+)>")
_NAME: Final = re.compile(r"\{([\w|]+)\}|\[([a-z]\w*)\]")


class PlainCommand(TyperCommand):
    """A command whose help says what an option takes in one plain word, and ends with examples."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line; arguments are in capitals."""
        return [
            _NAME.sub(lambda found: f"[{found[2].upper()}]" if found[2] else found[1].upper(), each)
            for each in super().collect_usage_pieces(ctx)
        ]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, one a line."""
        records: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                kind = param.param_type_name
                records[kind].append((plain_name(record[0], kind), record[1]))
        for kind, title in (("argument", "Arguments"), ("option", "Options")):
            if records[kind]:
                with formatter.section(title):
                    formatter.write_dl(records[kind])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        if examples := EXAMPLES.get(self.name or ""):
            with formatter.section("Examples"):
                for line in examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def plain_name(text: str, kind: str) -> str:
    """What the help calls an option or argument, with types such as ``<list[path]>`` in a word.

    Args:
        text: As typer writes it, say ``--set <list[str]>``.
        kind: ``argument`` or ``option``.
    """
    if kind == "argument":
        name = text.split(" <")[0].upper()
        return f"{name}..." if "<list[" in text and not name.endswith("...") else name
    text = _TYPE.sub(lambda found: _WORDS.get(found[1], "TEXT"), text)
    return _CHOICE.sub(lambda found: found[1], text)
