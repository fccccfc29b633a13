import json
from pathlib import Path

import onnx
import pytest
import torch
from onnx.external_data_helper import uses_external_data

from sdpoint.calibrate import calibrate
from sdpoint.config import DataConfig, WideResNetConfig
from sdpoint.evaluate import logits_of
from sdpoint.export.graph import build_graph
from sdpoint.export.runtime import open_session, run_session
from sdpoint.export.weights import FILE, lay_out, write_graphs
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models.network import norm_layers_before
from sdpoint.models.wrn import WideResNet

CONFIG = WideResNetConfig(depth=10, width=1, base=4, ratios=(0.5, 0.6, 0.75))
SIZES = (16, 18)  # 18 is 9 after a stride: 0.5 of it does not divide either
INSTANCES = enumerate_instances(3, CONFIG.ratios)


@pytest.fixture(scope="module", params=SIZES)
def written(request, tmp_path_factory):
    """(folder, model, statistics, data) of a network with every kind of downsampling."""
    torch.manual_seed(request.param)
    data, folder = DataConfig(size=request.param), tmp_path_factory.mktemp("graphs")
    model = WideResNet(CONFIG, 4).eval()
    for name, value in model.named_parameters():
        if "bn" in name:
            torch.nn.init.uniform_(value, 0.5, 1.5)
    pictures = torch.randint(256, (40, data.size, data.size, 3), dtype=torch.uint8)
    statistics = calibrate(model, INSTANCES, pictures, data)
    graphs = {i.id: build_graph(model, statistics[i.id], i, data) for i in INSTANCES}
    write_graphs(graphs, {name for name, _ in model.named_parameters()}, data.size, 4, folder)
    return folder, model, statistics, data


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda i: i.id)
@pytest.mark.parametrize("batch", [1, 7])
def test_logits_equal_pytorchs(written, instance, batch):
    folder, model, statistics, data = written
    images = torch.randint(256, (batch, data.size, data.size, 3), dtype=torch.uint8)
    expected = logits_of(model, instance, statistics[instance.id], images, data)
    got = run_session(open_session(folder / f"{instance.id}.onnx"), images)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def tensors_of(folder: Path, id: str):
    return onnx.load(folder / f"{id}.onnx", load_external_data=False).graph.initializer


def place(tensor) -> dict:
    return {entry.key: entry.value for entry in tensor.external_data}


def test_every_parameter_lies_once_in_the_weights_and_all_graphs_refer_to_it(written):
    folder, model, *_ = written
    places = {}
    for instance in INSTANCES:
        tensors = {t.name: t for t in tensors_of(folder, instance.id)}
        for name, _ in model.named_parameters():
            assert uses_external_data(tensors[name]) and place(tensors[name])["location"] == FILE
            places.setdefault(name, set()).add(json.dumps(place(tensors[name])))
    assert all(len(found) == 1 for found in places.values())


def test_the_weights_hold_no_content_twice_and_little_padding(written):
    folder, *_ = written
    content = (folder / FILE).read_bytes()
    spans = {(int(p["offset"]), int(p["length"])) for i in INSTANCES for p in map(place, tensors_of(folder, i.id)) if p}
    pieces = [content[offset : offset + length] for offset, length in sorted(spans)]
    assert len(set(pieces)) == len(pieces)
    ends = [offset + length for offset, length in sorted(spans)]
    gaps = [offset - end for (offset, _), end in zip(sorted(spans), [0, *ends], strict=False)]
    assert all(0 <= gap < 4096 for gap in gaps)
    assert ends[-1] == len(content)


def test_batch_norm_stays_apart_and_statistics_are_shared_where_p_does_not_reach(written):
    folder, model, *_ = written
    shared = {s.name: place(s) for s in tensors_of(folder, "full")}
    for instance in INSTANCES[1:]:
        tensors = {t.name: t for t in tensors_of(folder, instance.id)}
        before = norm_layers_before(model, instance.p)
        for name in (n for n, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)):
            for kind in ("running_mean", "running_var"):
                own = tensors[f"{name}.{kind}"]
                assert uses_external_data(own) == (name in before)
                assert not uses_external_data(own) or place(own) == shared[own.name]


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


def test_a_lone_instance_keeps_its_parameters_in_the_weights(model):
    graph = build_graph(model, dict(model.named_buffers()), FULL, DataConfig(size=16))
    parameters = {name for name, _ in model.named_parameters()}
    assert len(lay_out({"full": graph}, parameters).places) == len(parameters)


def test_input_and_output_are_those_of_the_contract(written):
    folder, *_, data = written
    session = open_session(folder / "full.onnx")
    (given,), (got,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("image", "tensor(uint8)", ["batch", data.size, data.size, 3])
    assert (got.name, got.type, got.shape) == ("logits", "tensor(float)", ["batch", 4])
    graph = onnx.load(folder / "full.onnx", load_external_data=False)
    assert graph.ir_version <= 10 and graph.opset_import[0].version <= 18
