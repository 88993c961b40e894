"""What ``lava-async demo`` does."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
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
from lava_async.study.report import Run, write_report
from lava_async.study.training import NETWORK, Settings, Training

GROUP_SIZE = 8
CHECKED_SAMPLES = 16
DATA = "digits"


@dataclass(frozen=True)
class Comparison:
    """What the demo found.

    Attributes
    ----------
    rows : list of tuple of str
        Of the table, under `_report.COLUMNS`.
    findings : list of str
        In words, beside the table.
    document : dict
        What ``metrics.json`` holds.
    """

    rows: list[tuple[str, ...]]
    findings: list[str]
    document: dict[str, Any]


def compare(
    folder: Path, epochs: int, seed: int, on_epoch: Callable[[str], object] = lambda text: None
) -> Comparison:
    """Train layered and unlayered, run both in both ways, check Lava, write the report.

    Parameters
    ----------
    folder : Path
        An existing, empty folder.
    epochs, seed : int
        Of either training.
    on_epoch : callable
        Called after each epoch with what it reached.

    Raises
    ------
    ExecutionError
        Trainer and Lava give different spikes.
    """
    started = time.perf_counter()
    asynchronous = Momentum(GROUP_SIZE, seed=seed)
    ways: dict[str, Schedule] = {
        "layer by layer": LayerSync(GROUP_SIZE),
        "asynchronously": asynchronous,
    }
    x, labels = load_split(DATA, train=False)
    runs: list[Run] = []
    for method, schedule in zip(("layered", "unlayered"), ways.values(), strict=True):
        training = Training(Settings(DATA, schedule, seed))
        here = folder / method
        with results_folder(here):
            training.run(epochs, here, on_epoch)
        graph = load(here / NETWORK)
        x = fit_to(graph, x, labels, str(here / NETWORK))
        for way, run_schedule in ways.items():
            record = simulate(graph, x, run_schedule)
            runs.append(Run(method, way, graph, run_schedule, record, labels))
        check_lava(training.network, graph, x[:CHECKED_SAMPLES], asynchronous, method)

    before, after = runs[1].evaluate(), runs[3].evaluate()
    saved = 1 - after.spikes_per_sample / before.spikes_per_sample
    findings = [
        f"Run asynchronously, unlayered training gives {after.accuracy:.3f} with "
        f"{after.spikes_per_sample:.0f} spikes a sample, layered training "
        f"{before.accuracy:.3f} with {before.spikes_per_sample:.0f}: "
        f"{abs(saved):.0%} {'fewer' if saved >= 0 else 'more'} spikes.",
        f"Trainer and Lava give the same spikes: both networks, {CHECKED_SAMPLES} test samples. "
        "Kernel and Lava agree on every neuron.",
    ]
    settings = (
        f"{epochs} epochs, seed {seed}, {len(labels)} test samples; asynchronously: momentum, "
        f"F = {GROUP_SIZE}. Networks, checkpoints and the course of the training are in "
        "`layered/` and `unlayered/`."
    )
    write_report(folder, runs, raster=runs[3], x=x, paragraphs=[settings, *findings])
    document = {
        "data": DATA,
        "epochs": epochs,
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 1),
        "lava_equal_on": CHECKED_SAMPLES,
        "runs": [
            {
                "trained": run.trained,
                "run": run.run,
                "schedule": run.schedule.to_dict(),
                **dataclasses.asdict(run.evaluate()),
            }
            for run in runs
        ],
    }
    with atomic_path(folder / "metrics.json") as path:
        path.write_text(json.dumps(document, indent=2) + "\n")
    return Comparison([run.cells() for run in runs], findings, document)


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
    frames = x.reshape(len(x), *shape, x.shape[-1]).astype(np.float32)
    with torch.no_grad():
        spikes = network(torch.from_numpy(frames), sample_ids=np.arange(len(x)))
    trained = spikes.numpy().reshape(lava.spikes.shape)
    if not np.array_equal(trained, lava.spikes):
        place = [int(i) for i in np.argwhere(trained != lava.spikes)[0]]
        at = tuple(place)
        raise ExecutionError(
            f"{where}: trainer and Lava", f"output spike at [sample, …, time step] {place}",
            int(lava.spikes[at]), int(trained[at]),
        )
