"""The decisive gradient of the readable definition, for tests."""

import numpy as np

import lava_async as la
from lava_async._semantics import decisive, reference


def thresholds(graph):
    """(N,) in membrane units."""
    return np.repeat([p.threshold << 6 for p in graph.populations],
                     [p.size for p in graph.populations])


def exponential(graph, voltage, width=3000.0):
    """(B, T, N) surrogate derivative per membrane unit, of area 2."""
    return np.exp(-np.abs(voltage - thresholds(graph)) / width) / width


def by_output(graph, gradient):
    """(B, T, N) gradient by all spikes of one by the output's, (B, outputs, T)."""
    whole = np.zeros((len(gradient), gradient.shape[-1], graph.num_neurons))
    whole[:, :, graph.slice(graph.output)] = np.moveaxis(gradient, 1, -1)
    return whole


def gradients(graph, x, schedule, loss_gradient, stop_after=None, reset="through",
              derivative=exponential, **settings):
    """(record, tape, Gradients)."""
    record, tape = reference.run_with_tape(graph, x, schedule, stop_after, **settings)
    frames = x.reshape(len(x), -1, x.shape[-1])
    found = decisive.backward(
        graph, isinstance(schedule, la.LayerSync), frames, tape,
        derivative(graph, tape.voltage), loss_gradient, reset,
    )
    return record, tape, found


def assert_close(got, want, relative=1e-9):
    """To a fraction of the largest entry."""
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=relative * np.abs(want).max(initial=0))
