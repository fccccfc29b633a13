"""The networks, one class for each `model.kind`. The downsampling point is an argument of their `forward`."""

from __future__ import annotations

import torch

from sdpoint.config import ModelConfig
from sdpoint.models.densenet import DenseNet
from sdpoint.models.efficientnet import EfficientNetLite
from sdpoint.models.network import Network, NetworkPlan
from sdpoint.models.preresnet import ImageNetPreResNet, PreResNet
from sdpoint.models.resnet import ImageNetResNet
from sdpoint.models.resnext import ImageNetResNeXt, ResNeXt
from sdpoint.models.wrn import WideResNet

NETWORKS: dict[str, type[Network]] = {
    "wrn": WideResNet,
    "preresnet": PreResNet,
    "resnext": ResNeXt,
    "densenet": DenseNet,
    "preresnet-imagenet": ImageNetPreResNet,
    "resnext-imagenet": ImageNetResNeXt,
    "resnet-imagenet": ImageNetResNet,
    "efficientnet-lite": EfficientNetLite,
}


def plan_network(config: ModelConfig) -> NetworkPlan:
    """The plan of a network: its parts and their cost, without building it."""
    return NETWORKS[config.kind].plan_of(config)


def build_model(config: ModelConfig, classes: int) -> Network:
    """A new network with random weights, in the memory format channels last, which is fastest on CPUs."""
    return NETWORKS[config.kind](config, classes).to(memory_format=torch.channels_last)
