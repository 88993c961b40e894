"""The cells of a study that are not done yet: computed anywhere, kept here."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lava_async._files.hdf5 import load
from lava_async._semantics.graph import Graph
from lava_async.errors import FileFormatError
from lava_async.study import cells, processes
from lava_async.study.data import fit_to
from lava_async.study.grid import GIVEN, Study, Training, describe
from lava_async.study.store import Configuration, Store
from lava_async.study.table import Label, Point, Row, make_points, make_row

Advance = Callable[..., object]
Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""Of a description and a number of cells; enters with what is called with so many done."""


_Batch = tuple[Sequence[int], tuple[Any, ...]]
"""Places of cells, and the arguments of the call that computes them."""


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
    (x, labels), _ = cells.load(study.data, study.samples, False, root)
    try:
        graph = load(path)
    except FileFormatError as error:
        if error.what != "input shape":  # which SLAYER's files do not tell of convolutions
            raise
        graph = load(path, x.shape[1:-1])
    fit_to(graph, x, labels, str(path))
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
        self._processes = {"jobs": jobs, "scheduler": scheduler}
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
            lambda left: [([i], (configurations[i], self._root)) for i in left],
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

        def batches(left: Sequence[int]) -> Iterator[_Batch]:
            # A schedule with all of its K: to hand over a network takes as long as a run.
            for network, of_network in itertools.groupby(left, lambda place: asked[place][0]):
                graph = network.load()
                for _, group in itertools.groupby(
                    of_network, lambda place: asked[place][1].spec
                ):
                    places = list(group)
                    yield places, (graph, [configurations[place] for place in places], self._root)

        results = self._complete("running networks", cells.run, configurations, batches)
        rows: list[Row] = []
        points: list[Point] = []
        for (network, run), sums in zip(asked, results, strict=True):
            rows.append(make_row(network.label, run, sums))
            points += make_points(network.label, run, sums)
        return rows, points

    def _complete(
        self,
        text: str,
        function: Callable[..., list[cells.Result]],
        configurations: Sequence[Configuration],
        batches: Callable[[Sequence[int]], Iterable[_Batch]],
    ) -> list[dict[str, Any]]:
        """Results of cells, those computed now that are not there.

        text : for the progress; function : computes the cells of a batch; batches : of the places
        of those that are left, a batch each call.
        """
        found = {place: self._store.get(each) for place, each in enumerate(configurations)}
        done = {place: result for place, result in found.items() if result is not None}
        left = [place for place in found if place not in done]
        with self._progress(text, len(found)) as advance:
            advance(len(done))
            work = list(batches(left))
            calls = [arguments for _, arguments in work]
            for number, results in processes.each(function, calls, **self._processes):
                for place, (result, file) in zip(work[number][0], results, strict=True):
                    self._store.put(configurations[place], result, file)
                    done[place] = result
                    self.computed += 1
                    advance()
        return [done[place] for place in found]

    def _describe_data(self, train: bool) -> dict[str, Any]:
        return cells.describe_data(self._study.data, self._study.samples, train, self._root)
