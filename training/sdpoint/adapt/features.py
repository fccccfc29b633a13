"""The inputs of the classifier in each instance of a network, computed once for every picture and kept on the disk.

Pictures are read in chunks, and each chunk is run through one instance after the other. So memory does not grow with
the number of pictures, and a killed call goes on where it was.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from sdpoint.calibrate import Statistics
from sdpoint.checkpoint import Trained
from sdpoint.config import DataConfig
from sdpoint.data import Split
from sdpoint.export.graph import build_graph
from sdpoint.export.runtime import open_session, run_session
from sdpoint.export.weights import whole_model
from sdpoint.instance import Instance
from sdpoint.models import Network
from sdpoint.run import progress, write_atomically

CHUNK = 64 * 2**20  # bytes of decoded pictures in memory
READ = 16  # pictures that a reading process prepares at a time
CLASSIFIER = "fc."  # prefix of its tensors in a state dict


@dataclass(frozen=True)
class Features:
    """Features of pictures in each instance, [pictures, channels] float32."""

    folder: Path
    key: str
    starts: Sequence[int]  # index of the first picture of each chunk

    def file(self, start: int, id: str) -> Path:
        return self.folder / f"{self.key}-{start:08d}-{id}.pt"

    def of(self, id: str) -> Tensor:
        return torch.cat([torch.load(self.file(start, id), weights_only=True) for start in self.starts])


def without_classifier(statistics: Statistics) -> Statistics:
    return {name: value for name, value in statistics.items() if not name.startswith(CLASSIFIER)}


def compute_features(source: Trained, split: Split, root: Path, data: DataConfig, folder: Path) -> Features:
    """The features of pictures in all instances of a network; what is in the folder already is not computed again.

    source: with statistics of all instances; root: folder of the pictures; data: how they are preprocessed; folder:
    for the features. Raises DataError if a picture cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    step = max(1, CHUNK // (3 * data.size**2))
    features = Features(folder, _key(source, split, root, data), range(0, len(split), step))
    model = _headless(source.model)

    @lru_cache(maxsize=1)  # the chunk under way
    def pictures(start: int) -> Tensor:
        return torch.cat(list(split.images[start : start + step].split(READ)))

    missing = [
        (start, instance)
        for start in features.starts
        for instance in source.instances
        if not features.file(start, instance.id).exists()
    ]
    for start, instance in progress(missing, "features", cost=lambda work: source.system.flops(work[1])):
        found = _features(model, without_classifier(source.statistics[instance.id]), instance, pictures(start), data)
        write_atomically(features.file(start, instance.id), lambda temporary, found=found: torch.save(found, temporary))
    return features


def _headless(model: Network) -> Network:
    """A copy of the network whose logits are the inputs of its classifier."""
    model = copy.deepcopy(model)
    channels = model.plan.features
    model.fc = nn.Linear(channels, channels)
    with torch.no_grad():
        model.fc.weight.copy_(torch.eye(channels))
        model.fc.bias.zero_()
    return model


def _features(model: Network, own: Statistics, instance: Instance, images: Tensor, data: DataConfig) -> Tensor:
    """By onnxruntime, which needs far less time than PyTorch. images: [n, size, size, 3] uint8."""
    graph, channels = build_graph(model, own, instance, data), model.plan.features
    session = open_session(whole_model(instance.id, graph, data.size, channels).SerializeToString())
    return run_session(session, images)


def _key(source: Trained, split: Split, root: Path, data: DataConfig) -> str:
    """A digest of all that the features depend on: the network, the pictures and their preprocessing."""
    content = hashlib.sha256(repr((source.digest, data)).encode())
    for id, own in source.statistics.items():
        for name, value in without_classifier(own).items():
            content.update(f"{id} {name}".encode() + value.contiguous().numpy().tobytes())
    for file in split.files:
        content.update(f"{file} {(root / file).stat().st_mtime_ns}".encode())
    return content.hexdigest()[:12]
