import json
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import pytest
import torch
from networks import TINY, with_random_norms
from onnx.external_data_helper import uses_external_data

from sdpoint.calibrate import Statistics, calibrate
from sdpoint.config import DataConfig
from sdpoint.evaluate import logits_of
from sdpoint.export.graph import build_graph
from sdpoint.export.measure import TOLERANCE
from sdpoint.export.runtime import open_session, run_session
from sdpoint.export.weights import FILE, lay_out, write_graphs
from sdpoint.instance import FULL, Instance
from sdpoint.models import Network
from sdpoint.models.network import norm_layers_before

CASES = [
    replace(case, size=size, config=replace(case.config, ratios=(0.5, 0.6, 0.75)))
    for case in TINY
    if case.size == 16
    for size in (16, 18)  # 18 is 9 after a stride or a transition: half of it does not divide either
]
CASES += [  # 72 is 18 after a pooling stem, whose maps of 36 are pooled to 9 and to 14
    replace(case, size=72, config=replace(case.config, ratios=ratios))
    for case in TINY
    for ratios in {
        "preresnet-imagenet": [(0.5, 0.75)],
        "resnext-imagenet": [(0.75,)],
        "resnet-imagenet": [(0.75,)],
        "efficientnet-lite": [(0.5,), (0.75,)],
    }.get(case.config.kind, [])
]
CASES += [
    replace(case, size=size, config=replace(case.config, ratios=(0.4, 0.5, 0.75), pooling="linear"))
    for case, size in ((c, 72 if c.config.kind == "efficientnet-lite" else 16) for c in TINY)
    if case.config.kind in ("efficientnet-lite", "wrn")
]


@dataclass(frozen=True)
class Written:
    folder: Path
    model: Network
    instances: list[Instance]
    statistics: dict[str, Statistics]
    data: DataConfig

    def tensors(self, id: str):
        return onnx.load(self.folder / f"{id}.onnx", load_external_data=False).graph.initializer


@pytest.fixture(scope="module", params=CASES, ids=lambda c: f"{c.name} at {c.size}, {c.config.pooling}")
def written(request, tmp_path_factory) -> Written:
    """The graph files of a network of each kind, with every kind of downsampling."""
    case, folder = request.param, tmp_path_factory.mktemp("graphs")
    torch.manual_seed(case.size)
    data, model = DataConfig(size=case.size), with_random_norms(case.build())
    pictures = torch.randint(256, (8, data.size, data.size, 3), dtype=torch.uint8)
    statistics = calibrate(model, case.instances, pictures, data)
    graphs = {i.id: build_graph(model, statistics[i.id], i, data) for i in case.instances}
    write_graphs(graphs, {name for name, _ in model.named_parameters()}, data.size, case.classes, folder)
    return Written(folder, model, case.instances, statistics, data)


def test_logits_of_every_instance_equal_pytorchs(written):
    size = written.data.size
    images = torch.randint(256, (3, size, size, 3), dtype=torch.uint8)
    for instance in written.instances:
        expected = logits_of(written.model, instance, written.statistics[instance.id], images, written.data)
        session = open_session(written.folder / f"{instance.id}.onnx")
        for batch in (images[:1], images):
            got = run_session(session, batch)
            assert got.dtype == torch.float32
            torch.testing.assert_close(got, expected[: len(batch)], atol=TOLERANCE, rtol=0)


def place(tensor) -> dict:
    return {entry.key: entry.value for entry in tensor.external_data}


def test_every_parameter_lies_once_in_the_weights_and_all_graphs_refer_to_it(written):
    places = {}
    for instance in written.instances:
        tensors = {t.name: t for t in written.tensors(instance.id)}
        for name, _ in written.model.named_parameters():
            assert uses_external_data(tensors[name]) and place(tensors[name])["location"] == FILE
            places.setdefault(name, set()).add(json.dumps(place(tensors[name])))
    assert all(len(found) == 1 for found in places.values())


def test_the_weights_hold_no_content_twice_and_little_padding(written):
    content = (written.folder / FILE).read_bytes()
    tensors = [tensor for instance in written.instances for tensor in written.tensors(instance.id)]
    spans = {(int(p["offset"]), int(p["length"])) for p in map(place, tensors) if p}
    pieces = [content[offset : offset + length] for offset, length in sorted(spans)]
    assert len(set(pieces)) == len(pieces)
    ends = [offset + length for offset, length in sorted(spans)]
    gaps = [offset - end for (offset, _), end in zip(sorted(spans), [0, *ends], strict=False)]
    assert all(0 <= gap < 4096 for gap in gaps)
    assert ends[-1] == len(content)


def test_batch_norm_stays_apart_and_statistics_are_shared_where_p_does_not_reach(written):
    norms = [name for name, module in written.model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    names = [f"{name}.{kind}" for name in norms for kind in ("running_mean", "running_var")]
    places = {i.id: {t.name: place(t) for t in written.tensors(i.id) if t.name in names} for i in written.instances}
    for instance in written.instances[1:]:
        own, before = written.statistics[instance.id], norm_layers_before(written.model, instance.p)
        for name in names:
            # On small maps two ratios can give one size, and so the same statistics.
            alike = [i.id for i in written.instances if torch.equal(written.statistics[i.id][name], own[name])]
            assert bool(places[instance.id][name]) == (len(alike) > 1)
            assert all(places[id][name] == places[instance.id][name] for id in alike)
            assert ("full" in alike) or (name.rpartition(".")[0] not in before)


@pytest.mark.parametrize(
    ("instance", "size", "operators"),
    [
        (FULL, 16, set()),
        (Instance(1, 0.5), 16, {"AveragePool"}),
        (Instance(1, 0.75), 16, {"MatMul"}),
        (Instance(3, 0.5), 18, {"MatMul"}),  # 9 -> 4
    ],
)
def test_downsampling_is_a_plain_pooling_where_that_is_exact(model, instance, size, operators):
    graph = build_graph(model, {}, instance, DataConfig(size=size))
    assert {node.op_type for node in graph.nodes} & {"AveragePool", "MatMul"} == operators


@pytest.mark.parametrize(
    ("p", "ratio", "size", "operators"),
    [
        (0, 1.0, 64, ["MaxPool"]),
        (1, 0.5, 64, ["MaxPool"]),  # 32 -> 8: windows of 4 tile
        (1, 0.75, 64, ["Gather", "Gather", "ReduceMax", "ReduceMax"]),  # 32 -> 12
        (2, 0.5, 64, ["AveragePool", "MaxPool"]),
        (2, 0.75, 72, ["MatMul", "MatMul", "MaxPool"]),  # 18 -> 14
    ],
)
def test_a_pooling_stem_is_a_plain_max_pool_where_that_is_exact(p, ratio, size, operators):
    model = next(case for case in TINY if case.config.kind == "preresnet-imagenet").build()
    graph = build_graph(model, {}, Instance(p, ratio), DataConfig(size=size))
    kinds = {"MaxPool", "Gather", "ReduceMax", "AveragePool", "MatMul"}
    assert sorted(node.op_type for node in graph.nodes if node.op_type in kinds) == operators


def test_a_lone_instance_keeps_its_parameters_in_the_weights(model):
    graph = build_graph(model, dict(model.named_buffers()), FULL, DataConfig(size=16))
    parameters = {name for name, _ in model.named_parameters()}
    assert len(lay_out({"full": graph}, parameters).places) == len(parameters)


def test_input_and_output_are_those_of_the_contract(written):
    size, classes = written.data.size, written.model.classes
    session = open_session(written.folder / "full.onnx")
    (given,), (got,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("image", "tensor(uint8)", ["batch", size, size, 3])
    assert (got.name, got.type, got.shape) == ("logits", "tensor(float)", ["batch", classes])
    graph = onnx.load(written.folder / "full.onnx", load_external_data=False)
    assert graph.ir_version <= 10 and graph.opset_import[0].version <= 18
