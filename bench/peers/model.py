"""The full instance of a family with onnxruntime, for either server: FAMILY is the family's folder, THREADS the ONNX threads."""

import io
import json
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image


class Classifier:
    def __init__(self) -> None:
        folder = Path(os.environ["FAMILY"])
        manifest = json.loads((folder / "manifest.json").read_text())
        full = next(i for i in manifest["instances"] if i["id"] == "full")
        self.labels = json.loads((folder / "labels.json").read_text())
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["THREADS"])
        options.inter_op_num_threads = 1
        # As in dimmer: threads that spin would take the CPUs from the server's own processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(str(folder / full["file"]), options, providers=["CPUExecutionProvider"])
        _, self.height, self.width, _ = self.session.get_inputs()[0].shape
        # The first runs allocate: no request is to wait for that.
        for size in (1, int(os.environ["MAX_BATCH"])):
            self.classify([np.zeros((self.height, self.width, 3), np.uint8)] * size)

    def decode(self, file: bytes) -> np.ndarray:
        """uint8 [height, width, 3], RGB."""
        return self.pixels(Image.open(io.BytesIO(file)))

    def pixels(self, image: Image.Image) -> np.ndarray:
        """uint8 [height, width, 3], RGB."""
        image = image.convert("RGB")
        if image.size != (self.width, self.height):
            image = image.resize((self.width, self.height), Image.Resampling.BICUBIC)
        return np.asarray(image)

    def classify(self, pictures: list[np.ndarray]) -> list[dict[str, str | int]]:
        (logits,) = self.session.run(None, {"image": np.stack(pictures)})
        return [{"label": self.labels[k], "index": k} for k in logits.argmax(1).tolist()]
