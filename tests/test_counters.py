"""Networks and inputs beyond what counters hold are refused, those just within are not."""

import numpy as np
import pytest
import scipy.sparse

import lava_async as la
from lava_async._kernel._events import check_entries
from lava_async._kernel.stepper import Stepper
from lava_async._semantics import random
from lava_async.errors import ForwardStepLimitError, UnsupportedError, ValidationError


def wide(inputs):
    """One neuron that sees the first of many inputs."""
    matrix = scipy.sparse.coo_matrix(([100], ([0], [0])), shape=(1, inputs))
    population = la.Population("p", (1,), 4096, 4096, 9)
    return la.Graph((inputs,), (population,), (la.Sparse(la.INPUT, 0, matrix),))


@pytest.mark.parametrize(
    "schedule", [la.Momentum(), la.LayerSync(), la.Mixture([la.Fifo(), la.LayerSync()])]
)
def test_a_sample_of_2_to_the_32_entries_is_refused(schedule):
    x = np.broadcast_to(np.uint8(0), (2, 1 << 16, 1 << 16))  # which takes no memory
    with pytest.raises(ValidationError, match=r"time steps of one sample: .*65536 x 65536\)"):
        la.simulate(wide(1 << 16), x, schedule)


def test_entries_are_counted_exactly():
    check_entries((1 << 32) - 1, 1)
    check_entries(1, (1 << 32) - 1)
    check_entries(65535, 65537)
    for entries in ((1 << 32, 1), (1, 1 << 32), (65536, 65536), (1 << 31, 1 << 40)):
        with pytest.raises(ValidationError, match="one sample: expected at most 4294967295"):
            check_entries(*entries)


def chain(neurons):
    """The input fires the first neuron, and each the next: as many forward steps as neurons."""
    populations = [la.Population(f"p{i}", (1,), 4096, 4096, 9) for i in range(neurons)]
    ones = [la.OneToOne(i - 1, i, 100) for i in range(neurons)]
    return la.Graph((1,), populations, ones)


DRAWING = [
    la.Random(1), la.Momentum(1, noise=0.5), la.Random(8), la.Mixture([la.Random(2), la.Random(1)])
]  # fmt: skip


def runs(graph, schedule):
    return [
        lambda: la.simulate(graph, np.ones((1, 1, 1)), schedule).all_spikes,
        lambda: Stepper(graph, schedule).step(np.ones(1, int)).spikes,
    ]


@pytest.mark.parametrize("schedule", DRAWING)
def test_more_forward_steps_than_draws_have_names_for(schedule, monkeypatch):
    monkeypatch.setattr(random, "MAX_FORWARD_STEP", 9)
    for run in runs(chain(10), schedule):
        assert run().sum() == 10
    for run in runs(chain(11), schedule):
        with pytest.raises(UnsupportedError, match=r"neurons: expected at most 10 .*\(got 11\)"):
            run()


def test_the_reference_draws_as_long_as_there_are_names(monkeypatch):
    monkeypatch.setattr(random, "MAX_FORWARD_STEP", 9)
    x = np.ones((1, 1, 1))
    record = la.simulate(chain(10), x, la.Random(1), backend="reference")
    assert record.forward_steps.tolist() == [[10]]
    with pytest.raises(ForwardStepLimitError, match="forward step: expected at most 9"):
        la.simulate(chain(11), x, la.Random(1), backend="reference")


@pytest.mark.parametrize("schedule", [la.Momentum(1), la.Fifo(1), la.LayerSync(1)])
def test_schedules_that_draw_nothing_have_no_such_limit(schedule, monkeypatch):
    monkeypatch.setattr(random, "MAX_FORWARD_STEP", 9)
    for run in runs(chain(30), schedule):
        assert run().sum() == 30
