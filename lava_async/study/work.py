"""The cells of a study that are not done yet: computed anywhere, kept here."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lava_async._files.hdf5 import load
from lava_async._semantics.graph import Graph, check_early_decision
from lava_async.datasets import lookup
from lava_async.errors import FileFormatError
from lava_async.study import cells, processes
from lava_async.study.data import fit_to
from lava_async.study.grid import GIVEN, UNROLLED, Run, Study, Training, describe
from lava_async.study.results import order_text
from lava_async.study.store import Configuration, Store
from lava_async.study.table import Label, Point, Row, make_points, make_row

Advance = Callable[..., object]
Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""Of a description and a number of cells; enters with what is called with so many done."""


@contextlib.contextmanager
def silent(description: str, total: int) -> Iterator[Advance]:
    """Progress that nobody looks at."""
    yield lambda done=1, text=None: None


@dataclass(frozen=True)
class Network:
    """A network that is there to be run.

    Attributes
    ----------
    label : Label
    digest : str
        SHA-256 of its file.
    load : callable
        Reads it.
    """

    label: Label
    digest: str
    load: Callable[[], Graph]


def read_given(study: Study, path: Path, root: str | None) -> Network:
    """A network of the user's.

    Raises
    ------
    ValidationError
        The file cannot be read, or the network does not fit the data.
    """
    (x, labels), _ = cells.load(study.data, study.samples, False, root, lookup.folder())
    try:
        graph = load(path)
    except FileFormatError as error:
        if error.what != "input shape":  # which SLAYER's files do not tell of convolutions
            raise
        graph = load(path, x.shape[1:-1])
    fit_to(graph, x, labels, str(path))
    check_early_decision(str(path), next(iter(study.stop_after), None), graph.output_can_fire)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    same_name = sum(Path(file).name == path.name for file in study.given) > 1
    name = str(path) if same_name else path.name
    trained_with, group_size = describe(graph.schedule)
    label = Label(
        study.data, GIVEN, trained_with, group_size, None, None, None, digest[:16], name
    )
    return Network(label, digest, lambda: graph)


class Work:
    """What a study takes, in its folder of cells.

    Attributes
    ----------
    computed : int
        Cells that were not done before.
    """

    def __init__(
        self, study: Study, store: Store, jobs: int | None, scheduler: str | None,
        root: str | None, progress: Progress,
    ) -> None:  # fmt: skip
        self.computed = 0
        self._study = study
        self._store = store
        self._processes: dict[str, Any] = {"jobs": jobs, "scheduler": scheduler}
        self._root = root
        self._progress = progress
        self._warnings: list[str] = []

    def warnings(self) -> list[str]:
        """What went wrong in trainings, and which files were damaged."""
        names = ", ".join(path.name for path in self._store.damaged)
        damaged = [f"{self._store.folder}: damaged, and computed again: {names}"]
        return [*self._warnings, *(damaged if names else [])]

    def train(self) -> list[Network]:
        """The networks of the study's trainings, those not done yet trained now."""
        trainings = self._study.trainings()
        if not trainings:
            return []
        data = self._describe_data(train=True)
        configurations = [
            {"cell": "train", "settings": each.settings.to_dict(), "data": data,
             "code": cells.code()}
            for each in trainings
        ]  # fmt: skip
        results = self._complete(
            "training networks", cells.train, configurations,
            [f"training {_describe_training(each)}" for each in trainings],
            lambda left: [{i: (configurations[i], self._root)} for i in left],
        )  # fmt: skip
        return [
            self._trained(*each) for each in zip(trainings, configurations, results, strict=True)
        ]

    def _trained(
        self, training: Training, configuration: Configuration, result: dict[str, Any]
    ) -> Network:
        settings, digest = training.settings, result["network"]
        told = f"{training.name}, seed {settings.seed}"
        self._warnings += [f"{told}: {text}" for text in result["warnings"]]
        trained_with, group_size = describe(settings.schedule)
        label = Label(
            self._study.data, training.method, trained_with, group_size,
            settings.recipe.penalty, settings.recipe.epochs, settings.seed, digest[:16],
            training.name,
        )  # fmt: skip
        return Network(label, digest, lambda: load(self._store.network(configuration)))

    def run(self, networks: Sequence[Network]) -> tuple[list[Row], list[Point]]:
        """The tables of networks, run in each way of the study."""
        data = self._describe_data(train=False)
        asked = [
            (network, run)
            for network in networks
            for run in self._study.runs(network.label.seed)
        ]
        configurations = [
            {"cell": "run", "network": network.digest, "data": data,
             "schedule": run.schedule.to_dict(), "stop_after": run.stop_after,
             "code": cells.code()}
            for network, run in asked
        ]  # fmt: skip

        def batches(left: Sequence[int]) -> Iterator[processes.Batch]:
            # A schedule with all of its K: to hand over a network takes as long as a run.
            for network, of_network in itertools.groupby(left, lambda place: asked[place][0]):
                graph = network.load()
                for _, group in itertools.groupby(
                    of_network, lambda place: asked[place][1].spec
                ):
                    yield {i: (graph, [configurations[i]], self._root) for i in group}

        names = [f"running {_describe_run(network.label, run)}" for network, run in asked]
        results = self._complete("running networks", cells.run, configurations, names, batches)
        (_, labels), _ = cells.load(
            self._study.data, self._study.samples, False, self._root, lookup.folder()
        )
        commonest = int(np.bincount(labels).max())
        rows: list[Row] = []
        points: list[Point] = []
        for (network, run), sums in zip(asked, results, strict=True):
            rows.append(make_row(network.label, run, sums, commonest))
            points += make_points(network.label, run, sums)
        return rows, points

    def _complete(
        self,
        text: str,
        function: Callable[..., list[cells.Result]],
        configurations: Sequence[Configuration],
        names: Sequence[str],
        batches: Callable[[Sequence[int]], Iterable[processes.Batch]],
    ) -> list[dict[str, Any]]:
        """Results of cells, those computed now that are not there.

        text : for the progress; function : computes a cell; names : of the cells; batches : of the
        places of those that are left.
        """
        found = {place: self._store.get(each) for place, each in enumerate(configurations)}
        done = {place: result for place, result in found.items() if result is not None}
        left = [place for place in found if place not in done]
        if left:
            self._compile(configurations[0]["cell"] == "train")
        with self._progress(text, len(found)) as advance:
            advance(len(done))
            work = list(batches(left))
            # What the data set's name goes by has no part in what comes out.
            from_here = functools.partial(lookup.call_from, lookup.folder(), function)
            computed = processes.each(from_here, work, names.__getitem__, **self._processes)
            for place, [(result, file)] in computed:
                self._store.put(configurations[place], result, file)
                done[place] = result
                self.computed += 1
                advance()
        return [done[place] for place in found]

    def _compile(self, training: bool) -> None:
        """Once what each process of this machine would compile by itself."""
        jobs, scheduler = self._processes["jobs"], self._processes["scheduler"]
        if scheduler is not None or processes.count(jobs) == 1:
            return
        from lava_async.study import kernels  # loads numba, which takes half a second

        missing = kernels.missing(training and set(self._study.methods) != {UNROLLED})
        if missing:
            kernels.compile_all(missing, jobs)

    def _describe_data(self, train: bool) -> dict[str, Any]:
        return cells.describe_data(self._study.data, self._study.samples, train, self._root)


def _describe_training(training: Training) -> str:
    """All that a training of a study may differ in from the others, in words."""
    recipe, seed = training.settings.recipe, training.settings.seed
    return _describe_network(
        training.method, describe(training.settings.schedule)[0], recipe.penalty, seed
    )


def _describe_run(label: Label, run: Run) -> str:
    """A network and a way to run it, in words."""
    network = label.name
    if label.method != GIVEN:
        network = _describe_network(label.method, label.trained_with, label.penalty, label.seed)
    stop = "" if run.stop_after is None else f", K = {run.stop_after}"
    return f"{network}, run {order_text(run.spec)}{stop}"


def _describe_network(
    method: str, trained_with: str, penalty: float | None, seed: int | None
) -> str:
    return f"{method}, {order_text(trained_with)}, penalty {penalty:g}, seed {seed}"
