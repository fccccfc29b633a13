"""BentoML with adaptive batching: python -m bentoml serve bento_app:Classify"""

import os

import bentoml
from model import Classifier
from PIL.Image import Image


@bentoml.service(
    workers=int(os.environ["WORKERS"]),
    logging={"access": {"enabled": False}},
)
class Classify:
    def __init__(self) -> None:
        self.classifier = Classifier()

    @bentoml.api(
        batchable=True,
        max_batch_size=int(os.environ["MAX_BATCH"]),
        max_latency_ms=int(os.environ["MAX_LATENCY_MS"]),
    )
    def predict(self, images: list[Image]) -> list[dict]:
        return self.classifier.classify([self.classifier.pixels(image) for image in images])
