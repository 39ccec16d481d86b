"""The attacks by kind: what somebody could hand to the lab, by mistake or on purpose."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from attack.kit import (
    DEEP,
    STRANGE,
    Attack,
    Kit,
    described,
    forge_checkpoint,
    forge_scores,
    forge_store,
    to_json,
)
from cli_outcome import SMALL

Kind = Callable[[Kit], Iterator[Attack]]
_KINDS: dict[str, Kind] = {}


def _kind(title: str) -> Callable[[Kind], Kind]:
    def enter(kind: Kind) -> Kind:
        _KINDS[title] = kind
        return kind

    return enter


def kinds() -> dict[str, Kind]:
    """Every kind of attack by its title."""
    return dict(_KINDS)


def _places(content: Any, above: str = "") -> Iterator[str]:
    """Every place of a description, lists by their first entry."""
    entries: Any = ()
    if isinstance(content, dict):
        entries = content.items()
    elif isinstance(content, list) and content:
        entries = [(0, content[0])]
    for key, value in entries:
        place = f"{above}{key}"
        yield place
        yield from _places(value, f"{place}.")


def _title(value: Any) -> str:
    return "deep" if value is DEEP else ascii(value)[:12]


@_kind("checkpoint: description forged, inspect")
def _checkpoints(kit: Kit) -> Iterator[Attack]:
    for place in _places(described(kit.checkpoint)):
        for value in STRANGE:
            forge = partial(_checkpoint_at, kit, place=place, value=value)
            name = f"{place} = {_title(value)}"
            yield Attack(name, ["inspect", "{}"], forge, ".safetensors", may_pass=True)


def _checkpoint_at(kit: Kit, path: Path, *, place: str, value: Any) -> None:
    forge_checkpoint(kit.checkpoint, path, place, value)


@_kind("checkpoint: description forged, used")
def _used_checkpoints(kit: Kit) -> Iterator[Attack]:
    commands = {
        "evaluate": ["evaluate", "{}", "--data", str(kit.store), "--out", "{}-out"],
        "predict": ["predict", "{}", str(next(iter(sorted(kit.skeletons.glob("*.skeleton")))))],
        "export": ["export", "{}", "{}.onnx", "--to", "onnx"],
        "export-weights": ["export-weights", "{}", "{}.pt"],
    }
    forged: dict[str, tuple[Any, ...]] = {
        "model.name": (None, "nosuch", "msg3d", 7, DEEP),
        "model.num_classes": (-1, 0, 10**9, 10**400, "3", None),
        "model.max_bodies": (0, 10**9, "2"),
        "model.in_channels": (0, 10**9, None),
        "model.options": (None, [], {"nosuch": 1}, {"width": 10**9}, {"width": 10**400}, DEEP),
        "model.options.width": (10**9, -8, "8", [8], float("nan")),
        "model.layout": (None, {}, "ntu25", DEEP),
        "model.layout.joints": ([], ["a"], None, ["j"] * 100_000),
        "model.layout.bones": ([], [[0, 10**9]], [[-1, 5]], None),
        "model.layout.axes": ([], ["x"], "xyz"),
        "inputs.classes": ([], [1, 2, 3], ["a"], [["a"], ["b"], ["c"]], None, ["a"] * 100_000),
        "inputs.feeder": (None, {}, {"window": 10**9}, {"stream": "smell"}, DEEP),
        "inputs.pipeline": (None, "nosuch", 3),
        "inputs.dataset": (None, 3, "\ud800"),
        "recipe": (None, "", "a: [", "model: {name: x}", "x" * 10**7),
        "epoch": (None, -1, 10**400, "x"),
        "protocol": (None, "mine", []),
        "task": (None, [], {"name": "nosuch"}, {"name": "classification", "options": {"a": 1}}),
        "format": (0, None, "1", 10**400),
    }
    for place, values in forged.items():
        for value in values:
            forge = partial(_checkpoint_at, kit, place=place, value=value)
            for command, words in commands.items():
                name = f"{command}, {place} = {_title(value)}"
                yield Attack(name, words, forge, ".safetensors", may_pass=True)


@_kind("run: records and environment forged")
def _records(kit: Kit) -> Iterator[Attack]:
    record = (kit.run / "metrics.jsonl").read_text().splitlines()[0]
    lines = [to_json(value) for value in STRANGE]
    for key in ("epoch", "train_loss", "validation_top1", "seconds", "nosuch"):
        lines += [to_json({**json.loads(record), key: value}) for value in STRANGE]
    lines += ["", "{", "\x00", "{}" * 1000]
    commands = (
        ["report", "{}", "--out", "{}.html"],
        ["evaluate", "{}", "--data", str(kit.store)],
        ["train", "ctrgcn", "--data", str(kit.store), "--out", "{}", "--resume"],
    )
    for line in lines:
        for words in commands:
            forge = partial(_run_with, kit, file="metrics.jsonl", text=line + "\n")
            yield Attack(f"{words[0]}, metrics {line[:30]!r}", words, forge, may_pass=True)
    texts = [to_json(value) for value in STRANGE]
    texts += [to_json({"data": value}) for value in STRANGE]
    texts += [to_json({"data": {"dataset": value, "synthetic": value}}) for value in STRANGE]
    for text in texts:
        for words in commands[:2]:
            forge = partial(_run_with, kit, file="environment.json", text=text)
            yield Attack(f"{words[0]}, environment {text[:30]!r}", words, forge, may_pass=True)


def _run_with(kit: Kit, path: Path, *, file: str, text: str) -> None:
    shutil.copytree(kit.run, path)
    (path / file).write_text(text, encoding="utf-8", errors="surrogatepass")


@_kind("store: description forged")
def _stores(kit: Kit) -> Iterator[Attack]:
    import pyarrow as pa

    with pa.memory_map(str(kit.store)) as file:
        content = json.loads(pa.ipc.open_file(file).schema.metadata[b"skelab"])
    for place in _places(content):
        for value in STRANGE:
            forge = partial(_store_at, kit, place=place, value=value)
            name = f"inspect, {place} = {_title(value)}"
            yield Attack(name, ["inspect", "{}"], forge, ".arrow", may_pass=True)
    used = (
        ["evaluate", str(kit.run), "--data", "{}", "--out", "{}-out"],
        ["convert", "{}", "{}-made.npz", "--to", "ctrgcn", "--split", "xsub"],
        ["train", "ctrgcn", "--data", "{}", "--out", "{}-run", "--set=training.epochs=1"],
    )
    forged: dict[str, tuple[Any, ...]] = {
        "classes": ([], ["a"], [["a"], ["b"], ["c"]], None, [1, 2, 3], DEEP),
        "dataset": (None, 3, [], "\ud800"),
        "pipeline": (None, 3, "nosuch", []),
        "units": (None, 3, "furlongs"),
        "layout": (None, {}, DEEP),
    }
    for place, values in forged.items():
        for value in values:
            for words in used:
                forge = partial(_store_at, kit, place=place, value=value)
                name = f"{words[0]}, {place} = {_title(value)}"
                yield Attack(name, words, forge, ".arrow", may_pass=True)


def _store_at(kit: Kit, path: Path, *, place: str, value: Any) -> None:
    forge_store(kit.store, path, place, value)


@_kind("scores: arrays forged")
def _scores(kit: Kit) -> Iterator[Attack]:
    many = 100_000
    names = np.array(["a", "b"])
    wide = {
        "names": names,
        "labels": np.zeros(2, np.int64),
        "logits": np.zeros((2, many), np.float32),
        "classes": np.array([f"c{k}" for k in range(many)]),
        **{name: np.zeros(2, np.int64) for name in ("subjects", "cameras", "setups")},
    }
    forged: dict[str, dict[str, Any]] = {
        "100,000 classes": wide,
        "half surrogates": {"classes": np.array(["\ud800", "b", "c"])},
        "info deep": {"info": np.array(to_json(DEEP))},
        "info list": {"info": np.array("[]")},
        "info 400 digits": {"info": np.array(to_json(10**400))},
        "labels out of range": {"labels": np.full(16, 9, np.int64)},
        "labels text": {"labels": np.array(["a"] * 16)},
        "logits of no class": {"logits": np.zeros((16, 0), np.float32)},
        "no names": {"names": np.array([], dtype="U1")},
        "format": {"format": np.array("skelab-scores-999")},
    }
    for title, arrays in forged.items():
        forge = partial(_scores_at, kit, arrays=arrays)
        for words in (
            ["inspect", "{}"],
            ["report", "{}", "--out", "{}.html"],
            ["ensemble", "{}", "--out", "{}-out"],
        ):
            yield Attack(f"{words[0]}, {title}", words, forge, ".npz")


def _scores_at(kit: Kit, path: Path, *, arrays: dict[str, Any]) -> None:
    forge_scores(kit.scores, path, **arrays)


@_kind("recipe: values out of any range")
def _recipes(kit: Kit) -> Iterator[Attack]:
    huge = "9" * 400
    settings = {
        "model.width": ("1000000000", huge, "-1", "text", "[]", "1e9", ".nan"),
        "model.num_classes": ("3",),
        "model.layout": ("ntu25",),
        "model.max_bodies": ("2",),
        "model.in_channels": ("3",),
        "model.name": ("null", "[]", huge),
        "training.learning_rate": ("1e300", ".inf", huge, "0", "text"),
        "training.epochs": (huge, "1e300", "0", "null"),
        "training.batch_size": (huge, "1e9"),
        "training.seed": (huge, "-1"),
        "training.steps": (f"[{huge}]", "[a]"),
        "training.weight_decay": ("1e300", huge),
        "training.clip_norm": (huge, "-1"),
        "training.warmup_epochs": (huge,),
        "data.window": (huge, "1000000000", "0"),
        "data.split": (f"subject:{huge}/1", "subject:1/99999999999999999999", "[]", "null"),
        "data.held_out": (f"[{huge}]", "[-1]", "[99999999999999999999]"),
        "data.validation_subjects": (huge,),
        "data.workers": (huge,),
        "data.rotation": ("1e300",),
        "memory.micro_batch": (huge, "0"),
        "name": ("null", f"'{'x' * 10_000}'", '"\\ud800"'),
        "seeds": (huge, "0"),
    }
    data = ["--data", str(kit.store), "--out", "{}-run"]
    for key, values in settings.items():
        for value in values:
            words = ["train", "ctrgcn", *data, f"--set={key}={value}"]
            yield Attack(f"{key} = {value[:12]}", words)
    bomb = "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
    )
    texts = {"aliases": bomb, "deep": "[" * 100_000, "endless": "x" * (100 << 20), "nothing": ""}
    for title, text in texts.items():
        words = ["train", "{}", *data]
        yield Attack(f"file: {title}", words, partial(_write, text=text), ".yaml")


def _write(path: Path, *, text: str) -> None:
    path.write_text(text)


@_kind("names: empty, too long, of other kinds")
def _names(kit: Kit) -> Iterator[Attack]:
    run, store, long = str(kit.run), str(kit.store), "x" * 300
    for name in ("", " ", long, f"{long}/y", "\x00", "a\x00b"):
        for words in (
            ["inspect", name],
            ["train", name],
            ["train", "ctrgcn", "--data", store, "--out", name],
            ["train", "ctrgcn", "--data", name, "--out", "{}"],
            ["evaluate", name, "--data", store],
            ["evaluate", run, "--data", name],
            ["evaluate", run, "--data", store, "--out", name],
            ["predict", name, store],
            ["predict", run, name],
            ["export", name, "{}.onnx", "--to", "onnx"],
            ["export", run, name, "--to", "onnx"],
            ["export-weights", run, name],
            ["import-weights", "ctrgcn", name, "{}.safetensors"],
            ["import-weights", name, str(kit.checkpoint), "{}.safetensors"],
            ["report", name],
            ["report", run, "--out", name],
            ["ensemble", name],
            ["ensemble", str(kit.scores), "--out", name],
            ["convert", name, "{}.npz", "--to", "ctrgcn"],
            ["convert", store, name, "--to", "ctrgcn"],
            ["ingest", name, "{}.arrow"],
            ["ingest", str(kit.skeletons), name],
            ["synth", name, "--clips", "3"],
            ["fit", name],
            ["fit", "ctrgcn", "--html", name],
            ["bench", name],
            ["layouts", "--map", name, "ntu25"],
        ):
            yield Attack(f"{' '.join(words)[:40]!r} {name[:6]!r}", words)


@_kind("networks: foreign, damaged, endless")
def _networks(kit: Kit) -> Iterator[Attack]:
    sample = str(min(kit.skeletons.glob("*.skeleton")))
    size = kit.checkpoint.stat().st_size
    forged: dict[str, Callable[[Path], object]] = {
        "a header of 90 MB": lambda path: path.write_bytes(
            struct.pack("<Q", 90 << 20) + b"{" + b" " * (90 << 20)
        ),
        "a header beyond the file": lambda path: path.write_bytes(struct.pack("<Q", 1 << 62)),
        "nothing": lambda path: path.touch(),
        "text": lambda path: path.write_text("hello"),
        "a pickle": lambda path: path.write_bytes(b"\x80\x04K\x01."),
        "a cut checkpoint": lambda path: path.write_bytes(kit.checkpoint.read_bytes()[: size // 2]),
        "an npz": lambda path: path.write_bytes(kit.scores.read_bytes()),
        "a store": lambda path: path.write_bytes(kit.store.read_bytes()),
        "a pipe": os.mkfifo,
        "a device": lambda path: path.symlink_to("/dev/zero"),
    }
    for title, forge in forged.items():
        for words in (
            ["inspect", "{}"],
            ["predict", "{}", sample],
            ["evaluate", "{}", "--data", str(kit.store)],
            ["export", "{}", "{}.onnx", "--to", "onnx"],
            ["export-weights", "{}", "{}.pt"],
            ["import-weights", "ctrgcn", "{}", "{}-made.safetensors"],
        ):
            yield Attack(f"{words[0]}, {title}", words, forge, ".safetensors")
        yield Attack(f"predict, a run with {title}", ["predict", "{}", sample], _as_run(forge))
    for title, forge in _exports(kit).items():
        for words in (["inspect", "{}"], ["predict", "{}", sample]):
            yield Attack(f"{words[0]}, {title}", words, forge, ".onnx", may_pass=True)


def _as_run(forge: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        (path / "checkpoints").mkdir(parents=True)
        forge(path / "checkpoints" / "best.safetensors")

    return make


def _exports(kit: Kit) -> dict[str, Callable[[Path], object]]:
    import onnx
    from onnx import TensorProto, helper

    def asks_for(gigabytes: int, path: Path) -> None:
        model = onnx.load(str(kit.onnx))
        shape = helper.make_tensor("huge_shape", TensorProto.INT64, [1], [gigabytes << 28])
        model.graph.initializer.append(shape)
        node = helper.make_node("ConstantOfShape", ["huge_shape"], ["huge"])
        first = helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0)
        output = model.graph.output[0].name
        for each in model.graph.node:
            each.output[:] = [f"{o}_before" if o == output else o for o in each.output]
        last = helper.make_node("Add", [f"{output}_before", "most"], [output])
        model.graph.node.extend([node, first, last])
        onnx.save(model, str(path))

    def with_metadata(text: str, path: Path) -> None:
        model = onnx.load(str(kit.onnx))
        for entry in model.metadata_props:
            entry.value = text if entry.key == "skelab" else entry.value
        onnx.save(model, str(path))

    forged: dict[str, Callable[[Path], object]] = {
        "ONNX of 200 GB": partial(asks_for, 200),
        "ONNX of 4,000 GB": partial(asks_for, 4000),
        "ONNX of nothing": lambda path: path.touch(),
        "ONNX cut": lambda path: path.write_bytes(kit.onnx.read_bytes()[:2000]),
    }
    for value in STRANGE:
        forged[f"ONNX described as {_title(value)}"] = partial(with_metadata, to_json(value))
    model = onnx.load(str(kit.onnx))
    text = next(entry.value for entry in model.metadata_props if entry.key == "skelab")
    from attack.kit import changed

    for place in _places(json.loads(text)):
        for value in (None, 10**9, 10**400, [], DEEP):
            content = to_json(changed(json.loads(text), place, value))
            forged[f"ONNX, {place} = {_title(value)}"] = partial(with_metadata, content)
    return forged


@_kind("own data: tables and arrays")
def _own_data(kit: Kit) -> Iterator[Attack]:
    head = "name: mine\nlayout: ntu25\nclasses: [a, b]\n"
    rows = "name,label,subject\nc0,0,1\nc1,1,2\n"
    tables: dict[str, tuple[str, str]] = {
        "a subject of 20 digits": (head, "name,label,subject\nc0,0,99999999999999999999\nc1,1,2\n"),
        "a label of 20 digits": (head, "name,label,subject\nc0,99999999999999999999,1\nc1,1,2\n"),
        "a label of 400 digits": (head, f"name,label,subject\nc0,{'9' * 400},1\nc1,1,2\n"),
        "a table of nothing": (head, ""),
        "a table of zero bytes": (head, "\x00" * 100),
        "no classes": ("name: mine\nlayout: ntu25\nclasses: []\n", rows),
        "nested classes": ("name: mine\nlayout: ntu25\nclasses: [[a], [b]]\n", rows),
        "classes deep": (f"name: mine\nlayout: ntu25\nclasses: {'[' * 9000}\n", rows),
        "a name of 400 digits": (f"name: {'9' * 400}\nlayout: ntu25\nclasses: [a, b]\n", rows),
        "a layout of numbers": ("name: mine\nlayout: 25\nclasses: [a, b]\n", rows),
        "names that climb": (head, "name,label,subject\n../../c0,0,1\n/etc/passwd,1,2\n"),
        "names of control characters": (head, "name,label,subject\nc\x1b[31m0,0,1\nc1,1,2\n"),
    }
    for title, (described_as, table) in tables.items():
        forge = partial(_own, described_as=described_as, table=table)
        for words in (["inspect", "{}"], ["ingest", "{}", "{}.arrow", "--workers", "1"]):
            yield Attack(f"{words[0]}, {title}", words, forge, may_pass=True)


def _own(path: Path, *, described_as: str, table: str) -> None:
    path.mkdir()
    (path / "dataset.yaml").write_text(described_as)
    (path / "clips.csv").write_text(table)
    rng = np.random.default_rng(0)
    for name in ("c0", "c1"):
        np.save(path / f"{name}.npy", rng.normal(size=(20, 25, 3)))


@_kind("disk: full while writing")
def _full_disk(kit: Kit) -> Iterator[Attack]:
    import torch._dynamo  # half an import, cut off by the full disk, would be met again

    assert torch._dynamo
    data = ["--data", str(kit.store)]
    for words in (
        ["export-weights", str(kit.run), "{}.pt"],
        ["export-weights", str(kit.run), "{}.safetensors"],
        ["export", str(kit.run), "{}.onnx", "--to", "onnx"],
        ["convert", str(kit.store), "{}.npz", "--to", "ctrgcn", "--split", "xsub"],
        ["ingest", str(kit.skeletons), "{}.arrow", "--workers", "1"],
        ["synth", "{}", "--clips", "12"],
        ["evaluate", str(kit.run), *data, "--out", "{}"],
        ["report", str(kit.run), "--out", "{}.html"],
        ["train", "ctrgcn", *data, "--out", "{}", *SMALL],
    ):
        for size in (0, 4096):
            yield Attack(f"{words[0]} {words[2][-5:]}, {size} bytes", words, largest_file=size)


@_kind("terminal: control characters in names")
def _control(kit: Kit) -> Iterator[Attack]:
    evil = "a\x1b]0;title\x07\x1b[31m\u202e\x9b"
    classes = [evil, "b", "c"]
    sample = str(min(kit.skeletons.glob("*.skeleton")))
    forged: list[tuple[Callable[[Path], object], str, list[list[str]]]] = [
        (
            partial(_store_at, kit, place=place, value=value),
            ".arrow",
            [["inspect", "{}"], ["evaluate", str(kit.run), "--data", "{}", "--out", "{}-out"]],
        )
        for place, value in {"classes": classes, "dataset": evil, "pipeline": evil}.items()
    ]
    forged += [
        (
            partial(_checkpoint_at, kit, place=place, value=value),
            ".safetensors",
            [
                ["inspect", "{}"],
                ["predict", "{}", sample],
                ["evaluate", "{}", "--data", str(kit.store), "--out", "{}-out"],
            ],
        )
        for place, value in {
            "inputs.classes": classes,
            "inputs.dataset": evil,
            "model.name": evil,
            "model.layout.name": evil,
            "protocol": evil,
        }.items()
    ]
    forged.append(
        (
            partial(_scores_at, kit, arrays={"classes": np.array(classes)}),
            ".npz",
            [["inspect", "{}"], ["report", "{}", "--out", "{}.html"], ["ensemble", "{}"]],
        )
    )
    for forge, suffix, commands in forged:
        for words in commands:
            yield Attack(f"{words[0]}, {suffix}", words, forge, suffix, may_pass=True)
    for words in (["inspect", evil], ["train", evil], ["bench", evil], ["report", evil]):
        yield Attack(f"{words[0]}, a path", words)


@_kind("bombs: pickles, pipes, devices")
def _bombs(kit: Kit) -> Iterator[Attack]:
    doubling = (
        b"\x80\x02]"
        + b"q\x00"
        + b"".join(
            b"]" + bytes([ord("h"), n]) * 9 + b"e" * 0 + b"q" + bytes([n + 1]) for n in range(30)
        )
    )
    forged: dict[str, Callable[[Path], object]] = {
        "doubling": lambda path: path.write_bytes(doubling + b"."),
        "code": lambda path: path.write_bytes(b"cos\nsystem\n(S'false'\ntR."),
        "nothing": lambda path: path.touch(),
        "a pipe": os.mkfifo,
        "a device": lambda path: path.symlink_to("/dev/zero"),
        "a socket's name": lambda path: path.symlink_to(path),
    }
    for title, forge in forged.items():
        for suffix in (".pkl", ".npz", ".npy", ".arrow", ".yaml", ".html"):
            for words in (
                ["inspect", "{}"],
                ["ingest", "{}", "{}.arrow", "--workers", "1"],
                ["ensemble", "{}"],
                ["report", "{}"],
                ["train", "{}", "--data", str(kit.store)],
                ["evaluate", str(kit.run), "--data", "{}", "--out", "{}-out"],
            ):
                yield Attack(f"{words[0]}, {title} {suffix}", words, forge, suffix)
