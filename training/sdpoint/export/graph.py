"""The ONNX graph of one instance, built from the network's modules node by node.

Not by tracing: PyTorch's exporter folds batch norm into the convolutions, and then instances no longer share
their weights. Every tensor keeps the name it has in the network's state dict.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from sdpoint.calibrate import Statistics
from sdpoint.config import DataConfig
from sdpoint.downsample import downsampled_size, pooling_matrix
from sdpoint.flops import strided_size
from sdpoint.instance import Instance
from sdpoint.models.wrn import Block, WideResNet

OPSET, IR_VERSION = 17, 8  # old enough for every runtime we know; nothing newer is needed
INPUT, OUTPUT = "image", "logits"


@dataclass
class Graph:
    """Nodes in order, and the constant tensors that they use (float32, by name)."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, op: str, inputs: list[str], name: str, **attributes) -> str:
        """Append a node; its one output is named as the node is. Returns that name."""
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Tensor) -> str:
        self.tensors[name] = value.detach().contiguous().numpy().astype("<f4")
        return name


def build_graph(model: WideResNet, statistics: Statistics, instance: Instance, data: DataConfig) -> Graph:
    """`image` uint8 [batch, size, size, 3] -> `logits` float32 [batch, classes]; the order is that of `forward`."""
    graph = Graph()
    for name, value in {**dict(model.named_parameters()), **statistics}.items():
        graph.constant(name, value)
    x = _conv(graph, "stem", model.stem, _normalise(graph, data))
    size = data.size
    for index, block in enumerate(model.blocks):
        if index + 1 == instance.p:
            x, size = _downsample(graph, x, size, instance.r)
        x = _block(graph, f"blocks.{index}", block, x)
        size = strided_size(size, block.conv1.stride[0])
    x = graph.add("GlobalAveragePool", [_norm_relu(graph, "bn", model.bn, x)], "pool")
    x = graph.add("Flatten", [x], "features", axis=1)
    graph.add("Gemm", [x, "fc.weight", "fc.bias"], OUTPUT, transB=1)
    return graph


def _normalise(graph: Graph, data: DataConfig) -> str:
    """(x / 255 - mean) / std as one multiplication and one addition, then channels first."""
    mean, std = torch.tensor(data.mean, dtype=torch.float64), torch.tensor(data.std, dtype=torch.float64)
    scale, shift = graph.constant("scale", 1 / (255 * std)), graph.constant("shift", -mean / std)
    x = graph.add("Cast", [INPUT], "float", to=TensorProto.FLOAT)
    x = graph.add("Add", [graph.add("Mul", [x, scale], "scaled"), shift], "normalised")
    return graph.add("Transpose", [x], "input", perm=[0, 3, 1, 2])


def _conv(graph: Graph, name: str, conv: nn.Conv2d, x: str) -> str:
    return graph.add(
        "Conv",
        [x, f"{name}.weight"],
        name,
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=list(conv.padding) * 2,
    )


def _norm_relu(graph: Graph, name: str, norm: nn.BatchNorm2d, x: str) -> str:
    tensors = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    return graph.add("Relu", [graph.add("BatchNormalization", [x, *tensors], name, epsilon=norm.eps)], f"{name}.relu")


def _block(graph: Graph, name: str, block: Block, x: str) -> str:
    h = _norm_relu(graph, f"{name}.bn1", block.bn1, x)
    identity = x if block.project is None else _conv(graph, f"{name}.project", block.project, h)
    h = _conv(graph, f"{name}.conv1", block.conv1, h)
    h = _norm_relu(graph, f"{name}.bn2", block.bn2, h)
    h = _conv(graph, f"{name}.conv2", block.conv2, h)
    return graph.add("Add", [identity, h], name)


def _downsample(graph: Graph, x: str, size: int, ratio: float) -> tuple[str, int]:
    """D on a map of size x size: (output, its size). A plain pooling if the windows tile the map, else matrices."""
    out = downsampled_size(size, ratio)
    if size % out == 0:
        window = [size // out] * 2
        return graph.add("AveragePool", [x], "downsample", kernel_shape=window, strides=window), out
    matrix = pooling_matrix(size, out)
    rows = graph.add("MatMul", [graph.constant("downsample.rows", matrix), x], "downsample.height")
    return graph.add("MatMul", [rows, graph.constant("downsample.columns", matrix.T)], "downsample"), out
