"""The definition of the decisive gradient equals another program, neuron by neuron."""

from collections import Counter

import numpy as np
import pytest

import decisive_loops
import lava_async as la
from decisive_helpers import assert_close, gradients
from lava_async._semantics.dropout import Dropout

SCHEDULES = [
    (la.Momentum(1), None), (la.Momentum(3, noise=0.5, seed=2), None), (la.Random(2, 4), None),
    (la.Fifo(1), None), (la.Momentum(1), 1), (la.Fifo(2), 0), (la.LayerSync(3), None),
]  # fmt: skip


@pytest.mark.parametrize("reset", ["through", "detached", "full"])
@pytest.mark.parametrize("drop", [0.0, 0.3])
@pytest.mark.parametrize("schedule, stop_after", SCHEDULES)
def test_definition_equals_loops(schedule, stop_after, drop, reset):
    seen = Counter()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        graph = decisive_loops.small_graph(rng)
        x = rng.poisson(0.4, (1, 4, 5))
        by_spikes = rng.normal(size=(1, 5, graph.num_neurons))
        derivative = rng.uniform(0.1, 1, by_spikes.shape) / 8000  # whatever the voltage
        record, tape, got = gradients(
            graph, x, schedule, by_spikes, stop_after, reset,
            lambda *_, held=derivative: held,
            dropout=Dropout(spike=drop, seed=seed),
        )
        layered = isinstance(schedule, la.LayerSync)
        weights, bias, frames = decisive_loops.gradients(
            graph, layered, x[0], tape, derivative, by_spikes, reset
        )
        for c, by_weight, want in zip(graph.connections, got.weights, weights, strict=True):
            assert_close(by_weight, want.reshape(c.weight.shape[::-1]).T)
        assert_close(got.bias, bias)
        assert_close(got.frames[0], frames)

        fired = tape.fired_at[0] >= 0
        seen["spikes"] += fired.sum()
        seen["silent"] += (~fired).sum()
        seen["lost"] += tape.lost.sum()
        seen["discarded"] += (fired & ~tape.lost[0] & (tape.released_at[0] < 0)).sum()
        for s in decisive_loops.synapses_of(graph, layered):
            if s.source >= 0 and not s.delay:
                seen["silent in circle"] += s.shares_circle * (~fired[:, s.source]).sum()
                late = tape.released_at[0][:, s.source] >= tape.fired_at[0][:, s.target]
                seen["late"] += (late & fired[:, s.source] & fired[:, s.target]).sum()
        np.testing.assert_array_equal(record.all_spikes[0].T, fired & ~tape.lost[0])
    assert seen["spikes"] > 50 and seen["silent"] > 50
    assert bool(seen["lost"]) == bool(drop)
    assert bool(seen["discarded"]) == (stop_after is not None)
    if not layered:
        assert seen["late"] > 10 and seen["silent in circle"] > 10
    else:
        assert not seen["silent in circle"]
