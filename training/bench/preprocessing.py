"""Checks that the service preprocesses photographs as training does: compares its answers over HTTP with PyTorch.

    python bench/preprocessing.py ../models/imagenet1k DATA --classes adapters/imagenet1k-classes.txt \
        --url http://127.0.0.1:8080 --out ../bench/results/preprocessing.json

Each picture of the test part is enlarged (bicubic) to a shorter side of SHORTER pixels and saved as JPEG. It is
classified by `full` in three ways:

- preprocessed and classified by training's own code in PyTorch (float32);
- posted to the service as that JPEG, which the decoder reads at reduced size (shrink-on-load);
- posted to the service as a PNG with the pixels of that JPEG, which the decoder has to read at full size.

Compared are the answers, and the logarithms of the probabilities, which are logits up to a constant: the largest and
the mean difference over the classes to which PyTorch gives a probability above LIKELY. Exit status 1 if more than MOST
answers differ, or if the shares of right answers differ by more than POINTS.
"""

import argparse
import io
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch
from PIL import Image
from reference import classes_of

from sdpoint.config import DataConfig
from sdpoint.data import normalise
from sdpoint.export.load import load_family
from sdpoint.instance import FULL
from sdpoint.photos import cut, on_white, opened
from sdpoint.run import commit, progress, versions, write_atomically

SHORTER = 2000
QUALITY = 90
MOST = 3
POINTS = 0.003
LIKELY = 1e-4


def enlarged(path: Path) -> bytes:
    """The picture enlarged to a shorter side of SHORTER pixels, as JPEG."""
    image = opened(path)
    scale = SHORTER / min(image.size)
    size = tuple(round(side * scale) for side in image.size)
    return encoded(image.resize(size, Image.Resampling.BICUBIC), "JPEG", quality=QUALITY)


def encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def by_http(url: str, model: str, picture: bytes, classes: int) -> torch.Tensor:
    """Classify a picture by the service; returns the log probability of each class, [classes]."""
    query = f"{url}/classify?model={model}&instance=full&top={classes}"
    with urllib.request.urlopen(urllib.request.Request(query, picture, method="POST")) as answer:
        predictions = json.load(answer)["results"][0]["predictions"]
    probabilities = torch.zeros(classes)
    for prediction in predictions:
        probabilities[prediction["index"]] = prediction["probability"]
    return probabilities.log()


def compared(family: Path, data: Path, classes: tuple[str, ...], url: str) -> Iterator[dict]:
    """Yield a row for each picture: the answers in all three ways, and the differences of log probabilities."""
    manifest = json.loads((family / "manifest.json").read_text())
    trained = load_family(family)
    temperature = next(i["temperature"] for i in manifest["instances"] if i["id"] == "full")
    rule: DataConfig = trained.config.data
    paths = sorted(path for name in classes for path in (data / "test" / name).glob("*"))
    for path in progress(paths, "pictures"):
        jpeg = enlarged(path)
        image = on_white(Image.open(io.BytesIO(jpeg)))
        square = np.array(cut(image, rule.size, rule.resize, rule.kernel))
        with torch.no_grad():
            logits = trained.model(normalise(torch.from_numpy(square)[None], rule), FULL)[0]
        expected = torch.log_softmax(logits / temperature, 0)
        likely = expected.exp() > LIKELY
        row = {"file": f"{path.parent.name}/{path.name}", "label": classes.index(path.parent.name)}
        row["pytorch"] = int(expected.argmax())
        for name, picture in (("shrinkOnLoad", jpeg), ("whole", encoded(image, "PNG", compress_level=1))):
            got = by_http(url, manifest["name"], picture, len(classes))
            difference = (got - expected)[likely].abs()
            row[name] = {
                "predicted": int(got.argmax()),
                "largest": round(float(difference.max()), 4),
                "mean": round(float(difference.mean()), 4),
            }
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--classes", type=Path, required=True, help="the folder of each class, first in its line")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    classes = classes_of(args.family, args.classes)
    rows = list(compared(args.family, args.data, classes, args.url))
    ways = {name: summary(rows, name) for name in ("shrinkOnLoad", "whole")}
    ways["eachOther"] = {"differ": sum(r["shrinkOnLoad"]["predicted"] != r["whole"]["predicted"] for r in rows)}
    correct = {"pytorch": sum(r["pytorch"] == r["label"] for r in rows)}
    correct |= {name: sum(r[name]["predicted"] == r["label"] for r in rows) for name in ("shrinkOnLoad", "whole")}
    result = {
        "bench": "preprocessing",
        "command": f"python bench/preprocessing.py {args.family.name} {args.data.name} --classes {args.classes.name}",
        "commit": commit(),
        "versions": versions(),
        "model": args.family.name,
        "shorterSide": SHORTER,
        "quality": QUALITY,
        "n": len(rows),
        "correct": correct,
        "ways": ways,
        "different": [r for r in rows if any(r[n]["predicted"] != r["pytorch"] for n in ("shrinkOnLoad", "whole"))],
    }
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if args.out:
        write_atomically(args.out, lambda temporary: temporary.write_text(text))
    off = {name: abs(correct[name] - correct["pytorch"]) / len(rows) for name in ("shrinkOnLoad", "whole")}
    sys.exit(any(ways[name]["differ"] > MOST or off[name] > POINTS for name in off))


def summary(rows: list[dict], name: str) -> dict:
    """Summary of one way (`name`) against PyTorch: number of different answers, differences of log probabilities."""
    return {
        "differ": sum(row[name]["predicted"] != row["pytorch"] for row in rows),
        "logProbability": {
            "mean": round(mean(row[name]["mean"] for row in rows), 4),
            "medianOfLargest": round(median(row[name]["largest"] for row in rows), 4),
            "largest": max(row[name]["largest"] for row in rows),
        },
    }


if __name__ == "__main__":
    main()
