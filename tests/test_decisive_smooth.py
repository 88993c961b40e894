"""The decisive gradient is the derivative of a smooth network with its order held still."""

import numpy as np
import pytest
import torch

import lava_async as la
from decisive_helpers import assert_close, gradients
from decisive_loops import small_graph
from decisive_smooth import Smoothed, slope
from lava_async._semantics.dropout import Dropout

SCHEDULES = [
    (la.Momentum(1), None), (la.Momentum(3, noise=0.5, seed=2), None), (la.Random(2, 4), None),
    (la.Fifo(1), None), (la.Fifo(2), 1), (la.LayerSync(3), None),
]  # fmt: skip


RESETS = pytest.mark.parametrize("reset", ["through", "detached", "full"])


def smoothed_case(seed, wiring, schedule, stop_after, reset, spike_dropout=0.0):
    """Gradients, tape, input and the smooth network of a random graph."""
    rng = np.random.default_rng(seed)
    graph = small_graph(rng, wiring in ("circles", "all"), wiring in ("delays", "all"))
    x = rng.poisson(0.4, (1, 4, 4))
    by_spikes = rng.normal(size=(1, 4, graph.num_neurons))
    _, tape, got = gradients(
        graph, x, schedule, by_spikes, stop_after, reset, slope,
        dropout=Dropout(spike=spike_dropout),
    )
    layered = isinstance(schedule, la.LayerSync)
    return got, tape, x, Smoothed(graph, layered, tape, by_spikes, reset)


@RESETS
@pytest.mark.parametrize("schedule, stop_after", SCHEDULES)
@pytest.mark.parametrize("wiring", ["skips", "delays", "circles", "all"])
def test_derivative_of_the_smoothed_network(wiring, schedule, stop_after, reset):
    for seed, drop in ((10, 0.0), (11, 0.2)):
        got, tape, x, smoothed = smoothed_case(seed, wiring, schedule, stop_after, reset, drop)
        parameters = smoothed.parameters(x[0])
        smoothed(*parameters).backward()
        np.testing.assert_array_equal(smoothed.found, tape.voltage[0])  # the network itself
        *weights, bias, decay_u, decay_v, frames = (p.grad.numpy() for p in parameters)
        for by_weight, want in zip(got.weights, weights, strict=True):
            assert_close(by_weight, want)
        assert_close(got.bias, bias)
        assert_close(got.decay_u, -4096 * decay_u)  # by λ = 1 - iDecay / 4096
        assert_close(got.decay_v, -4096 * decay_v)
        assert_close(got.frames[0], frames)


@RESETS
@pytest.mark.parametrize("schedule, stop_after", SCHEDULES)
def test_the_smoothed_network_by_finite_differences(schedule, stop_after, reset):
    _, _, x, smoothed = smoothed_case(10, "all", schedule, stop_after, reset)
    assert torch.autograd.gradcheck(
        smoothed, smoothed.parameters(x[0]), eps=1e-3, atol=1e-6, rtol=1e-4, fast_mode=True
    )
