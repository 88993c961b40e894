"""Hypothesis strategies: random graphs (any topology), inputs and schedules."""

import numpy as np
from hypothesis import strategies as st

import lava_async as la

DECAYS = st.sampled_from([0, 128, 1000, 2048, 4095, 4096])


@st.composite
def _population(draw, name, shape, rng):
    bias = None
    if draw(st.booleans()):
        bias = rng.integers(-12, 25, shape)
    return la.Population(
        name, shape, draw(DECAYS), draw(DECAYS), draw(st.integers(0, 120)), bias
    )


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


@st.composite
def graphs(draw, max_populations=4):
    """Feed-forward chains plus random skip and recurrent dense connections."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        input_shape = (draw(st.integers(1, 3)), draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    else:
        input_shape = (draw(st.integers(1, 30)),)
    count = draw(st.integers(1, max_populations))
    populations, connections, shape = [], [], input_shape

    def dense(source, target, source_shape, target_shape):
        scale = draw(st.sampled_from([8, 40, 90, 254]))
        size = (int(np.prod(target_shape)), int(np.prod(source_shape)))
        return la.Dense(source, target, rng.integers(-scale, scale + 1, size))

    for p in range(count):
        source = p - 1 if p else la.INPUT
        if p == 0 and draw(st.integers(0, 4)) == 0:
            connections.append(la.OneToOne(source, p, int(rng.integers(-100, 200))))
            target = shape
        elif len(shape) == 3 and draw(st.booleans()):
            conv, target = draw(_conv(source, p, shape, rng))
            connections.append(conv)
        else:
            target = (draw(st.integers(1, 20)),)
            connections.append(dense(source, p, shape, target))
        populations.append(draw(_population(f"population {p}", target, rng)))
        shape = target
    for _ in range(draw(st.integers(0, 3))):
        source = draw(st.integers(la.INPUT, count - 1))
        target = draw(st.integers(0, count - 1))
        source_shape = input_shape if source == la.INPUT else populations[source].shape
        connections.append(dense(source, target, source_shape, populations[target].shape))
    output = draw(st.integers(0, count - 1))
    return la.Graph(input_shape, tuple(populations), tuple(connections), output)


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
    )


def schedules():
    return st.one_of(async_schedules(), st.builds(la.LayerSync, GROUP_SIZES))
