import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from networks import TINY, with_random_norms
from onnx import numpy_helper

from sdpoint.calibrate import calibrate
from sdpoint.config import DataConfig
from sdpoint.export import ExportError, quantise
from sdpoint.export.family import export_family
from sdpoint.export.graph import build_graph
from sdpoint.export.quantise import fold_norms
from sdpoint.export.runtime import open_session, run_session
from sdpoint.export.weights import FILE, write_graphs

CASES = [case for case in TINY if case.config.kind in ("efficientnet-lite", "resnet-imagenet", "wrn")]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def network(request):
    """A network as (graph of each instance, pictures, case); its norm layers differ between instances.

    Some scales are negative.
    """
    case = request.param
    torch.manual_seed(0)
    data, model = DataConfig(size=case.size), with_random_norms(case.build())
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight[0] *= -1
    pictures = torch.randint(256, (20, case.size, case.size, 3), dtype=torch.uint8)
    statistics = calibrate(model, case.instances, pictures, data)
    graphs = {i.id: build_graph(model, statistics[i.id], i, data) for i in (case.instances[0], case.instances[-1])}
    return graphs, pictures, case


def logits_of(graphs, folder, case, pictures):
    write_graphs(graphs, set(), case.size, case.classes, folder)
    return {id: run_session(open_session(folder / f"{id}.onnx"), pictures) for id in graphs}


def test_folding_changes_nothing_but_rounding(network, tmp_path):
    graphs, pictures, case = network
    folded = {id: fold_norms(graph)[0] for id, graph in graphs.items()}
    before = logits_of(graphs, tmp_path, case, pictures)
    for id, logits in logits_of(folded, tmp_path, case, pictures).items():
        torch.testing.assert_close(logits, before[id], atol=1e-3, rtol=1e-3)
    assert not any(node.op_type == "BatchNormalization" for graph in folded.values() for node in graph.nodes)


def test_a_twin_answers_about_as_its_instance_and_shares_its_bytes_with_other_twins(network, tmp_path):
    graphs, pictures, case = network
    twins = {f"{id}-i8": quantise.quantise(g, case.size, case.classes, pictures) for id, g in graphs.items()}
    logits = logits_of(graphs | twins, tmp_path, case, pictures)
    for id in graphs:
        exact, coarse = logits[id], logits[f"{id}-i8"]
        assert (coarse - exact).abs().mean() < 0.25 * exact.std()  # random weights are less robust than learned ones
    places = []
    for id in twins:
        tensors = onnx.load(tmp_path / f"{id}.onnx", load_external_data=False).graph.initializer
        whole = {t.name: t for t in onnx.load(tmp_path / f"{id}.onnx").graph.initializer}
        weights = {t.name: t for t in tensors if t.name.endswith("weight_quantized")}
        assert weights and all(numpy_helper.to_array(whole[name]).dtype == np.int8 for name in weights)
        places.append({name: {e.key: e.value for e in t.external_data} for name, t in weights.items()})
    assert places[0].keys() == places[1].keys()
    for name in places[0]:
        assert places[0][name] == places[1][name] and places[0][name]["location"] == FILE


def test_bytes_that_are_not_the_weights_are_refused(network, monkeypatch):
    graphs, pictures, case = network
    monkeypatch.setattr(quantise, "LARGEST", 63)
    with pytest.raises(ExportError, match="bytes are not the weight's"):
        quantise.quantise(graphs["full"], case.size, case.classes, pictures)


def test_a_family_with_twins(sources, tmp_path):
    out = tmp_path / "models" / "twins"
    export_family(replace(sources, ranges=sources.held_out.images), out)
    instances = json.loads((out / "manifest.json").read_text())["instances"]
    ids = [i.id for i in sources.trained.instances]
    assert [i["id"] for i in instances] == ids + [f"{id}-i8" for id in ids]
    flops = {i["id"]: i["flops"] for i in instances}
    accuracy = {i["id"]: i.get("smoothed", i["top1"]) for i in instances}
    for i in instances[len(ids) :]:
        twin = i["id"].removesuffix("-i8")
        assert i["precision"] == "int8" and i["flops"] == flops[twin] and accuracy[i["id"]] <= accuracy[twin]
    card = (out / "README.md").read_text()
    assert "| `full-i8` |" in card and "static quantisation" in card
