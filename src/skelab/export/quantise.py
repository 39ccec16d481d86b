"""int8 quantisation of weights and activations."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.dataset import pad_clips
from skelab.errors import ExportError, SplitError
from skelab.inference.extras import need, without_chatter
from skelab.inference.spec import INPUT_NAME, NetworkSpec
from skelab.recipes import parse_recipe
from skelab.runs.parts import choose_parts

_BATCH: Final = 16
_OPERATORS: Final = ("Conv", "MatMul")


def calibration_batches(
    spec: NetworkSpec, store: OpenedClips, *, limit: int
) -> list[Float32[ndarray, "_ C T V M"]]:
    """Calibration clips, sampled evenly from a store and shaped as for evaluation.

    They come from the training part of the recipe's split, or from all clips if the store lacks
    it, so that the test part stays unused.

    Raises:
        CheckpointError: The clips differ from those that the network was trained on.
        ExportError: There are no clips.
    """
    spec.check_store(store.info, store.path, "the checkpoint")
    rows = _training_rows(spec, store)
    if not len(rows) or limit < 1:
        raise ExportError(f"{store.path}: expected clips to calibrate with, found none")
    chosen = rows[np.linspace(0, len(rows) - 1, min(limit, len(rows))).astype(np.int64)]
    feeder, batches = spec.make_feeder(), []
    for start in range(0, len(chosen), _BATCH):
        items = [(int(row), store.clip(int(row))) for row in chosen[start : start + _BATCH]]
        clips = pad_clips(items, spec.max_bodies)
        batches.append(feeder.evaluation_batch(clips).joints.numpy())
    return batches


def quantise(model: bytes, batches: Sequence[Float32[ndarray, "_ C T V M"]]) -> bytes:
    """Quantise the convolutions and linear layers of an ONNX model to int8.

    Weights are scaled per channel, activations by their range in the calibration clips, averaged
    over batches so that a tracking fault in one clip does not coarsen all others. Layers that read
    coordinates stay in float32: they have few channels and need the precision. So do the
    classifier, products of two activations (attention, data-dependent topologies), sums and norms.

    Raises:
        ExportError: The extra ``export`` is not installed, or the model cannot be quantised.
    """
    if not batches:
        raise ExportError("the graph cannot be quantised to int8: expected clips, found none")
    runtime = need("onnxruntime")
    quantisation = need("onnxruntime.quantization")

    class Clips(quantisation.CalibrationDataReader):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            self._left: Iterator[Float32[ndarray, "_ C T V M"]] = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._left, None)
            return None if batch is None else {INPUT_NAME: batch}

    with TemporaryDirectory() as name, without_chatter():
        folder = Path(name)
        plain, made = folder / "plain.onnx", folder / "int8.onnx"
        try:
            options = runtime.SessionOptions()
            options.optimized_model_filepath = str(plain)  # folds batch norms into convs
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            quantisation.quantize_static(
                str(plain),
                str(made),
                Clips(),
                quant_format=quantisation.QuantFormat.QDQ,
                per_channel=True,
                op_types_to_quantize=list(_OPERATORS),
                nodes_to_exclude=_readers_of_coordinates(plain, batches[0].shape[1]),
                extra_options={"MatMulConstBOnly": True, "CalibMovingAverage": True},
                activation_type=quantisation.QuantType.QUInt8,
                weight_type=quantisation.QuantType.QInt8,
            )
        except Exception as error:  # errors of shape inference, the runtime, and its checks
            reason = " ".join(str(error).split())[:200]
            raise ExportError(f"the graph cannot be quantised to int8: {reason}") from error
        return made.read_bytes()


def _readers_of_coordinates(model: Path, channels: int) -> list[str]:
    """Names of the layers with as many input channels as the clips have coordinates."""
    graph = need("onnx").load(str(model)).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    inputs_of = {"Conv": 1, "MatMul": 0}  # the axis of input channels in the weights
    return [
        node.name
        for node in graph.node
        if node.op_type in inputs_of
        and len(shape := shapes.get(node.input[1], ())) > 1
        and shape[inputs_of[node.op_type]] == channels
    ]


def _training_rows(spec: NetworkSpec, store: OpenedClips) -> Int64[ndarray, " N"]:
    recipe = parse_recipe(spec.recipe, where="the checkpoint's recipe")
    try:
        return choose_parts(recipe, store).train
    except SplitError:
        return np.arange(len(store), dtype=np.int64)
