from types import SimpleNamespace

import pytest
import torch

from sdpoint.adapt.statistics import trained_statistics
from sdpoint.export.graph import build_graph
from sdpoint.export.runtime import open_session, run_session
from sdpoint.export.weights import whole_model
from sdpoint.instance import FULL


@pytest.mark.parametrize(("size", "most"), [(16, 1000), (32, 250), (260, 3), (1000, 1)])
def test_large_pictures_are_run_in_small_batches(size, most):
    """The maps of 250 photographs at once took 8.8 GB."""
    batches = []

    def run(_, feed):
        batches.append(len(feed["image"]))
        return [feed["image"][:, 0, 0].astype("float32")]

    session = SimpleNamespace(run=run, get_inputs=lambda: [SimpleNamespace(shape=["batch", size, size, 3])])
    images = torch.zeros(7, 1, 1, 3, dtype=torch.uint8)
    assert run_session(session, images).shape == (7, 3)
    assert max(batches) == min(most, 7) and sum(batches) == 7
    batches.clear()
    run_session(session, images, count=5)
    assert batches == [5, 2]


def test_a_graph_opens_from_a_file_or_from_its_content(model, images, config, tmp_path):
    graph = build_graph(model, trained_statistics(model), FULL, config.data)
    content = whole_model("full", graph, 16, 3).SerializeToString()
    path = tmp_path / "full.onnx"
    path.write_bytes(content)
    first, second = (run_session(open_session(of), images) for of in (content, path))
    assert torch.equal(first, second)
