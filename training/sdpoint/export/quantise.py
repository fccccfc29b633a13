"""int8 twins of instances: weights of 8 bits for each output channel, maps of 8 bits for each tensor.

onnxruntime's static quantisation (QDQ) finds the ranges of maps on pictures. Before it, batch norm is folded into the
convolution that it follows, so that the two are one operation on bytes; where it follows none it becomes one. An
instance's batch norm is its own, but it only scales a channel of the weights, and so does a channel's scale: the bytes
stay those of the shared weights, and instances share them too.
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
from sdpoint.export.graph import INPUT, NORMALISATION
from sdpoint.export.nodes import Graph
from sdpoint.export.weights import whole_model

OPERATORS = ["Conv", "Gemm", "Add", "Concat", "Clip", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool"]
FLOAT = (*NORMALISATION, "stem", "downsample")  # names begin so: three channels, or pooling, are slower in bytes
LARGEST = 127  # of a weight's byte, on either side of 0
DEAD = 1e-5  # a channel whose weights are no larger gives about nothing but its bias
PICTURES = 200  # to see the ranges of maps on
BATCH = 25  # pictures; onnxruntime keeps the range of every map of each


class _Pictures(CalibrationDataReader):
    def __init__(self, pictures: Tensor) -> None:
        self.batches = iter(pictures.split(BATCH))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch.numpy()}


def quantise(graph: Graph, size: int, classes: int, pictures: Tensor) -> Graph:
    """The same network in int8. pictures: [n, size, size, 3] uint8, from which the ranges of maps are taken.

    Raises ExportError if onnxruntime's weights are not those expected.
    """
    folded, factors = fold_norms(graph)
    with tempfile.TemporaryDirectory() as folder:
        source, out = (str(Path(folder) / name) for name in ("float.onnx", "int8.onnx"))
        model = whole_model("folded", folded, size, classes)
        add_pre_process_metadata(model)  # or it advises to fold the norms
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
    """Each batch norm becomes part of the convolution that it alone follows, or else a convolution of its own, 1 x 1.

    Returns the graph, and by the name of a folded weight by what each of its output channels was multiplied.
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
    """Returns by what the convolution's output channels were multiplied."""
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
    """(factor, shift) of a batch norm, [channels] float32 each."""
    scale, shift, mean, variance = (graph.tensors[name].astype(np.float64) for name in norm.input[1:])
    factor = scale / np.sqrt(variance + norm.attribute[0].f)
    return factor.astype(np.float32), (shift - mean * factor).astype(np.float32)


def _shared_bytes(weight: np.ndarray, factor: np.ndarray, found: np.ndarray, name: str) -> np.ndarray:
    """The bytes of the weight as it was before its channels were multiplied, negated where the factor is negative.

    They are those of the product but for rounding, which may tip a few either way and would make each a copy. A dead
    channel's are 0, as onnxruntime gives it a scale that suits its bias.
    """
    widest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    alive = (widest > DEAD) & (widest * np.abs(factor) > DEAD)
    steps = np.where(alive, widest, np.inf)[:, None, None, None] / LARGEST
    shared = np.rint(weight / steps) * np.sign(factor)[:, None, None, None]
    if np.abs(shared - found)[alive].max(initial=0) > 1:
        raise ExportError(f"{name}: onnxruntime's bytes are not the weight's; is it of the pinned version?")
    return shared.astype(np.int8)
