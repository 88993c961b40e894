"""What is printed of results and networks: a line or a few, however much they hold."""

import dataclasses
import importlib
import importlib.util
import inspect
import itertools
from pathlib import Path

import numpy as np
import pytest

import lava_async as la
from lava_async import cost, metrics
from lava_async._semantics.brief import Brief
from lava_async.datasets.packed import PackedFrames
from lava_async.study import Outcome
from study_rows import realistic

SAMPLES = 300
RNG = np.random.default_rng(0)
GRAPH = la.Graph(
    (40,),
    [la.Population("hidden", (50,), RNG.integers(0, 4096, 50), 4096, 5, RNG.integers(0, 3, 50)),
     la.Population("output", (3,), 4096, 4096, 5)],
    [la.Dense(la.INPUT, 0, RNG.integers(-9, 10, (50, 40))),
     la.Dense(0, 1, RNG.integers(-9, 10, (3, 50)), delay=RNG.integers(0, 3, 50))],
)  # fmt: skip
X = RNG.integers(0, 2, (SAMPLES, 40, 6))
LABELS = RNG.integers(0, 3, SAMPLES)
ORDERS = (la.LayerSync(), la.Momentum(1, noise=0.5, seed=3), la.Random(1))
RECORD = la.simulate(GRAPH, X)
SPARSE = la.simulate(GRAPH, X[:3], record="sparse")
TABLE = metrics.accuracy_by_schedule(GRAPH, X, LABELS, ORDERS)
OBJECTS = (
    GRAPH, GRAPH.populations[0], GRAPH.connections[1], GRAPH.connections[0].synapses((40,)),
    RECORD, SPARSE, SPARSE.events, TABLE, TABLE.worst, metrics.evaluate(GRAPH, RECORD, LABELS),
    metrics.Totals.of(RECORD, LABELS), cost.estimate(RECORD, cost.LOIHI),
    Outcome(*realistic(), computed=0, warnings=["something"] * 50),
    PackedFrames(Path("events.h5"), np.arange(SAMPLES), (2, 34, 34, 10)),
)  # fmt: skip


def public_classes():
    """Those of the names that the API reference has."""
    place = Path(__file__).parents[1] / "docs" / "public.py"
    specification = importlib.util.spec_from_file_location("public", place)
    public = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(public)
    for face in public.FACES:
        for name in public.names_of(face):
            found = getattr(importlib.import_module(face), name)
            if inspect.isclass(found):
                yield found


def test_whatever_holds_arrays_or_lists_of_results_is_brief():
    held = [
        each for each in public_classes()
        if dataclasses.is_dataclass(each)
        and any("NDArray" in str(f.type) or "list[" in str(f.type)
                for f in dataclasses.fields(each))
    ]  # fmt: skip
    assert {la.Graph, la.Record, la.Dense, metrics.AccuracyBySchedule, metrics.Totals,
            cost.Estimate, Outcome} <= set(held)  # fmt: skip
    assert [each for each in held if not issubclass(each, Brief)] == []


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: type(each).__name__)
def test_one_line(each):
    text = repr(each)
    assert text.startswith(f"{type(each).__name__}(") and text.endswith(")")
    assert "\n" not in text and len(text) < 500
    assert len(str(each)) < 700


def test_arrays_are_told_by_type_and_shape_and_all_else_as_it_is():
    assert repr(TABLE) == (
        "AccuracyBySchedule(schedules=(LayerSync(group_size=8), Momentum(group_size=1, noise=0.5, "
        "seed=3), Random(group_size=1, seed=0)), accuracy=<float64 (3,)>, "
        "spikes_per_sample=<float64 (3,)>, predictions=<int64 (3, 300)>)"
    )
    assert repr(GRAPH.connections[0]) == (
        "Dense(source=-1, target=0, delay=0, weight=<int16 (50, 40)>)"
    )
    outcome = Outcome([], [], computed=4, warnings=["a", "b"])
    assert repr(outcome) == (
        "Outcome(rows=<list of 0>, points=<list of 0>, computed=4, warnings=<list of 2>)"
    )


@dataclasses.dataclass(frozen=True)
class Nearest(la.AsyncSchedule):
    places: object = None

    def priorities(self, neurons, *rest):
        return -neurons.astype(float)


@pytest.mark.parametrize(
    "schedule",
    [
        la.Momentum(4, noise=0.123456789, seed=2**63),
        la.Mixture((la.Momentum(4, noise=0.5), la.Random(1)), weights=(0.25, 0.75), seed=2**63),
        la.Mixture((Nearest(2, np.arange(500)), la.Random(1))),
        la.Mixture(tuple(map(la.Fifo, range(1, 101)))),
    ],
)
def test_what_is_within_is_not_cut(schedule):
    graph = dataclasses.replace(GRAPH, schedule=schedule)
    for each in (*graph.populations, *graph.connections, schedule):
        assert repr(each) in repr(graph)
    table = dataclasses.replace(TABLE, schedules=(schedule, *ORDERS[1:]))
    assert repr(schedule) in repr(table) and "\n" not in repr(table)
    assert len(repr(schedule)) < 250


def test_schedules_tell_arrays_by_type_and_shape():
    assert repr(Nearest(2, np.arange(500))) == "Nearest(group_size=2, places=<int64 (500,)>)"
    assert repr(la.Momentum(4)) == "Momentum(group_size=4, noise=0.0, seed=0)"


def test_a_connection_of_ones_own_is_as_brief():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Own(la.Connection):
        values: np.ndarray

        def synapses(self, shape):
            raise NotImplementedError

    own = Own(la.INPUT, 0, values=np.ones((300, 300)))
    assert repr(own) == "Own(source=-1, target=0, delay=0, values=<float64 (300, 300)>)"


def test_a_class_may_say_it_in_its_own_way():
    @dataclasses.dataclass
    class Own(Brief):
        values: list

        def __repr__(self):
            return "mine"

    assert repr(Own([])) == "mine"


class TestAccuracyBySchedule:
    def test_a_line_each_order_then_worst_best_and_agreement(self):
        *lines, last = str(TABLE).splitlines()
        names = ["layer, F = 8", "momentum, F = 1, noise 0.5, seed 3", "random, F = 1"]
        for place, (line, name) in enumerate(zip(lines, names, strict=True)):
            low, high = TABLE.accuracy_intervals[place]
            assert line == (
                f"{name:34}  {TABLE.accuracy[place]:.3f} [{low:.3f}, {high:.3f}]  "
                f"{TABLE.spikes_per_sample[place]:.1f} spikes a sample"
            )
        assert last == (
            f"worst: {TABLE.worst}; best: {TABLE.best}; two decide alike in at least "
            f"{TABLE.agreement.min():.3f} of the samples"
        )
        assert str(TABLE.worst) == f"{TABLE.worst.schedule}: {TABLE.worst.accuracy:.3f}"

    def test_one_order_is_neither_worst_nor_best(self):
        alone = metrics.accuracy_by_schedule(GRAPH, X, LABELS, ORDERS[:1])
        assert str(alone).startswith("layer, F = 8  0.") and "\n" not in str(alone)


class TestScheduleInWords:
    @pytest.mark.parametrize(
        ("schedule", "words"),
        [
            (la.LayerSync(), "layer, F = 8"),
            (la.Fifo(1), "fifo, F = 1"),
            (la.Momentum(4), "momentum, F = 4"),
            (la.Momentum(4, noise=0.5), "momentum, F = 4, noise 0.5"),
            (la.Random(1, seed=7), "random, F = 1, seed 7"),
            (la.Mixture((la.Fifo(), la.LayerSync(1))), "mixture of fifo:8; layer:1"),
            (la.Mixture((la.Fifo(),), seed=5), "mixture of fifo:8; seed 5"),
            (
                la.Mixture((la.Momentum(4, noise=0.5), la.Fifo(1)), (3, 1)),
                "mixture of 75% momentum:4, noise 0.5; 25% fifo:1",
            ),
            (
                la.Mixture((la.Fifo(1), la.Fifo(2), la.Fifo(4)), (1, 1, 1), seed=2),
                "mixture of 33.3% fifo:1; 33.3% fifo:2; 33.3% fifo:4; seed 2",
            ),
            (
                la.Mixture(tuple(map(la.Fifo, range(1, 101)))),
                "mixture of fifo:1; fifo:2; fifo:3; fifo:4; fifo:5; fifo:6; 94 more",
            ),
        ],
    )
    def test_settings_that_are_not_the_default(self, schedule, words):
        assert str(schedule) == words

    def test_different_mixtures_read_differently(self):
        parts = (la.Fifo(1), la.Fifo(8), la.Random(8), la.Random(8, seed=1), la.Momentum(8))
        mixtures = [
            la.Mixture(pair, weights, seed)
            for pair in itertools.permutations(parts, 2)
            for weights in (None, (1, 1), (1, 2))
            for seed in (0, 1)
        ]
        assert len(set(map(str, mixtures))) == len(mixtures)
        assert max(len(str(each)) for each in mixtures) < 60

    def test_of_ones_own(self):
        assert str(Nearest(2)) == "Nearest, F = 2"
        assert str(Nearest(2, np.arange(2))) == "Nearest, F = 2, places [0 1]"
