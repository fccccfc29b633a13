"""`docs/results.md`: what sweeps and bench/separate.py say; and a page of details with plots for each result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdpoint.flops import CONVENTION
from sdpoint.report.answers import QUESTIONS, Answer
from sdpoint.report.details import details
from sdpoint.report.results import OURS, Sweep, System, load_results, measured_on
from sdpoint.report.separate import read_separate, sentence, write_separate
from sdpoint.report.tables import table

FILE, FOLDER = "results.md", "results"
HEAD = """# Results of training

Made by `sdpoint report` from the JSON files in `training/results/`; answers follow from the figures. Each row is what
one list of experiments says to a question. A list is trained and measured anew by one command.
"""
WORDS = f"""## Words

Means over seeds, ± the standard deviation between seeds where there are several.

- **FLOPs**: {CONVENTION}. Of training: forward and twice that backward, calibration and evaluation not counted.
- **share**: of the FLOPs of the plain network. Of SACT the mean over the pictures evaluated.
- Every configuration of every system has batch-norm statistics of its own, from one estimator; _UBN_ is SDPoint with
  the one set that training left.
- **Standard error** of a difference: the standard deviation between seeds, pooled over all configurations of the two
  systems that have several, times the root of 1/n + 1/m. With one seed each, the binomial deviation from the choice of
  pictures instead. A difference within two standard errors is _alike_.
- **Frontier** and **best** are chosen by the means on the held-out pictures. Where a list's figures are of those
  same pictures, what was chosen looks a little better than it is.
- What a person makes of a list's figures is its `account.md` beside them, shown on its page.
"""


def write_report(results: Sequence[Path], out: Path, part: str | None = None, *, link_from: Path | None = None) -> Path:
    """Write `results.md` and `results/` into `out`, for what was there. Raises RunError if results are missing.

    results: folders of sweeps, and files of bench/separate.py; link_from: where the pages will lie, for links to the
    results; `out` unless told.
    """
    folders = [path for path in results if path.is_dir()]
    separate = [(read_separate(path), path) for path in results if path.is_file()]
    sweeps = [load_results(folder, part) for folder in folders]
    ours = [_ours(sweep, folders) for sweep in sweeps]
    pages = out / FOLDER
    pages.mkdir(parents=True, exist_ok=True)
    for left in (*pages.glob("*.md"), *pages.glob("*.png")):
        left.unlink()
    for sweep, own, folder in zip(sweeps, ours, folders, strict=True):
        (pages / f"{sweep.name}.md").write_text(details(sweep, own, folder, pages))
    for measured, file in separate:
        write_separate(measured, pages, f"../{_link(file, link_from or out)}")
    # Lists that compare SDPoint with others come before those of its variants.
    order = sorted(range(len(sweeps)), key=lambda n: OURS not in sweeps[n])
    path = out / FILE
    lists = [(sweeps[n], ours[n], _link(folders[n], link_from or out)) for n in order]
    path.write_text(_front(lists, [measured for measured, _ in separate]))
    return path


def _link(folder: Path, out: Path) -> str:
    return Path(os.path.relpath(folder.resolve(), out.resolve())).as_posix()


def _ours(sweep: Sweep, folders: Sequence[Path]) -> System | None:
    """SDPoint of the sweep, or of another one that was trained and measured alike."""
    others = (load_results(folder, sweep.part) for folder in folders if measured_on(folder, sweep.part))
    return next((s[OURS] for s in (sweep, *others) if OURS in s and s.alike(sweep)), None)


def _front(lists: Sequence[tuple[Sweep, System | None, str]], separate: Sequence[dict[str, Any]]) -> str:
    said = [
        (question, answer, sweep, link)
        for question in QUESTIONS
        for sweep, ours, link in lists
        if ours and (answer := question.of(sweep, ours))
    ]
    rows = [
        [question.ask, answer.words, answer.figure, question.goal, *_source(sweep, link)]
        for question, answer, sweep, link in said
    ]
    head = ["question", "answer", "measured", "goal", "command", "details, raw results: pictures, commit, device"]
    plots = [
        f"![{sweep.name}: top-1 error against share of FLOPs for all systems]({FOLDER}/{sweep.name}-costs.png)\n"
        for sweep, *_ in lists
        if OURS in sweep
    ]
    pages = "".join(f"- [{sweep.name}]({FOLDER}/{sweep.name}.md): {_about(sweep)}\n" for sweep, *_ in lists)
    pages += "".join(
        f"- [{s['stem']}]({FOLDER}/{s['stem']}.md): {s['family']} beside separate networks\n" for s in separate
    )
    parts = [HEAD, _reached([answer for _, answer, *_ in said]), table(head, rows, words=True)]
    for measured in separate:
        plot = f"![fall in top-1 of {measured['family']} and of separate networks]({FOLDER}/{measured['stem']}.png)"
        parts += ["## Beside separate networks\n", f"{sentence(measured)}\n", f"{plot}\n"]
    return "\n".join([*parts, "## In pictures\n", *plots, "## In detail\n", pages, WORDS])


def _reached(answers: Sequence[Answer]) -> str:
    hoped = [answer.holds for answer in answers if answer.holds is not None]
    return f"Of {len(hoped)} answers with a goal {sum(hoped)} reach it; the others are those in bold, or alike.\n"


def _source(sweep: Sweep, link: str) -> list[str]:
    runs = [run for system in sweep.systems for run in system.runs]
    commits, devices = (", ".join(sorted({run[key] for run in runs})) for key in ("commit", "device"))
    return [
        f"`sdpoint sweep training/configs/sweeps/{sweep.name}.yaml`",
        f"[{sweep.name}]({FOLDER}/{sweep.name}.md) ([raw]({link})): {sweep.pictures:,} pictures, {commits}, {devices}",
    ]


def _about(sweep: Sweep) -> str:
    head = sweep.head
    return f"{head['network']} on {head['config']['data']['name']}, {head['epochs']} epochs, {sweep.part} part"
