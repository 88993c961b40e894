"""Spikes of directed graphs with delays, computed by an independent program, on every backend."""

import numpy as np
import pytest

import lava_async as la
from golden_graphs import NAMES, load_golden_graph

pytestmark = pytest.mark.timeout(120)


def test_all_graphs_are_here():
    assert len(NAMES) == 12
    cases = [load_golden_graph(name) for name in NAMES]
    assert {type(case.schedule) for case in cases} == {la.Momentum, la.Fifo, la.LayerSync}
    assert any(np.ndim(c.delay) for case in cases for c in case.graph.connections)


@pytest.mark.parametrize("backend", ["reference", "kernel", "lava", "graph"])
@pytest.mark.parametrize("name", NAMES)
def test_golden_graph(name, backend):
    case = load_golden_graph(name)
    record = la.simulate(
        case.graph, case.x, case.schedule, backend=backend, stop_after=case.stop_after
    )
    np.testing.assert_array_equal(record.all_spikes, case.arrays["all_spikes"])
    np.testing.assert_array_equal(record.forward_steps, case.arrays["forward_steps"])
    assert record.spikes.any() and not record.overflows.any()
