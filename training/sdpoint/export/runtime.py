"""Runs exported graphs with onnxruntime on the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from sdpoint.export.graph import INPUT, OUTPUT

BATCH = 250
DESCRIPTION = f"onnxruntime {onnxruntime.__version__}, CPU, float32"


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open a graph, whose weights lie beside it, with the number of threads that PyTorch uses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # only errors; warnings are about optimisation
    options.add_session_config_entry("session.x64quantprecision", "1")  # else int8 sums overflow without VNNI
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, images: Tensor) -> Tensor:
    """Logits [n, classes] float32 of images [n, h, w, 3] uint8."""
    outputs = [session.run([OUTPUT], {INPUT: batch.numpy()})[0] for batch in images.split(BATCH)]
    return torch.cat([torch.from_numpy(output) for output in outputs])
