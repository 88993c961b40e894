"""The decisive gradient once more: single neurons and synapses, straight from the text.

No order is worked out here: each number asks for those that it needs, so a circle would not end.
"""

import functools
from dataclasses import dataclass

import numpy as np

import lava_async as la


@dataclass(frozen=True)
class Synapse:
    """From a neuron, or an input (a negative number), to a neuron."""

    connection: int
    source: int
    target: int
    worth: int  # membrane units
    delay: int
    shares_circle: bool


def synapses_of(graph, layered):
    """Of every connection, in the order of `Connection.synapses`."""
    delays = []
    for c in graph.connections:
        delay = np.broadcast_to(c.delay, int(np.prod(graph.source_shape(c)))).astype(int)
        goes_back = c.source >= 0 and graph.order.index(c.target) <= graph.order.index(c.source)
        delays.append(np.maximum(delay, 1) if layered and goes_back else delay)
    now = [(c.source, c.target) for c, d in zip(graph.connections, delays, strict=True)
           if 0 in d]

    def leads(start, end):
        seen, todo = set(), [start]
        while todo:
            p = todo.pop()
            new = {b for a, b in now if a == p} - seen
            seen |= new
            todo += new
        return end in seen

    found = []
    for k, (c, delay) in enumerate(zip(graph.connections, delays, strict=True)):
        circle = c.source >= 0 and leads(c.target, c.source)
        own = c.synapses(graph.source_shape(c))
        for source, target, weight in zip(
            own.source.tolist(), own.target.tolist(), own.weight.tolist(), strict=True
        ):
            found.append(
                Synapse(
                    k, -1 - source if c.source < 0 else int(graph.offsets[c.source]) + source,
                    int(graph.offsets[c.target]) + target, 64 * weight, int(delay[source]),
                    circle and delay[source] == 0,
                )
            )  # fmt: skip
    return found


def gradients(graph, layered, frame, tape, derivative, loss_gradient, reset):
    """Of one sample: by each synapse's weight (list), bias (N,), and input counts (inputs, T).

    ``frame`` is (inputs, T); of ``tape`` the first sample counts, as of the arrays (B, T, N).
    """
    synapses = synapses_of(graph, layered)
    leaving = {}
    for s in synapses:
        leaving.setdefault(s.source, []).append(s)
    voltage, fired_at, released_at, lost = (
        getattr(tape, name)[0] for name in ("voltage", "fired_at", "released_at", "lost")
    )
    steps, count = voltage.shape
    keep_v, keep_u = (
        np.repeat([1 - getattr(p, name) / 4096 for p in graph.populations],
                  [p.size for p in graph.populations])
        for name in ("v_decay", "i_decay")
    )

    def fired(t, n):
        return fired_at[t, n] >= 0

    def rho(t, n):
        return 1.0 if reset == "through" or not fired(t, n) else 0.0

    @functools.cache
    def at_end(t, n):
        """gv, gu"""
        if t + 1 == steps:
            return 0.0, 0.0
        _, gu = at_end(t + 1, n)
        gV = by_deciding_voltage(t + 1, n)
        return keep_v[n] * gV, keep_u[n] * (gV + gu)

    @functools.cache
    def by_deciding_voltage(t, n):
        gv, _ = at_end(t, n)
        gS = by_spike(t, n)
        slope = derivative[0, t, n]
        if reset == "full":
            return slope * (gS - voltage[t, n] * gv) + (0.0 if fired(t, n) else gv)
        return slope * gS + rho(t, n) * gv

    def by_spike(t, n):
        if lost[t, n]:
            return 0.0
        own = loss_gradient[0, t, n]
        if fired(t, n) and released_at[t, n] < 0:
            return own
        return own + sum(s.worth * by_current(t, s) for s in leaving.get(n, ()))

    def by_current(t, s):
        """gI of what the source sends, or would have sent, at t."""
        if s.delay:
            t += s.delay
            return by_deciding_voltage(t, s.target) + at_end(t, s.target)[1] if t < steps else 0.0
        gv, gu = at_end(t, s.target)
        silent = s.source >= 0 and not fired(t, s.source)
        if silent and s.shares_circle:
            return rho(t, s.target) * gv + gu
        released = released_at[t, s.source] if s.source >= 0 else -1
        if (
            layered or silent or not fired(t, s.target)
            or released < fired_at[t, s.target]
        ):
            return by_deciding_voltage(t, s.target) + gu
        return gu

    for t in reversed(range(steps)):
        for n in np.argsort(-fired_at[t], kind="stable").tolist():
            by_deciding_voltage(t, n)
    bias = np.array(
        [64 * sum(by_deciding_voltage(t, n) for t in range(steps)) for n in range(count)]
    )

    def sent(t, source):
        return frame[-1 - source, t] if source < 0 else released_at[t, source] >= 0

    by_weight = [
        64 * sum(by_current(t, s) for t in range(steps) for _ in range(sent(t, s.source)))
        for s in synapses
    ]
    by_input = [
        [sum(s.worth * by_current(t, s) for s in leaving.get(-1 - i, ())) for t in range(steps)]
        for i in range(len(frame))
    ]
    weights = [
        np.array([g for g, s in zip(by_weight, synapses, strict=True) if s.connection == k])
        for k in range(len(graph.connections))
    ]
    return weights, bias, np.array(by_input)


def small_graph(rng, recurrent=True, delays=True):
    """Of 2 to 4 populations of 2 to 5 neurons, densely connected in any way."""
    sizes = rng.integers(2, 6, rng.integers(2, 5)).tolist()
    inputs = 4

    def dense(source, target):
        n = inputs if source < 0 else sizes[source]
        delay = 0
        if delays and rng.random() < 0.4:
            delay = rng.integers(0, 3, n) if rng.random() < 0.5 else int(rng.integers(1, 4))
        return la.Dense(source, target, rng.integers(-70, 130, (sizes[target], n)), delay=delay)

    populations = [
        la.Population(
            f"p{p}", (n,), int(rng.choice([300, 2000, 4096])), int(rng.choice([0, 500, 3000])),
            int(rng.integers(60, 130)), rng.integers(-9, 15, n) if rng.random() < 0.5 else None,
        )
        for p, n in enumerate(sizes)
    ]  # fmt: skip
    connections = [dense(p - 1, p) for p in range(len(sizes))]
    for _ in range(rng.integers(1, 4)):
        source, target = rng.integers(0, len(sizes), 2).tolist()
        if not recurrent:
            source, target = min(source, target) - 1, max(source, target)
        connections.append(dense(source, target))
    return la.Graph((inputs,), populations, connections)
