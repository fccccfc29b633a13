import math

import pytest
import torch
import torch.nn.functional as F
from adapt.conftest import ADAPTERS
from networks import with_random_norms
from torch import nn

from sdpoint.adapt.adapter import load_adapter, renamed
from sdpoint.config import ConfigError, EfficientNetLiteConfig
from sdpoint.export.about import load_about, load_labels
from sdpoint.instance import FULL
from sdpoint.models import build_model, plan_network
from sdpoint.run import Run

NETWORKS = [path for path in sorted(ADAPTERS.glob("*.yaml")) if "about" not in path.stem]


def norm(state, name, x, eps=1e-5):
    mean, var, weight, bias = (state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias, eps=eps)


def resnet18_by_torchvisions_names(state, x):
    """A ResNet-18 by the names of torchvision's state dict, written independently of sdpoint/models/."""
    x = F.max_pool2d(F.relu(norm(state, "bn1", F.conv2d(x, state["conv1.weight"], stride=2, padding=3))), 3, 2, 1)
    for name, stride in ((f"layer{g}.{i}", 2 if g > 1 and i == 0 else 1) for g in (1, 2, 3, 4) for i in (0, 1)):
        h = F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1)
        h = F.conv2d(F.relu(norm(state, f"{name}.bn1", h)), state[f"{name}.conv2.weight"], padding=1)
        if f"{name}.downsample.0.weight" in state:
            x = norm(state, f"{name}.downsample.1", F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride))
        x = F.relu(x + norm(state, f"{name}.bn2", h))
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


def lite_by_its_packages_names(state, x, strides):
    def same(name, x, stride, groups=1):
        weight = state[f"{name}.weight"]
        needed = [max((math.ceil(n / stride) - 1) * stride + weight.shape[-1] - n, 0) for n in x.shape[-2:]]
        rows, columns = ((n // 2, n - n // 2) for n in needed)
        return F.conv2d(F.pad(x, (*columns, *rows)), weight, stride=stride, groups=groups)

    x = F.relu6(norm(state, "_bn0", same("_conv_stem", x, 2), 1e-3))
    for index, stride in enumerate(strides):
        name, h = f"_blocks.{index}", x
        if f"{name}._expand_conv.weight" in state:
            h = F.relu6(norm(state, f"{name}._bn0", same(f"{name}._expand_conv", h, 1), 1e-3))
        h = same(f"{name}._depthwise_conv", h, stride, groups=h.shape[1])
        h = same(f"{name}._project_conv", F.relu6(norm(state, f"{name}._bn1", h, 1e-3)), 1)
        h = norm(state, f"{name}._bn2", h, 1e-3)
        x = x + h if h.shape == x.shape else h
    x = F.relu6(norm(state, "_bn1", same("_conv_head", x, 1), 1e-3))
    return F.linear(x.mean((2, 3)), state["_fc.weight"], state["_fc.bias"])


def packages_names(name):
    replacements = (
        ("stem.conv", "_conv_stem"),
        ("stem.bn", "_bn0"),
        ("head.conv", "_conv_head"),
        ("head.bn", "_bn1"),
        ("fc.", "_fc."),
        ("blocks.", "_blocks."),
        (".expand_bn", "._bn0"),
        (".depthwise_bn", "._bn1"),
        (".project_bn", "._bn2"),
        (".expand.", "._expand_conv."),
        (".depthwise.", "._depthwise_conv."),
        (".project.", "._project_conv."),
    )
    for ours, theirs in replacements:
        name = name.replace(ours, theirs)
    return name


def test_a_resnet_of_torchvision_computes_what_its_names_say(resnet_adapter, resnet18):
    model = load_adapter(resnet_adapter()).load()
    assert not model.training and model.name == "resnet-imagenet-18"
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(x, FULL), resnet18_by_torchvisions_names(resnet18, x), atol=1e-4, rtol=1e-4)


def test_an_efficientnet_of_its_package_computes_what_its_names_say(tmp_path):
    adapter = load_adapter(ADAPTERS / "efficientnet-lite1.yaml")
    config = EfficientNetLiteConfig(variant=1)
    torch.manual_seed(0)
    given = with_random_norms(build_model(config, 1000)).state_dict()
    state = {packages_names(name): value for name, value in given.items()}
    torch.save(state, tmp_path / "weights.pth")
    model = adapter.load(tmp_path / "weights.pth")
    x, strides = torch.randn(1, 3, 49, 64), [block.stride for block in plan_network(config).blocks]
    with torch.no_grad():
        expected = lite_by_its_packages_names(state, x, strides)
        torch.testing.assert_close(model(x, FULL), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("network", ["efficientnet-lite0", "efficientnet-lite2"])
def test_what_a_shipped_family_says_of_itself_has_a_label_for_every_class(network, tmp_path):
    path = ADAPTERS / f"{network}-about.yaml"
    about, text = load_about(path, Run(tmp_path))
    assert "not the full validation set" in about.scope and "Google" in about.source
    labels = load_labels(path, about, load_adapter(ADAPTERS / f"{network}.yaml").classes)
    assert labels[:3] == ("tench", "goldfish", "great white shark") and text.lstrip().startswith("Apache License")


@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
def test_shipped_adapters_load_and_know_a_thousand_classes(path):
    adapter = load_adapter(path)
    assert len(adapter.classes) == 1000 and adapter.classes[0] == "n01440764"
    data = adapter.config.data
    assert 0 < data.size < data.resize and data.held_out == 200


def test_readable_names_are_a_thousand_different_ones():
    lines = (ADAPTERS / "imagenet1k-classes.txt").read_text().splitlines()
    names = [line.split(" ", 1)[1] for line in lines]
    assert len(set(names)) == 1000 and lines == sorted(lines)
    assert {"tench", "crane (bird)", "crane (machine)", "toilet tissue"} < set(names)


def test_blocks_are_numbered_in_the_order_of_their_numbers(resnet_adapter):
    source = load_adapter(resnet_adapter()).source
    state = {f"layer{g}.{i}.x": torch.tensor(0) for g in (2, 1) for i in (10, 9)}
    assert list(renamed(state, source)) == ["blocks.3.x", "blocks.2.x", "blocks.1.x", "blocks.0.x"]


def test_overrides_choose_another_network(resnet_adapter):
    assert load_adapter(resnet_adapter(), ["model.depth=50"]).config.model.depth == 50


def test_a_state_dict_without_counters_is_taken(resnet_adapter, resnet18, tmp_path):
    path = resnet_adapter()
    torch.save({k: v for k, v in resnet18.items() if not k.endswith("num_batches_tracked")}, tmp_path / "weights.pth")
    assert isinstance(load_adapter(path).load(), nn.Module)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": ""}, "give a state dict with --weights"),
        ({"weights": "none.pth"}, "cannot be read as a state dict"),
        ({"weights": "package:no_such_package/x.pth"}, "pip install no-such-package"),
        ({"classes": "none.txt"}, r"adapter\.classes"),
        ({"classes": "adapter.yaml"}, r"adapter\.classes: .* names, \d+ different"),
        ({"rename": [["^conv1", "stem.conv"]]}, "19 missing, such as .*; 23 unknown, such as"),
        ({"rename": ["^conv1"]}, "expected pairs"),
        ({"rename": [["(", "x"]]}, "no regular expression"),
        ({"rename": [[".*", "x"]]}, "two names become x"),
        ({"block": "x"}, r"unknown key adapter\.block"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(resnet_adapter, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_adapter(resnet_adapter(**changes)).load()


def test_tensors_of_another_shape_are_refused(resnet_adapter, resnet18, tmp_path):
    path = resnet_adapter()
    torch.save({**resnet18, "fc.bias": torch.zeros(4)}, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=r"fc\.bias is \[4\]; resnet-imagenet-18 has \[3\]"):
        load_adapter(path).load()


def test_an_adapter_with_a_base_has_the_bases_keys_and_its_own(resnet_adapter, tmp_path):
    base, path = resnet_adapter(), tmp_path / "more.yaml"
    path.write_text("base: adapter.yaml\ntrain: {lr: 0.5}\nsystem: {points: [4]}\ndistil: {steps: 7}\n")
    plain, derived = load_adapter(base), load_adapter(path, ["distil.repeat=2"])
    assert derived.config.train.lr == 0.5 and derived.config.train.batch == plain.config.train.batch == 8
    assert derived.config.system.points == (4,) and derived.source == plain.source
    assert plain.distil is None and (derived.distil.steps, derived.distil.repeat) == (7, 2)
    assert isinstance(derived.load(), nn.Module)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: ../adapter.yaml", "name of a file beside it"),
        ("base: 3", "name of a file beside it"),
        ("base: none.yaml", r"none\.yaml"),
        ("base: more.yaml", "an adapter without one"),
        ("base: adapter.yaml\ntrain: 3", "section train is 3"),
        ("base: adapter.yaml\ndistil: [1]", "section distil is"),
    ],
)
def test_a_base_that_does_not_fit_is_refused(resnet_adapter, tmp_path, text, message):
    resnet_adapter()
    (tmp_path / "more.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_adapter(tmp_path / "more.yaml")
