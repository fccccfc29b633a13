"""Runs exported graphs with onnxruntime on the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from sdpoint.evaluate import batch_of
from sdpoint.export.graph import INPUT, OUTPUT

DESCRIPTION = f"onnxruntime {onnxruntime.__version__}, CPU, float32"


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """Open a graph, with the number of threads that PyTorch uses.

    model: a file with its weights beside it, or the content of a file that contains its weights.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # only errors; warnings are about optimisation
    options.add_session_config_entry("session.x64quantprecision", "1")  # else int8 sums overflow without VNNI
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, images: Tensor, count: int | None = None) -> Tensor:
    """Logits [n, classes] float32 of images [n, h, w, 3] uint8.

    count: pictures in a batch; by default few enough for the caches, as the maps of 250 photographs take gigabytes.
    """
    batches = images.split(count or batch_of(session.get_inputs()[0].shape[1]))
    outputs = [session.run([OUTPUT], {INPUT: batch.numpy()})[0] for batch in batches]
    return torch.cat([torch.from_numpy(output) for output in outputs])
