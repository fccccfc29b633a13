"""Writes `weights.bin`, the tensors that instances share, and the graph files that refer to it (ONNX external data)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sdpoint.export.graph import INPUT, IR_VERSION, OPSET, OUTPUT
from sdpoint.export.nodes import Graph

FILE = "weights.bin"
PAGE, LINE = 4096, 64  # alignment in bytes: of large tensors, as ONNX requires for memory mapping; of small ones


@dataclass(frozen=True)
class Weights:
    """The content of weights.bin, and the place (offset, length) in bytes of each tensor in it, by digest."""

    content: bytes
    places: dict[bytes, tuple[int, int]]


def digest(array: np.ndarray) -> bytes:
    """SHA-256 of a tensor's values."""
    return hashlib.sha256(array.tobytes()).digest()


def lay_out(graphs: Mapping[str, Graph], parameters: Set[str]) -> Weights:
    """Collect the tensors for weights.bin: learned `parameters` (names), and other tensors that occur in several
    graphs.

    Tensors with equal content are stored once. The other tensors, an instance's own batch-norm statistics, stay in its
    graph file.
    """
    digests = {id: {name: digest(array) for name, array in g.tensors.items()} for id, g in graphs.items()}
    uses = Counter(key for of_graph in digests.values() for key in set(of_graph.values()))
    content, places = bytearray(), {}
    for id, graph in graphs.items():
        for name, array in graph.tensors.items():
            key = digests[id][name]
            if key in places or (name not in parameters and uses[key] < 2):
                continue
            content.extend(bytes(-len(content) % (PAGE if array.nbytes >= PAGE else LINE)))
            places[key] = (len(content), array.nbytes)
            content.extend(array.tobytes())
    return Weights(bytes(content), places)


def write_graphs(graphs: Mapping[str, Graph], parameters: Set[str], size: int, classes: int, folder: Path) -> None:
    """Write `weights.bin` and `<id>.onnx` for every graph, and check the files with ONNX's checker."""
    weights = lay_out(graphs, parameters)
    (folder / FILE).write_bytes(weights.content)
    for id, graph in graphs.items():
        path = folder / f"{id}.onnx"
        path.write_bytes(_model(id, graph, weights, size, classes).SerializeToString(deterministic=True))
        onnx.checker.check_model(str(path), full_check=True)  # given by path, so that the checker finds the weights


def whole_model(id: str, graph: Graph, size: int, classes: int) -> onnx.ModelProto:
    """An ONNX model of a graph that contains all of its tensors."""
    return _model(id, graph, Weights(b"", {}), size, classes)


def _model(id: str, graph: Graph, weights: Weights, size: int, classes: int) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            id,
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", size, size, 3])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", classes])],
            [_tensor(name, array, weights) for name, array in graph.tensors.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sdpoint",
    )


def _tensor(name: str, array: np.ndarray, weights: Weights) -> TensorProto:
    place = weights.places.get(digest(array))
    if place is None:
        return numpy_helper.from_array(array, name)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=array.shape, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": FILE, "offset": place[0], "length": place[1]}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor
