"""Makes int8 twins of instances: 8-bit weights with a scale for each output channel, 8-bit maps with one for each
tensor.

onnxruntime's static quantisation (QDQ) measures the ranges of maps on pictures. Before it, each batch norm is folded
into the convolution before it, so that both are one int8 operation; a batch norm without one becomes a 1x1 convolution.

Instances still share their int8 weights. A folded batch norm multiplies each output channel of the weights by a factor,
and that factor goes into the channel's quantisation scale. So the bytes stay those of the shared weights.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from torch import Tensor

from sdpoint.export import ExportError
from sdpoint.export.graph import INPUT, NORMALISATION, REDUCED
from sdpoint.export.nodes import Graph
from sdpoint.export.weights import whole_model

OPERATORS = ["Conv", "Gemm", "Add", "Concat", "Clip", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool"]
# Prefixes of nodes that stay float32, as int8 would be slower there.
FLOAT = (REDUCED, *NORMALISATION, "stem", "downsample")
LARGEST = 127  # largest absolute value of an int8 weight
DEAD = 1e-5  # a channel with no larger weights is dead: its output is about its bias
PICTURES = 200  # pictures to measure the ranges of maps on
BATCH = 25  # pictures in a batch for that; onnxruntime keeps the range of every map of each batch


class _Pictures(CalibrationDataReader):
    def __init__(self, pictures: Tensor) -> None:
        self.batches = iter(pictures.split(BATCH))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch.numpy()}


def quantise(graph: Graph, size: int, classes: int, pictures: Tensor) -> Graph:
    """The int8 twin of a graph. pictures: [n, size, size, 3] uint8, to measure the ranges of maps on.

    Raises ExportError if onnxruntime's int8 weights are not those expected.
    """
    folded, factors = fold_norms(graph)
    with tempfile.TemporaryDirectory() as folder:
        source, out = (str(Path(folder) / name) for name in ("float.onnx", "int8.onnx"))
        model = whole_model("folded", folded, size, classes)
        add_pre_process_metadata(model)  # without it onnxruntime warns that norms should be folded
        onnx.save(model, source)
        quantize_static(
            source,
            out,
            _Pictures(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=OPERATORS,
            nodes_to_exclude=[node.name for node in folded.nodes if node.name.startswith(FLOAT)],
        )
        model = onnx.load(out)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, factor in factors.items():
        place = f"{name}_quantized"
        if place in tensors:
            tensors[place] = _shared_bytes(graph.tensors[name], factor, tensors[place], name)
    return Graph(list(model.graph.node), tensors)


def fold_norms(graph: Graph) -> tuple[Graph, dict[str, np.ndarray]]:
    """Fold each batch norm into the convolution before it, or, if there is none, replace it by a 1x1 convolution.

    Returns the graph, and, by name of a changed weight, the factors [channels] on its output channels. A batch norm is
    folded only if nothing else uses the convolution's output.
    """
    uses = Counter(name for node in graph.nodes for name in node.input)
    norms = {node.input[0]: node for node in graph.nodes if node.op_type == "BatchNormalization"}
    folding = {
        node.output[0]: norms[node.output[0]]
        for node in graph.nodes
        if node.op_type == "Conv" and node.output[0] in norms and uses[node.output[0]] == 1
    }
    folded, factors = Graph(tensors=dict(graph.tensors)), {}
    for node in graph.nodes:
        if node.output[0] in folding:
            factors[node.input[1]] = _join(folded, node, folding[node.output[0]])
        elif node.op_type != "BatchNormalization":
            folded.nodes.append(node)
        elif node.input[0] not in folding:
            _stand_alone(folded, node)
    used = {name for node in folded.nodes for name in node.input}
    return Graph(folded.nodes, {name: value for name, value in folded.tensors.items() if name in used}), factors


def _join(folded: Graph, convolution: onnx.NodeProto, norm: onnx.NodeProto) -> np.ndarray:
    """Append the convolution with the batch norm folded in; returns the factors on its output channels, [channels]."""
    factor, shift = _affine(folded, norm)
    folded.tensors[convolution.input[1]] = folded.tensors[convolution.input[1]] * factor[:, None, None, None]
    folded.tensors[f"{norm.name}.shift"] = shift
    joined = onnx.NodeProto()
    joined.CopyFrom(convolution)
    joined.output[0] = norm.output[0]
    joined.input.append(f"{norm.name}.shift")
    folded.nodes.append(joined)
    return factor


def _stand_alone(folded: Graph, norm: onnx.NodeProto) -> None:
    factor, shift = _affine(folded, norm)
    weights = {f"{norm.name}.factor": factor[:, None, None, None], f"{norm.name}.shift": shift}
    folded.tensors.update(weights)
    folded.add("Conv", [norm.input[0], *weights], norm.name, kernel_shape=[1, 1], group=len(factor))


def _affine(graph: Graph, norm: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
    """A batch norm as x * factor + shift; returns (factor, shift), [channels] float32 each."""
    scale, shift, mean, variance = (graph.tensors[name].astype(np.float64) for name in norm.input[1:])
    factor = scale / np.sqrt(variance + norm.attribute[0].f)
    return factor.astype(np.float32), (shift - mean * factor).astype(np.float32)


def _shared_bytes(weight: np.ndarray, factor: np.ndarray, found: np.ndarray, name: str) -> np.ndarray:
    """The int8 values of the weight before the factors were applied, negated where the factor is negative.

    found: onnxruntime's int8 values of the product; they are the same up to rounding. Rounding would differ in a few
    values between instances, and then instances could not share them. The values of a dead channel are 0, because
    onnxruntime chooses its scale by the bias. Raises ExportError if `found` differs by more than rounding.
    """
    widest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    alive = (widest > DEAD) & (widest * np.abs(factor) > DEAD)
    steps = np.where(alive, widest, np.inf)[:, None, None, None] / LARGEST
    shared = np.rint(weight / steps) * np.sign(factor)[:, None, None, None]
    if np.abs(shared - found)[alive].max(initial=0) > 1:
        raise ExportError(f"{name}: onnxruntime's bytes are not the weight's; is it of the pinned version?")
    return shared.astype(np.int8)
