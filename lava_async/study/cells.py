"""The cells of a study: each a pure function of its configuration, whatever process computes it.

On one thread, as there are processes for all cores.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import tempfile
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lava_async
from lava_async._parts import parts
from lava_async._semantics import schedule as schedules
from lava_async._semantics.graph import Graph
from lava_async.datasets import lookup
from lava_async.errors import ExecutionError, TrainingWarning
from lava_async.study.data import Split, first, fit_to, load_split
from lava_async.study.runs import run_split
from lava_async.study.settings import Settings

_PACKAGE = Path(lava_async.__file__).parent
_DETERMINED_BY = (
    "_files", "_kernel", "_parts.py", "_semantics", "_simulate.py", "datasets", "metrics",
    "slayer", "study/cells.py", "study/data.py", "study/recipe.py", "study/runs.py",
    "study/settings.py",
)  # fmt: skip


@functools.cache
def code() -> dict[str, str]:
    """The version of this package, and a digest of its sources that cells are computed by."""
    sha = hashlib.sha256()
    for name in _DETERMINED_BY:
        place = _PACKAGE / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            source = file.read_bytes()
            sha.update(f"{file.relative_to(_PACKAGE).as_posix()} {len(source)}\n".encode())
            sha.update(source)
    return {"version": lava_async.__version__, "sources": sha.hexdigest()}


def describe_data(
    name: str, samples: int | None, train: bool, root: str | None
) -> dict[str, Any]:
    """A split in a cell's configuration: what makes it, and a digest of what that made here."""
    digest = load(name, samples, train, root, lookup.folder())[1]
    return {"name": name, "samples": samples, "train": train, "digest": digest}


@functools.lru_cache(maxsize=2)  # the splits of one data set
def load(
    name: str, samples: int | None, train: bool, root: str | None, folder: str
) -> tuple[Split, str]:
    """The first ``samples`` of a split, and their digest.

    ``root`` is where it is on the disk; ``folder``, `lookup.folder`, what its name may go by.
    """
    x, labels = first(samples, load_split(name, train, root))
    sha = hashlib.sha256()
    for each in (x, labels):
        sha.update(f"{each.dtype} {each.shape}\n".encode())
        for part in parts(each):
            sha.update(np.ascontiguousarray(each[part]).data)
    return (x, labels), sha.hexdigest()


def _load_described(configuration: dict[str, Any], root: str | None) -> Split:
    """The data of a cell; raises `ExecutionError` if a cell is another one on this machine."""
    if configuration["code"] != code():
        wanted = f"{configuration['code']['version']}, with the sources that the study began with"
        raise ExecutionError("worker", "lava_async", wanted, code()["version"])
    data = configuration["data"]
    split, digest = load(
        data["name"], data["samples"], data["train"], root, lookup.folder()
    )
    if digest != data["digest"]:
        raise ExecutionError(
            f"data {data['name']}", "samples", "those that the study began with", "others"
        )
    return split


Result = tuple[dict[str, Any], bytes | None]
"""Plain data, and the file of the network that a cell trained."""


# Workers of a cluster may have threads, which share PyTorch's generator and number of threads.
_TRAINING = threading.Lock()


def train(configuration: dict[str, Any], root: str | None) -> list[Result]:
    """Train a network: warnings, and a digest of its file. One at a time in a process.

    Parameters
    ----------
    configuration : dict
        ``settings`` (`Settings.to_dict`), ``data`` (`describe_data`) and ``code`` (`code`).
    root : str, optional
        Where data sets are on the disk, which no result depends on.
    """
    with _TRAINING:
        return [_train(configuration, root)]


def _train(configuration: dict[str, Any], root: str | None) -> Result:
    # SLAYER tells of toolboxes that nobody asked for, and stdout may be a document.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from lava_async.study import health, recipe  # load torch and SLAYER

    settings = Settings.from_dict(configuration["settings"])
    x, labels = _load_described(configuration, root)
    network = recipe.build_network(settings.schedule, settings.seed, settings.recipe)
    network.num_threads = 1
    optimizer = recipe.build_optimizer(network, settings.recipe)
    told: dict[str, None] = {}  # in their order, each once
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrainingWarning)
        for epoch in range(settings.recipe.epochs):
            passed = recipe.train_epoch(
                network, optimizer, x, labels, epoch=epoch, seed=settings.seed,
                recipe=settings.recipe,
            )  # fmt: skip
            told |= dict.fromkeys(health.examine_gradient(passed).values())
    told |= dict.fromkeys(
        str(each.message) for each in caught if issubclass(each.category, TrainingWarning)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.net")
        network.export_hdf5(path)
        file = path.read_bytes()
    digest = hashlib.sha256(file).hexdigest()
    return {"warnings": list(told), "network": digest}, file


def run(
    graph: Graph, configurations: Sequence[dict[str, Any]], root: str | None
) -> list[Result]:
    """Run a network in several ways; sums over the samples of each, whole numbers all.

    Parameters
    ----------
    graph : Graph
    configurations : sequence of dict
        ``schedule`` (`Schedule.to_dict`), ``stop_after``, and ``data`` and ``code`` as in `train`.
    root : str, optional
        As in `train`.
    """
    return [(_run(graph, configuration, root), None) for configuration in configurations]


def _run(graph: Graph, configuration: dict[str, Any], root: str | None) -> dict[str, Any]:
    x, labels = _load_described(configuration, root)
    stop = configuration["stop_after"]
    totals = run_split(
        graph, fit_to(graph, x, labels, "network"), labels,
        schedules.from_dict(configuration["schedule"]), stop_after=stop, num_threads=1,
    )  # fmt: skip
    return {
        "samples": totals.samples,
        "neurons": graph.num_neurons,
        "time_steps": totals.time_steps,
        "correct": totals.correct,
        "spikes": int(totals.spikes.sum()),
        "synops": totals.synops,
        "forward_steps": totals.forward_steps,
        "decided": totals.decided,
        "decision_steps": totals.decision_steps,
        "decision_time_steps": totals.decision_time_steps,
        # Of early decision every sample ends where it is decided: no course of its own.
        "curve": totals.correct_after.tolist() if stop is None else None,
    }
