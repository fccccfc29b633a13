"""Joins families of several networks into one: manifest format 3, the command `sdpoint join`.

The first family gives the input, the classes, and `full`; the networks of the others get a name, which comes before
the ids of their instances, as in `lite0-p01-r554`. All see the same pictures. A network with a smaller input reduces
them in its graph, by linear interpolation, which counts no FLOPs by the convention (neither convolution nor linear
layer). An instance that downsamples directly behind the stem does not: its stem sees the picture as it is, and the
map is reduced to the size that it had before, at a smaller r, so that nothing is resized twice. So every instance is
measured anew, and its temperature fitted anew, on pictures as the service will give them.

The families must have been adapted or trained on the same part of `--data`, with the same pictures held out: a held-out
picture that one network has learnt from would make its temperatures too low.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from sdpoint.checkpoint import Trained
from sdpoint.config import DataConfig
from sdpoint.data import Split
from sdpoint.downsample import downsampled_size
from sdpoint.export import ExportError
from sdpoint.export import manifest as manifests
from sdpoint.export.about import LICENSE, About
from sdpoint.export.family import build_graphs, golden_cases, publish, verify_family, write_json
from sdpoint.export.joined_card import Story, write_joined_card
from sdpoint.export.load import load_family
from sdpoint.export.measure import TOLERANCE, Measured, Member, check_parity, id_of, measure
from sdpoint.export.quantise import quantise
from sdpoint.export.weights import write_graphs
from sdpoint.flops import network_flops
from sdpoint.instance import FULL, Instance
from sdpoint.models.blocks import PoolingStem
from sdpoint.run import commit, progress, say

NETWORK = re.compile(r"[a-z][a-z0-9]{0,15}")
HELD_OUT_KEYS = ("held_out", "name")  # of section data: they decide which pictures are held out, and of what


@dataclass(frozen=True)
class Part:
    """Instances of a family that become a part of another one, those that get pictures of one size.

    network: empty for the first family, whose `full` stays `full`; trained.config.data.size: what the network gets.
    """

    network: str
    folder: Path
    manifest: dict[str, Any]
    trained: Trained
    instances: tuple[Instance, ...]

    @property
    def data(self) -> DataConfig:
        return self.trained.config.data


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures, preprocessed as for the first family. ranges: for int8 maps; None: no int8 twins."""

    held_out: Split
    open_test: Callable[[], Split]
    ranges: Tensor | None = None


def load_parts(base: Path, others: Mapping[str, Path], keep: Sequence[str] = ()) -> list[Part]:
    """Read the families. others: by the name of the network; keep: ids of the instances to keep; empty: all.

    Raises ExportError if a name, a family or an id does not fit.
    """
    names = {"": base, **others}
    parts = []
    for network, folder in names.items():
        if network and not NETWORK.fullmatch(network):
            raise ExportError(f"{network!r} cannot name a network; expected a letter, then up to 15 letters or digits")
        manifest = verify_family(folder)
        if manifest.get("networks"):
            raise ExportError(f"{folder} has several networks already; join the families that it was made from")
        whole = Part(network, folder, manifest, trained := load_family(folder), tuple(trained.instances))
        parts += _at_size(whole, parts[0].data if parts else whole.data)
    _check(parts, keep)
    kept = [replace(part, instances=tuple(i for i in part.instances if _is_kept(i, part, keep))) for part in parts]
    return [part for part in kept if part.instances]


def _is_kept(instance: Instance, part: Part, keep: Sequence[str]) -> bool:
    id = id_of(instance, network=part.network)
    return not keep or id in keep or id == FULL.id


def _at_size(part: Part, data: DataConfig) -> list[Part]:
    """The family for pictures of the size of `data`: instances that reduce them first, and those of point 1."""
    trained, model = part.trained, part.trained.model
    if part.data.size == data.size or isinstance(model.stem, PoolingStem):
        return [part]
    own, given = (model.plan.stem.size_after(size) for size in (part.data.size, data.size))
    first, instances, statistics = [], [], {}
    for instance in part.instances:
        if instance.p != 1:
            first.append(instance)
            continue
        moved = Instance(1, round(downsampled_size(own, instance.r) / given, 3))
        instances.append(moved)
        statistics[moved.id] = trained.statistics[instance.id]
    config = replace(trained.config, data=replace(part.data, size=data.size, resize=data.resize))
    at_size = replace(trained, config=config, statistics=statistics)
    return [replace(part, instances=tuple(first)), replace(part, trained=at_size, instances=tuple(instances))]


def _check(parts: Sequence[Part], keep: Sequence[str]) -> None:
    base, *others = parts
    for part in others:
        if part.trained.classes != base.trained.classes:
            raise ExportError(f"{part.folder} and {base.folder} have other classes, or in another order")
        for key in HELD_OUT_KEYS:
            if getattr(part.data, key) != getattr(base.data, key):
                raise ExportError(
                    f"data.{key} is {getattr(part.data, key)!r} in {part.folder}, {getattr(base.data, key)!r} in "
                    f"{base.folder}; held-out pictures would not be the same"
                )
    known = {id_of(i, network=part.network) for part in parts for i in part.instances}
    if unknown := sorted(set(keep) - known):
        raise ExportError(f"there is no instance {unknown[0]}; there are {sorted(known)} among those to keep")
    for network in dict.fromkeys(part.network for part in others):
        own = {id_of(i, network=network) for part in others if part.network == network for i in part.instances}
        if keep and not own & set(keep):
            raise ExportError(f"no instance of {network} is kept; leave the network out")


def join_families(
    parts: Sequence[Part], about: About, license_text: str, pictures: Pictures, out: Path, replace_old: bool = False
) -> Path:
    """Write the joined family to the folder `out`, as `export_family` does. Returns its absolute path.

    Raises ExportError, or FileExistsError if `out` exists and `replace_old` is off.
    """
    return publish(out, replace_old, lambda folder, name: _write(parts, about, license_text, pictures, name, folder))


def _write(parts: Sequence[Part], about: About, license_text: str, pictures: Pictures, name: str, folder: Path) -> None:
    base = parts[0]
    size, classes = base.data.size, len(base.trained.classes)
    graphs = {
        id_of(i, network=part.network): graph
        for part in parts
        for i, graph in zip(part.instances, build_graphs(part.trained, part.instances, size).values(), strict=True)
    }
    if pictures.ranges is not None:
        graphs |= {f"{id}-i8": quantise(graphs[id], size, classes, pictures.ranges) for id in progress(graphs, "int8")}
    parameters = {name for part in parts for name, _ in part.trained.model.named_parameters()}
    write_graphs(graphs, parameters, size, classes, folder)
    for part in parts:
        check_parity(folder, part.trained, pictures.held_out.images, part.network, part.instances)
    measured = _measured(parts, pictures, folder)
    write_json(folder / "labels.json", list(base.trained.classes))
    cases = [case for p in parts for case in golden_cases(p.trained, size, p.instances, p.network)]
    write_json(folder / "golden.json", {"tolerance": TOLERANCE, "cases": cases})
    (folder / LICENSE).write_text(license_text)
    stories: dict[str, Story] = {}
    for part in parts:
        stories.setdefault(part.network, _story(part))
    write_joined_card(folder, name, base.trained, about, measured, stories)
    write_json(folder / manifests.FILE, _manifest(parts, about, measured, name, folder), indent=2)
    say(f"{len(measured)} instances, {sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.2f} MB")


def _measured(parts: Sequence[Part], pictures: Pictures, folder: Path) -> list[Measured]:
    """Figures of all instances: float32 of all networks, then int8, `full` first."""
    base, test = parts[0], pictures.open_test()
    full = network_flops(base.trained.config.model, len(base.trained.classes), base.data.size)
    figures = [
        m
        for part in parts
        for m in measure(
            folder,
            part.trained,
            pictures.held_out,
            lambda: test,
            pictures.ranges is not None,
            Member(part.network, full, part.instances),
        )
    ]
    return sorted(figures, key=lambda m: m.precision != "float32")


def _manifest(
    parts: Sequence[Part], about: About, measured: Sequence[Measured], name: str, folder: Path
) -> dict[str, Any]:
    """That of the first family, with the instances and the networks of all."""
    base, others = parts[0], parts[1:]
    origin = base.manifest["provenance"]
    provenance = manifests.Provenance(
        commit=commit(),
        device="cpu",
        seed=origin["seed"],
        hours=round(sum(part.manifest["provenance"]["hours"] for part in parts), 2),
        versions=origin["versions"],
        recipe=origin["recipe"],
    )
    composed = manifests.compose(name, base.trained, about, provenance, measured, manifests.hash_files(folder))
    networks = {
        part.network: {key: part.manifest[key] for key in ("architecture", "license", "source")} for part in others
    }
    return {**composed, "formatVersion": 3, "networks": networks}


def _story(part: Part) -> Story:
    """What the family's card says of its making. Raises ExportError if it has no such section."""
    text = (part.folder / "README.md").read_text()
    _, found, rest = text.partition("## How it was made\n")
    if not found:
        raise ExportError(f"{part.folder}/README.md has no section `How it was made`")
    weights = sum(parameter.numel() for parameter in part.trained.model.parameters())
    size = part.manifest["input"]["width"]
    return Story(part.manifest["architecture"], weights, size, rest.partition("\n## ")[0].strip())
