"""Networks of many neurons in Lava: what happens costs, not how many there are."""

import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

import lava_async as la
from lava_async.netx import Network
from lava_async.runtime import Runner


def test_a_hundred_thousand_neurons_with_convolutions_equal_the_kernel():
    rng, side, num_steps = np.random.default_rng(0), 112, 6
    weight = rng.integers(-30, 45, (8, 2, 3, 3)), rng.integers(-30, 40, (16, 8, 3, 3))
    graph = la.Graph(
        (2, side, side),
        (
            la.Population("first", (8, side, side), 2048, 300, 60),
            la.Population("second", (16, side // 4, side // 4), 2048, 300, 60),
            la.Population("out", (10,), 4096, 300, 60),
        ),
        (
            la.Conv(la.INPUT, 0, weight[0], padding=(1, 1)),
            la.Conv(0, 1, weight[1], stride=(4, 4), padding=(1, 1)),
            la.Dense(1, 2, rng.integers(-20, 20, (10, 16 * (side // 4) ** 2))),
        ),
    )
    assert graph.num_neurons > 100_000
    x = (rng.random((2, side, side, num_steps)) < 0.05).astype(np.int32)
    want = la.simulate(graph, x, record="sparse")

    source, network = Source(data=x.transpose(2, 1, 0, 3)), Network(graph)
    sink = Sink(shape=network.out.shape, buffer=num_steps)
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    with Runner(network, Loihi2SimCfg(select_tag="fixed_pt")) as run:
        run(num_steps=num_steps)
        np.testing.assert_array_equal(sink.data.get(), want.spikes[0])
        assert network.total_synops.get() == want.synops.sum()
        assert network.total_forward_steps.get() == want.forward_steps.sum()
    assert want.spikes.any() and len(want.events.sample) > 10_000
