"""Builds the ONNX graph of one instance from the network's modules, node by node.

PyTorch's exporter is not used, because it folds batch norm into the convolutions; then instances would no longer share
their weights. Every tensor keeps its name in the network's state dict.
"""

from __future__ import annotations

import torch
from onnx import TensorProto

from sdpoint.calibrate import Statistics
from sdpoint.config import DataConfig
from sdpoint.downsample import downsampled_size
from sdpoint.export import nodes
from sdpoint.export.nodes import Graph
from sdpoint.instance import Instance
from sdpoint.models import Network
from sdpoint.models.blocks import PoolingStem

OPSET, IR_VERSION = 17, 8  # old versions, which most runtimes support; nothing newer is needed
INPUT, OUTPUT = "image", "logits"
REDUCED = "reduced"  # name of the node that reduces pictures
NORMALISATION = ("scaled", "normalised")  # names of its nodes


def build_graph(
    model: Network, statistics: Statistics, instance: Instance, data: DataConfig, given: int | None = None
) -> Graph:
    """The graph of an instance: `image` uint8 [batch, given, given, 3] -> `logits` float32 [batch, classes].

    given: the size of the pictures that it gets, reduced to data.size by its first nodes; None: data.size.
    """
    graph = Graph()
    for name, value in {**dict(model.named_parameters()), **statistics}.items():
        graph.constant(name, value)
    stem_pools = instance.p == 1 and isinstance(model.stem, PoolingStem)
    x = nodes.stem(
        graph, "stem", model.stem, _normalise(graph, data, given), data.size, instance.r if stem_pools else 1
    )
    size = model.plan.stem.size_after(data.size)
    for index, (plan, block) in enumerate(zip(model.plan.blocks, model.blocks, strict=True)):
        if index + 1 == instance.p:
            if not stem_pools:
                x = nodes.downsample(graph, "downsample", x, size, instance.r, model.config.pooling)
            size = downsampled_size(size, instance.r)
        x = nodes.block(graph, f"blocks.{index}", block, x, size)
        size = plan.size_after(size)
    x = nodes.features(graph, model, x, size)
    x = graph.add("Flatten", [graph.add("GlobalAveragePool", [x], "pool")], "features", axis=1)
    graph.add("Gemm", [x, "fc.weight", "fc.bias"], OUTPUT, transB=1)
    return graph


def _normalise(graph: Graph, data: DataConfig, given: int | None) -> str:
    """Append (x / 255 - mean) / std as one multiplication and one addition; returns the name of the output.

    The transposition to channels first comes first, because moving bytes is faster than moving floats. Then each
    constant applies to a whole plane, for which onnxruntime is much faster than for three constants at each pixel.
    """
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (data.mean, data.std))
    scale, shift = graph.constant("scale", 1 / (255 * std)), graph.constant("shift", -mean / std)
    x = graph.add("Transpose", [INPUT], "planes", perm=[0, 3, 1, 2])
    x = graph.add("Cast", [x], "float", to=TensorProto.FLOAT)
    if given and given != data.size:
        x = nodes.downsample(graph, REDUCED, x, given, data.size / given, "linear")
    scaled, normalised = NORMALISATION
    return graph.add("Add", [graph.add("Mul", [x, scale], scaled), shift], normalised)
