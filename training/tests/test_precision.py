import pytest
import torch

from sdpoint.precision import autocast, chosen

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("found", ["amx_bf16", "avx512_bf16", "bf16"])
def test_auto_is_bfloat16_on_a_processor_with_instructions_for_it(monkeypatch, found):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, found: True})
    assert chosen("auto", CPU) == "bfloat16"


def test_auto_is_float32_where_bfloat16_would_be_emulated(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    assert chosen("auto", CPU) == "float32"
    assert chosen("bfloat16", CPU) == "bfloat16"  # what is asked for by name is not changed


@pytest.mark.parametrize(("computes", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_on_a_gpu_asks_whether_it_computes_bfloat16_itself(monkeypatch, computes, expected):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: computes and not including_emulation
    )
    assert chosen("auto", CUDA) == expected


@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_forward_pass_computes_in_what_was_chosen(precision, expected):
    with autocast(precision, CPU):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == expected


def test_what_these_processors_are_called_is_what_torch_calls_them():
    capabilities = torch.cpu.get_capabilities()
    names = ("amx_bf16", "avx512_bf16") if capabilities["architecture"] == "x86_64" else ("bf16",)
    assert set(names) <= set(capabilities)
