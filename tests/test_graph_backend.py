"""The process graph equals the reference and the golden cases, bit for bit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async.errors import ProcessError
from random_networks import graphs, inputs
from records import assert_equal_records

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("design")]
GOLDEN = Path(__file__).parent / "golden"


def assert_graph_equals_reference(graph, x, schedule, **options):
    want = la.simulate(graph, x, schedule, backend="reference", **options)
    got = la.simulate(graph, x, schedule, backend="graph", **options)
    assert_equal_records(got, want)
    return got


@pytest.mark.parametrize("case", range(24))
def test_golden_case(case):
    golden = np.load(GOLDEN / f"case_{case:02d}.npz")
    graph = la.load(GOLDEN / f"case_{case:02d}.net")
    schedule = {"momentum": la.Momentum, "layer": la.LayerSync}[str(golden["schedule"])](
        int(golden["group_size"])
    )
    stop_after = int(golden["stop_after"])
    record = la.simulate(
        graph, golden["input"], schedule, backend="graph",
        stop_after=None if stop_after < 0 else stop_after,
    )
    np.testing.assert_array_equal(record.all_spikes, golden["all_spikes"])
    np.testing.assert_array_equal(
        record.spikes.reshape(golden["spikes"].shape), golden["spikes"]
    )
    np.testing.assert_array_equal(record.forward_steps, golden["forward_steps"])


class Balanced(la.AsyncSchedule):
    """A schedule that only this file knows: it asks for all it may know."""

    def priorities(self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step):
        turn = neurons + sample + time_step + forward_step
        return turn % 3 - fired_at + momenta / (thresholds + 1)


KINDS = {
    "random": lambda size: la.Random(size, seed=2**63 + 5),
    "momentum": la.Momentum,
    "noisy momentum": lambda size: la.Momentum(size, noise=0.5, seed=3),
    "fifo": la.Fifo,
    "own": Balanced,
    "layer": la.LayerSync,
    "mixture": lambda size: la.Mixture([la.LayerSync(size), la.Fifo(size), Balanced(1)], seed=2),
    "asynchronous mixture": lambda size: la.Mixture([la.Random(size), la.Momentum(2)], [1, 2]),
}


@pytest.mark.parametrize("group_size", [1, 3, 8, 10**6])
@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # each example starts a dozen processes: no search for a smaller one
)
@given(data=st.data())
def test_random_networks(kind, group_size, data):
    """Skip and recurrent connections of any kind and delay, any output population and delay of
    the output, every schedule and group size."""
    graph = data.draw(graphs())
    x = data.draw(inputs(graph, max_steps=7))
    schedule = KINDS[kind](group_size)
    options = {"trace": data.draw(st.booleans())}
    if all(isinstance(part, la.AsyncSchedule) for part in schedule.parts):
        options["stop_after"] = data.draw(st.sampled_from([None, 0, 2]))
    ids = st.lists(st.integers(0, 2**32 - 1), min_size=len(x), max_size=len(x))
    assert_graph_equals_reference(graph, x, schedule, sample_ids=data.draw(ids), **options)


def test_a_schedule_of_ones_own_that_fails_is_reported():
    class Wrong(la.AsyncSchedule):
        def priorities(self, neurons, *rest):
            return neurons[1:]

    dense = la.Dense(la.INPUT, 0, np.full((4, 1), 90))
    graph = la.Graph((1,), (la.Population("p", (4,), 0, 0, 9),), (dense,))
    message = r"'scheduler' .*ExecutionError: Wrong.priorities: result: expected 4 numbers"
    with pytest.raises(ProcessError, match=message):
        la.simulate(graph, np.ones((1, 1)), Wrong(2), backend="graph")
