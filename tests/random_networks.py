"""Hypothesis strategies: random graphs (any topology), inputs and schedules."""

import contextlib
import dataclasses
from unittest import mock

import numpy as np
import scipy.sparse
from hypothesis import strategies as st

import lava_async as la
from lava_async._kernel import _lowering

DECAYS = st.sampled_from([0, 128, 1000, 2048, 4095, 4096])


@st.composite
def _population(draw, name, shape, rng):
    bias = None
    if draw(st.booleans()):
        bias = rng.integers(-12, 25, shape)
    return la.Population(
        name, shape, _decay(draw, shape, rng), _decay(draw, shape, rng),
        draw(st.integers(0, 120)), bias,
    )  # fmt: skip


def _decay(draw, shape, rng):
    """One for all neurons, one for each channel, or one for each."""
    kind = draw(st.sampled_from(["one", "one", "channels", "neurons"]))
    if kind == "one":
        return draw(DECAYS)
    sizes = (shape[0], *[1] * (len(shape) - 1)) if kind == "channels" else shape
    return np.broadcast_to(rng.choice([0, 128, 1000, 2048, 4095, 4096], sizes), shape)


@st.composite
def _conv(draw, source, target, source_shape, rng):
    """A convolution from ``source_shape`` and the shape of its target."""
    channels, height, width = source_shape
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
    kernel, stride, padding, dilation = (
        (draw(st.integers(low, 3)), draw(st.integers(low, 3))) for low in (1, 1, 0, 1)
    )
    kernel = tuple(
        max(1, min(k, (n + 2 * p - 1) // d + 1))
        for k, n, p, d in zip(kernel, (height, width), padding, dilation, strict=True)
    )
    out = groups * draw(st.integers(1, 3))
    weight = 2 * rng.integers(-40, 41, (out, channels // groups, *kernel))
    conv = la.Conv(source, target, weight, stride, padding, dilation, groups)
    return conv, conv.out_shape(source_shape)


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours(la.Connection):
    """A kind that only this file knows: neuron i to i and i + 1 of a ring, by two weights."""

    weight: tuple[int, int]

    def synapses(self, source_shape):
        size = int(np.prod(source_shape))
        source = np.repeat(np.arange(size), 2)
        target = (source + np.tile([0, 1], size)) % size
        weight = np.tile(self.weight, size)
        if size == 1:  # both synapses would be one
            source, target, weight = source[:1], target[:1], weight[:1]
        return la.Synapses.from_entries(self.where, (size, size), target, source, weight)


@st.composite
def _delay(draw, source_shape, rng):
    """None, one for all, or one for each source, 0 among them."""
    kind = draw(st.sampled_from(["none", "none", "one", "each"]))
    if kind == "each":
        return rng.integers(0, 4, int(np.prod(source_shape)))
    return draw(st.integers(1, 5)) if kind == "one" else 0


def _weights(rng, scale, target_shape, source_shape):
    size = (int(np.prod(target_shape)), int(np.prod(source_shape)))
    return rng.integers(-scale, scale + 1, size)


@st.composite
def _connection(draw, source, target, source_shape, target_shape, rng, delays):
    """Any kind that fits between two shapes."""
    delay = draw(_delay(source_shape, rng)) if delays else 0
    scale = draw(st.sampled_from([8, 40, 90, 254]))
    kinds = ["dense", "sparse"]
    if np.prod(source_shape) == np.prod(target_shape):
        kinds += ["one-to-one", "neighbours"]
    if len(source_shape) == len(target_shape) == 3 and source_shape[1:] == target_shape[1:]:
        kinds += ["conv", "conv"]
    match draw(st.sampled_from(kinds)):
        case "one-to-one":
            return la.OneToOne(source, target, int(rng.integers(-100, 200)), delay=delay)
        case "neighbours":
            weight = tuple(rng.integers(-100, 200, 2).tolist())
            return Neighbours(source, target, weight, delay=delay)
        case "conv":
            weight = rng.integers(-scale, scale + 1, (target_shape[0], source_shape[0], 3, 1))
            return la.Conv(source, target, weight, padding=(1, 0), delay=delay)
        case "sparse":
            weight = _weights(rng, scale, target_shape, source_shape)
            matrix = scipy.sparse.coo_matrix(weight * (rng.random(weight.shape) < 0.3))
            return la.Sparse(source, target, matrix, delay=delay)
    return la.Dense(
        source, target, _weights(rng, scale, target_shape, source_shape), delay=delay
    )


@st.composite
def graphs(draw, max_populations=4, delays=True):
    """A chain of any kinds, plus random skip and recurrent connections of any kind."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        input_shape = (draw(st.integers(1, 3)), draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    else:
        input_shape = (draw(st.integers(1, 30)),)
    count = draw(st.integers(1, max_populations))
    populations, connections, shape = [], [], input_shape
    for p in range(count):
        source = p - 1 if p else la.INPUT
        if len(shape) == 3 and draw(st.booleans()):
            conv, target = draw(_conv(source, p, shape, rng))
            delay = draw(_delay(shape, rng)) if delays else 0
            connections.append(dataclasses.replace(conv, delay=delay))
        else:
            target = shape if draw(st.booleans()) else (draw(st.integers(1, 20)),)
            connections.append(draw(_connection(source, p, shape, target, rng, delays)))
        populations.append(draw(_population(f"population {p}", target, rng)))
        shape = target
    for _ in range(draw(st.integers(0, 3))):
        source = draw(st.integers(la.INPUT, count - 1))
        target = draw(st.integers(0, count - 1))
        source_shape = input_shape if source == la.INPUT else populations[source].shape
        target_shape = populations[target].shape
        connections.append(
            draw(_connection(source, target, source_shape, target_shape, rng, delays))
        )
    connections = [connections[i] for i in draw(st.permutations(range(len(connections))))]
    output = draw(st.integers(0, count - 1))
    output_delay = draw(_delay(populations[output].shape, rng)) if delays else 0
    return la.Graph(
        input_shape, tuple(populations), tuple(connections), output, output_delay=output_delay
    )


@st.composite
def inputs(draw, graph, max_batch=3, max_steps=6):
    """(B, *input_shape, T) counts, mostly 0 and 1."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, max_batch)), *graph.input_shape, draw(st.integers(1, max_steps)))
    x = (rng.random(shape) < draw(st.sampled_from([0.0, 0.1, 0.5]))).astype(np.int64)
    return x * rng.integers(1, draw(st.sampled_from([2, 4])), shape)


GROUP_SIZES = st.sampled_from([1, 2, 3, 8, 10**6])


def async_schedules():
    seeds = st.integers(0, 2**64 - 1)
    return st.one_of(
        st.builds(la.Random, GROUP_SIZES, seeds),
        st.builds(la.Momentum, GROUP_SIZES, st.sampled_from([0.0, 1e-3, 0.5, 3.0]), seeds),
        st.builds(la.Fifo, GROUP_SIZES),
    )


def single_schedules():
    return st.one_of(async_schedules(), st.builds(la.LayerSync, GROUP_SIZES))


@st.composite
def mixtures(draw):
    parts = draw(st.lists(single_schedules(), min_size=1, max_size=4))
    weights = draw(
        st.none() | st.lists(st.floats(0.1, 3), min_size=len(parts), max_size=len(parts))
    )
    return la.Mixture(parts, weights, draw(st.integers(0, 2**64 - 1)))


def schedules():
    return st.one_of(async_schedules(), single_schedules(), mixtures())


def alike(graph):
    """The same graph, but for neurons that are all alike and have no bias, as packed ones are."""
    populations = [
        dataclasses.replace(p, i_decay=int(np.max(p.i_decay)), v_decay=int(np.max(p.v_decay)),
                            bias=None)
        for p in graph.populations
    ]  # fmt: skip
    return dataclasses.replace(graph, populations=tuple(populations))


@contextlib.contextmanager
def drawn_packing(data):
    """Populations are packed from a drawn size on, not only the large ones for which it pays."""
    sizes = st.sampled_from([_lowering._PACKED_FROM, 1, 1, 8])
    with mock.patch.object(_lowering, "_PACKED_FROM", data.draw(sizes)):
        yield
