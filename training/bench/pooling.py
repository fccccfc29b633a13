"""Measures how often a trained network keeps its answers if a downsampling point is inserted, for each kind of pooling.

    python bench/pooling.py adapters/efficientnet-lite2.yaml PICTURES --ratios 0.5 0.585 0.677 0.769 0.862 0.954 \
        > results/pooling-efficientnet-lite2.json

The point is p = 1, with nothing else adapted. The pictures are those that `sdpoint adapt` holds out. Takes two minutes.
"""

import argparse
import json
import sys
from pathlib import Path

from sdpoint.adapt.adapter import load_adapter
from sdpoint.adapt.effect import effect_rows
from sdpoint.adapt.statistics import trained_statistics
from sdpoint.adapt.story import divided
from sdpoint.config import POOLINGS
from sdpoint.instance import enumerate_instances
from sdpoint.run import commit, versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--ratios", type=float, nargs="+", required=True)
    args = parser.parse_args()
    held_out = divided(args.pictures, load_adapter(args.adapter).config.data)[1].images
    instances = enumerate_instances(1, args.ratios)[1:]

    def inserted(pooling: str) -> list[dict]:
        adapter = load_adapter(args.adapter, [f"model.pooling={pooling}"])
        model = adapter.load()
        steps = {"inserted": dict.fromkeys((i.id for i in instances), trained_statistics(model))}
        return effect_rows(model, instances, steps, held_out, None, adapter.config)

    poolings = {pooling: inserted(pooling) for pooling in POOLINGS}
    head = {"adapter": args.adapter.stem, "commit": commit(), "versions": versions(), "pictures": len(held_out)}
    json.dump({**head, "poolings": poolings}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
