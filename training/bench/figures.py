"""Writes the tables of figures in training/README.md from JSON files: python bench/figures.py

It replaces each block between `<!-- figures:NAME -->` and `<!-- /figures -->`. A block without results says so.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

TRAINING = Path(__file__).parents[1]
README = TRAINING / "README.md"
MANIFEST = TRAINING.parent / "models" / "cifar10" / "manifest.json"
RESULTS = TRAINING / "results"
ADAPTED = RESULTS / "adapt-efficientnet-lite2.json"  # `effect.json` of the runs behind models/imagenet1k
SMALLER = tuple(RESULTS / f"adapt-efficientnet-lite{variant}.json" for variant in (1, 0))
TRIALS = tuple(RESULTS / f"adapt-efficientnet-{trial}.json" for trial in ("lite1-more", "lite0-all"))
JOINED = RESULTS / "joined-lite1-more.json"  # `bench/separate.py` of the family with the first of these trials
MISSING = "Not measured yet."


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is aligned to the left, the others to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def results(manifest: dict[str, Any], own: dict[str, Any] | None, shared: dict[str, Any] | None) -> str:
    """Table of the shipped family: top-1 on the test part, and on held-out pictures with own and shared statistics."""
    held_out = [{i["id"]: i["top1"] for i in part["instances"]} if part else {} for part in (own, shared)]
    full = next(i["flops"] for i in manifest["instances"] if i["id"] == "full")

    def percent(value: float | None) -> str:
        return "" if value is None else f"{value:.2%}"

    rows = [
        [f"`{i['id']}`", f"{i['flops'] / full:.3f}", percent(i["top1"]), *(percent(h.get(i["id"])) for h in held_out)]
        for i in sorted(manifest["instances"], key=lambda i: i["flops"])
    ]
    head = ["instance", "share of FLOPs", "top-1, test", "top-1, held out", "the same, shared statistics (UBN)"]
    origin, on = manifest["provenance"], manifest["measuredOn"]
    note = (
        f"{manifest['architecture']} on {on['dataset']}, {on['scope']}, {on['runtime']}. One run (n = 1), seed "
        f"{origin['seed']}, {origin['hours']:.2f} hours, commit {origin['commit']}."
    )
    return f"{note}\n\n{table(head, rows)}"


def throughput(measured: dict[str, Any]) -> str:
    """Table of training throughput (median and range over rounds), and a sentence about the overhead of the loop."""
    rows = [
        [
            case["precision"],
            "last" if case["channels_last"] else "first",
            str(case["batch"]),
            str(case["threads"]),
            "yes" if case["compiled"] else "no",
            f"{case['picturesPerSecond']:,}",
            f"{case['min']:,} - {case['max']:,}",
        ]
        for case in measured["cases"]
    ]
    note = (
        f"{measured['network']}, {measured['machine']} with {measured['cpu']}, torch {measured['torch']}; median and "
        f"range of {measured['rounds']} rounds (`bench/throughput.py`). A case is a bare step: forward, backward, "
        "optimizer."
    )
    head = ["numbers", "channels", "batch", "threads", "compiled", "pictures/s", "range"]
    loop = measured["loop"]
    kept = (
        f"The training loop ({loop['precision']}, batch {loop['batch']}, {loop['threads']} threads) trains "
        f"{loop['loop']:,} pictures/s where the bare step of the same network and batches trains {loop['bare']:,}: "
        f"{loop['ratio']:.3f} of its speed, {loop['min']:.3f} - {loop['max']:.3f} in {loop['rounds']} rounds of "
        f"{loop['steps']} steps that took turns. A checkpoint, once an epoch, takes {loop['checkpointMs']:g} ms more."
    )
    return f"{note}\n\n{table(head, rows)}\n\n{kept}"


def effect(adapted: dict[str, Any]) -> str:
    """Tables of an adaptation: agreement with `full` and top-1 of each instance after each step, with intervals."""
    steps = [step for step in ("inserted", "statistics", "distilled") if step in adapted["instances"][0]]
    rows = sorted(adapted["instances"], key=lambda row: row["share"])
    sections = []
    for figure, what in (
        ("agreement", "agreement with `full`, held-out pictures"),
        ("top1", "top-1, labelled pictures"),
    ):
        if figure not in rows[0][steps[0]]:
            continue
        cells = [[f"`{r['id']}`", f"{r['share']:.3f}", *(counted(r[step][figure]) for step in steps)] for r in rows]
        n = rows[0][steps[0]][figure]["n"]
        sections.append(table([f"{what} (n = {n})", "share of FLOPs", *steps], cells))
    way = (
        f"{adapted['distil']['steps']} steps of {adapted['configuration']['train']['batch']} crops"
        if "distil" in adapted
        else f"{_tunings(adapted)} on {adapted['variants']} crops of each"
    )
    note = (
        f"{adapted['network']}, one run, {adapted['pictures']:,} pictures, {way}, commit {adapted['commit']}; in "
        "brackets the 95 % interval by the choice of pictures (Wilson)."
    )
    return "\n\n".join([note, *sections])


def _tunings(adapted: dict[str, Any]) -> str:
    count = adapted.get("tunings", 1)
    usual = "one tuning" if count == 1 else f"the mean of {count} tunings, each"
    more = "".join(f", of `{id}` the mean of {k}" for id, k in adapted.get("more", {}).items())
    return f"{usual}{more}," if more else usual


def poolings(measured: dict[str, Any]) -> str:
    """Table of agreement with `full` for each kind of pooling, after insertion only."""
    names = list(measured["poolings"])
    cells = [
        [f"`{rows[0]['id']}`", f"{rows[0]['share']:.3f}", *(counted(row["inserted"]["agreement"]) for row in rows)]
        for rows in zip(*measured["poolings"].values(), strict=True)
    ]
    return table([f"agreement, inserted only (n = {measured['pictures']})", "share of FLOPs", *names], cells)


def original(measured: dict[str, Any]) -> str:
    """The network that was adapted, as it was published, against `full` of the family."""
    right, n = measured["correct"], measured["n"]
    return (
        f"The original network is right on {right['original']} of {n} photographs that it reads in its own way, on "
        f"{right['originalOnOurInput']} that it reads in ours; `full` on {right['full']} (commit {measured['commit']}, "
        "`bench/original.py`)."
    )


def new_head(measured: dict[str, Any]) -> str:
    """Tables of `--new-head` beside logistic regression, one for each set of pictures."""
    return "\n\n".join([_beside(measured), *(_taught(each) for each in measured["sets"])])


def _beside(measured: dict[str, Any]) -> str:
    sets = measured["sets"]
    rows = [(each, row) for each in sets for row in each["instances"]]
    worst = min(row["newHead"]["share"] - row["regression"]["share"] for _, row in rows)
    error = max(row["calibrationError"] for _, row in rows)
    return (
        f"`{measured['family']}`, beside scikit-learn's logistic regression (default settings) on the features that an "
        f"instance of the old family has of the same pictures, commit {measured['commit']}, one run "
        f"(`bench/new_head.py`); in brackets the 95 % interval by the choice of test pictures (Wilson). The least "
        f"favourable difference is {100 * worst:+.1f} points, the highest calibration error {error:.1%}."
    )


def _taught(each: dict[str, Any]) -> str:
    spent = each["spent"]
    cells = [
        [
            f"`{row['id']}`",
            f"{row['share']:.3f}",
            counted(row["regression"]),
            counted(row["newHead"]),
            f"{row['temperature']:.2f}",
            f"{row['calibrationError']:.1%}",
        ]
        for row in each["instances"]
    ]
    head = ["instance", "share of FLOPs", "logistic regression", "`--new-head`", "temperature", "calibration error"]
    times = ", ".join(f"`{name}` {used['cpu']:.0f} s ({used['wall']:.0f} s)" for name, used in spent.items())
    peak = max(used["peakMB"] for used in spent.values())
    pictures = f"{each['pictures']['train']} training and {each['pictures']['test']} test pictures"
    note = (
        f"{each['data']}: {each['classes']} classes, {pictures}. CPU time (wall time, beside other programs): {times}; "
        f"at most {peak:,} MB of memory."
    )
    return f"{note}\n\n{table(head, cells)}"


def screening(lines: list[dict[str, Any]]) -> str:
    """Tables of settings that were compared with equal steps: agreement with the original, and top-1.

    Settings with other instances have a table of their own.
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault(tuple(row["id"] for row in line["instances"]), []).append(line)
    first = lines[0]
    sections = [
        _compared(group, figure, what)
        for figure, what in (("agreement", "agreement, held-out pictures"), ("top1", "top-1, labelled pictures"))
        for group in groups.values()
        if figure in group[0]["instances"][0]["inserted"]
    ]
    commits = ", ".join(dict.fromkeys(line["commit"] for line in lines))
    note = (
        f"{first['network']}, {first['distil']['steps']} steps of each setting on {first['pictures']:,} pictures "
        f"(`configs/adapt/screening.yaml`), one run each, commit {commits}; share of FLOPs beside the instance, in "
        "brackets behind a figure the 95 % interval by the choice of pictures (Wilson)."
    )
    return "\n\n".join([note, *sections])


def _compared(lines: list[dict[str, Any]], figure: str, what: str) -> str:
    """A table with a row for each setting. All have the same instances."""
    order = sorted(range(len(lines[0]["instances"])), key=lambda k: lines[0]["instances"][k]["share"])
    ways = [("not trained", lines[0], "inserted"), *((line["name"], line, "distilled") for line in lines)]
    cells = [[name, *(counted(line["instances"][k][step][figure]) for k in order)] for name, line, step in ways]
    rows = [lines[0]["instances"][k] for k in order]
    head = [f"`{row['id']}` ({row['share']:.2f})" for row in rows]
    return table([f"{what} (n = {rows[0]['inserted'][figure]['n']})", *head], cells)


def bulk(measured: dict[str, Any]) -> str:
    """A paragraph about the throughput of adapting on many pictures."""
    known, first = (
        f"{measured[f'{way}Ratio']['median']:.3f} of its speed ({measured[f'{way}Ratio']['min']:.3f} - "
        f"{measured[f'{way}Ratio']['max']:.3f})"
        for way in ("known", "first")
    )
    return (
        f"{measured['network']}, {measured['precision']}, batch {measured['batch']}, {measured['threads']} threads, "
        f"{measured['cpu']}: the loop trains {measured['known']:g} pictures/s where the bare step of the same batches "
        f"trains {measured['bare']:g}: {known} in {measured['rounds']} rounds of {measured['steps']} steps that took "
        f"turns (`bench/adapting.py`). While the teacher has not answered the crops yet, it trains "
        f"{measured['first']:g} pictures/s, {first}. A checkpoint takes {measured['checkpointMs']:g} ms."
    )


def falls(joined: dict[str, Any], network: str) -> str:
    """Table of the instances that a joined family has of one network: how far each falls from the original."""
    rows = [row for row in joined["instances"] if row["id"].startswith(f"{network}-")]
    cells = [[f"`{row['id']}`", f"{row['share']:.3f}", _fall(row["all"])] for row in rows]
    return table([f"labelled pictures (n = {rows[0]['all']['n']:,})", "share of FLOPs", "points below `full`"], cells)


def _fall(measured: dict[str, Any]) -> str:
    low, high = measured["interval"]
    return f"{measured['fall']:.1f} ({low:.1f} to {high:.1f})"


def counted(value: dict[str, Any]) -> str:
    low, high = value["interval"]
    return f"{value['share']:.1%} ({100 * low:.1f} - {100 * high:.1f})"


def fill(text: str, name: str, content: str) -> str:
    """The text with the content of block `name` replaced. Raises ValueError unless there is exactly one such block."""
    start, end = f"<!-- figures:{name} -->", "<!-- /figures -->"
    block = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    filled, count = block.subn(lambda _: f"{start}\n{content}\n{end}", text)
    if count != 1:
        raise ValueError(f"the text has {count} blocks {name}; expected one")
    return filled


def read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def render(text: str) -> str:
    """The text of the README with the present figures."""
    manifest, measured = read(MANIFEST), read(RESULTS / "throughput.json")
    held_out = (read(RESULTS / f"cifar10-held-out{suffix}.json") for suffix in ("", "-shared"))
    text = fill(text, "results", results(manifest, *held_out) if manifest else MISSING)
    adapted = read(ADAPTED)
    text = fill(text, "throughput", throughput(measured) if measured else MISSING)
    pooled = read(RESULTS / "pooling-efficientnet-lite2.json")
    text = fill(text, "poolings", poolings(pooled) if pooled else MISSING)
    screened, adapting = read_lines(RESULTS / "adapt-screening.jsonl"), read(RESULTS / "throughput-adapting.json")
    text = fill(text, "screening", screening(screened) if screened else MISSING)
    text = fill(text, "bulk", bulk(adapting) if adapting else MISSING)
    published = read(RESULTS / "original-imagenet1k.json")
    text = fill(text, "original", original(published) if published else MISSING)
    taught = read(RESULTS / "new-head.json")
    text = fill(text, "new-head", new_head(taught) if taught else MISSING)
    smaller = [measured for path in SMALLER if (measured := read(path))]
    text = fill(text, "lites", "\n\n".join(map(effect, smaller)) or MISSING)
    trials = [measured for path in TRIALS if (measured := read(path))]
    trials = [*map(effect, trials), *([falls(joined, "lite1")] if (joined := read(JOINED)) else [])]
    text = fill(text, "lites-trials", "\n\n".join(trials) or MISSING)
    return fill(text, "effect", effect(adapted) if adapted else MISSING)


if __name__ == "__main__":
    README.write_text(render(README.read_text()))
