"""What ``lava-async demo`` does."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lava_async import slayer
from lava_async._files.atomic import atomic_path
from lava_async._files.hdf5 import load
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import LayerSync, Momentum, Schedule
from lava_async._simulate import simulate
from lava_async._verify import first_difference
from lava_async.errors import ExecutionError
from lava_async.study.data import fit_to, load_split
from lava_async.study.folders import results_folder
from lava_async.study.report import Run, Summary, summarise, write_report
from lava_async.study.runs import run_split
from lava_async.study.settings import DIGITS, Settings
from lava_async.study.training import NETWORK, Training

GROUP_SIZE = 8
CHECKED_SAMPLES = 16
DATA = "digits"
LAYER_BY_LAYER, ASYNCHRONOUSLY = "layer by layer", "asynchronously"
METHODS = {
    "layered": (LAYER_BY_LAYER, False),
    "layered + penalty": (LAYER_BY_LAYER, True),
    "unlayered": (ASYNCHRONOUSLY, True),
}
"""How networks are trained: in which way, and whether with the penalty on spikes."""


@dataclass(frozen=True)
class Comparison:
    """What the demo found.

    Attributes
    ----------
    rows : list of tuple of str
        Of the table, under `report.COLUMNS`.
    findings : list of str
        In words, beside the table.
    document : dict
        What ``metrics.json`` holds.
    """

    rows: list[tuple[str, ...]]
    findings: list[str]
    document: dict[str, Any]


def compare(
    folder: Path,
    epochs: int,
    seeds: Sequence[int],
    on_epoch: Callable[[str], object] = lambda text: None,
) -> Comparison:
    """Train in several ways, run each network in both, check Lava, write the report.

    Parameters
    ----------
    folder : Path
        An existing, empty folder.
    epochs : int
        Of each training.
    seeds : sequence of int
        One or more. The figures, and the check of Lava, are of the first.
    on_epoch : callable
        Called after each epoch with what it reached.

    Raises
    ------
    ExecutionError
        Trainer and Lava give different spikes.
    """
    started = time.perf_counter()
    train, (x, labels) = load_split(DATA, train=True), load_split(DATA, train=False)
    runs: list[Run] = []
    for seed in seeds:
        ways = _ways(seed)
        for method, (way, penalty) in METHODS.items():
            recipe = DIGITS if penalty else dataclasses.replace(DIGITS, penalty=0.0)
            training = Training(Settings(DATA, ways[way], seed, recipe))
            here = folder / _folder(method, seed, seeds)
            with results_folder(here):
                training.run(
                    epochs, here, lambda text, seed=seed: on_epoch(f"seed {seed}: {text}"),
                    splits=(train, (x, labels)), save_each=False,
                )  # fmt: skip
            graph = load(here / NETWORK)
            x = fit_to(graph, x, labels, str(here / NETWORK))
            for way, schedule in ways.items():
                totals = run_split(graph, x, labels, schedule)
                runs.append(Run(method, way, seed, graph, schedule, totals))
            if seed == seeds[0]:
                check_lava(
                    training.network, graph, x[:CHECKED_SAMPLES], ways[ASYNCHRONOUSLY], method
                )

    rows = summarise(runs)
    findings = [
        _gain(rows),
        f"Trainer and Lava give the same spikes: the networks of seed {seeds[0]}, "
        f"{CHECKED_SAMPLES} test samples. Kernel and Lava agree on every neuron.",
    ]
    settings = (
        f"{epochs} epochs, {_plural(len(seeds), 'seed')} from {seeds[0]} on, {len(labels)} test "
        f"samples; asynchronously: momentum, F = {GROUP_SIZE}; penalty: {DIGITS.penalty} a spike "
        "and sample, in unlayered training too. Networks, checkpoints and the course of each "
        "training are in folders named after it."
    )
    spread = ["± is the standard deviation over the seeds."] if len(seeds) > 1 else []
    first = [run for run in runs if run.seed == seeds[0]]
    write_report(
        folder, rows, first, raster=first[-1], x=x, labels=labels,
        paragraphs=[settings, *spread, *findings],
    )  # fmt: skip
    document = {
        "data": DATA,
        "epochs": epochs,
        "seeds": list(seeds),
        "recipe": DIGITS.to_dict(),
        "seconds": round(time.perf_counter() - started, 1),
        "lava_equal_on": CHECKED_SAMPLES,
        "runs": [
            {
                "trained": run.trained,
                "run": run.run,
                "seed": run.seed,
                "schedule": run.schedule.to_dict(),
                **dataclasses.asdict(run.totals.evaluation()),
            }
            for run in runs
        ],
    }
    with atomic_path(folder / "metrics.json") as path:
        path.write_text(json.dumps(document, indent=2) + "\n")
    return Comparison([row.cells() for row in rows], findings, document)


def _ways(seed: int) -> dict[str, Schedule]:
    return {
        LAYER_BY_LAYER: LayerSync(GROUP_SIZE),
        ASYNCHRONOUSLY: Momentum(GROUP_SIZE, seed=seed),
    }


def _folder(method: str, seed: int, seeds: Sequence[int]) -> str:
    """Of a training: named after the method; of later seeds, after these too."""
    name = method.replace(" + ", "-with-")
    return name if seed == seeds[0] else f"{name}-seed-{seed}"


def _gain(rows: Sequence[Summary]) -> str:
    """What unlayered training gives, in words."""
    found = {row.trained: row for row in rows if row.run == ASYNCHRONOUSLY}
    spikes = {name: row.mean("spikes_per_sample") for name, row in found.items()}
    plain, control, ours = (
        f"{row.mean('accuracy'):.3f} with {spikes[name]:.0f} spikes a sample"
        for name, row in found.items()
    )
    saved = 1 - spikes["unlayered"] / spikes["layered"] if spikes["layered"] else 0.0
    return (
        f"Run asynchronously, unlayered training gives {ours}; layered training {plain}, so "
        f"{abs(saved):.0%} {'fewer' if saved >= 0 else 'more'} spikes; layered training with the "
        f"same penalty {control}."
    )


def _plural(count: int, name: str) -> str:
    return f"{count} {name}{'s' * (count != 1)}"


def check_lava(
    network: slayer.Network,
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: Schedule,
    where: str,
) -> None:
    """Raise `ExecutionError` unless trainer, kernel and Lava give the same spikes.

    network : what was trained; graph : what its exported file says.
    """
    lava = simulate(graph, x, schedule, backend="lava")
    kernel = simulate(graph, x, schedule)
    difference = first_difference(graph, kernel, lava, ("kernel", "lava"))
    if difference is not None:
        raise ExecutionError(f"{where}: {difference}")
    network.schedule = schedule
    network.eval()
    shape = network.input_shape or graph.input_shape
    frames = x.reshape(len(x), *shape, x.shape[-1])  # as in training: no other kernel to compile
    with torch.no_grad():
        result = network(torch.from_numpy(frames), sample_ids=np.arange(len(x)))
    spikes = result if network.penalty is None else result[0]
    trained = spikes.numpy().reshape(lava.spikes.shape)
    if not np.array_equal(trained, lava.spikes):
        place = [int(i) for i in np.argwhere(trained != lava.spikes)[0]]
        at = tuple(place)
        raise ExecutionError(
            f"{where}: trainer and Lava", f"output spike at [sample, …, time step] {place}",
            int(lava.spikes[at]), int(trained[at]),
        )
