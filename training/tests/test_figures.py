import json

import figures
import pytest


def test_the_readme_shows_the_figures_of_the_json_files():
    text = figures.README.read_text()
    assert figures.render(text) == text, "run: python training/bench/figures.py"


def test_a_block_is_replaced_whole_and_must_be_there():
    text = "a\n<!-- figures:x -->\nold\n<!-- /figures -->\nb\n<!-- figures:y -->\nkept\n<!-- /figures -->\n"
    assert figures.fill(text, "x", "new") == text.replace("old", "new")
    with pytest.raises(ValueError, match="0 blocks z"):
        figures.fill(text, "z", "new")


def test_results_are_sorted_by_cost_and_gaps_are_empty(made):
    manifest = json.loads((made.family / "manifest.json").read_text())
    lines = figures.results(manifest, {"instances": [{"id": "full", "top1": 0.5}]}, None).splitlines()
    assert lines[4].startswith("| `p01-r500` | 0.346 |") and lines[4].endswith("|  |  |")
    assert lines[-1].startswith("| `full` | 1.000 |") and lines[-1].endswith("| 50.00% |  |")


def test_throughput_has_a_row_for_each_case():
    case = {"batch": 128, "channels_last": True, "precision": "bfloat16", "threads": 2, "compiled": False}
    case |= {"picturesPerSecond": 1234, "min": 1200, "max": 1300}
    loop = {"batch": 128, "threads": 2, "precision": "bfloat16", "steps": 40, "rounds": 5, "loop": 950, "bare": 1000}
    loop |= {"ratio": 0.95, "min": 0.9, "max": 1.0, "checkpointMs": 12.5}
    measured = {"network": "wrn-16-2", "machine": "x86_64", "cpu": "AVX2", "torch": "2", "rounds": 3}
    measured |= {"cases": [case], "loop": loop}
    assert "0.950 of its speed, 0.900 - 1.000 in 5 rounds" in figures.throughput(measured)
    assert "| bfloat16 | last | 128 | 2 | no | 1,234 | 1,200 - 1,300 |" in figures.throughput(measured)


def test_the_effect_of_each_step_has_intervals():
    def step(hits):
        return {"agreement": {"n": 200, "share": hits / 200, "interval": [hits / 200 - 0.0651, hits / 200 + 0.06]}}

    full = {"id": "full", "share": 1.0, "inserted": step(180), "distilled": step(190)}
    cheap = {"id": "p01-r500", "share": 0.2973, "inserted": step(100), "distilled": step(130)}
    adapted = {"network": "net", "pictures": 800, "variants": 8, "commit": "abc", "instances": [full, cheap]}
    lines = figures.effect(adapted).splitlines()
    assert lines[-2] == "| `p01-r500` | 0.297 | 50.0% (43.5 - 56.0) | 65.0% (58.5 - 71.0) |"
    assert "agreement with `full`, held-out pictures (n = 200)" in lines[2]
    assert not any("top-1" in line for line in lines), "nothing was labelled"


def test_settings_that_were_compared_stand_below_each_other():
    def figures_of(hits):
        return {"agreement": {"n": 1000, "share": hits / 1000, "interval": [hits / 1000 - 0.01, hits / 1000 + 0.02]}}

    def line(name, hits):
        cheap = {"id": "p01-r500", "share": 0.25, "inserted": figures_of(600), "distilled": figures_of(hits)}
        full = {"id": "full", "share": 1.0, "inserted": figures_of(1000), "distilled": figures_of(990)}
        head = {"name": name, "network": "net", "commit": "abc", "pictures": 4000, "distil": {"steps": 240}}
        return head | {"instances": [full, cheap]}

    lines = figures.screening([line("norms", 650), line("all", 700)]).splitlines()
    assert "240 steps of each setting on 4,000 pictures" in lines[0] and lines[0].count("abc") == 1
    assert lines[2] == "| agreement, held-out pictures (n = 1000) | `p01-r500` (0.25) | `full` (1.00) |"
    assert lines[4] == "| not trained | 60.0% (59.0 - 62.0) | 100.0% (99.0 - 102.0) |"
    assert lines[5].startswith("| norms | 65.0%") and lines[6].startswith("| all | 70.0%") and len(lines) == 7
    later = line("later", 660)
    later["instances"] = [later["instances"][0], {**later["instances"][1], "id": "p04-r500"}]
    apart = figures.screening([line("norms", 650), later]).splitlines()
    assert apart[7].startswith("| agreement") and "p04-r500" in apart[7] and apart[-1].startswith("| later | 66.0%")


def test_throughput_of_bulk_adaptation_is_relative_to_the_bare_step():
    measured = {"network": "net", "precision": "bfloat16", "batch": 32, "threads": 2, "cpu": "CPU", "rounds": 5}
    measured |= {"steps": 12, "checkpointMs": 300, "known": 27.0, "bare": 30.0, "first": 18.0}
    measured |= {"knownRatio": {"median": 0.9, "min": 0.88, "max": 0.91}}
    measured |= {"firstRatio": {"median": 0.6, "min": 0.59, "max": 0.61}}
    text = figures.bulk(measured)
    assert "27 pictures/s where the bare step of the same batches trains 30: 0.900 of its speed (0.880 - 0.910)" in text
    assert "18 pictures/s, 0.600 of its speed" in text


def test_poolings_stand_side_by_side():
    def rows(hits):
        agreement = {"n": 200, "share": hits / 200, "interval": [0.4, 0.6]}
        return [{"id": "p01-r769", "share": 0.599, "inserted": {"agreement": agreement}}]

    lines = figures.poolings({"pictures": 200, "poolings": {"average": rows(100), "linear": rows(180)}}).splitlines()
    assert lines[0] == "| agreement, inserted only (n = 200) | share of FLOPs | average | linear |"
    assert lines[-1] == "| `p01-r769` | 0.599 | 50.0% (40.0 - 60.0) | 90.0% (40.0 - 60.0) |"


def test_the_original_network_stands_beside_full():
    measured = {"n": 9, "correct": {"original": 5, "originalOnOurInput": 6, "full": 7}, "commit": "abc"}
    assert figures.original(measured).startswith("The original network is right on 5 of 9 photographs")
    assert "on 6 that it reads in ours; `full` on 7 (commit abc" in figures.original(measured)


def test_new_classes_stand_beside_logistic_regression():
    def share(value):
        return {"n": 300, "share": value, "interval": [value - 0.05, value + 0.04]}

    rows = [
        {"id": "p01-r500", "share": 0.25, "regression": share(0.8), "newHead": share(0.79)},
        {"id": "full", "share": 1.0, "regression": share(0.86), "newHead": share(0.87)},
    ]
    rows = [row | {"temperature": 0.9876, "calibrationError": 0.04 + k / 100} for k, row in enumerate(rows)]
    spent = {"adapt": {"wall": 59.6, "cpu": 100.2, "peakMB": 812}, "export": {"wall": 30, "cpu": 50, "peakMB": 1234}}
    each = {"data": "flowers", "classes": 5, "pictures": {"train": 300, "test": 300}, "spent": spent, "instances": rows}
    text = figures.new_head({"family": "imagenet1k", "commit": "abc", "sets": [each]})
    assert "difference is -1.0 points, the highest calibration error 5.0%" in text
    assert "`adapt` 100 s (60 s), `export` 50 s (30 s); at most 1,234 MB" in text
    assert "| `p01-r500` | 0.250 | 80.0% (75.0 - 84.0) | 79.0% (74.0 - 83.0) | 0.99 | 4.0% |" in text
