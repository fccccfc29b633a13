"""ONNX nodes for the parts of a network: for each module, the nodes that compute its `forward`, in the same order.

Every function appends nodes to the graph and returns the name of their output. name: of the module in the network; x:
name of the input map [n, channels, size, size].
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from sdpoint.downsample import downsampled_size, pooling_index, pooling_matrix
from sdpoint.models import Network
from sdpoint.models.blocks import (
    PoolingStem,
    PostActivation,
    PreActivation,
    SameConv2d,
    Stem,
    same_padding,
    strided_size,
)
from sdpoint.models.densenet import TRANSITION_RATIO, DenseLayer
from sdpoint.models.efficientnet import ConvNormReLU6, InvertedResidual


@dataclass
class Graph:
    """A graph: its nodes in order, and the constant tensors that they use, by name (float32 or int64)."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, op: str, inputs: list[str], name: str, **attributes) -> str:
        """Append a node with one output, which has the name of the node. Returns that name."""
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Tensor) -> str:
        """Add a constant: floating-point values as float32, integers as int64. Returns its name."""
        kind = "<f4" if value.is_floating_point() else "<i8"
        self.tensors[name] = value.detach().contiguous().numpy().astype(kind)
        return name


def stem(graph: Graph, name: str, module: nn.Module, x: str, size: int, ratio: float) -> str:
    """The stem, up to the map at point 1. ratio: downsampling by a pooling stem; 1 for other stems."""
    match module:
        case nn.Conv2d():
            return conv(graph, name, module, x)
        case ConvNormReLU6():
            return _conv_norm_relu6(graph, name, module, x, size)
        case PoolingStem():
            h = _conv_norm_relu(graph, name, module, x)
            return _max_pool(graph, f"{name}.pool", h, strided_size(size, module.conv.stride[0]), ratio)
        case Stem():
            return _conv_norm_relu(graph, name, module, x)
    raise TypeError(f"no ONNX nodes for a stem of type {type(module).__name__}")


def block(graph: Graph, name: str, module: nn.Module, x: str, size: int) -> str:
    match module:
        case PreActivation():
            return _pre_activation(graph, name, module, x)
        case PostActivation():
            return _post_activation(graph, name, module, x)
        case DenseLayer():
            return _dense_layer(graph, name, module, x, size)
        case InvertedResidual():
            return _inverted_residual(graph, name, module, x, size)
    raise TypeError(f"no ONNX nodes for a block of type {type(module).__name__}")


def features(graph: Graph, model: Network, x: str, size: int) -> str:
    """The layers between the last block and the classifier's average pooling."""
    if model.head is not None:
        return _conv_norm_relu6(graph, "head", model.head, x, size)
    return graph.add("Relu", [x], "relu") if model.bn is None else norm_relu(graph, "bn", model.bn, x)


def conv(graph: Graph, name: str, module: nn.Conv2d, x: str, size: int = 0) -> str:
    """A convolution. size: of the input map; only needed for TensorFlow's "SAME" padding."""
    kernel, stride = module.kernel_size[0], module.stride[0]
    pads = same_padding(size, kernel, stride) if isinstance(module, SameConv2d) else module.padding
    return graph.add(
        "Conv",
        [x, f"{name}.weight"],
        name,
        kernel_shape=list(module.kernel_size),
        strides=list(module.stride),
        pads=[pads[0]] * 2 + [pads[1]] * 2,
        group=module.groups,
    )


def norm(graph: Graph, name: str, module: nn.BatchNorm2d, x: str) -> str:
    tensors = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    return graph.add("BatchNormalization", [x, *tensors], name, epsilon=module.eps)


def norm_relu(graph: Graph, name: str, module: nn.BatchNorm2d, x: str) -> str:
    return graph.add("Relu", [norm(graph, name, module, x)], f"{name}.relu")


def norm_relu6(graph: Graph, name: str, module: nn.BatchNorm2d, x: str) -> str:
    limits = [graph.constant(f"relu6.{value:g}", torch.tensor(value)) for value in (0.0, 6.0)]
    return graph.add("Clip", [norm(graph, name, module, x), *limits], f"{name}.relu6")


def downsample(graph: Graph, name: str, x: str, size: int, ratio: float, pooling: str = "average") -> str:
    """The operation D: a plain pooling if its windows tile the map, else linear interpolation or averaging matrices."""
    out = downsampled_size(size, ratio)
    if size % out == 0 and (pooling == "average" or size == 2 * out):
        window = [size // out] * 2
        return graph.add("AveragePool", [x], name, kernel_shape=window, strides=window)
    if pooling == "linear":
        values = [1.0, 1.0, *[_scale(size, out)] * 2]  # a node, not a tensor in weights.bin, since shapes depend on it
        scales = graph.add("Constant", [], f"{name}.scales", value_floats=values)
        return graph.add("Resize", [x, "", scales], name, mode="linear", coordinate_transformation_mode="half_pixel")
    matrix = pooling_matrix(size, out)
    rows = graph.add("MatMul", [graph.constant(f"{name}.rows", matrix), x], f"{name}.height")
    return graph.add("MatMul", [rows, graph.constant(f"{name}.columns", matrix.T)], name)


def _scale(size: int, out: int) -> float:
    """The smallest float32 scale for which Resize, which rounds down, gives `out`.

    Output sizes cannot be given instead, because they would fix the batch size.
    """
    scale = np.float32(out / size)
    while np.floor(np.float32(size) * scale) < out:
        scale = np.nextafter(scale, np.float32(1))
    return float(scale)


def _max_pool(graph: Graph, name: str, x: str, size: int, ratio: float) -> str:
    """The stem's max-pool; adaptive at a ratio below 1, for which ONNX has no operator if the windows overlap."""
    if ratio == 1:
        return graph.add("MaxPool", [x], name, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    out = downsampled_size(strided_size(size, 2), ratio)
    if size % out == 0:
        window = [size // out] * 2
        return graph.add("MaxPool", [x], name, kernel_shape=window, strides=window)
    index = graph.constant(f"{name}.index", pooling_index(size, out))
    rows = graph.add("Gather", [x, index], f"{name}.rows", axis=2)  # [n, channels, out, window, size]
    x = graph.add("ReduceMax", [rows], f"{name}.height", axes=[3], keepdims=0)
    columns = graph.add("Gather", [x, index], f"{name}.columns", axis=3)  # [n, channels, out, out, window]
    return graph.add("ReduceMax", [columns], name, axes=[4], keepdims=0)


def _conv_norm_relu(graph: Graph, name: str, module: Stem, x: str) -> str:
    return norm_relu(graph, f"{name}.bn", module.bn, conv(graph, f"{name}.conv", module.conv, x))


def _conv_norm_relu6(graph: Graph, name: str, module: ConvNormReLU6, x: str, size: int) -> str:
    return norm_relu6(graph, f"{name}.bn", module.bn, conv(graph, f"{name}.conv", module.conv, x, size))


def _inverted_residual(graph: Graph, name: str, module: InvertedResidual, x: str, size: int) -> str:
    h = x
    if module.expand is not None:
        h = conv(graph, f"{name}.expand", module.expand, h, size)
        h = norm_relu6(graph, f"{name}.expand_bn", module.expand_bn, h)
    h = conv(graph, f"{name}.depthwise", module.depthwise, h, size)
    h = norm_relu6(graph, f"{name}.depthwise_bn", module.depthwise_bn, h)
    h = norm(graph, f"{name}.project_bn", module.project_bn, conv(graph, f"{name}.project", module.project, h))
    return graph.add("Add", [x, h], name) if module.adds else h


def _pre_activation(graph: Graph, name: str, module: PreActivation, x: str) -> str:
    h, identity = x, x
    for k in range(1, module.length + 1):
        h = norm_relu(graph, f"{name}.bn{k}", getattr(module, f"bn{k}"), h)
        if k == 1 and module.project is not None:
            identity = conv(graph, f"{name}.project", module.project, h)
        h = conv(graph, f"{name}.conv{k}", getattr(module, f"conv{k}"), h)
    return graph.add("Add", [identity, h], name)


def _post_activation(graph: Graph, name: str, module: PostActivation, x: str) -> str:
    h = identity = graph.add("Relu", [x], f"{name}.relu")
    for k in range(1, module.length + 1):
        h = conv(graph, f"{name}.conv{k}", getattr(module, f"conv{k}"), h)
        follow = norm_relu if k < module.length else norm
        h = follow(graph, f"{name}.bn{k}", getattr(module, f"bn{k}"), h)
    if module.project is not None:
        identity = conv(graph, f"{name}.project", module.project, identity)
        identity = norm(graph, f"{name}.project_bn", module.project_bn, identity)
    return graph.add("Add", [identity, h], name)


def _dense_layer(graph: Graph, name: str, module: DenseLayer, x: str, size: int) -> str:
    if (transition := module.transition) is not None:
        h = norm_relu(graph, f"{name}.transition.bn", transition.bn, x)
        h = conv(graph, f"{name}.transition.conv", transition.conv, h)
        x = downsample(graph, f"{name}.transition", h, size, TRANSITION_RATIO)
    h = conv(graph, f"{name}.conv1", module.conv1, norm_relu(graph, f"{name}.bn1", module.bn1, x))
    h = conv(graph, f"{name}.conv2", module.conv2, norm_relu(graph, f"{name}.bn2", module.bn2, h))
    return graph.add("Concat", [x, h], name, axis=1)
