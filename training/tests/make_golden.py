"""Writes golden.json, parameters and FLOPs of every instance of the published networks: python tests/make_golden.py

If a figure changes, there is either a mistake or a changed network; decide which before committing it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from networks import PUBLISHED, Case

from sdpoint.flops import network_flops

FILE = Path(__file__).with_name("golden.json")


def figures(case: Case) -> dict[str, Any]:
    return {
        "size": case.size,
        "classes": case.classes,
        "parameters": sum(parameter.numel() for parameter in case.build("meta").parameters()),
        "flops": {i.id: network_flops(case.config, case.classes, case.size, i) for i in case.instances},
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps({case.name: figures(case) for case in PUBLISHED}, indent=1) + "\n")
