import json

import pytest

from sdpoint.cli import main
from sdpoint.report.separate import sentence, worst_of


def figures(fall):
    return {"n": 1000, "correct": 700, "lost": 1, "gained": 1, "fall": fall, "interval": [fall - 1, fall + 1]}


def instance(id, share, fall):
    return {"id": id, "share": share, "some": figures(fall + 1), "all": figures(fall)}


def separate(input, share, fall, **compared):
    return {"network": "lite", "input": input, "share": share, "some": figures(fall), "all": figures(fall), **compared}


@pytest.fixture
def measured():
    return {
        "bench": "separate", "commit": "abc", "versions": {}, "family": "small", "version": "123",
        "instances": [instance("p01-r500", 0.25, 6.0), instance("full", 1.0, 0.0)],
        "separate": [
            separate(90, 0.2, 9.0),
            separate(100, 0.3, 6.4, beside="p01-r500", lead=-0.4, interval=[-1.5, 0.7]),
            separate(200, 0.7, 5.6, beside="p01-r500", lead=0.4, interval=[-0.6, 1.4]),
        ],
    }  # fmt: skip


def test_the_separate_network_that_is_most_above_the_family_decides(measured):
    assert worst_of(measured)["input"] == 200
    text = sentence(measured)
    assert "`small` beside 2 separate networks, on 1,000 photographs" in text
    assert "no separate network is more than 0.5 points better" in text
    assert "lite at 200 pixels, share 0.70: +0.4 points (-0.6 to +1.4) against `p01-r500`" in text
    measured["separate"][1]["lead"] = 0.6
    text = sentence(measured)
    assert "**a separate network is** more than 0.5 points better. The largest lead: lite at 100 pixels" in text


def test_the_report_has_a_page_and_a_plot_of_it(measured, folder, tmp_path):
    file, out = tmp_path / "separate-small.json", tmp_path / "docs"
    file.write_text(json.dumps(measured))
    assert main(["report", str(folder), str(file), "--out", str(out)]) == 0
    front, page = (out / "results.md").read_text(), (out / "results" / "separate-small.md").read_text()
    assert "## Beside separate networks" in front and sentence(measured) in front
    assert "(results/separate-small.md)" in front and "(results/separate-small.png)" in front
    assert (out / "results" / "separate-small.png").stat().st_size > 1000
    assert "fall, some (n = 1,000)" in page and "+7.0 (+6.0 to +8.0)" in page
    assert "(separate-small.png)" in page and "[raw](../../separate-small.json)" in page
    rows = [line for line in page.splitlines() if line.startswith("| lite")]
    assert len(rows) == 3 and "p01-r500" not in rows[0] and "`p01-r500`" in rows[2] and "+0.4 (-0.6 to +1.4)" in rows[2]
