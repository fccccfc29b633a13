"""Adds up JUnit reports: python3 .ci/sum.py BROKEN REPORT...

BROKEN: steps that failed; one that no report knows of (lint, types) counts as a failure. A report that is missing or
empty is a failure too: tests that did not run have not passed. Exit status 1 on any failure.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree


def main() -> int:
    broken, passed, failed, skipped = int(sys.argv[1]), 0, 0, 0
    for path in map(Path, sys.argv[2:]):
        cases = list(ElementTree.parse(path).iter("testcase")) if path.exists() else []
        if not cases:
            print(f"{path.name}: no results")
            failed += 1
        for case in cases:
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif (skip := case.find("skipped")) is not None:
                skipped += 1
                print(f"skipped: {case.get('classname')} {case.get('name')}: {skip.get('message') or skip.text}")
            else:
                passed += 1
    if broken and not failed:
        failed = broken
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
