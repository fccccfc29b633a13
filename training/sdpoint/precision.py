"""Number types of forward passes in training (mixed precision); weights stay float32."""

from __future__ import annotations

import torch

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}
COMPUTES_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")  # instructions of x86-64 and ARM, by torch.cpu.get_capabilities


def chosen(precision: str, device: torch.device) -> str:
    """Resolve `auto`: bfloat16 if the device has instructions for it, else float32. Other precisions are returned as
    given.

    Without such instructions bfloat16 is emulated, which takes far longer than float32.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if _computes_bfloat16(device) else "float32"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Autocast context for a forward pass. precision: as `chosen` returns it."""
    return torch.autocast(device.type, AUTOCAST.get(precision), enabled=precision in AUTOCAST)


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in COMPUTES_BFLOAT16)
