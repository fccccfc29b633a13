from pathlib import Path

import pytest

from sdpoint.config import KINDS, Config, ConfigError, WideResNetConfig, load_config, parse_config
from sdpoint.models import plan_network

CONFIGS = Path(__file__).parents[1] / "configs"


def test_what_is_left_out_has_its_default():
    assert parse_config({}) == Config()
    assert parse_config({"train": {"lr": 1}}).train.lr == 1.0


def test_a_configuration_survives_the_way_into_a_checkpoint_and_back():
    config = parse_config({"model": {"ratios": [0.75]}}, ["train.epochs=3"])
    assert (config.model.ratios, config.train.epochs) == ((0.75,), 3)
    assert parse_config(config.as_dict()) == config


@pytest.mark.parametrize(("old", "new"), [(True, "bfloat16"), (False, "float32")])
def test_what_older_configurations_say_of_bfloat16_is_a_precision(old, new):
    config = parse_config({"train": {"bfloat16": old}})
    assert config == parse_config({}, [f"train.precision={new}"]) and "bfloat16" not in config.as_dict()["train"]
    assert parse_config({"train": {"bfloat16": old}}, ["train.precision=float32"]).train.precision == "float32"


def test_a_model_section_without_a_kind_is_a_wide_residual_network():
    config = parse_config({"model": {"depth": 28, "width": 10, "base": 16, "ratios": [0.5]}})  # as old checkpoints say
    assert config.model == WideResNetConfig(depth=28, width=10, ratios=(0.5,))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_gives_its_defaults_and_survives_the_way_into_a_checkpoint(kind):
    config = parse_config({"model": {"kind": kind}})
    assert config.model == KINDS[kind]()
    assert config.as_dict()["model"]["kind"] == kind
    assert parse_config(config.as_dict()) == config
    assert parse_config({}, [f"model.kind={kind}"]) == config


@pytest.mark.parametrize(
    ("kind", "depths"),
    [
        ("wrn", {10: True, 40: True, 202: True, 4: False, 12: False, 208: False}),
        ("preresnet", {8: True, 20: True, 164: True, 2: False, 18: False, 206: False}),
        ("resnext", {29: True, 11: True, 30: False, 2: False}),
        ("densenet", {100: True, 190: True, 4: False, 121: False, 250: False}),
        ("preresnet-imagenet", {18: True, 101: True, 20: False}),
        ("resnext-imagenet", {50: True, 101: True, 18: False}),
    ],
)
def test_depths_are_those_the_kind_can_have_with_at_most_99_points(kind, depths):
    for depth, allowed in depths.items():
        if allowed:
            assert plan_network(KINDS[kind](depth=depth)).points <= 99
        else:
            with pytest.raises(ConfigError, match=r"model\.depth"):
                KINDS[kind](depth=depth)


@pytest.mark.parametrize("path", [p for p in CONFIGS.glob("*.yaml") if "about" not in p.name], ids=lambda p: p.name)
def test_shipped_configurations_load(path):
    assert load_config(path)


@pytest.mark.parametrize(
    ("raw", "overrides", "message"),
    [
        ({"train": {"epoch": 3}}, [], "unknown key train.epoch"),
        ({"trian": {}}, [], "unknown section"),
        ({"train": 3}, [], "section train is 3"),
        ({"train": {"epochs": "many"}}, [], "train.epochs is 'many'; expected int"),
        ({"train": {"bfloat16": 1}}, [], "train.bfloat16"),
        ({"train": {"epochs": True}}, [], "train.epochs"),
        ({"model": {"ratios": 0.5}}, [], "expected a list"),
        ({"model": {"ratios": ["a"]}}, [], "model.ratios"),
        ({"model": {"ratios": [0.5, 1.0]}}, [], "model.ratios"),
        ({"model": {"ratios": [0.5, 0.5]}}, [], "model.ratios"),
        ({"model": {"ratios": []}}, [], "model.ratios"),
        ({"model": {"depth": 17}}, [], "6 n \\+ 4"),
        ({"model": {"pooling": "max"}}, [], "model.pooling is 'max'; expected one of"),
        ({"model": {"kind": "vgg"}}, [], "model.kind is 'vgg'; expected one of"),
        ({"model": {"kind": ["wrn"]}}, [], "model.kind"),
        ({"model": {"growth": 12}}, [], "unknown key model.growth; expected one of"),
        ({"model": {"kind": "densenet", "width": 2}}, [], "unknown key model.width; expected one of"),
        ({"model": {"kind": "densenet", "growth": 0}}, [], "model.growth is 0; expected 1 or more"),
        ({"model": {"kind": "resnext", "cardinality": 0}}, [], "model.cardinality is 0"),
        ({"model": {"kind": "resnext", "depth": 28}}, [], "9 n \\+ 2"),
        ({"model": {"kind": "preresnet", "depth": 32, "bottleneck": True}}, [], "9 n \\+ 2"),
        ({"model": {"kind": "preresnet", "bottleneck": 1}}, [], "model.bottleneck"),
        ({"model": {"kind": "preresnet-imagenet", "depth": 20}}, [], "one of \\[18, 34, 50, 101, 152\\]"),
        ({"data": {"std": [0.2, 0.2]}}, [], "three channels"),
        ({"train": {"warmup": 1.5}}, [], "a share"),
        ({"train": {"average": 1.0}}, [], "train.average"),
        ({"train": {"distill_mode": "apart"}}, [], "one of"),
        ({"train": {"precision": "int8"}}, [], "train.precision is 'int8'; expected one of"),
        ({"train": {"precision": "float16"}}, [], "on cuda only"),
        ({"train": {"device": "gpu"}}, [], "train.device"),
        ({"train": {"schedule": "step"}}, [], "train.milestones"),
        ({"train": {"milestones": [1, 2]}}, [], "train.milestones"),
        ({"train": {"schedule": "step", "milestones": [3, 2]}}, [], "ascending"),
        ({"train": {"checkpoint_minutes": -1}}, [], "train.checkpoint_minutes"),
        ({"system": {"name": "magic"}}, [], "system.name is 'magic'; expected one of"),
        ({"system": {"points": [3, 1]}}, [], "system.points"),
        ({"system": {"points": [0, 1]}}, [], "system.points"),
        ({"system": {"exits": [1.5]}}, [], "system.exits"),
        ({"system": {"weights": [1, 0]}}, [], "never trained"),
        ({"system": {"weights": [1, 2], "sampling": "gap"}}, [], "system.sampling"),
        ({"system": {"scales": [0.5, 1.0]}}, [], "system.scales"),
        ({"system": {"thresholds": [0.99]}}, [], "system.thresholds"),
        ({"system": {"tau": -1}}, [], "system.tau"),
        ({}, ["train.epochs"], "expected section.key=value"),
        ({}, ["epochs=3"], "expected section.key=value"),
        ({}, ["train.epoch=3"], "unknown key train.epoch"),
    ],
)
def test_errors_name_the_key_and_what_is_expected(raw, overrides, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(raw, overrides)


@pytest.mark.parametrize("text", ["- a list", "a: [", None])
def test_a_file_that_holds_no_configuration_is_refused(tmp_path, text):
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        load_config(path)


def test_invariants_hold_for_configurations_made_in_code():
    with pytest.raises(ConfigError):
        WideResNetConfig(depth=12)
