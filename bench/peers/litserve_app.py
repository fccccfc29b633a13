"""LitServe with batching: python litserve_app.py"""

import base64
import os

import litserve
import numpy as np
from model import Classifier


class Classify(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.classifier = Classifier()

    def decode_request(self, request: dict) -> np.ndarray:
        return self.classifier.decode(base64.b64decode(request["image"]))

    def batch(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return inputs

    def predict(self, pictures: list[np.ndarray]) -> list[dict]:
        return self.classifier.classify(pictures)

    def unbatch(self, output: list[dict]) -> list[dict]:
        return output

    def encode_response(self, output: dict) -> dict:
        return output


if __name__ == "__main__":
    api = Classify(
        max_batch_size=int(os.environ["MAX_BATCH"]),
        batch_timeout=float(os.environ["BATCH_TIMEOUT_S"]),
    )
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=int(os.environ["WORKERS"]),
        timeout=float(os.environ["TIMEOUT_S"]),
        fast_queue=os.environ["FAST_QUEUE"] == "1",
    )
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False)
