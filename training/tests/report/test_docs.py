"""docs/results.md is what `sdpoint report` makes of training/results, and short enough to be read."""

from pathlib import Path

import pytest
from PIL import Image

from sdpoint.report.page import write_report

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
COMMAND = "run: sdpoint report training/results/*/ training/results/separate-*.json --out docs"
FRONT_LINES = 200


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    found = (ROOT / "training/results").iterdir()
    lists = sorted(path for path in found if path.is_dir() or path.name.startswith("separate-"))
    # As deep as docs, so that links to the raw results are the same.
    out = tmp_path_factory.mktemp("report")
    write_report(lists, out, link_from=DOCS)
    return out


def files(folder: Path) -> list[str]:
    return ["results.md", *sorted(path.relative_to(folder).as_posix() for path in folder.glob("results/*"))]


def test_no_page_or_plot_is_missing_or_left_over(made):
    assert files(DOCS) == files(made), COMMAND


def test_every_page_is_as_it_is_made(made):
    for name in files(made):
        if name.endswith(".md"):
            assert (DOCS / name).read_text() == (made / name).read_text(), f"{name}: {COMMAND}"


def test_every_plot_shows_the_same(made):
    for name in files(made):
        if name.endswith(".png"):
            with Image.open(DOCS / name) as shown, Image.open(made / name) as drawn:
                assert shown.info["Description"] == drawn.info["Description"], f"{name}: {COMMAND}"


def test_the_front_page_can_be_read():
    assert len((DOCS / "results.md").read_text().splitlines()) <= FRONT_LINES
