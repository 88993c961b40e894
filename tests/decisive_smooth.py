"""A decisive network whose outcomes are smooth: a true function of its parameters.

Who fired, in which order, who was released when, and the gradient-free part of the reset are
those of a tape and held still, as is what rounding takes away; each outcome is a smooth function
of the voltage that decided it, moved so that it has its value of the tape.
"""

import functools
import math

import numpy as np
import torch

from decisive_helpers import thresholds
from decisive_loops import synapses_of

WIDTH = 3000.0


def smooth_spike(distance):
    return torch.atan(distance / WIDTH) / math.pi


def slope(graph, voltage):
    """Derivative of `smooth_spike`."""
    return 1 / (1 + ((voltage - thresholds(graph)) / WIDTH) ** 2) / math.pi / WIDTH


class Smoothed:
    """One sample: call it with the parameters, first with those of the tape.

    Parameters
    ----------
    graph : Graph
        Of dense connections.
    layered : bool
    tape : Tape
    by_spikes : (B, T, N) array
        Weights of the loss, which is the sum of all outcomes.
    reset : "through", "detached" or "full"
    """

    def __init__(self, graph, layered, tape, by_spikes, reset):
        self.graph, self.layered, self.reset = graph, layered, reset
        self.voltage, self.fired_at, self.released_at, self.lost, self.by_spikes = (
            torch.from_numpy(a[0])
            for a in (tape.voltage, tape.fired_at, tape.released_at, tape.lost, by_spikes)
        )
        self.theta = thresholds(graph)
        self.arriving = {}
        for s in synapses_of(graph, layered):
            self.arriving.setdefault(s.target, []).append(s)
        self.held = {}
        self.found = np.zeros(self.voltage.shape)  # the voltages that decided

    def parameters(self, frames):
        """Weights of each connection, biases, iDecay, vDecay and input counts."""
        populations = self.graph.populations
        sizes = [p.size for p in populations]
        bias = np.concatenate([np.zeros(p.size) if p.bias is None else p.bias
                               for p in populations])
        decays = [np.repeat([getattr(p, name) for p in populations], sizes)
                  for name in ("i_decay", "v_decay")]
        found = [c.weight for c in self.graph.connections] + [bias, *decays, frames]
        return [torch.from_numpy(np.array(a, np.float64)).requires_grad_() for a in found]

    def still(self, key, x, value):
        """``x``, moved by a constant so that it was ``value`` in the first call."""
        return x + self.held.setdefault(key, float(value) - float(x))

    def fired(self, t, n):
        return bool(self.fired_at[t, n] >= 0)

    def arrivals(self, t, n, when):
        """Synapses over which something reaches n in t, and in which time step it was sent."""
        for s in self.arriving.get(n, ()):
            sent_at = t - s.delay
            if sent_at < 0 or not self.sends(sent_at, s.source):
                continue
            silent = s.source >= 0 and not self.fired(sent_at, s.source)
            released = self.released_at[sent_at, s.source] if s.source >= 0 else -1
            if silent and s.shares_circle:
                place = "circle"
            elif s.delay or self.layered or silent or not self.fired(t, n):
                place = "before"
            else:
                place = "before" if released < self.fired_at[t, n] else "after"
            if place == when:
                yield s, sent_at

    def sends(self, t, source):
        """Whether a spike is delivered, or would be if there were one."""
        return source < 0 or not self.fired(t, source) or self.released_at[t, source] >= 0

    def __call__(self, *parameters):
        *weights, bias, decay_u, decay_v, frames = parameters
        offsets = self.graph.offsets.tolist()
        zero = torch.zeros((), dtype=torch.float64)

        def decayed(key, x, decay):
            exact = (1 - decay / 4096) * x
            return self.still(key, exact, torch.trunc(exact.detach()))

        def current(t, n, when):
            total = zero
            for s, sent_at in self.arrivals(t, n, when):
                c = self.graph.connections[s.connection]
                column = s.source - offsets[c.source] if s.source >= 0 else -1 - s.source
                sent = frames[column, sent_at] if s.source < 0 else outcome(sent_at, s.source)
                total = total + 64 * weights[s.connection][n - offsets[c.target], column] * sent
            return total

        @functools.cache
        def rest(t, n):
            """What is left of current and voltage of the time step before."""
            if t == 0:
                return zero, zero
            u, v = at_end(t - 1, n)
            return decayed(("u", t, n), u, decay_u[n]), decayed(("v", t, n), v, decay_v[n])

        @functools.cache
        def deciding_voltage(t, n):
            u, v = rest(t, n)
            voltage = v + u + 64 * bias[n] + current(t, n, "before")
            self.found[t, n] = float(voltage)
            return voltage

        @functools.cache
        def outcome(t, n):
            smooth = smooth_spike(deciding_voltage(t, n) - self.theta[n])
            return self.still(("S", t, n), smooth, self.fired(t, n))

        @functools.cache
        def at_end(t, n):
            # A silent spike in a circle reaches the state, but no outcome.
            circle = current(t, n, "circle")
            u = rest(t, n)[0] + current(t, n, "before") + circle + current(t, n, "after")
            v = deciding_voltage(t, n) + circle
            silent = float(not self.fired(t, n))
            if self.reset == "full":
                return u, v * (1 - outcome(t, n))
            if self.reset == "detached":
                return u, v * silent
            return u, self.still(("reset", t, n), v, silent * float(v))

        loss = zero
        for t in range(len(self.voltage)):
            for n in range(self.graph.num_neurons):
                at_end(t, n)
                if not self.lost[t, n]:
                    loss = loss + self.by_spikes[t, n] * outcome(t, n)
        return loss
