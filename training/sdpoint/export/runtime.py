"""onnxruntime on the exported graphs, in float32 on the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from sdpoint.export.graph import INPUT, OUTPUT

BATCH = 250
DESCRIPTION = f"onnxruntime {onnxruntime.__version__}, CPU, float32"


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A graph beside its weights, with as many threads as PyTorch was told to use."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; the rest is about the optimiser's choices
    options.add_session_config_entry("session.x64quantprecision", "1")  # or int8 sums overflow where there is no VNNI
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, images: Tensor) -> Tensor:
    """images: [n, h, w, 3] uint8 -> logits [n, classes] float32."""
    outputs = [session.run([OUTPUT], {INPUT: batch.numpy()})[0] for batch in images.split(BATCH)]
    return torch.cat([torch.from_numpy(output) for output in outputs])
