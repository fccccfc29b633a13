"""Adds up JUnit reports: python3 .ci/sum.py BROKEN REPORT...

BROKEN: steps that failed; no fewer failures than that are reported, as no report knows of lint or types. A report that
is missing or empty is a failure too: tests that did not run have not passed. Exit status 1 on any failure.
"""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

LONGEST_REASON = 600  # characters: what was expected and found, not a whole page that was compared

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def main() -> int:
    broken, passed, failed, skipped = int(sys.argv[1]), 0, 0, 0
    for path in map(Path, sys.argv[2:]):
        try:
            # A test may be named by hostile bytes; tap passes on what XML 1.0 does not allow.
            text = NOT_XML.sub("?", path.read_text(errors="replace"))
            cases = list(ElementTree.fromstring(text.encode()).iter("testcase"))
        except (OSError, ElementTree.ParseError) as error:
            print(error)
            cases = []
        if not cases:
            print(f"{path.name}: no results")
            failed += 1
        for case in cases:
            if (failure := case.find("failure")) is None:
                failure = case.find("error")
            if failure is not None:
                failed += 1
                why = (failure.get("message") or failure.text or "").strip()
                print(f"failed: {case.get('classname')} {case.get('name')}: {why[:LONGEST_REASON]}")
            elif (skip := case.find("skipped")) is not None:
                skipped += 1
                print(f"skipped: {case.get('classname')} {case.get('name')}: {skip.get('message') or skip.text}")
            else:
                passed += 1
    failed = max(failed, broken)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
