"""What forward passes compute in while a network learns; weights stay float32."""

from __future__ import annotations

import torch

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}
COMPUTES_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")  # instructions of x86-64 and ARM, by torch.cpu.get_capabilities


def chosen(precision: str, device: torch.device) -> str:
    """A precision as it is; for `auto` bfloat16 if the device has instructions for it, else float32.

    Without them bfloat16 is emulated, which takes far longer than float32.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if _computes_bfloat16(device) else "float32"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context of a forward pass; precision: a chosen one."""
    return torch.autocast(device.type, AUTOCAST.get(precision), enabled=precision in AUTOCAST)


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in COMPUTES_BFLOAT16)
