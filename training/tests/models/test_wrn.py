import pytest
import torch

from sdpoint.config import WideResNetConfig
from sdpoint.models.network import norm_layers_before
from sdpoint.models.wrn import WideResNet


def test_points_are_one_after_the_stem_and_one_after_each_block_but_the_last():
    assert WideResNet(WideResNetConfig(depth=16, width=2), 10).points == 6
    assert WideResNet(WideResNetConfig(depth=10, width=1), 10).points == 3


def test_norm_layers_before_a_point_by_name(model):
    assert norm_layers_before(model, 1) == []
    assert norm_layers_before(model, 2) == ["blocks.0.bn1", "blocks.0.bn2"]
    assert norm_layers_before(model, 3) == ["blocks.0.bn1", "blocks.0.bn2", "blocks.1.bn1", "blocks.1.bn2"]


def test_wrn_16_2_has_the_published_shape():
    model = WideResNet(WideResNetConfig(depth=16, width=2), 10)
    assert [tuple(b.conv1.weight.shape[:2]) for b in model.blocks] == [
        (32, 16), (32, 32), (64, 32), (64, 64), (128, 64), (128, 128),
    ]  # fmt: skip


def test_parameters_keep_the_names_that_checkpoints_and_families_know():
    names = list(WideResNet(WideResNetConfig(depth=10, width=1, base=4), 3).state_dict())
    assert [name for name in names if name.endswith("weight")] == [
        "stem.weight",
        "blocks.0.bn1.weight", "blocks.0.conv1.weight", "blocks.0.bn2.weight", "blocks.0.conv2.weight",
        "blocks.1.bn1.weight", "blocks.1.conv1.weight", "blocks.1.bn2.weight", "blocks.1.conv2.weight",
        "blocks.1.project.weight",
        "blocks.2.bn1.weight", "blocks.2.conv1.weight", "blocks.2.bn2.weight", "blocks.2.conv2.weight",
        "blocks.2.project.weight",
        "bn.weight", "fc.weight",
    ]  # fmt: skip


def test_a_seed_gives_the_same_new_network_as_ever():
    torch.manual_seed(0)
    model = WideResNet(WideResNetConfig(depth=10, width=1, base=4), 3)
    assert sum(p.detach().double().sum().item() for p in model.parameters()) == pytest.approx(27.8297349871718)
