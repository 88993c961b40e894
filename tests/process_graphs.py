"""Short ways to wire processes, for the tests of process graphs."""

import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

import lava_async as la
from lava_async.proc import AsyncLIF

FIXED = Loihi2SimCfg(select_tag="fixed_pt")
AS_GRAPH = Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=True)
SCHEDULE = la.Momentum(3)
LIF_ARGUMENTS = {"du": 1500, "dv": 300, "vth": 50}


def lif(size, name=None):
    return AsyncLIF(shape=(size,), **LIF_ARGUMENTS, name=name)


def population(shape, name="p"):
    return la.Population(name, shape, 1500, 300, 50)


def weights(rng, target, source):
    return rng.integers(-40, 90, (target, source))


def small_graph(seed=0, input_size=12, recurrent=False):
    """Dense, slowly decaying, so that state and resets matter; 4 outputs."""
    rng = np.random.default_rng(seed)
    sizes = [input_size, 10, 8, 4]
    dense = [la.Dense(i - 1, i, weights(rng, sizes[i + 1], sizes[i])) for i in range(3)]
    if recurrent:
        dense.append(la.Dense(2, 0, weights(rng, 10, 4)))
    cells = tuple(population((n,), f"p{i}") for i, n in enumerate(sizes[1:]))
    return la.Graph((input_size,), cells, tuple(dense))


def delayed_graph(seed=0, max_delay=4):
    """As `small_graph`, with delays everywhere: of the input, all or some neurons, recurrent, of
    the output."""
    rng = np.random.default_rng(seed)

    def dense(source, target, sizes, delay):
        return la.Dense(source, target, weights(rng, *sizes), delay=delay)

    def some(size):
        return rng.integers(0, max_delay + 1, size)

    connections = (
        dense(la.INPUT, 0, (10, 12), some(12)),
        dense(la.INPUT, 1, (4, 12), 2),
        dense(0, 1, (4, 10), some(10)),
        dense(0, 0, (10, 10), max_delay),
        dense(1, 0, (10, 4), 0),
    )
    cells = population((10,), "p0"), population((4,), "p1")
    return la.Graph((12,), cells, connections, output_delay=some(4))


def random_input(shape, seed=1, high=2):
    return np.random.default_rng(seed).integers(0, high, shape)


def feed(x, *ports):
    source = Source(data=x)
    for port in ports:
        source.s_out.connect(port)


def collect(port, num_steps):
    sink = Sink(shape=port.shape, buffer=num_steps)
    port.connect(sink.a_in)
    return sink


def connect(source, connection, target):
    """Source and target populations of one scheduler."""
    source.release_out.connect(connection.release_in)
    connection.forward_out.connect(target.forward_in)
