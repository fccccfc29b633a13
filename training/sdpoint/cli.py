"""The command line: sdpoint info | train | calibrate | evaluate | sweep | report | adapt | export | join |
random."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from sdpoint.adapt import command as adapting
from sdpoint.calibrate import calibrate, calibration_pictures
from sdpoint.checkpoint import Trained, load_calibrated, load_trained, save_calibrated
from sdpoint.config import DEVICES, Config, ConfigError, load_config, load_yaml, typed
from sdpoint.data import DataError, Split, load_split, load_training
from sdpoint.distributed import device_of
from sdpoint.evaluate import Accuracy, evaluate, mean_flops, open_test
from sdpoint.export import ExportError, quantise
from sdpoint.export.about import About, license_of, load_about, load_folders, load_labels
from sdpoint.export.family import Sources, export_family
from sdpoint.export.join import Pictures, join_families, load_parts
from sdpoint.report.page import write_report
from sdpoint.run import Run, RunError, say, write_atomically
from sdpoint.sweep import PARTS, Places, load_sweep, run_sweep
from sdpoint.systems import build_system
from sdpoint.tables import Row, accuracy_rows, as_text, cost_rows
from sdpoint.train import train
from sdpoint.untrained import export_random

REFUSALS = (ConfigError, DataError, RunError, ExportError, FileExistsError)  # wrong input: exit code 2; others are bugs


def _info(args: argparse.Namespace) -> None:
    config = _config(args)
    system = build_system(config, args.classes)
    model = system.build()
    parameters, size = sum(p.numel() for p in model.parameters()), config.data.size
    print(f"{model.name}: {parameters:,} parameters, {size}x{size} pictures, {args.classes} classes\n")
    print(as_text(cost_rows(system)))


def _train(args: argparse.Namespace) -> None:
    config = _config(args)
    part, held_out = load_training(args.data, config.data)
    say(f"{len(part)} pictures to train on, {len(held_out)} held out, {len(part.classes)} classes")
    train(config, part, held_out, Run(args.run), args.resume)


def _calibrate(args: argparse.Namespace) -> None:
    run = Run.existing(args.run)
    if run.records("adapted"):
        raise RunError(f"{run.folder} was adapted: plain statistics would take the place of what it has distilled")
    if run.records("taught"):
        raise RunError(f"{run.folder} was taught new classes: plain statistics do not have its classifiers")
    trained = load_trained(run)
    _prepare(args, trained, run)
    _place(args, trained)
    part, _ = _training_of(args, trained)
    pictures = calibration_pictures(part)
    statistics = calibrate(trained.model, trained.instances, pictures, trained.config.data)
    path = save_calibrated(run, trained, statistics)
    run.log("calibrated", epoch=trained.epoch, weights=trained.digest, pictures=len(pictures))
    say(f"statistics of {len(statistics)} instances from {len(pictures)} pictures: {path}")


def _evaluate(args: argparse.Namespace) -> None:
    run, own = Run.existing(args.run), args.statistics == "own"
    trained = load_calibrated(run) if own else load_trained(run)
    _prepare(args, trained, run)
    _place(args, trained)
    config = trained.config
    if args.part == "test":
        split = open_test(args.data, trained, run, "evaluate")
    else:
        _, split = _training_of(args, trained)
        if not len(split) and trained.crossed and own:
            _show_crossed(trained, run)
            return
        if not len(split):
            raise DataError("no pictures were held out (data.held_out is 0)")
    # An instance without statistics uses the running averages that training left in the network: UBN in the paper.
    statistics = trained.statistics if own else {i.id: {} for i in trained.instances}
    accuracies = evaluate(trained.model, trained.instances, statistics, split, config.data)
    flops = mean_flops(trained, statistics, split.images)
    rows = accuracy_rows(cost_rows(trained.system, flops), accuracies)
    _show(trained, run, rows, args.part, args.statistics)


def _show_crossed(trained: Trained, run: Run) -> None:
    say("no pictures were held out; these are the figures of the cross-validation")
    accuracies = {id: Accuracy(c.correct, c.correct5, c.n) for id, c in trained.crossed.items()}
    _show(trained, run, accuracy_rows(cost_rows(trained.system), accuracies), "cross-validation", "own")


def _show(trained: Trained, run: Run, rows: list[Row], part: str, statistics: str) -> None:
    """Print the rows, and write them to the run folder."""
    print(as_text(rows))
    path = run.folder / f"evaluation-{part}{'' if statistics == 'own' else '-shared'}.json"
    head = {"part": part, "statistics": statistics, "epoch": trained.epoch, "weights": trained.digest}
    text = json.dumps({**head, "network": trained.model.name, "instances": rows}, indent=2) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))
    say(f"written to {path}")


def _sweep(args: argparse.Namespace) -> None:
    places = Places(args.data, args.runs, args.results)
    diverged = run_sweep(load_sweep(args.list), places, args.part, args.parallel, args.threads, args.device)
    if diverged:
        raise RunError(f"the loss diverged in {', '.join(diverged)}; the other runs are finished")


def _report(args: argparse.Namespace) -> None:
    say(f"written to {write_report(args.results, args.out, args.part)}")


def _export(args: argparse.Namespace) -> None:
    run = Run.existing(args.run)
    about, license_text = load_about(args.about, run)
    trained = load_calibrated(run)
    _prepare(args, trained, run)
    part, held_out = _training_of(args, trained)
    sources = Sources(
        trained,
        run,
        about,
        license_text,
        held_out,
        open_test=lambda: open_test(args.data, trained, run, "export"),
        labels=load_labels(args.about, about, trained.classes),
        ranges=calibration_pictures(part, quantise.PICTURES) if args.int8 else None,
    )
    say(f"written to {export_family(sources, args.out, args.replace)}")


def _join(args: argparse.Namespace) -> None:
    parts = load_parts(args.family, dict(args.network), args.keep)
    base = parts[0]
    about = typed(About, load_yaml(args.about))
    folders = load_folders(args.about, about, base.trained.classes)
    part, held_out = (split.expect_classes(folders) for split in load_training(args.data, base.data))
    torch.set_num_threads(args.threads or base.trained.config.train.threads)
    pictures = Pictures(
        held_out,
        lambda: load_split(args.data, "test", base.data).expect_classes(folders),
        calibration_pictures(part, quantise.PICTURES) if args.int8 else None,
    )
    say(f"written to {join_families(parts, about, license_of(args.about, about), pictures, args.out, args.replace)}")


def _named(text: str) -> tuple[str, Path]:
    """Parse NAME=FAMILY."""
    name, _, folder = text.partition("=")
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FAMILY, as in lite0=models/lite0")
    return name, Path(folder)


def _random(args: argparse.Namespace) -> None:
    config = _config(args)
    torch.set_num_threads(1)  # other numbers of threads round sums differently and give other bytes
    say(f"written to {export_random(config, args.classes, args.out, args.replace)}")


def _config(args: argparse.Namespace) -> Config:
    return load_config(args.config, args.set)


def _prepare(args: argparse.Namespace, trained: Trained, run: Run) -> None:
    torch.set_num_threads(args.threads or trained.config.train.threads)
    if trained.epoch < trained.config.train.epochs and not run.records("taught"):  # new classes may need no epoch
        say(f"note: training is at epoch {trained.epoch} of {trained.config.train.epochs}")


def _place(args: argparse.Namespace, trained: Trained) -> None:
    """Move the network to the device that was asked for. Raises ConfigError if this machine does not have it."""
    trained.model.to(device_of(args.device or trained.config.train.device))


def _training_of(args: argparse.Namespace, trained: Trained) -> tuple[Split, Split]:
    part, held_out = load_training(args.data, trained.config.data)
    return part.expect_classes(trained.classes), held_out.expect_classes(trained.classes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sdpoint", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(call=call)
        return added

    def data_and_run(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added.add_argument("--data", type=Path, required=True, help="image folder: {train,test}/<class>/<pictures>")
        added.add_argument("--run", type=Path, required=True, help="run folder: checkpoint, log, results")
        return added

    def configured(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added.add_argument("--config", type=Path, required=True, help="YAML; keys and defaults: sdpoint/config.py")
        added.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one key")
        return added

    def threaded(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added.add_argument("--threads", type=int, metavar="N", help="default: train.threads of the run")
        return added

    def placed(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added.add_argument("--device", choices=DEVICES, help="default: train.device of the configuration")
        return threaded(added)

    def written(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added.add_argument("--out", type=Path, required=True, help="models/<name>")
        added.add_argument("--replace", action="store_true", help="replace the family that is there")
        return added

    info = configured(command("info", _info, "the network and what each of its instances costs"))
    info.add_argument("--classes", type=int, default=10)
    trains = data_and_run(
        configured(command("train", _train, "train a network, with stochastic downsampling or as another system"))
    )
    trains.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    placed(data_and_run(command("calibrate", _calibrate, "batch-norm statistics for each instance")))
    evaluates = placed(
        data_and_run(command("evaluate", _evaluate, "accuracy of each instance, or of what else the system has"))
    )
    evaluates.add_argument("--part", choices=PARTS, default="held-out")
    evaluates.add_argument("--statistics", choices=["own", "shared"], default="own", help="shared: the UBN ablation")
    sweeps = placed(command("sweep", _sweep, "run a list of experiments; go on with it where it was interrupted"))
    sweeps.add_argument("list", type=Path, help="YAML; keys: sdpoint/sweep.py")
    sweeps.add_argument("--data", type=Path, required=True, help="image folder: {train,test}/<class>/<pictures>")
    sweeps.add_argument("--runs", type=Path, required=True, help="for run folders")
    sweeps.add_argument("--results", type=Path, required=True, help="for a JSON file of each run, <results>/<list>/")
    sweeps.add_argument("--part", choices=PARTS, default="held-out", help="what to measure on; test only at the end")
    sweeps.add_argument("--parallel", type=int, default=1, metavar="N", help="runs at once, each in a process")
    reports = command("report", _report, "tables and plots of what sweeps left")
    reports.add_argument("results", type=Path, nargs="+", help="folders <results>/<list>, or separate-*.json")
    reports.add_argument(
        "--out", type=Path, required=True, help="for results.md, and results/ with a page and plots for each list"
    )
    reports.add_argument("--part", choices=PARTS, help="default: test, if everything was measured on it")
    adapting.add_arguments(
        command("adapt", adapting.call, "make a trained network adjustable, or teach it new classes")
    )
    exports = threaded(data_and_run(command("export", _export, "write the family that the service reads")))
    written(exports)
    exports.add_argument("--about", type=Path, help="YAML; keys and defaults: sdpoint/export/about.py")
    exports.add_argument("--int8", action="store_true", help="with a twin of each instance in 8 bits")
    joins = written(command("join", _join, "join families of several networks, of the same classes, into one"))
    joins.add_argument("family", type=Path, help="the family whose input and whose `full` are kept")
    joins.add_argument("--network", type=_named, action="append", required=True, metavar="NAME=FAMILY")
    joins.add_argument("--keep", nargs="+", default=[], metavar="ID", help="instances, as in lite0-full; default: all")
    joins.add_argument("--data", type=Path, required=True, help="image folder: {train,test}/<class>/<pictures>")
    joins.add_argument("--about", type=Path, required=True, help="YAML; keys and defaults: sdpoint/export/about.py")
    joins.add_argument("--int8", action="store_true", help="with a twin of each instance in 8 bits")
    joins.add_argument("--threads", type=int, metavar="N", help="default: train.threads of the first family")
    randoms = written(configured(command("random", _random, "a family with random weights, for benchmarks")))
    randoms.add_argument("--classes", type=int, required=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        args.call(args)
    except REFUSALS as error:
        print(f"sdpoint: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
