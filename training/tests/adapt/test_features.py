from dataclasses import replace

import pytest
import torch

from sdpoint.adapt import features as module
from sdpoint.adapt.features import compute_features
from sdpoint.checkpoint import load_calibrated
from sdpoint.data import load_split
from sdpoint.evaluate import logits_of
from sdpoint.export.runtime import open_session


@pytest.fixture
def source(made):
    return load_calibrated(made.run)


@pytest.fixture
def data(source):
    return replace(source.config.data, loading="stream", workers=0)


def test_features_are_what_the_classifier_of_each_instance_sees(source, data, made, tmp_path):
    split = load_split(made.data, "test", data)
    features = compute_features(source, split, made.data, data, tmp_path)
    for instance in source.instances:
        own = source.statistics[instance.id]
        expected = logits_of(source.model, instance, own, split.images.in_memory(), data)
        with torch.no_grad():
            logits = source.model.fc(features.of(instance.id))
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


def test_chunks_change_nothing_and_what_was_computed_is_kept(source, data, made, tmp_path, monkeypatch):
    split = load_split(made.data, "test", data)
    whole = compute_features(source, split, made.data, data, tmp_path / "whole")
    monkeypatch.setattr(module, "CHUNK", 10 * 3 * 16**2)  # ten pictures
    opened = []
    monkeypatch.setattr(module, "open_session", lambda model: opened.append(model) or open_session(model))
    features = compute_features(source, split, made.data, data, tmp_path / "chunks")
    for instance in source.instances:
        torch.testing.assert_close(features.of(instance.id), whole.of(instance.id), atol=1e-5, rtol=0)
    assert len(opened) == 3 * len(source.instances), "24 pictures are three chunks"
    features.file(10, "full").unlink()  # a call that was killed left this one out
    again = compute_features(source, split, made.data, data, tmp_path / "chunks")
    assert len(opened) == 3 * len(source.instances) + 1
    assert torch.equal(again.of("full"), features.of("full"))


def test_features_of_another_network_or_other_pictures_are_not_taken(source, data, made, tmp_path):
    split = load_split(made.data, "test", data)
    key = compute_features(source, split, made.data, data, tmp_path).key
    other = {id: {n: v + 0.1 for n, v in own.items()} for id, own in source.statistics.items()}
    keys = {
        key,
        compute_features(replace(source, statistics=other), split, made.data, data, tmp_path).key,
        compute_features(source, split.subset(torch.arange(9)), made.data, data, tmp_path).key,
        compute_features(source, split, made.data, replace(data, mean=(0.5, 0.5, 0.5)), tmp_path).key,
    }
    assert len(keys) == 4


def test_no_more_pictures_than_a_chunk_are_read_at_a_time(source, data, made, tmp_path, monkeypatch):
    split = load_split(made.data, "test", data)
    monkeypatch.setattr(module, "CHUNK", 5 * 3 * 16**2)
    seen = []
    run = module.run_session
    monkeypatch.setattr(module, "run_session", lambda session, images: seen.append(len(images)) or run(session, images))
    compute_features(source, split, made.data, data, tmp_path)
    assert set(seen) == {5, 4}
