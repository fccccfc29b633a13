"""The paper's ImageNet networks at full size, in which rounding errors add up over many layers."""

import pytest
import torch
from networks import PUBLISHED, by_name

from sdpoint.calibrate import estimate
from sdpoint.config import DataConfig
from sdpoint.evaluate import logits_of
from sdpoint.export.graph import build_graph
from sdpoint.export.measure import TOLERANCE
from sdpoint.export.runtime import open_session, run_session
from sdpoint.export.weights import FILE, write_graphs
from sdpoint.instance import FULL, Instance
from sdpoint.models.network import norm_layers_before

DATA = DataConfig(size=224)
INSTANCES = {
    "preresnet-imagenet-101": [
        FULL,
        Instance(1, 0.75),  # adaptive max-pool, 112 -> 42
        Instance(6, 0.75),  # 28 -> 21
        Instance(33, 0.5),  # 7 -> 4
    ],
    "resnext-imagenet-101-32x4d": [
        FULL,
        Instance(1, 0.5),  # adaptive max-pool, 112 -> 28
        Instance(10, 0.75),  # 14 -> 10, by rounding half to even
        Instance(32, 0.5),  # 7 -> 4
    ],
}


def perturbed(full, shared: list[str]):
    """Random statistics for an instance, equal to those of `full` in all layers before its point."""
    return {
        name: value
        if name.rpartition(".")[0] in shared
        else value * torch.empty_like(value).uniform_(0.8, 1.25)  # variances stay positive
        for name, value in full.items()
    }


@pytest.mark.parametrize("name", INSTANCES)
def test_logits_of_a_network_of_101_layers_equal_pytorchs_in_batches_of_one_and_of_two(name, tmp_path):
    torch.manual_seed(0)
    model, parameters = by_name(PUBLISHED)[name].build(), 0
    for parameter_name, value in model.named_parameters():
        parameters += value.numel()
        if value.dim() == 1 and not parameter_name.startswith("fc"):  # scale and shift of a norm layer
            value.data += torch.empty_like(value).uniform_(-0.3, 0.3)
    images = torch.randint(256, (2, 224, 224, 3), dtype=torch.uint8)
    model.eval()
    full = estimate(model, FULL, images, DATA)
    statistics = {i: full if i == FULL else perturbed(full, norm_layers_before(model, i.p)) for i in INSTANCES[name]}
    graphs = {i.id: build_graph(model, own, i, DATA) for i, own in statistics.items()}
    write_graphs(graphs, {name for name, _ in model.named_parameters()}, 224, 1000, tmp_path)
    assert (tmp_path / FILE).stat().st_size < 1.02 * 4 * parameters  # one network's weights, and little else
    for instance, own in statistics.items():
        expected, session = (
            logits_of(model, instance, own, images, DATA),
            open_session(tmp_path / f"{instance.id}.onnx"),
        )
        assert expected.std() > 0.1  # numbers that say something
        for batch in (images[:1], images):
            torch.testing.assert_close(run_session(session, batch), expected[: len(batch)], atol=TOLERANCE, rtol=0)
