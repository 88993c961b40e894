"""How samples of Lava's `SpikeDataloader` line up with resets: the documented example, and more."""

import doctest

import numpy as np
import pytest
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.dataloader import SpikeDataloader

import lava_async as la
from lava_async import netx
from lava_async.runtime import Runner
from process_graphs import AS_GRAPH, FIXED, collect, delayed_graph, random_input

pytestmark = pytest.mark.timeout(120)


def test_the_example_of_the_documentation():
    example = doctest.DocTestParser().get_doctest(netx.__doc__, {}, "netx", None, None)
    result = doctest.DocTestRunner().run(example, clear_globs=False)
    assert result.failed == 0
    assert np.shape(example.globs["spikes"]) == (3, 4, 10) and np.any(example.globs["spikes"])


@pytest.mark.parametrize(
    "config",
    [FIXED, AS_GRAPH, Loihi2SimCfg(select_tag="floating_pt")],
    ids=["fused", "graph", "floating_pt"],
)
@pytest.mark.parametrize("length, interval, offset", [(6, 6, 0), (4, 6, 3), (9, 6, 4), (5, 6, 5)])
def test_spikes_are_those_of_each_sample(config, length, interval, offset):
    """With state, delays and random draws that the sample's index names."""
    graph, count = delayed_graph(), 4
    schedule = la.Mixture([la.Random(2, seed=1), la.LayerSync(2)], seed=5)
    samples = random_input((count, 12, length))
    ids = [11, 3, 7, 20]
    loader = SpikeDataloader(
        dataset=[(x, label) for label, x in enumerate(samples)], interval=interval, offset=offset
    )
    # Resets that begin with time step 1 begin a sample of their own.
    before = [99] if offset + 1 == interval else []
    network = netx.Network(
        graph, schedule=schedule, reset_interval=interval, reset_offset=offset + 1,
        sample_ids=[*before, *ids],
    )
    begin, end = offset + 1, offset + 1 + count * interval
    loader.s_out.connect(network.inp)
    sink, labels = collect(network.out, end), collect(loader.ground_truth, end)
    with Runner(network, config) as run:
        run(num_steps=end)
        got, seen = sink.data.get()[:, begin:], labels.data.get()[0, begin:]
    x = np.zeros((count, 12, interval), np.int64)
    x[..., :length] = samples[..., :interval]
    want = la.simulate(graph, x, schedule, sample_ids=ids).spikes
    assert want.any()
    np.testing.assert_array_equal(got, np.concatenate(want, axis=-1))
    np.testing.assert_array_equal(seen, np.repeat(np.arange(count), interval))
